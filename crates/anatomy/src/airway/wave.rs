//! One branch as a wave sees it: layers of equal distance, until they part, end, or break out.

use pulmoav_volume::crop::View;
use pulmoav_volume::{Grid, Voxel};

use super::marks::{Marks, State};
use crate::body::Body;
use crate::coarse::Coarse;

/// Deviation of the smoothing, mm.
const SMOOTHING_MM: f64 = 0.8;
/// The same in voxels where those are large.
const SMOOTHING_VOXELS: f64 = 0.6;
/// A scan with more noise is smoothed over more neighbours.
const NOISY_HU: f32 = 35.0;
/// Slices above this are thick.
const THICK_MM: f64 = 2.2;
/// One coarse voxel in so many is looked at.
const NOISE_STEP: usize = 61;
/// Distance between layers, mm, and at least in voxels: thinner ones fall apart where the branch is oblique.
const LAYER_MM: f64 = 1.0;
const LAYER_VOXELS: f64 = 1.0;
/// A layer this many times as wide as the branch has broken out of it; where it divides it is nearly twice as wide.
const BREAKS_OUT: f64 = 2.2;
/// A branch is not wider than its parent, but for how layers are counted.
const WIDER: f64 = 1.25;
/// A wave in noise falls apart into more.
const MAX_CHILDREN: usize = 3;
/// A part of a front with less than this share of the layer before is a speck.
const SPECK_SHARE: f64 = 0.12;
/// What a layer may have more, mm².
const SPARE_MM2: f64 = 4.0;
/// Layers that a branch's width is taken from.
const RECENT_LAYERS: usize = 8;
/// The darkest quarter of a branch of at least so many mm² is above air by at most so many HU: thin branches have more
/// partial volume.
const CORE_ABOVE_AIR: [(f64, f32); 3] = [(12.0, 60.0), (7.0, 90.0), (4.0, 130.0)];
/// The same for all of a branch.
const MEAN_ABOVE_AIR: (f64, f32) = (7.0, 130.0);
/// The wall of a branch is brighter than its lumen by this, HU, and by so many times the noise: what a threshold parts
/// in noise alone differs by nearly twice its deviation.
const MIN_WALL_HU: f32 = 120.0;
const WALL_OVER_NOISE: f32 = 4.2;

/// Thresholds between lumen and wall, brightest first.
pub(super) const BELOW_HU: [f32; 8] = [-600.0, -700.0, -760.0, -810.0, -850.0, -880.0, -910.0, -940.0];

/// Where waves run: the scan, and what they have taken.
pub(super) struct Ground<'a, T> {
    hu: &'a View<'a, T>,
    pub(super) grid: Grid,
    coarse: &'a Coarse,
    body: &'a Body,
    marks: Marks,
    /// No wave runs above this slice.
    top: usize,
    /// Weights of the smoothing for a neighbour along each axis; the voxel itself has 1.
    weights: [f32; 3],
    /// Whether the smoothing takes corners in.
    is_noisy: bool,
    /// Deviation of the noise that the smoothing leaves.
    noise_hu: f32,
    /// Whether waves go across edges.
    is_thick: bool,
    /// Lengths of [`STEPS`].
    steps_mm: [f64; STEPS.len()],
    /// Distance between layers.
    layer_mm: f64,
}

/// The branch that a wave ran through. Voxels are indices of the canonical grid.
pub(super) struct Outcome {
    pub(super) voxels: Vec<u32>,
    /// The last layer.
    pub(super) end: Vec<u32>,
    /// Where it goes on, one list for each child.
    pub(super) parts: Vec<Vec<u32>>,
    /// Median cross-section of the layers, at most the parent's.
    pub(super) area_mm2: f64,
}

/// A wave of one threshold in a branch whose parent has the cross-section `area_mm2`.
pub(super) struct Wave {
    /// Its number in [`BELOW_HU`].
    pub(super) threshold: usize,
    pub(super) area_mm2: f64,
    /// What air has in this scan.
    pub(super) air_hu: f32,
}

