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
mod pieces;
mod unit;

use pulmoav_task::Monitor;
use pulmoav_volume::Volume;
use pulmoav_volume::crop::{VoxelBox, crop};

use crate::error::TreeError;
use crate::lattice::Lattice;

pub use bridge::Bridge;
pub use energy::Weights;
pub use pieces::Loose;

use energy::solve;
use unit::Units;

/// What is known beside the label map, and which of its values are meant.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Value of the arteries.
    pub artery: u8,
    /// Value of the veins.
    pub vein: u8,
    /// Where airways are, `[z, y, x]` of the map, 0 elsewhere; without them closeness to bronchi tells nothing.
    pub airways: Option<&'a [u8]>,
    /// The scan, HU, `[z, y, x]` of the map; without it no gap is bridged.
    pub hu: Option<&'a [f32]>,
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
    pub dropped: u64,
    /// Their voxels.
    pub dropped_voxels: u64,
    /// Pieces not connected to a tree of their class, before.
    pub loose_before: Loose,
    /// The same, after.
    pub loose_after: Loose,
}

/// Gives each branch of a label map one class, in place, and says what was changed.
///
/// # Errors
/// [`TreeError::Shape`] for airways or a scan of another shape, [`TreeError::Cancelled`].
pub fn tidy(labels: &mut Volume<u8>, request: &Request<'_>, monitor: &dyn Monitor) -> Result<Report, TreeError> {
    let shape = labels.grid.shape;
    for (what, len) in [("the airways", request.airways.map(<[u8]>::len)), ("the scan", request.hu.map(<[f32]>::len))] {
        if len.is_some_and(|len| len != labels.data.len()) {
            return Err(TreeError::Shape { what, got: [0, 0, len.unwrap_or(0)], expected: shape });
        }
    }
    let is_vessel = |value: u8| value == request.artery || value == request.vein;
    let Some(part) = VoxelBox::around(&labels.data, shape, is_vessel) else { return Ok(Report::default()) };
    let part = part.grown(REACH_MM, &labels.grid);
    let mut vessels = crop(labels, &part);
    // 1 artery, 2 vein, whatever their values.
    for value in &mut vessels.data {
        *value = if *value == request.artery { 1 } else { 2 * u8::from(*value == request.vein) };
    }
    let grid = labels.grid;
    let cropped = |airways: &[u8]| crop_slice(airways, grid.shape, &part);
    let airways = request.airways.map(cropped);
    let lattice = Lattice { shape: vessels.grid.shape, spacing_mm: vessels.grid.spacing_mm };
    let before = vessels.data.clone();
    let mut report = Report { loose_before: pieces::loose(&vessels.data, &lattice), ..Report::default() };
    for round in 0..ROUNDS {
        monitor.report("tidy", round, ROUNDS + 1);
        monitor.proceed()?;
        let units = Units::find(&vessels.data, lattice, monitor)?;
        let flips = solve(&units, airways.as_deref(), &request.weights);
        if !flips.iter().any(|&flip| flip) {
            break;
        }
        report.changes.extend(units.flipped(&flips, &vessels.grid.affine, [request.artery, request.vein]));
        units.apply(&flips, &mut vessels.data);
    }
    monitor.report("tidy", ROUNDS, ROUNDS + 1);
    monitor.proceed()?;
    if let Some(hu) = request.hu {
        let hu = crop_slice(hu, grid.shape, &part);
        let values = [request.artery, request.vein];
        report.bridges = bridge::bridge(&mut vessels.data, &hu, &lattice, &vessels.grid.affine, values);
    }
    (report.dropped, report.dropped_voxels) = pieces::drop_specks(&mut vessels.data, &lattice);
    report.loose_after = pieces::loose(&vessels.data, &lattice);
    write_back(labels, &part, &before, &vessels.data, request);
    monitor.report("tidy", ROUNDS + 1, ROUNDS + 1);
    Ok(report)
}

/// Bridges are looked for so far round the vessels, mm.
const REACH_MM: f64 = 2.0;
/// What was joined by one round may tell the next more.
const ROUNDS: u64 = 2;

/// Writes what changed; other values of the map, such as lungs, give way to bridges only where they were background.
fn write_back(labels: &mut Volume<u8>, part: &VoxelBox, before: &[u8], after: &[u8], request: &Request<'_>) {
    let [_, height, width] = labels.grid.shape;
    let [_, rows, columns] = part.shape();
    for (at, (&old, &new)) in before.iter().zip(after).enumerate().filter(|(_, (old, new))| old != new) {
        let [z, y, x] = [at / (rows * columns), at / columns % rows, at % columns];
        let voxel = ((part.low[0] + z) * height + part.low[1] + y) * width + part.low[2] + x;
        if old == 0 && labels.data[voxel] != 0 {
            continue;
        }
        labels.data[voxel] = [0, request.artery, request.vein][new as usize];
    }
}

fn crop_slice<T: Copy>(data: &[T], [_, height, width]: [usize; 3], part: &VoxelBox) -> Vec<T> {
    let rows = (part.low[0]..part.high[0]).flat_map(|z| (part.low[1]..part.high[1]).map(move |y| (z, y)));
    let row = |(z, y): (usize, usize)| {
        let from = (z * height + y) * width;
        &data[from + part.low[2]..from + part.high[2]]
    };
    rows.flat_map(row).copied().collect()
}

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
        Request { artery: 1, vein: 2, airways: None, hu: None, weights: Weights::default() }
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
