//! How often each label of the prediction meets each label of the reference.

use pulmoav_task::Monitor;
use pulmoav_volume::Mask;
use pulmoav_volume::crop::VoxelBox;
use rayon::prelude::*;

use crate::error::EvaluateError;
use crate::options::{Options, Restriction, Target};
use crate::place::same_grid;

const LABELS: usize = 256;
/// Voxels that are passed over together where both maps are background.
const BLOCK: usize = 64;

/// Voxel counts by label of the reference and of the prediction.
#[derive(Debug, Clone)]
pub struct Confusion {
    /// Labels that occur or may occur, 0 first.
    labels: Vec<u8>,
    /// `[reference, prediction]`, in the order of `labels`; voxels that are 0 in both are not counted.
    counts: Vec<u64>,
    /// Where either map is not 0, whether it counts or not.
    part: Option<VoxelBox>,
    /// Values of the prediction that no target has, ascending; they count as background.
    others: Vec<u8>,
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
    /// `ERR_GEOMETRY` when grids differ or a label of the reference is no target's; `CANCELLED`.
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
        let places = Places::of(options);
        let [depth, height, width] = reference.grid.shape;
        let size = places.labels.len();
        let planes: Vec<Result<Plane, EvaluateError>> = (0..depth)
            .into_par_iter()
            .map(|z| {
                monitor.proceed()?;
                let mut plane = Plane { counts: vec![0; size * size], part: None, others: [false; LABELS] };
                for y in 0..height {
                    let row = (z * height + y) * width;
                    let labels = (&pred.data[row..row + width], &reference.data[row..row + width]);
                    plane.add_row([z, y], row, labels, &places, options)?;
                }
                Ok(plane)
            })
            .collect();
        let mut counted = Self { labels: Vec::new(), counts: vec![0; size * size], part: None, others: Vec::new() };
        let mut others = [false; LABELS];
        for plane in planes {
            let Plane { counts, part, others: here } = plane?;
            others.iter_mut().zip(here).for_each(|(all, here)| *all |= here);
            counted.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            counted.part = joined(counted.part, part);
        }
        counted.others = (0..=u8::MAX).filter(|&label| others[usize::from(label)]).collect();
        counted.labels = places.labels;
        Ok(counted)
    }

    /// Values of the prediction that no target has, ascending; they count as background.
    pub fn others(&self) -> &[u8] {
        &self.others
    }

    /// Where either map is not 0, whether it counts or not; `None` where neither is anywhere.
    pub(crate) fn part(&self) -> Option<VoxelBox> {
        self.part
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

/// What one plane holds.
struct Plane {
    counts: Vec<u64>,
    part: Option<VoxelBox>,
    /// Of each value, whether the prediction has it though no target does.
    others: [bool; LABELS],
}

impl Plane {
    fn add_row(
        &mut self,
        [z, y]: [usize; 2],
        start: usize,
        (pred, reference): (&[u8], &[u8]),
        places: &Places,
        options: &Options<'_>,
    ) -> Result<(), EvaluateError> {
        let ((pred_blocks, pred_rest), (blocks, rest)) = (pred.as_chunks::<BLOCK>(), reference.as_chunks::<BLOCK>());
        for (block, (pred, reference)) in pred_blocks.iter().zip(blocks).enumerate() {
            // Nearly all of a scan is background in both, and changes no metric.
            if pred.iter().zip(reference).fold(0, |any, (a, b)| any | a | b) != 0 {
                self.add_block([z, y, block * BLOCK], start, (pred, reference), places, options)?;
            }
        }
        self.add_block([z, y, blocks.len() * BLOCK], start, (pred_rest, rest), places, options)
    }

    /// Adds the labels from voxel `x` of a row on.
    fn add_block(
        &mut self,
        [z, y, x]: [usize; 3],
        start: usize,
        (pred, reference): (&[u8], &[u8]),
        places: &Places,
        options: &Options<'_>,
    ) -> Result<(), EvaluateError> {
        let is_used = |(a, b): (&u8, &u8)| a | b != 0;
        let Some(first) = pred.iter().zip(reference).position(is_used) else { return Ok(()) };
        let last = pred.iter().zip(reference).rposition(is_used).unwrap_or(first);
        let here = VoxelBox { low: [z, y, x + first], high: [z + 1, y + 1, x + last + 1] };
        self.part = joined(self.part, Some(here));
        let all = options.lets_all();
        for at in first..=last {
            if (pred[at] | reference[at]) != 0 && (all || options.lets(start + x + at, reference[at])) {
                let row = places.get(reference[at]);
                let row = row.ok_or_else(|| unknown("the reference", reference[at], options))?;
                let column = places.get(pred[at]).unwrap_or_else(|| {
                    self.others[usize::from(pred[at])] = true;
                    0
                });
                self.counts[row * places.labels.len() + column] += 1;
            }
        }
        Ok(())
    }
}

fn joined(a: Option<VoxelBox>, b: Option<VoxelBox>) -> Option<VoxelBox> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.joined(&b)),
        (a, b) => a.or(b),
    }
}

/// Where each label stands in the table.
struct Places {
    labels: Vec<u8>,
    of: [usize; LABELS],
}

impl Places {
    fn of(options: &Options<'_>) -> Self {
        let mut labels = vec![0];
        for label in options.targets.iter().flat_map(|target| &target.labels) {
            if !labels.contains(label) {
                labels.push(*label);
            }
        }
        let mut of = [usize::MAX; LABELS];
        for (place, label) in labels.iter().enumerate() {
            of[usize::from(*label)] = place;
        }
        Self { labels, of }
    }

    /// `None` for a label that no target has.
    fn get(&self, label: u8) -> Option<usize> {
        Some(self.of[usize::from(label)]).filter(|&place| place < LABELS)
    }
}

pub(crate) fn unknown(what: &'static str, label: u8, options: &Options<'_>) -> EvaluateError {
    let known: Vec<String> =
        options.targets.iter().map(|target| format!("{} {:?}", target.name, target.labels)).collect();
    EvaluateError::Label { what, label, expected: format!("0 or {}", known.join(", ")) }
}