impl<'a, T: Voxel> Ground<'a, T> {
    pub(super) fn new(hu: &'a View<'a, T>, grid: &Grid, coarse: &'a Coarse, body: &'a Body, top: usize) -> Self {
        let coarsest_mm = grid.spacing_mm.iter().copied().fold(0.0, f64::max);
        let layer_mm = (LAYER_VOXELS * coarsest_mm).max(LAYER_MM);
        let finest_mm = grid.spacing_mm.iter().copied().fold(f64::INFINITY, f64::min);
        let deviation_mm = (SMOOTHING_VOXELS * finest_mm).max(SMOOTHING_MM);
        let weights = grid.spacing_mm.map(|mm| (-0.5 * (mm / deviation_mm).powi(2)).exp() as f32);
        let is_thick = coarsest_mm > THICK_MM;
        let marks = Marks::new(grid.len());
        let mut ground = Self {
            hu,
            grid: *grid,
            coarse,
            body,
            marks,
            top,
            weights,
            is_noisy: false,
            noise_hu: 0.0,
            is_thick,
            steps_mm: STEPS.map(|step| length_mm(step, grid.spacing_mm)),
            layer_mm,
        };
        ground.measure_noise();
        ground
    }

    /// Smooths more where the noise of tissue is above [`NOISY_HU`], and measures what noise is left.
    fn measure_noise(&mut self) {
        let [depth, height, width] = self.coarse.shape;
        let places: Vec<[usize; 3]> = (0..depth * height * width)
            .step_by(NOISE_STEP)
            .filter(|&index| self.body.solid[index])
            .map(|index| {
                let place = self.coarse.place(index);
                std::array::from_fn(|axis| place[axis] * self.coarse.factor[axis])
            })
            .collect();
        self.is_noisy = self.noise_hu(&places, [1, 0, 0], |[z, y, x]| self.hu.value(z, y, x)) > NOISY_HU;
        // Smoothed neighbours hold the same noise.
        self.noise_hu = self.noise_hu(&places, [0, 0, 3], |at| self.smooth_hu(at));
    }

    /// Deviation of the noise, from the typical difference between places of tissue and those a `step` away.
    fn noise_hu(&self, places: &[[usize; 3]], step: [usize; 3], hu: impl Fn([usize; 3]) -> f32) -> f32 {
        let apart = |at: &[usize; 3]| {
            let other = std::array::from_fn(|axis| at[axis] + step[axis]);
            (0..3).all(|axis| other[axis] < self.grid.shape[axis]).then(|| (hu(other) - hu(*at)).abs())
        };
        let mut steps: Vec<f32> = places.iter().filter_map(apart).collect();
        steps.sort_by(f32::total_cmp);
        // The median of |a - b| of two normal numbers is 0.954 of their deviation.
        steps.get(steps.len() / 2).copied().unwrap_or(0.0) / 0.954
    }

    /// HU of a voxel, smoothed with its neighbours by their distance; over corners too where the scan is noisy.
    pub(super) fn smooth_hu(&self, [z, y, x]: [usize; 3]) -> f32 {
        let near = |at: usize, axis: usize| [at.saturating_sub(1), at, (at + 1).min(self.grid.shape[axis] - 1)];
        let (zs, ys, xs) = (near(z, 0), near(y, 1), near(x, 2));
        let [wz, wy, wx] = self.weights;
        if self.is_noisy {
            let along_x = |z: usize, y: usize| {
                wx * (self.hu.value(z, y, xs[0]) + self.hu.value(z, y, xs[2])) + self.hu.value(z, y, x)
            };
            let in_slice = |z: usize| wy * (along_x(z, ys[0]) + along_x(z, ys[2])) + along_x(z, y);
            let sum = wz * (in_slice(zs[0]) + in_slice(zs[2])) + in_slice(z);
            return sum / ((1.0 + 2.0 * wz) * (1.0 + 2.0 * wy) * (1.0 + 2.0 * wx));
        }
        let sum = self.hu.value(z, y, x)
            + wz * (self.hu.value(zs[0], y, x) + self.hu.value(zs[2], y, x))
            + wy * (self.hu.value(z, ys[0], x) + self.hu.value(z, ys[2], x))
            + wx * (self.hu.value(z, y, xs[0]) + self.hu.value(z, y, xs[2]));
        sum / (1.0 + 2.0 * (wz + wy + wx))
    }

