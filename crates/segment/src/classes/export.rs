//! From logits on the network's grid to labels, and probabilities, on the scan's own.
//!
//! Slab by slab and a few classes at a time, so that no more than the labels lies in memory beside the logits.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use pulmoav_plan::{ClassPlan, Output};
use pulmoav_task::Monitor;
use pulmoav_volume::resample::{skimage, torch};
use pulmoav_volume::voxels::Voxels;
use rayon::prelude::*;

use super::error::ClassError;
use super::frame::Place;
use super::prepare::Prepared;
use super::resampling::{Choice, Method, Sampling, choose};
use super::rounding::to_halves;
use crate::error::SegmentError;

/// Classes that are resampled at a time.
const GROUP: usize = 16;
/// Values that one task rounds.
const BLOCK: usize = 1 << 14;
/// Says of a voxel that its label stays.
const UNCHANGED: u16 = u16::MAX;

/// Logits on the network's grid and the way back from there.
pub(super) struct Export<'a> {
    pub(super) plan: &'a ClassPlan,
    pub(super) prepared: &'a Prepared,
    /// `[z, y, x, o]` of the network's grid.
    pub(super) logits: &'a [f16],
    pub(super) outputs: usize,
}

impl Export<'_> {
    /// The label map, 0 outside the crop.
    ///
    /// # Shapes
    /// → `[z, y, x]` of the scan: u8, or u16 where a label is above 255.
    ///
    /// # Errors
    /// [`ClassError::OneWay`], `CANCELLED`.
    pub(super) fn labels(&self, monitor: &dyn Monitor) -> Result<Voxels, SegmentError> {
        self.check()?;
        if is_wide(self.plan) {
            return Ok(self.painted(|label| label, monitor)?.into());
        }
        Ok(self.painted(|label| label as u8, monitor)?.into())
    }

    fn painted<L: Copy + Default>(
        &self,
        value: impl Fn(u16) -> L,
        monitor: &dyn Monitor,
    ) -> Result<Vec<L>, SegmentError> {
        let choice = self.choice(1);
        let shape = choice.order.map(|axis| self.prepared.part.shape()[axis]);
        let place = self.place(&choice);
        let mut labels = vec![L::default(); self.prepared.frame.grid.len()];
        let mut best = Best::new(self.outputs, shape.iter().product());
        let mut marks = Vec::new();
        for classes in groups(self.outputs) {
            self.each_slab(&classes, monitor, |first, slab| {
                marks.resize(slab.len() / classes.len(), UNCHANGED);
                self.decide(&classes, first * shape[1] * shape[2], slab, &mut best, &mut marks);
                for (index, row) in marks.chunks_exact(shape[2]).enumerate() {
                    let places = place.row(first + index / shape[1], index % shape[1]);
                    for (at, &mark) in places.zip(row).filter(|(_, mark)| **mark != UNCHANGED) {
                        labels[at] = value(mark);
                    }
                }
            })?;
        }
        Ok(labels)
    }

    /// What a group of classes changes: the label of each voxel of a slab that starts at `first`, or [`UNCHANGED`].
    fn decide(&self, classes: &Range<usize>, first: usize, slab: &[f32], best: &mut Best, marks: &mut [u16]) {
        let count = classes.len();
        match self.plan.output {
            Output::Regions => {
                let value = |voxel: &[f32]| {
                    let painted = voxel.iter().rposition(|&logit| sigmoid(logit) > 0.5);
                    painted.map_or(UNCHANGED, |class| self.plan.classes[classes.start + class].value)
                };
                let voxels = marks.par_iter_mut().zip(slab.par_chunks_exact(count)).with_min_len(1 << 12);
                voxels.for_each(|(mark, voxel)| *mark = value(voxel));
            }
            Output::Softmax => {
                // The background's label is 0.
                let label = |class: usize| if class == 0 { 0 } else { self.plan.classes[class - 1].value };
                let voxels = marks.par_iter_mut().zip(slab.par_chunks_exact(count));
                match best {
                    Best::Alone => voxels.with_min_len(1 << 12).for_each(|(mark, voxel)| {
                        *mark = label(largest(voxel, f32::NEG_INFINITY).map_or(0, |(class, _)| class));
                    }),
                    Best::SoFar(best) => {
                        let best = &mut best[first..first + slab.len() / count];
                        voxels.zip(best).with_min_len(1 << 12).for_each(|((mark, voxel), best)| {
                            *mark = UNCHANGED;
                            if let Some((class, logit)) = largest(voxel, *best) {
                                (*mark, *best) = (label(classes.start + class), logit);
                            }
                        });
                    }
                }
            }
        }
    }

    /// The probabilities, and the label map that follows from them. Outside the crop the background is certain.
    ///
    /// # Shapes
    /// → labels as [`Export::labels`], and `[o, z, y, x]` of the scan.
    ///
    /// # Errors
    /// As [`Export::labels`].
    pub(super) fn probabilities(&self, monitor: &dyn Monitor) -> Result<(Voxels, Vec<f32>), SegmentError> {
        self.check()?;
        let grid = self.prepared.frame.grid;
        let choice = self.choice(1);
        let shape = choice.order.map(|axis| self.prepared.part.shape()[axis]);
        let place = self.place(&choice);
        let mut values = vec![0f32; grid.len() * self.outputs];
        if self.plan.output == Output::Softmax {
            values[..grid.len()].fill(1.0);
        }
        for classes in groups(self.outputs) {
            self.each_slab(&classes, monitor, |first, slab| {
                for (index, row) in slab.chunks_exact(shape[2] * classes.len()).enumerate() {
                    let places = place.row(first + index / shape[1], index % shape[1]);
                    for (at, voxel) in places.zip(row.chunks_exact(classes.len())) {
                        for (class, &logit) in classes.clone().zip(voxel) {
                            values[class * grid.len() + at] = logit;
                        }
                    }
                }
            })?;
        }
        let labels = self.normalised(&mut values);
        if is_wide(self.plan) {
            return Ok((labels.into(), values));
        }
        let narrow: Vec<u8> = labels.into_iter().map(|label| label as u8).collect();
        Ok((narrow.into(), values))
    }

    /// Makes probabilities of logits within the crop; gives the labels.
    fn normalised(&self, values: &mut [f32]) -> Vec<u16> {
        let [depth, height, width] = self.prepared.frame.grid.shape;
        let part = self.prepared.frame.scan_box(&self.prepared.part);
        let mut planes: Vec<Vec<&mut [f32]>> = (0..depth).map(|_| Vec::with_capacity(self.outputs)).collect();
        for (index, plane) in values.chunks_exact_mut(height * width).enumerate() {
            planes[index % depth].push(plane);
        }
        let mut labels = vec![0u16; depth * height * width];
        let all = labels.par_chunks_mut(height * width).zip(planes).enumerate();
        all.filter(|(z, _)| (part.low[0]..part.high[0]).contains(z)).for_each(|(_, (labels, mut planes))| {
            let mut voxel = vec![0f32; self.outputs];
            for y in part.low[1]..part.high[1] {
                for at in y * width + part.low[2]..y * width + part.high[2] {
                    voxel.iter_mut().zip(&planes).for_each(|(to, plane)| *to = plane[at]);
                    labels[at] = self.label_of(&mut voxel);
                    planes.iter_mut().zip(&voxel).for_each(|(plane, &value)| plane[at] = value);
                }
            }
        });
        labels
    }

    /// Turns a voxel's logits into probabilities; gives its label.
    fn label_of(&self, voxel: &mut [f32]) -> u16 {
        match self.plan.output {
            Output::Regions => {
                for value in voxel.iter_mut() {
                    *value = sigmoid(*value);
                }
                let painted = voxel.iter().rposition(|&value| value > 0.5);
                painted.map_or(0, |class| self.plan.classes[class].value)
            }
            Output::Softmax => {
                let most = voxel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                for value in voxel.iter_mut() {
                    *value = (*value - most).exp();
                }
                let sum: f32 = voxel.iter().sum();
                for value in voxel.iter_mut() {
                    *value /= sum;
                }
                match largest(voxel, f32::NEG_INFINITY) {
                    None | Some((0, _)) => 0,
                    Some((class, _)) => self.plan.classes[class - 1].value,
                }
            }
        }
    }

    /// Refuses a plan that leads to the network's grid but not back.
    fn check(&self) -> Result<(), ClassError> {
        let (shape, network) = (self.prepared.part.shape(), self.prepared.shape);
        let expected = self.plan.classes.len() + usize::from(self.plan.output == Output::Softmax);
        if self.outputs != expected {
            return Err(ClassError::Answer { expected, found: self.outputs });
        }
        let stays = self.choice(1).method == Method::Nothing;
        if stays && shape != network { Err(ClassError::OneWay { shape, network }) } else { Ok(()) }
    }

    fn choice(&self, channels: usize) -> Choice {
        let from = Sampling { shape: self.prepared.shape, spacing_mm: self.plan.spacing_mm };
        let to = Sampling { shape: self.prepared.part.shape(), spacing_mm: self.prepared.frame.spacing_mm };
        choose(self.plan.logit_resampling, &from, &to, channels)
    }

    fn place(&self, choice: &Choice) -> Place {
        self.prepared.frame.place(&self.prepared.part, choice.order)
    }

    /// Hands the logits of some classes over on the crop's own grid, slab by slab: `sink(first plane, slab)`,
    /// `[z, y, x, o]`, planes across the choice's first axis; as nnunetv2 stores them: in f16, but in f32 where PyTorch
    /// resampled them.
    fn each_slab(
        &self,
        classes: &Range<usize>,
        monitor: &dyn Monitor,
        mut sink: impl FnMut(usize, &[f32]),
    ) -> Result<(), SegmentError> {
        let choice = self.choice(classes.len());
        let [_, height, width] = self.prepared.shape;
        let strides = choice.order.map(|axis| [height * width, width, 1][axis] * self.outputs);
        let depth = self.prepared.part.shape()[choice.order[0]];
        let total = (depth * self.outputs) as u64;
        let mut go_on = |first: usize, slab: &[f32]| {
            sink(first, slab);
            monitor.report("restore", (depth * classes.start + first * classes.len()) as u64, total);
            if monitor.cancelled() { Err(SegmentError::Cancelled) } else { Ok(()) }
        };
        let from = |z: usize, y: usize| &self.logits[z * strides[0] + y * strides[1] + classes.start..];
        let (step, count) = (strides[2], classes.len());
        let singly = |z: usize, y: usize, row: &mut [f32]| {
            each_voxel(from(z, y), step, count, row, HalfFloatSliceExt::convert_to_f32_slice);
        };
        let mut singles: Vec<f32> = Vec::new();
        match &choice.method {
            Method::Nothing => {
                singles.resize(height * width * count, 0.0);
                for z in 0..depth {
                    let rows = singles.par_chunks_exact_mut(width * count).enumerate();
                    rows.for_each(|(y, row)| singly(z, y, row));
                    go_on(z, &singles)?;
                }
                Ok(())
            }
            Method::Spline(how) => {
                let doubly = |z: usize, y: usize, row: &mut [f64]| {
                    each_voxel(from(z, y), step, count, row, HalfFloatSliceExt::convert_to_f64_slice);
                };
                let mut halves = Vec::new();
                skimage::resize(how, doubly, |first, slab| {
                    singles.resize(slab.len(), 0.0);
                    halves.resize(slab.len(), f16::ZERO);
                    let blocks = singles.par_chunks_mut(BLOCK).zip(halves.par_chunks_mut(BLOCK));
                    let blocks = blocks.zip(slab.par_chunks(BLOCK));
                    blocks.for_each(|((singles, halves), values)| to_halves(values, singles, halves));
                    go_on(first, &singles)
                })
            }
            Method::Torch(how) => torch::interpolate(how, singly, go_on),
        }
    }
}

