//! What the two directions of a convolution have in common: every result is a sum of neighbouring inputs times taps.
//!
//! From fine to coarse that is the definition. From coarse to fine the results fall into `stride³` *classes* by their
//! position modulo the stride; within one class every result has the same taps, so a class is a small convolution of
//! stride 1 whose results are written `stride` voxels apart. So one driver and one register kernel serve both
//! directions.

use super::geometry::{Geometry, WeightOrder};

/// One direction of a convolution: `out[q·spread + offset] = bias + Σ_t in[q·step + origin + t] · w[kernel index of
/// t]`, a class at a time.
pub(super) struct Pass {
    pub(super) batch: usize,
    pub(super) input: [usize; 3],
    pub(super) input_channels: usize,
    pub(super) output: [usize; 3],
    pub(super) output_channels: usize,
    /// Input voxels between neighbouring results of a class.
    pub(super) step: [usize; 3],
    /// Output voxels between neighbouring results of a class.
    pub(super) spread: [usize; 3],
    pub(super) classes: Vec<Class>,
    /// Whether the weight's last axis is the input's channel, not the output's.
    pub(super) weight_is_transposed: bool,
    kernel: [usize; 3],
}

/// The results of one position modulo the stride.
pub(super) struct Class {
    /// The first result's place.
    pub(super) offset: [usize; 3],
    /// Results along each axis.
    pub(super) count: [usize; 3],
    /// Input voxel of the first result's first tap; negative = in the padding.
    pub(super) origin: [isize; 3],
    /// Taps along each axis; 0 where no input reaches the class.
    pub(super) taps: [usize; 3],
    /// Kernel index of the first tap, and what each further tap adds to it.
    first: [usize; 3],
    advance: [isize; 3],
}

impl Pass {
    /// Fine to coarse: one class.
    pub(super) fn to_coarse(g: &Geometry, order: WeightOrder) -> Self {
        let class = Class {
            offset: [0; 3],
            count: g.coarse,
            origin: g.padding.map(|padding| -(padding as isize)),
            taps: g.kernel,
            first: [0; 3],
            advance: [1; 3],
        };
        Self {
            batch: g.batch,
            input: g.fine,
            input_channels: g.fine_channels,
            output: g.coarse,
            output_channels: g.coarse_channels,
            step: g.stride,
            spread: [1; 3],
            classes: vec![class],
            weight_is_transposed: order == WeightOrder::CoarseFine,
            kernel: g.kernel,
        }
    }

    /// Coarse to fine: `stride³` classes.
    pub(super) fn to_fine(g: &Geometry, order: WeightOrder) -> Self {
        let [sz, sy, sx] = g.stride;
        let classes = (0..sz * sy * sx)
            .map(|i| [i / (sy * sx), i / sx % sy, i % sx])
            .filter(|offset| (0..3).all(|axis| offset[axis] < g.fine[axis]))
            .map(|offset| Class::of_fine(g, offset))
            .collect();
        Self {
            batch: g.batch,
            input: g.coarse,
            input_channels: g.coarse_channels,
            output: g.fine,
            output_channels: g.fine_channels,
            step: [1; 3],
            spread: g.stride,
            classes,
            weight_is_transposed: order == WeightOrder::FineCoarse,
            kernel: g.kernel,
        }
    }

    /// Results along each axis of the largest class.
    pub(super) fn largest_count(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.classes.iter().map(|class| class.count[axis]).max().unwrap_or(0))
    }

    /// The lowest input voxel that the first results of all classes touch.
    pub(super) fn low(&self) -> [isize; 3] {
        [0, 1, 2].map(|axis| self.classes.iter().map(|class| class.origin[axis]).min().unwrap_or(0))
    }

    /// Input voxels from [`Pass::low`] that the first results of all classes touch.
    pub(super) fn reach(&self) -> [usize; 3] {
        let low = self.low();
        let end = |class: &Class, axis: usize| (class.origin[axis] - low[axis]) as usize + class.taps[axis];
        [0, 1, 2].map(|axis| self.classes.iter().map(|class| end(class, axis)).max().unwrap_or(0).max(1))
    }

    /// The weights of a class' tap `[z, y, x]`: a matrix of input and output channels.
    pub(super) fn tap_weights<'a>(&self, weight: &'a [f32], class: &Class, tap: [usize; 3]) -> &'a [f32] {
        let k = [0, 1, 2].map(|axis| (class.first[axis] as isize + class.advance[axis] * tap[axis] as isize) as usize);
        self.kernel_weights(weight, (k[0] * self.kernel[1] + k[1]) * self.kernel[2] + k[2])
    }

    /// The weights at a place of the kernel, counted x fastest.
    pub(super) fn kernel_weights<'a>(&self, weight: &'a [f32], tap: usize) -> &'a [f32] {
        let matrix = self.input_channels * self.output_channels;
        &weight[tap * matrix..][..matrix]
    }
}

impl Class {
    /// Result `p = offset + stride·q` takes the kernel indices `k` for which `p + padding − k` is a multiple of the
    /// stride.
    fn of_fine(g: &Geometry, offset: [usize; 3]) -> Self {
        let mut class = Self {
            offset,
            count: [0; 3],
            origin: [0; 3],
            taps: [0; 3],
            first: [0; 3],
            advance: g.stride.map(|s| -(s as isize)),
        };
        for axis in 0..3 {
            let (stride, place) = (g.stride[axis], offset[axis] + g.padding[axis]);
            let lowest_k = place % stride;
            let taps = g.kernel[axis].saturating_sub(lowest_k).div_ceil(stride);
            class.count[axis] = (g.fine[axis] - offset[axis]).div_ceil(stride);
            class.taps[axis] = taps;
            if taps > 0 {
                // The first tap is the input voxel furthest back, which meets the highest kernel index.
                class.first[axis] = lowest_k + stride * (taps - 1);
                class.origin[axis] = (place / stride) as isize - (taps as isize - 1);
            }
        }
        class
    }
}
