//! One class a branch: arteries and veins of a label map that stay the same along a vessel.
//!
//! Each class's own centreline gives *units*, one a branch, with the voxels nearest to it. Units are tied to each
//! other: those of one class at their forks, those of different classes where the free end of one meets the other,
//! since no vessel begins in the side of another or breaks off at a cut. What the voxels said and how near the airways
//! are speaks for a class of each unit. The labelling of least cost is found exactly, as a minimum cut (Greig,
//! Porteous and Seheult 1989, J R Stat Soc B 51:271). Gaps are bridged and specks dropped afterwards.

mod bridge;
mod contact;
mod energy;
mod flow;
mod map;
mod pieces;
mod unit;

use std::ops::Add;

use pulmoav_task::Monitor;
use pulmoav_volume::bits::Bits;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Volume, Voxel};

use crate::error::TreeError;
use crate::extract::MARGIN;

pub use bridge::Bridge;
pub use energy::Weights;
pub use pieces::Loose;

use bridge::bridge;
use energy::solve;
use map::{Values, Written, airways_in};
use pieces::Pieces;
use unit::Units;

/// What is known beside the label map, and which of its values are meant.
#[derive(Debug, Clone)]
pub struct Request<'a, T = f32> {
    /// Values of arteries, each with that of the veins whose place it shares: 1 and 2, or of each side.
    pub pairs: &'a [[u8; 2]],
    /// Voxels of airways by their index in the map; without them closeness to bronchi tells nothing.
    pub airways: Option<&'a [u32]>,
    /// The scan, HU, `[z, y, x]` of the map; without it no gap is bridged.
    pub hu: Option<View<'a, T>>,
    /// How much each piece of evidence weighs.
    pub weights: Weights,
}

/// A branch, or a part of one, that got the other class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The middle of it, RAS mm.
    pub at_mm: [f64; 3],
    /// The value that it had.
    pub from: u8,
    /// The value that it has now.
    pub to: u8,
    /// Its length, mm.
    pub length_mm: f64,
    /// Its voxels.
    pub voxels: u64,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Branches that got the other class.
    pub changes: Vec<Change>,
    /// Gaps that were bridged.
    pub bridges: Vec<Bridge>,
    /// Pieces too small to tell, and connected to nothing, that were cleared.
    pub dropped: Loose,
    /// Pieces not connected to a tree of their class, before.
    pub loose_before: Loose,
    /// The same, after.
    pub loose_after: Loose,
}

/// Gives each branch of a label map one class, in place, and says what was changed.
///
/// # Errors
/// [`TreeError::Shape`] for a scan of another shape, [`TreeError::Cancelled`].
pub fn tidy(
    labels: &mut Volume<u8>,
    request: &Request<'_, impl Voxel>,
    monitor: &dyn Monitor,
) -> Result<Report, TreeError> {
    let shape = labels.grid.shape;
    if let Some(got) = request.hu.map(|view| view.shape()).filter(|&got| got != shape) {
        return Err(TreeError::Shape { what: "the scan", got, expected: shape });
    }
    let values = Values::new(request.pairs);
    let Some(part) = VoxelBox::around(&labels.data, shape, |value| values.class(value) != 0) else {
        return Ok(Report::default());
    };
    let part = part.grown(REACH_MM, &labels.grid);
    monitor.report("tidy", 0, STEPS);
    let bits = [1, 2].map(|class| Bits::of(&labels.data, shape, &part, MARGIN, |value| values.class(value) == class));
    let loose_before = bits.iter().map(|bits| Pieces::find(bits).loose()).fold(Loose::default(), Loose::add);
    let units = Units::find(bits, labels.grid.spacing_mm, monitor)?;
    let lattice = units.lattice;
    monitor.report("tidy", 1, STEPS);
    monitor.proceed()?;
    let airways = request.airways.map(|voxels| airways_in(voxels, shape, &part));
    let flips = solve(&units, airways.as_ref(), &request.weights);
    drop(airways);
    monitor.report("tidy", 2, STEPS);
    monitor.proceed()?;
    let mut written = Written { labels, values, part };
    let changes = written.changes(&units, &flips);
    for (class, other) in [(0, 2), (1, 1)] {
        written.set_class(units.flipped(class, &flips), other, &lattice);
    }
    let mut after = units.into_flipped(&flips);
    let ways = request.hu.map_or(vec![], |hu| bridge(&mut after, &hu.part(&part), &lattice));
    let bridges = written.bridge(&ways, &lattice);
    monitor.report("tidy", 3, STEPS);
    monitor.proceed()?;
    let (mut dropped, mut loose_after) = (Loose::default(), Loose::default());
    for pieces in after.iter().map(Pieces::find) {
        let (voxels, specks) = pieces.specks(&lattice);
        written.clear(&voxels, &lattice);
        dropped = dropped + specks;
        loose_after = loose_after + (pieces.loose() - specks);
    }
    monitor.report("tidy", STEPS, STEPS);
    Ok(Report { changes, bridges, dropped, loose_before, loose_after })
}

/// Bridges are looked for so far round the vessels, mm.
const REACH_MM: f64 = 2.0;
/// What progress counts: units, their classes, bridges, specks.
const STEPS: u64 = 4;

#[cfg(test)]
mod tests {
    use pulmoav_task::Silent;
    use pulmoav_volume::{Affine, Grid};

    use super::*;

    fn map(shape: [usize; 3], value: impl Fn([f64; 3]) -> u8) -> Volume<u8> {
        let spacing_mm = [1.0; 3];
        let [_, ny, nx] = shape;
        let data = (0..shape.iter().product())
            .map(|i: usize| value([i / (ny * nx), i / nx % ny, i % nx].map(|v| v as f64)))
            .collect();
        Volume { data, grid: Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) } }
    }

    fn request() -> Request<'static> {
        Request { pairs: &[[1, 2]], airways: None, hu: None, weights: Weights::default() }
    }

    /// An artery along x of which a stretch is called vein.
    #[test]
    fn a_swapped_stretch_of_a_branch_gets_the_class_of_its_branch() {
        let shape = [16, 16, 90];
        let mut labels = map(shape, |[z, y, x]| {
            let inside = (z - 8.0).hypot(y - 8.0) <= 2.3 && (3.0..87.0).contains(&x);
            if inside { 1 + u8::from((50.0..58.0).contains(&x)) } else { 0 }
        });
        let drawn: Vec<u8> = labels.data.iter().map(|&v| u8::from(v != 0)).collect();
        let report = tidy(&mut labels, &request(), &Silent).expect("one class");
        assert_eq!(labels.data, drawn);
        assert!(report.changes.iter().all(|change| change.from == 2 && change.to == 1), "{report:?}");
        assert_eq!(report.loose_after.pieces, 0);
    }

    /// Two vessels that cross and touch keep their classes.
    #[test]
    fn vessels_that_cross_stay_two() {
        let shape = [24, 60, 60];
        let drawn = map(shape, |[z, y, x]| {
            let inside = |d: f64| d <= 2.3;
            if inside((z - 8.0).hypot(y - 30.0)) { 1 } else { 2 * u8::from(inside((z - 13.0).hypot(x - 30.0))) }
        });
        let mut labels = drawn.clone();
        let report = tidy(&mut labels, &request(), &Silent).expect("two classes");
        assert!(report.changes.is_empty(), "{report:?}");
        assert_eq!(labels, drawn);
    }
}