    /// HU of air in this scan: the lower third's upper bound among voxels of the windpipe, which has partial volume at
    /// its wall.
    ///
    /// `windpipe` is not empty.
    pub(super) fn air_hu(&self, windpipe: &[u32]) -> f32 {
        let mut hu: Vec<f32> = windpipe.iter().map(|&voxel| self.smooth_hu(self.place(voxel))).collect();
        hu.sort_by(f32::total_cmp);
        hu[hu.len() / 3]
    }

    pub(super) fn index(&self, [z, y, x]: [usize; 3]) -> u32 {
        ((z * self.grid.shape[1] + y) * self.grid.shape[2] + x) as u32
    }

    pub(super) fn place(&self, voxel: u32) -> [usize; 3] {
        super::place(voxel as usize, self.grid.shape)
    }

    /// Whether a wave of this threshold goes on to a voxel.
    fn is_open(&mut self, voxel: u32, at: [usize; 3], threshold: usize) -> bool {
        // Waves come back to most voxels, mostly with another threshold.
        let known = self.marks.darkness(voxel);
        let darkness = known.unwrap_or_else(|| self.darkness(at));
        if known.is_none() {
            self.marks.set_darkness(voxel, darkness);
        }
        darkness > threshold
    }

    /// How many of [`BELOW_HU`] a voxel within the body lies below.
    fn darkness(&self, at: [usize; 3]) -> usize {
        let coarse = self.coarse.index_of(at);
        if at[0] > self.top || !self.body.encloses(coarse) || self.coarse.unseen[coarse] {
            return 0;
        }
        let hu = self.smooth_hu(at);
        BELOW_HU.iter().take_while(|&&below_hu| hu < below_hu).count()
    }

    /// Neighbours with their distances in mm: across faces, and across edges too where slices are so thick that an
    /// oblique branch falls apart.
    fn around(&self, voxel: u32) -> impl Iterator<Item = (u32, [usize; 3], f64)> + use<T> {
        let at = self.place(voxel);
        let (shape, steps_mm) = (self.grid.shape, self.steps_mm);
        let count = if self.is_thick { STEPS.len() } else { FACES };
        STEPS.iter().zip(steps_mm).take(count).filter_map(move |(step, mm)| {
            // Below 0 it wraps to far beyond the scan.
            let to: [usize; 3] = std::array::from_fn(|axis| at[axis].wrapping_add_signed(step[axis]));
            let is_inside = (0..3).all(|axis| to[axis] < shape[axis]);
            is_inside.then(|| (((to[0] * shape[1] + to[1]) * shape[2] + to[2]) as u32, to, mm))
        })
    }
}

/// Steps to neighbours: across faces, then across edges.
const FACES: usize = 6;
const STEPS: [[isize; 3]; 18] = [
    [-1, 0, 0],
    [1, 0, 0],
    [0, -1, 0],
    [0, 1, 0],
    [0, 0, -1],
    [0, 0, 1],
    [-1, -1, 0],
    [-1, 1, 0],
    [1, -1, 0],
    [1, 1, 0],
    [-1, 0, -1],
    [-1, 0, 1],
    [1, 0, -1],
    [1, 0, 1],
    [0, -1, -1],
    [0, -1, 1],
    [0, 1, -1],
    [0, 1, 1],
];

fn length_mm(step: [isize; 3], spacing_mm: [f64; 3]) -> f64 {
    (0..3).map(|axis| (step[axis] as f64 * spacing_mm[axis]).powi(2)).sum::<f64>().sqrt()
}

