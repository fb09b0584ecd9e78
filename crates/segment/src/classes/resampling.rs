//! Which resampling takes place, and along which axes.

use pulmoav_plan::{ClassPlan, Resampling};
use pulmoav_volume::resample::skimage::Resize;

/// Planes are resampled apart where the coarsest axis is more than so many times the finest.
const ANISOTROPIC: f64 = 3.0;

/// How an array is brought to another shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Method {
    /// It has that shape, or nothing is resampled.
    Nothing,
    /// As scikit-image.
    Spline(Resize),
    /// As PyTorch.
    Torch(Resize),
}

/// A resampling with the order of axes that it takes place in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Choice {
    /// Axis `k` of the resampling is the network's `order[k]`: the axis across planes comes first.
    pub(super) order: [usize; 3],
    /// What is done.
    pub(super) method: Method,
}

/// An array's shape and its voxels' lengths, along the network's axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    pub(super) shape: [usize; 3],
    pub(super) spacing_mm: [f64; 3],
}

impl Sampling {
    /// What the plan's network sees of it.
    pub(super) fn seen_by(&self, plan: &ClassPlan) -> Self {
        match plan.image_resampling {
            Resampling::None => Self { spacing_mm: plan.spacing_mm, ..*self },
            _ => self.at(plan.spacing_mm),
        }
    }

    /// At another spacing: `round(spacing / new · n)` voxels along each axis, halves to even, at least one.
    fn at(&self, spacing_mm: [f64; 3]) -> Self {
        let size = |axis: usize| {
            let exact = self.spacing_mm[axis] / spacing_mm[axis] * self.shape[axis] as f64;
            (exact.round_ties_even() as usize).max(1)
        };
        Self { shape: [0, 1, 2].map(size), spacing_mm }
    }
}

/// How to bring `from` to `to`, voxels of `channels` values.
pub(super) fn choose(resampling: Resampling, from: &Sampling, to: &Sampling, channels: usize) -> Choice {
    let nothing = Choice { order: [0, 1, 2], method: Method::Nothing };
    let separate = match resampling {
        _ if from.shape == to.shape => return nothing,
        Resampling::None => return nothing,
        Resampling::Spline { separate_z, .. } | Resampling::Torch { separate_z } => separate_z,
    };
    let apart = axis_apart(separate, from.spacing_mm, to.spacing_mm);
    let order = match apart {
        None | Some(0) => [0, 1, 2],
        Some(1) => [1, 0, 2],
        Some(_) => [2, 0, 1],
    };
    let resize = Resize {
        shape: order.map(|axis| from.shape[axis]),
        new_shape: order.map(|axis| to.shape[axis]),
        channels,
        order: 1,
        apart: apart.map(|_| 0),
    };
    let method = match resampling {
        Resampling::Spline { order, order_z, .. } => {
            Method::Spline(Resize { order, apart: apart.map(|_| order_z), ..resize })
        }
        _ => Method::Torch(resize),
    };
    Choice { order, method }
}

/// The axis across planes that are resampled apart: the one coarse axis of the spacing that is anisotropic, looked for
/// before the new one.
fn axis_apart(separate: Option<bool>, current: [f64; 3], new: [f64; 3]) -> Option<usize> {
    let anisotropic =
        |spacing: [f64; 3]| greatest(spacing) / spacing.into_iter().fold(f64::INFINITY, f64::min) > ANISOTROPIC;
    let spacing = match separate {
        Some(true) => current,
        None if anisotropic(current) => current,
        None if anisotropic(new) => new,
        Some(false) | None => return None,
    };
    let mut coarse = (0..3).filter(|&axis| greatest(spacing) / spacing[axis] == 1.0);
    coarse.next().filter(|_| coarse.next().is_none())
}

fn greatest(spacing: [f64; 3]) -> f64 {
    spacing.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: `determine_do_sep_z_and_axis` of nnunetv2 2.8.1.
    #[test]
    fn one_coarse_axis_is_resampled_apart() {
        for (separate, current, new, expected) in [
            (None, [1.5, 1.5, 1.5], [1.0, 1.0, 1.0], None),
            (None, [5.0, 0.93, 0.93], [3.0, 0.8, 0.8], Some(0)),
            (None, [0.9, 5.0, 0.9], [1.0, 1.0, 1.0], Some(1)),
            (None, [1.0, 1.0, 1.0], [1.0, 1.0, 3.1], Some(2)),
            (None, [3.0, 1.0, 1.0], [1.0, 1.0, 1.0], None),
            (None, [0.24, 1.25, 1.25], [1.0, 1.0, 1.0], None),
            (None, [0.24, 1.25, 1.25], [4.0, 1.0, 1.0], None),
            (Some(false), [5.0, 0.9, 0.9], [1.0, 1.0, 1.0], None),
            (Some(true), [1.1, 1.0, 1.0], [1.0, 1.0, 1.0], Some(0)),
            (Some(true), [1.0, 1.0, 1.0], [5.0, 1.0, 1.0], None),
        ] {
            assert_eq!(axis_apart(separate, current, new), expected, "{separate:?} {current:?} {new:?}");
        }
    }

    #[test]
    fn sizes_round_halves_to_even() {
        let from = Sampling { shape: [5, 7, 1], spacing_mm: [1.0, 1.5, 0.1] };
        assert_eq!(from.at([2.0, 1.0, 1.0]).shape, [2, 10, 1]);
        let (to, spline) = (from.at([2.0, 1.0, 1.0]), Resampling::Spline { order: 3, order_z: 0, separate_z: None });
        let Method::Spline(resize) = choose(spline, &from, &to, 1).method else { panic!("a spline") };
        assert_eq!((resize.apart, resize.shape, resize.new_shape), (Some(0), [7, 5, 1], [10, 2, 1]));
        assert_eq!(choose(spline, &from, &from, 1).method, Method::Nothing);
        assert_eq!(choose(Resampling::None, &from, &to, 1).method, Method::Nothing);
    }
}
