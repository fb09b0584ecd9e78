//! How often each label of the prediction meets each label of the reference.

use pulmoav_task::Monitor;
use pulmoav_volume::{Grid, Mask};
use rayon::prelude::*;

use crate::error::EvaluateError;
use crate::options::{Options, Restriction, Target};

const LABELS: usize = 256;
/// Voxels counted by one task.
const BLOCK: usize = 1 << 18;

/// Voxel counts by label of the reference and of the prediction.
#[derive(Debug, Clone)]
pub struct Confusion {
    /// Labels that occur or may occur, 0 first.
    labels: Vec<u8>,
    /// `[reference, prediction]`, in the order of `labels`; voxels that are 0 in both are not counted.
    counts: Vec<u64>,
}

/// The counts of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Voxels in both.
    pub both: u64,
    /// Voxels of the prediction.
    pub pred: u64,
    /// Voxels of the reference.
    pub reference: u64,
}

impl Confusion {
    /// Counts two label maps on one grid where every restriction lets them.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` when grids differ or a label is no target's; `CANCELLED`.
    pub fn count(
        pred: &Mask,
        reference: &Mask,
        options: &Options<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Self, EvaluateError> {
        same_grid("the prediction", &pred.grid, &reference.grid)?;
        for restriction in &options.restrictions {
            let (Restriction::Within(mask) | Restriction::Sides(mask, _)) = restriction;
            same_grid("the mask", &mask.grid, &reference.grid)?;
        }
        let mut labels = vec![0];
        for label in options.targets.iter().flat_map(|target| &target.labels) {
            if !labels.contains(label) {
                labels.push(*label);
            }
        }
        let mut places = [usize::MAX; LABELS];
        for (place, label) in labels.iter().enumerate() {
            places[usize::from(*label)] = place;
        }
        let width = labels.len();
        let blocks = pred.data.len().div_ceil(BLOCK);
        let partial: Vec<Result<Vec<u64>, EvaluateError>> = (0..blocks)
            .into_par_iter()
            .map(|block| {
                monitor.proceed()?;
                let range = block * BLOCK..pred.data.len().min((block + 1) * BLOCK);
                let mut counts = vec![0; width * width];
                for voxel in range {
                    // Nearly all of a scan is background in both, and changes no metric.
                    if pred.data[voxel] == 0 && reference.data[voxel] == 0 {
                        continue;
                    }
                    if options.restrictions.iter().all(|restriction| restriction.lets(voxel)) {
                        let row = place(&places, "the reference", reference.data[voxel], options)?;
                        let column = place(&places, "the prediction", pred.data[voxel], options)?;
                        counts[row * width + column] += 1;
                    }
                }
                Ok(counts)
            })
            .collect();
        let mut counts = vec![0; width * width];
        for partial in partial {
            for (sum, count) in counts.iter_mut().zip(partial?) {
                *sum += count;
            }
        }
        Ok(Self { labels, counts })
    }

    /// The counts of the voxels that have one of `labels`.
    pub fn counts(&self, labels: &[u8]) -> Counts {
        Counts {
            both: self.sum(|label| labels.contains(&label), |label| labels.contains(&label)),
            pred: self.sum(|_| true, |label| labels.contains(&label)),
            reference: self.sum(|label| labels.contains(&label), |_| true),
        }
    }

    /// Voxels of the target's labels in the reference that got one of its labels, and those that were swapped.
    pub fn kept_and_swapped(&self, target: &Target) -> (u64, u64) {
        let in_target = |label| target.labels.contains(&label);
        let kept = self.sum(in_target, in_target);
        let swapped = self.sum(in_target, |label| target.swapped.contains(&label));
        (kept, swapped)
    }

    fn sum(&self, reference: impl Fn(u8) -> bool, pred: impl Fn(u8) -> bool) -> u64 {
        let width = self.labels.len();
        let mut sum = 0;
        for (row, &of_reference) in self.labels.iter().enumerate() {
            for (column, &of_pred) in self.labels.iter().enumerate() {
                if reference(of_reference) && pred(of_pred) {
                    sum += self.counts[row * width + column];
                }
            }
        }
        sum
    }
}

impl Restriction<'_> {
    /// Whether the voxel counts.
    pub(crate) fn lets(&self, voxel: usize) -> bool {
        match self {
            Self::Within(mask) => mask.data[voxel] != 0,
            Self::Sides(sides, annotated) => annotated.contains(&sides.data[voxel]),
        }
    }
}

fn place(
    places: &[usize; LABELS],
    what: &'static str,
    label: u8,
    options: &Options<'_>,
) -> Result<usize, EvaluateError> {
    let place = places[usize::from(label)];
    if place < LABELS {
        return Ok(place);
    }
    let known: Vec<String> =
        options.targets.iter().map(|target| format!("{} {:?}", target.name, target.labels)).collect();
    Err(EvaluateError::Label { what, label, expected: format!("0 or {}", known.join(", ")) })
}

/// Whether two grids are one: the same shape, and corners that fall together.
fn same_grid(what: &'static str, grid: &Grid, reference: &Grid) -> Result<(), EvaluateError> {
    if grid.shape != reference.shape {
        return Err(EvaluateError::Shape { what, got: grid.shape, expected: reference.shape });
    }
    let distance_mm = grid.corner_distance_mm(reference);
    if !grid.is_at(reference) {
        return Err(EvaluateError::Place { what, distance_mm });
    }
    Ok(())
}
