//! From scans to what the network sees.
//!
//! The scan is never copied: rows are read along the network's axes, normalised and handed to the resampling.

use pulmoav_plan::{ClassPlan, Normalisation};
use pulmoav_task::Monitor;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::resample::{skimage, torch};
use pulmoav_volume::{Grid, Volume};
use rayon::prelude::*;

use super::error::ClassError;
use super::frame::Frame;
use super::nonzero::{filled_mask, nonzero_box};
use super::normalise::Normaliser;
use super::resampling::{Choice, Method, Sampling, choose};
use crate::error::SegmentError;

/// More voxels than any body has at a spacing that networks work at.
const MAX_VOXELS: usize = 1 << 30;
/// Spacings within this share of each other are one.
const SAME_SPACING: f64 = 1e-3;

/// A scan as the network sees it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// `[z, y, x, c]` along the network's axes.
    pub(super) image: Vec<f32>,
    /// Its voxels.
    pub(super) shape: [usize; 3],
    /// The part of the scan that is not 0, along the network's axes.
    pub(super) part: VoxelBox,
    /// Where the axes come from.
    pub(super) frame: Frame,
}

/// Prepares scans, one a channel, that [`check`] has let pass with their grid; `None` where all voxels are 0.
///
/// # Shapes
/// `channels`: `[z, y, x]` of `grid` → [`Prepared`].
///
/// # Errors
/// `ERR_GEOMETRY`, [`ClassError::Rgb`], `CANCELLED`.
pub(super) fn prepare(
    plan: &ClassPlan,
    grid: &Grid,
    channels: &[Volume<f32>],
    monitor: &dyn Monitor,
) -> Result<Option<Prepared>, SegmentError> {
    let frame = Frame::of(grid, plan)?;
    let Some(scan_box) = nonzero_box(channels.iter().map(|channel| channel.data.as_slice()), grid.shape) else {
        return Ok(None);
    };
    let part = frame.network_box(&scan_box);
    let from = Sampling { shape: part.shape(), spacing_mm: frame.spacing_mm };
    let to = from.seen_by(plan);
    refuse_giants(grid, to.shape)?;
    let choice = choose(plan.image_resampling, &from, &to, 1);
    let views: Vec<View<'_, f32>> = channels.iter().map(|channel| frame.view(&channel.data).part(&part)).collect();
    let mask = if needs_mask(plan) { filled_mask(&views) } else { Vec::new() };
    let count = channels.len();
    let mut image = vec![0f32; to.shape.iter().product::<usize>() * count];
    for (index, (view, channel)) in views.iter().zip(&plan.channels).enumerate() {
        monitor.report("prepare", index as u64, count as u64);
        let normaliser = Normaliser::of(channel.normalisation, view, &mask, &channel.name)?;
        let source = Source { view: *view, mask: normaliser.masked.then_some(mask.as_slice()), normaliser };
        source.resample(&choice, &mut Target { image: &mut image, shape: to.shape, count, index }, monitor)?;
    }
    monitor.report("prepare", count as u64, count as u64);
    Ok(Some(Prepared { image, shape: to.shape, part, frame }))
}

/// Whether a channel of the plan looks at the mask of what is not 0.
pub(super) fn needs_mask(plan: &ClassPlan) -> bool {
    plan.channels.iter().any(|channel| matches!(channel.normalisation, Normalisation::ZScore { masked: true }))
}

