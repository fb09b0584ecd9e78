//! The windpipe: a tube through the slices that stands between the lungs.

use std::collections::BTreeMap;

use pulmoav_volume::Voxel;
use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::VoxelBox;

use super::wave::Ground;
use crate::air::Air;
use crate::body::Body;
use crate::coarse::Coarse;

/// The lumen averages below this.
const LUMEN_BELOW_HU: f32 = -800.0;
/// Least enclosure score: a fold of the skin has less.
const MIN_ENCLOSURE: u8 = 12;
/// Within the windpipe, a voxel of the scan is lumen below this.
const SECTION_BELOW_HU: f32 = -600.0;
/// Cross-sections of a windpipe from child to adult, partial volume included.
const AREA_MM2: [f64; 2] = [20.0, 800.0];
const WIDEST_MM: f64 = 45.0;
/// A tube has at least this length before it counts.
const MIN_LENGTH_MM: f64 = 20.0;
/// Where it stands in the lungs' box, as shares along y from the back and along x from the left.
const PLACE_Y: [f64; 2] = [0.05, 0.95];
const PLACE_X: [f64; 2] = [0.2, 0.8];
/// With one lung alone it stands beside it.
const PLACE_X_ONE_LUNG: [f64; 2] = [-0.4, 1.4];
/// How far above the lungs it may begin.
const ABOVE_LUNGS_MM: f64 = 60.0;

/// Cross-sections that overlap from slice to slice, from the top down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tube {
    /// Coarse indices of each cross-section.
    slices: Vec<Vec<usize>>,
    /// Mean place along x, coarse voxels.
    pub(super) x: f64,
    /// Median cross-section.
    pub(super) area_mm2: f64,
}

/// The longest tube between the lungs.
pub(super) fn find(coarse: &Coarse, body: &Body, air: &Air) -> Option<Tube> {
    let bounds = VoxelBox::around(&air.lung, coarse.shape, |v| v)?;
    let lumen = |index: usize| {
        coarse.hu[index] < LUMEN_BELOW_HU && air.enclosed[index] && body.enclosure[index] >= MIN_ENCLOSURE
    };
    let above = (ABOVE_LUNGS_MM / coarse.spacing_mm[0]) as usize;
    let slices = bounds.low[0]..(bounds.high[0] + above).min(coarse.shape[0]);
    let between = |section: &[usize]| has_place(coarse, section, &bounds, PLACE_X);
    let beside = |section: &[usize]| has_place(coarse, section, &bounds, PLACE_X_ONE_LUNG);
    let mut tube =
        longest_tube(coarse, lumen, slices.clone(), between).or_else(|| longest_tube(coarse, lumen, slices, beside))?;
    let all = || tube.slices.iter().flatten();
    tube.x = all().map(|&index| coarse.place(index)[2] as f64).sum::<f64>() / all().count().max(1) as f64;
    let mut sizes: Vec<usize> = tube.slices.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    tube.area_mm2 = sizes[sizes.len() / 2] as f64 * coarse.spacing_mm[1] * coarse.spacing_mm[2];
    Some(tube)
}

impl Tube {
    /// The highest slice of the scan that it reaches.
    pub(super) fn top(&self, coarse: &Coarse) -> usize {
        let first = self.slices.first().and_then(|slice| slice.first()).copied().unwrap_or(0);
        (coarse.place(first)[0] + 1) * coarse.factor[0] - 1
    }

    /// Voxels of the scan in its first cross-section, on one slice.
    pub(super) fn first_section(&self, coarse: &Coarse, ground: &Ground<'_, impl Voxel>) -> Vec<u32> {
        let mut voxels = Vec::new();
        for &index in self.slices.first().into_iter().flatten() {
            let [z, y, x] = coarse.place(index);
            let [fz, fy, fx] = coarse.factor;
            let slice = ((z + 1) * fz - 1).min(ground.grid.shape[0] - 1);
            for fine_y in y * fy..((y + 1) * fy).min(ground.grid.shape[1]) {
                for fine_x in x * fx..((x + 1) * fx).min(ground.grid.shape[2]) {
                    if ground.smooth_hu([slice, fine_y, fine_x]) < SECTION_BELOW_HU {
                        voxels.push(ground.index([slice, fine_y, fine_x]));
                    }
                }
            }
        }
        voxels.sort_unstable();
        voxels
    }
}