impl Wave {
    /// Runs from `start`; `None`, with all voxels free again, when it breaks out or what it took is no lumen.
    pub(super) fn run(&self, ground: &mut Ground<'_, impl Voxel>, start: &[u32]) -> Option<Outcome> {
        // What one voxel adds to the cross-section of its layer.
        let voxel_mm2 = ground.grid.spacing_mm.iter().product::<f64>() / ground.layer_mm;
        let mut layers: Vec<Vec<u32>> = Vec::new();
        let mut seeds: Vec<(u32, f64)> = start.iter().map(|&voxel| (voxel, 0.0)).collect();
        let mut areas: Vec<f64> = Vec::new();
        let mut parts = Vec::new();
        let mut broke_out = false;
        ground.marks.set_all(start, State::Running);
        loop {
            let (layer, next) = self.layer(ground, seeds);
            let before = layers.last().map_or(0, Vec::len);
            let apart = if before > 0 { children(connected_parts(ground, &layer), before) } else { Vec::new() };
            if apart.len() > 1 {
                ground.release_front(&next);
                broke_out = apart.len() > MAX_CHILDREN;
                parts = apart;
                break;
            }
            let area_mm2 = layer.len() as f64 * voxel_mm2;
            let bound = self.bound(&areas);
            areas.push(area_mm2);
            layers.push(layer);
            if area_mm2 > bound {
                ground.release_front(&next);
                broke_out = true;
                break;
            }
            if next.is_empty() {
                break;
            }
            seeds = next;
        }
        // What waits at the front is no part of this branch.
        ground.release(&parts);
        let median_mm2 = median(&areas);
        let area_mm2 = median_mm2.min(self.area_mm2);
        let holds =
            !broke_out && median_mm2 <= WIDER * self.area_mm2 + SPARE_MM2 && self.is_lumen(ground, &layers, area_mm2);
        if !holds {
            ground.release(&layers);
            return None;
        }
        let end = layers.last().cloned().unwrap_or_default();
        let voxels: Vec<u32> = layers.into_iter().flatten().collect();
        ground.marks.set_all(&voxels, State::Taken);
        Some(Outcome { voxels, end, parts, area_mm2 })
    }

    /// Whether a branch of this width is as dark as one is, and its wall bright enough.
    fn is_lumen(&self, ground: &Ground<'_, impl Voxel>, layers: &[Vec<u32>], area_mm2: f64) -> bool {
        let hu: Vec<f32> = layers.iter().flatten().map(|&v| ground.smooth_hu(ground.place(v))).collect();
        let mean_hu = hu.iter().map(|&hu| f64::from(hu)).sum::<f64>() / hu.len() as f64;
        self.is_as_dark_as_air(hu, area_mm2)
            && self.wall_hu(ground, layers, mean_hu) >= MIN_WALL_HU.max(WALL_OVER_NOISE * ground.noise_hu)
    }

    /// Where lung was taken for lumen, it is not.
    fn is_as_dark_as_air(&self, mut hu: Vec<f32>, area_mm2: f64) -> bool {
        hu.sort_by(f32::total_cmp);
        let core = &hu[..hu.len().div_ceil(4)];
        let mean = |hu: &[f32]| hu.iter().sum::<f32>() / hu.len().max(1) as f32;
        CORE_ABOVE_AIR.iter().all(|&(wide_mm2, hu)| area_mm2 < wide_mm2 || mean(core) <= self.air_hu + hu)
            && (area_mm2 < MEAN_ABOVE_AIR.0 || mean(&hu) <= self.air_hu + MEAN_ABOVE_AIR.1)
    }

    /// By how much the closed voxels around a branch are brighter than those inside, HU.
    fn wall_hu(&self, ground: &Ground<'_, impl Voxel>, layers: &[Vec<u32>], mean_hu: f64) -> f32 {
        let mut outside = [0f64; 2];
        for &voxel in layers.iter().flatten() {
            for (other, at, _) in ground.around(voxel) {
                if ground.marks.darkness(other).is_some_and(|darkness| darkness > self.threshold) {
                    continue;
                }
                let hu = ground.smooth_hu(at);
                if hu >= BELOW_HU[self.threshold] {
                    outside = [outside[0] + f64::from(hu), outside[1] + 1.0];
                }
            }
        }
        if outside[1] == 0.0 {
            return f32::INFINITY;
        }
        (outside[0] / outside[1] - mean_hu) as f32
    }