/// Refuses scans that cannot be shown to the plan's network; gives their grid.
///
/// # Errors
/// [`ClassError`], [`SegmentError::Shape`].
pub(super) fn check(plan: &ClassPlan, channels: &[Volume<f32>]) -> Result<Grid, SegmentError> {
    let names = || plan.channels.iter().map(|channel| channel.name.clone()).collect();
    let grid = match channels.first() {
        Some(first) if channels.len() == plan.channels.len() => first.grid,
        _ => return Err(ClassError::Channels { names: names(), found: channels.len() }.into()),
    };
    check_grid(&grid)?;
    for (channel, plan) in channels.iter().zip(&plan.channels) {
        if channel.data.len() != channel.grid.len() {
            return Err(SegmentError::Shape { shape: channel.grid.shape, values: channel.data.len() });
        }
        if let Some(difference) = difference(&grid, &channel.grid) {
            return Err(ClassError::Grids { name: plan.name.clone(), difference }.into());
        }
        let count = channel.data.par_iter().with_min_len(1 << 16).filter(|value| !value.is_finite()).count();
        if count > 0 {
            return Err(ClassError::NotFinite { name: plan.name.clone(), count }.into());
        }
    }
    Ok(grid)
}

/// Refuses a grid that no network can be shown.
///
/// # Errors
/// [`SegmentError::Shape`], [`ClassError::Flat`], [`ClassError::Spacing`].
pub(super) fn check_grid(grid: &Grid) -> Result<(), SegmentError> {
    if grid.is_empty() {
        return Err(SegmentError::Shape { shape: grid.shape, values: 0 });
    }
    if grid.shape.contains(&1) {
        return Err(ClassError::Flat { shape: grid.shape }.into());
    }
    if !grid.spacing_mm.iter().all(|&length| length.is_finite() && length > 0.0) {
        return Err(ClassError::Spacing { spacing_mm: grid.spacing_mm }.into());
    }
    Ok(())
}

/// What tells two grids apart, in words.
fn difference(first: &Grid, other: &Grid) -> Option<String> {
    if first.shape != other.shape {
        return Some(format!("shape {:?} instead of {:?} [z, y, x]", other.shape, first.shape));
    }
    let same = |(&a, &b): (&f64, &f64)| (a - b).abs() <= SAME_SPACING * a.max(b);
    if !first.spacing_mm.iter().zip(&other.spacing_mm).all(same) {
        return Some(format!("voxels of {:?} mm instead of {:?} [z, y, x]", other.spacing_mm, first.spacing_mm));
    }
    (!other.is_at(first)).then(|| format!("its corners lie up to {:.2} mm away", first.corner_distance_mm(other)))
}

/// Refuses what cannot be a body, before memory is asked for: a wrong unit in the header, mostly.
fn refuse_giants(grid: &Grid, shape: [usize; 3]) -> Result<(), SegmentError> {
    let voxels = shape.iter().try_fold(1usize, |product, &edge| product.checked_mul(edge));
    if voxels.is_some_and(|voxels| voxels <= MAX_VOXELS) {
        return Ok(());
    }
    Err(SegmentError::Giant { shape: grid.shape, spacing_mm: grid.spacing_mm })
}

/// A channel that is normalised while it is read.
struct Source<'a> {
    /// The crop along the network's axes.
    view: View<'a, f32>,
    /// Where values change, if not everywhere.
    mask: Option<&'a [u8]>,
    normaliser: Normaliser,
}

/// A channel of the image.
struct Target<'a> {
    image: &'a mut [f32],
    shape: [usize; 3],
    /// Channels, and which this is.
    count: usize,
    index: usize,
}