/// The longest chain of cross-sections that overlap from slice to slice; `None` below [`MIN_LENGTH_MM`].
fn longest_tube(
    coarse: &Coarse,
    lumen: impl Fn(usize) -> bool,
    slices: std::ops::Range<usize>,
    has_place: impl Fn(&[usize]) -> bool,
) -> Option<Tube> {
    let plane = coarse.shape[1] * coarse.shape[2];
    let bottom = slices.start;
    let mut open: Vec<Tube> = Vec::new();
    let mut best: Option<Tube> = None;
    for z in slices.rev() {
        let mut owners = BTreeMap::new();
        for (number, tube) in open.iter().enumerate() {
            for &index in tube.slices.last().into_iter().flatten() {
                owners.insert(index - plane, number);
            }
        }
        let mut next: Vec<Tube> = Vec::new();
        let mut continued = vec![false; open.len()];
        for section in cross_sections(coarse, &lumen, z, &has_place) {
            let owner = section.iter().find_map(|index| owners.get(index)).copied();
            let mut tube = Tube::default();
            if let Some(owner) = owner.filter(|&owner| !continued[owner]) {
                continued[owner] = true;
                tube = std::mem::take(&mut open[owner]);
            }
            tube.slices.push(section);
            next.push(tube);
        }
        let ended = open.drain(..).chain(if z == bottom { std::mem::take(&mut next) } else { Vec::new() });
        for tube in ended {
            if best.as_ref().is_none_or(|b| tube.slices.len() > b.slices.len()) {
                best = Some(tube);
            }
        }
        open = next;
    }
    best.filter(|tube| tube.slices.len() as f64 * coarse.spacing_mm[0] >= MIN_LENGTH_MM)
}

/// Components of one slice that have a windpipe's size and place.
fn cross_sections(
    coarse: &Coarse,
    lumen: impl Fn(usize) -> bool,
    z: usize,
    has_place: impl Fn(&[usize]) -> bool,
) -> Vec<Vec<usize>> {
    let [_, height, width] = coarse.shape;
    let first = z * height * width;
    let slice: Vec<u8> = (first..first + height * width).map(|index| u8::from(lumen(index))).collect();
    let found = components(&slice, [1, height, width], Connectivity::Faces);
    let [_, dy, dx] = coarse.spacing_mm;
    let fits = |count: usize| (AREA_MM2[0]..=AREA_MM2[1]).contains(&(count as f64 * dy * dx));
    let mut sections: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, &label) in found.labels.iter().enumerate() {
        if label > 0 && fits(found.sizes[label as usize - 1]) {
            sections.entry(label).or_default().push(first + index);
        }
    }
    let extent = |section: &[usize], axis: usize| {
        let places = section.iter().map(|&index| coarse.place(index)[axis]);
        let (low, high) = places.fold((usize::MAX, 0), |(l, h), at| (l.min(at), h.max(at)));
        (high + 1 - low) as f64 * coarse.spacing_mm[axis]
    };
    sections
        .into_values()
        .filter(|section| extent(section, 1) <= WIDEST_MM && extent(section, 2) <= WIDEST_MM)
        .filter(|section| has_place(section))
        .collect()
}

/// Whether a cross-section stands within the shares of the lungs' box.
fn has_place(coarse: &Coarse, section: &[usize], bounds: &VoxelBox, along_x: [f64; 2]) -> bool {
    let within = |axis: usize, share: [f64; 2]| {
        let mean = section.iter().map(|&index| coarse.place(index)[axis] as f64).sum::<f64>() / section.len() as f64;
        let at = (mean + 0.5 - bounds.low[axis] as f64) / bounds.shape()[axis] as f64;
        share[0] <= at && at <= share[1]
    };
    within(1, PLACE_Y) && within(2, along_x)
}
