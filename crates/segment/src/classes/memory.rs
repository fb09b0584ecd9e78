//! How much memory a run will take, told by the scan's header before a voxel is read.
//!
//! The peak is the largest of the stages' sums over a table of what is alive in each, as in
//! [`budget`](crate::budget).

use pulmoav_plan::{ClassPlan, Output};
use pulmoav_volume::Grid;

use super::export::is_wide;
use super::frame::Frame;
use super::prepare::needs_mask;
use super::resampling::Sampling;
use crate::budget::{BASE_BYTES, F32, with_slack};

/// Bytes of an f16 and of an f64.
const F16: u64 = 2;
const F64: u64 = 8;
/// Planes of a resampling that are alive at once, see `pulmoav_volume::resample::skimage`: a slab, and what it is made
/// of.
const PLANES: f64 = 16.0;
const PLANES_AROUND: f64 = 60.0;
/// Classes that are resampled at a time.
const GROUP: u64 = 16;

/// What a run is asked for, as far as memory goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassMemory {
    /// Networks whose mean counts.
    pub folds: usize,
    /// Weights of all of them, bytes.
    pub weight_bytes: u64,
    /// Whether windows are also shown mirrored.
    pub mirror: bool,
    /// Whether the probabilities are wanted.
    pub probabilities: bool,
    /// What the caller holds beside the voxels handed over, bytes.
    pub held_bytes: u64,
    /// What is alive beside the voxels handed over while they are made (the files' own voxels), bytes.
    pub read_bytes: u64,
}

/// Peak of the process in bytes for a scan on `grid`, at most: where much of the scan is 0, the crop to the rest makes
/// it less.
pub fn predict_classes(plan: &ClassPlan, grid: &Grid, asked: &ClassMemory) -> u64 {
    let count = |shape: [usize; 3]| shape.iter().map(|&edge| edge as u64).product::<u64>();
    // A grid that has no frame is refused before any of this matters.
    let (shape, spacing_mm) =
        Frame::of(grid, plan).map_or((grid.shape, grid.spacing_mm), |frame| (frame.shape, frame.spacing_mm));
    let from = Sampling { shape, spacing_mm };
    let to = from.seen_by(plan);
    let (voxels, seen, patch) = (count(grid.shape), count(to.shape), count(plan.patch));
    let channels = plan.channels.len() as u64;
    let outputs = plan.classes.len() as u64 + u64::from(plan.output == Output::Softmax);
    let scan = channels * voxels * F32;
    let image = channels * seen * F32;
    let mask = if needs_mask(plan) { voxels } else { 0 };
    let preparing = scan + mask + image + slabs(&from, &to, 1, order_of(plan, true));
    // Folds are summed one after the other.
    let sums = seen * (outputs * if asked.folds > 1 { 2 } else { 1 } + 1) * F16;
    let window = patch * (channels + outputs) * F32 * if asked.mirror { 3 } else { 1 };
    let arena = plan.network.channels_alive() as u64 * patch * F32;
    let running = image + sums + window + arena;
    let labels = voxels * if is_wide(plan) { 2 } else { 1 };
    let group = outputs.min(GROUP);
    let best = if outputs > GROUP { voxels * F32 } else { 0 };
    let kept = if asked.probabilities { voxels * (outputs * F32 + 2) } else { best };
    let restoring = seen * outputs * F16 + labels + kept + slabs(&to, &from, group, order_of(plan, false));
    let reading = scan + asked.read_bytes;
    let most = [reading, preparing, running, restoring].into_iter().max().unwrap_or(0);
    with_slack(BASE_BYTES + asked.held_bytes + asked.weight_bytes + most)
}

/// The spline's order of an image's or of its logits' resampling.
fn order_of(plan: &ClassPlan, image: bool) -> u8 {
    match if image { plan.image_resampling } else { plan.logit_resampling } {
        pulmoav_plan::Resampling::Spline { order, .. } => order,
        _ => 1,
    }
}

/// What a resampling holds beside source and result.
fn slabs(from: &Sampling, to: &Sampling, channels: u64, order: u8) -> u64 {
    if from.shape == to.shape {
        return 0;
    }
    let plane = (to.shape[1] * to.shape[2]) as u64 * channels * F64;
    let around = if order > 1 { PLANES_AROUND } else { 2.0 };
    let ratio = from.shape[0] as f64 / to.shape[0] as f64;
    let source = (PLANES * ratio + around).min(from.shape[0] as f64);
    // Slabs are made of at most 64 MiB, or two planes.
    let planes = PLANES.min(((64 << 20) as f64 / plane as f64).max(2.0));
    ((source.min(planes * ratio + around) + 2.0 * planes) * plane as f64) as u64
}

#[cfg(test)]
mod tests {
    use pulmoav_volume::Affine;

    use super::*;
    use crate::classes::fixture::plan;

    fn grid_of(edge: usize) -> Grid {
        let spacing_mm = [1.0, 0.8, 0.8];
        Grid { shape: [edge; 3], spacing_mm, affine: Affine::from_spacing(spacing_mm) }
    }

    #[test]
    fn what_is_asked_for_costs_memory() {
        let (plan, grid) = (plan(), grid_of(300));
        let plain = ClassMemory { folds: 1, ..ClassMemory::default() };
        let of = plan.clone();
        let need = |asked: ClassMemory| predict_classes(&of, &grid, &asked);
        assert!(need(ClassMemory { probabilities: true, ..plain }) > need(plain));
        assert!(need(ClassMemory { weight_bytes: 1 << 30, ..plain }) > need(plain) + (1 << 30));
        assert!(need(ClassMemory { held_bytes: 1 << 30, ..plain }) > need(plain) + (1 << 30));
        assert!(need(ClassMemory { read_bytes: 1 << 32, ..plain }) > (1 << 32));
        let fine = ClassPlan { spacing_mm: [0.5; 3], ..plan.clone() };
        let of_fine = |folds| predict_classes(&fine, &grid, &ClassMemory { folds, ..plain });
        assert!(of_fine(1) > need(plain) && of_fine(2) > of_fine(1));
        assert!(predict_classes(&plan, &grid_of(400), &plain) > need(plain));
        // The same scan with its axes in another order needs the same where the plan turns it.
        let turning = ClassPlan { reorient: true, spacing_mm: [3.0, 1.0, 0.5], ..plan };
        let turned = pulmoav_volume::Orientation { source: [2, 0, 1], flipped: [false; 3] }.orient_grid(&grid);
        assert_eq!(predict_classes(&turning, &turned, &plain), predict_classes(&turning, &grid, &plain));
    }

    #[test]
    fn never_classes_times_the_volume_in_f64() {
        let (mut plan, grid) = (plan(), grid_of(400));
        let class = plan.classes[0].clone();
        plan.classes = vec![class; 117];
        let voxels = grid.len() as u64;
        assert!(predict_classes(&plan, &grid, &ClassMemory::default()) < 118 * voxels * F64 / 4);
    }
}