    /// What the next layer may have at most.
    fn bound(&self, areas: &[f64]) -> f64 {
        let recent = median(&areas[areas.len().saturating_sub(RECENT_LAYERS)..]);
        let own = if areas.len() >= RECENT_LAYERS { recent.min(self.area_mm2) } else { self.area_mm2 };
        BREAKS_OUT * own + SPARE_MM2
    }

    /// All voxels within one layer of the seeds, and what lies beyond with its distance into the next layer.
    fn layer(&self, ground: &mut Ground<'_, impl Voxel>, seeds: Vec<(u32, f64)>) -> (Vec<u32>, Vec<(u32, f64)>) {
        let mut layer: Vec<(u32, f64)> = seeds;
        let mut next: Vec<(u32, f64)> = Vec::new();
        let mut done = 0;
        while done < layer.len() {
            let (voxel, from_mm) = layer[done];
            done += 1;
            for (other, at, step_mm) in ground.around(voxel) {
                if !ground.marks.is(other, State::Free) || !ground.is_open(other, at, self.threshold) {
                    continue;
                }
                ground.marks.set(other, State::Running);
                let mm = from_mm + step_mm;
                if mm < ground.layer_mm {
                    layer.push((other, mm));
                } else {
                    next.push((other, mm - ground.layer_mm));
                }
            }
        }
        (layer.into_iter().map(|(voxel, _)| voxel).collect(), next)
    }
}

impl<T: Voxel> Ground<'_, T> {
    fn release(&mut self, layers: &[Vec<u32>]) {
        for layer in layers {
            self.marks.set_all(layer, State::Free);
        }
    }

    fn release_front(&mut self, front: &[(u32, f64)]) {
        for &(voxel, _) in front {
            self.marks.set(voxel, State::Free);
        }
    }
}

/// The median; 0 of nothing.
fn median(areas: &[f64]) -> f64 {
    let mut sorted = areas.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The parts of a front that count as branches of their own; specks, which noise makes, go with the first.
fn children(mut parts: Vec<Vec<u32>>, layer: usize) -> Vec<Vec<u32>> {
    let least = ((SPECK_SHARE * layer as f64) as usize).max(1);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let count = parts.iter().filter(|part| part.len() >= least).count().max(1);
    let specks = parts.split_off(count.min(parts.len()));
    if let Some(first) = parts.first_mut() {
        first.extend(specks.into_iter().flatten());
    }
    parts
}

/// Groups of voxels that touch by faces, edges or corners.
fn connected_parts(ground: &mut Ground<'_, impl Voxel>, front: &[u32]) -> Vec<Vec<u32>> {
    let [depth, height, width] = ground.grid.shape;
    let mut firsts = front.to_vec();
    firsts.sort_unstable();
    ground.marks.set_all(front, State::Front);
    let mut parts = Vec::new();
    for first in firsts {
        if !ground.marks.is(first, State::Front) {
            continue;
        }
        ground.marks.set(first, State::Running);
        let mut part = vec![first];
        let mut done = 0;
        while done < part.len() {
            let [z, y, x] = ground.place(part[done]);
            done += 1;
            for oz in z.saturating_sub(1)..(z + 2).min(depth) {
                for oy in y.saturating_sub(1)..(y + 2).min(height) {
                    for ox in x.saturating_sub(1)..(x + 2).min(width) {
                        let other = ground.index([oz, oy, ox]);
                        if ground.marks.is(other, State::Front) {
                            ground.marks.set(other, State::Running);
                            part.push(other);
                        }
                    }
                }
            }
        }
        parts.push(part);
    }
    parts
}