impl Source<'_> {
    /// Normalises and resamples into the target.
    fn resample(&self, choice: &Choice, target: &mut Target<'_>, monitor: &dyn Monitor) -> Result<(), SegmentError> {
        let view = self.view.reordered(choice.order, [false; 3]);
        let mask = self.mask.map(|mask| View::new(mask, self.view.shape()).reordered(choice.order, [false; 3]));
        let value = |z: usize, y: usize, x: usize| {
            let value = view.at(z, y, x);
            if mask.as_ref().is_none_or(|mask| mask.at(z, y, x) != 0) { self.normaliser.apply(value) } else { value }
        };
        let go_on = || if monitor.cancelled() { Err(SegmentError::Cancelled) } else { Ok(()) };
        match &choice.method {
            Method::Nothing => {
                let [_, height, width] = view.shape();
                let read = |z: usize, row: &mut [f32]| {
                    for (at, to) in row.iter_mut().enumerate() {
                        *to = value(z, at / width, at % width);
                    }
                };
                let mut plane = vec![0f32; height * width];
                for z in 0..view.shape()[0] {
                    go_on()?;
                    read(z, &mut plane);
                    target.put(choice.order, z, &plane, |value| value);
                }
                Ok(())
            }
            Method::Spline(how) => {
                let read = |z: usize, y: usize, row: &mut [f64]| {
                    row.iter_mut().enumerate().for_each(|(x, to)| *to = f64::from(value(z, y, x)));
                };
                skimage::resize(how, read, |first, slab| {
                    target.put(choice.order, first, slab, |value| value as f32);
                    go_on()
                })
            }
            Method::Torch(how) => {
                let read = |z: usize, y: usize, row: &mut [f32]| {
                    row.iter_mut().enumerate().for_each(|(x, to)| *to = value(z, y, x));
                };
                torch::interpolate(how, read, |first, slab| {
                    target.put(choice.order, first, slab, |value| value);
                    go_on()
                })
            }
        }
    }
}

impl Target<'_> {
    /// Writes planes from `first` on, whose axis `k` is the network's `order[k]`.
    fn put<T: Copy>(&mut self, order: [usize; 3], first: usize, planes: &[T], value: impl Fn(T) -> f32) {
        let strides = [self.shape[1] * self.shape[2] * self.count, self.shape[2] * self.count, self.count];
        let [along_z, along_y, along_x] = order.map(|axis| strides[axis]);
        let [_, height, width] = order.map(|axis| self.shape[axis]);
        for (index, row) in planes.chunks_exact(width).enumerate() {
            let at = (first + index / height) * along_z + index % height * along_y + self.index;
            let places = self.image[at..].iter_mut().step_by(along_x);
            places.zip(row).for_each(|(to, &from)| *to = value(from));
        }
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_plan::Resampling;
    use pulmoav_task::Silent;
    use pulmoav_volume::Affine;

    use super::*;
    use crate::classes::fixture::plan;

    /// Two ways to name the axes, one image: the coarse axis is the last of the network's, or its first.
    #[test]
    fn any_axis_may_be_the_coarse_one() {
        let (shape, spacing_mm) = ([6, 7, 12], [1.0, 1.0, 4.0]);
        let data: Vec<f32> = (0..504).map(|at| if at % 5 == 0 { 0.0 } else { (at * 7919 % 1777) as f32 }).collect();
        let scan = Volume { data, grid: Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) } };
        for image_resampling in [
            Resampling::Spline { order: 3, order_z: 0, separate_z: None },
            Resampling::Spline { order: 1, order_z: 1, separate_z: Some(true) },
            Resampling::Torch { separate_z: None },
        ] {
            let mut plan = ClassPlan { spacing_mm: [0.7, 1.3, 2.5], image_resampling, ..plan() };
            plan.channels[0].normalisation = Normalisation::ZScore { masked: true };
            let seen = |axes: [usize; 3]| {
                let plan = ClassPlan { axes, spacing_mm: axes.map(|axis| plan.spacing_mm[axis]), ..plan.clone() };
                prepare(&plan, &scan.grid, std::slice::from_ref(&scan), &Silent).unwrap().unwrap()
            };
            let (last, first) = (seen([0, 1, 2]), seen([2, 0, 1]));
            let [depth, height, width] = last.shape;
            assert_eq!(first.shape, [width, depth, height]);
            for (index, value) in last.image.iter().enumerate() {
                let [z, y, x] = [index / (height * width), index / width % height, index % width];
                assert_eq!(*value, first.image[(x * depth + z) * height + y], "{image_resampling:?} {z} {y} {x}");
            }
        }
    }
}