/// Converts the first `count` values of every `step`, at once where these are all.
fn each_voxel<T>(from: &[f16], step: usize, count: usize, row: &mut [T], convert: impl Fn(&[f16], &mut [T])) {
    if step == count {
        convert(&from[..row.len()], row);
    } else {
        row.chunks_exact_mut(count).zip(from.chunks(step)).for_each(|(to, from)| convert(&from[..count], to));
    }
}

/// Whether a label of the plan does not fit into a byte.
pub(super) fn is_wide(plan: &ClassPlan) -> bool {
    plan.classes.iter().any(|class| class.value > u16::from(u8::MAX))
}

/// The largest logit of the groups of classes before.
enum Best {
    /// There is but one group.
    Alone,
    /// A value a voxel of the crop, planes across the choice's first axis.
    SoFar(Vec<f32>),
}

impl Best {
    fn new(outputs: usize, voxels: usize) -> Self {
        if outputs <= GROUP { Self::Alone } else { Self::SoFar(vec![f32::NEG_INFINITY; voxels]) }
    }
}

/// Classes that are resampled together.
fn groups(outputs: usize) -> impl Iterator<Item = Range<usize>> {
    (0..outputs).step_by(GROUP).map(move |first| first..(first + GROUP).min(outputs))
}

/// The first of the largest values above `least`.
fn largest(values: &[f32], least: f32) -> Option<(usize, f32)> {
    let mut found = None;
    let mut most = least;
    for (index, &value) in values.iter().enumerate() {
        if value > most {
            (found, most) = (Some((index, value)), value);
        }
    }
    found
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use pulmoav_plan::{Class, Resampling};
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::VoxelBox;
    use pulmoav_volume::{Affine, Grid};
    use serde_json::Value;

    use super::*;
    use crate::classes::fixture::{golden, plan};
    use crate::classes::frame::Frame;

    fn of<T: serde::de::DeserializeOwned>(case: &Value, name: &str) -> T {
        serde_json::from_value(case[name].clone()).unwrap()
    }

    /// The plan, the way back and the logits of a case.
    fn read(case: &Value) -> (ClassPlan, Prepared, Vec<f16>) {
        let class = |value: u16| Class { name: value.to_string(), value };
        let (outputs, regions): (u16, Option<Vec<u16>>) = (of(case, "outputs"), of(case, "regions"));
        let plan = ClassPlan {
            axes: of(case, "axes"),
            spacing_mm: of(case, "spacing"),
            output: if regions.is_some() { Output::Regions } else { Output::Softmax },
            classes: regions.unwrap_or_else(|| (1..outputs).collect()).into_iter().map(class).collect(),
            logit_resampling: match case["resampling"].as_str() {
                Some("torch") => Resampling::Torch { separate_z: Some(false) },
                _ => Resampling::Spline { order: 1, order_z: 0, separate_z: None },
            },
            ..plan()
        };
        let spacing_mm: [f64; 3] = of(case, "scanSpacing");
        let affine = Affine::from_spacing(spacing_mm);
        let frame = Frame::of(&Grid { shape: of(case, "scanShape"), spacing_mm, affine }, &plan).unwrap();
        let part = VoxelBox { low: of(case, "low"), high: of(case, "high") };
        let bits: Vec<u16> = of(case, "bits");
        let logits = bits.into_iter().map(f16::from_bits).collect();
        (plan, Prepared { image: Vec::new(), shape: of(case, "network"), part, frame }, logits)
    }

    /// Expected values: nnunetv2's export, made by `crates/testing/goldens/classes.py`.
    #[test]
    fn equals_nnunets() {
        for (number, case) in golden()["exports"].as_array().unwrap().iter().enumerate() {
            let (plan, prepared, logits) = read(case);
            let export = Export { plan: &plan, prepared: &prepared, logits: &logits, outputs: of(case, "outputs") };
            let expected: Voxels = of::<Vec<u8>>(case, "labels").into();
            assert!(export.labels(&Silent).unwrap() == expected, "labels of case {number}");
            let (labels, probabilities) = export.probabilities(&Silent).unwrap();
            assert!(labels == expected, "labels by probabilities of case {number}");
            let stored: Vec<f32> = of(case, "probabilities");
            assert_eq!(probabilities.len(), stored.len());
            for (index, (found, stored)) in probabilities.iter().zip(&stored).enumerate() {
                assert!((found - stored).abs() <= 2e-6, "case {number}, value {index}: {found} is not {stored}");
            }
        }
    }

    #[test]
    fn labels_above_a_byte_are_wide() {
        let case = &golden()["exports"][1];
        let (mut plan, prepared, logits) = read(case);
        plan.classes[1].value = 300;
        let export = Export { plan: &plan, prepared: &prepared, logits: &logits, outputs: 3 };
        let Voxels::U16(labels) = export.labels(&Silent).unwrap() else { panic!("u16") };
        assert!(labels.contains(&300) && !labels.contains(&2));
        let refused = Export { outputs: 4, ..export }.labels(&Silent).unwrap_err();
        assert_eq!(refused.code(), "ERR_MODEL");
        plan.logit_resampling = Resampling::None;
        let smaller = Prepared { shape: [3, 5, 7], ..prepared };
        let export = Export { plan: &plan, prepared: &smaller, logits: &logits, outputs: 3 };
        assert!(export.labels(&Silent).unwrap_err().to_string().contains("back"));
    }
}
