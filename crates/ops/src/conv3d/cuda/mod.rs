//! The passes on a card. A linear layer is a convolution of one tap, so `linear` goes this way too.

pub(crate) mod candidates;
mod cudnn;
pub(super) mod joined;
mod race;
mod tensor;
mod wgmma;

use std::sync::Arc;

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Result, bail};

use super::geometry::{Geometry, WeightOrder};
use crate::cuda::{Kernel, Output, Size, Values, embedded, kernel_parameter, sum_parts, whole};

kernel_parameter! {
    /// One pass to a class of results, see `convolution.cuh`.
    struct Pass {
        input: [i32; 3],
        output: [i32; 3],
        grid: [i32; 3],
        taps: [i32; 3],
        kernel: [i32; 3],
        step: [i32; 3],
        origin: [i32; 3],
        sign: i32,
        first: [i32; 3],
        spread: [i32; 3],
        tap_first: [i32; 3],
        tap_step: [i32; 3],
        a_channels: i32,
        b_channels: i32,
        results: i32,
        weight_of_tap: i32,
        weight_of_input: i32,
        weight_of_result: i32,
        weight_of_sample: i32,
        bias_of_sample: i32,
    }
}

kernel_parameter! {
    /// The weight's gradient, see `convolution.cuh`.
    struct Gradient {
        batch: i32,
        fine: [i32; 3],
        coarse: [i32; 3],
        kernel: [i32; 3],
        stride: [i32; 3],
        padding: [i32; 3],
        a_channels: i32,
        b_channels: i32,
        coarse_channels: i32,
        span: i32,
        coarse_first: i32,
    }
}

/// Threads of the kernels without tensor cores.
const THREADS: usize = 256;
/// Blocks that keep any card busy.
const BLOCKS: usize = 512;
/// Numbers that the parts of a weight's gradient may take.
const PARTS_FLOATS: usize = 1 << 24;
/// (Tap, fine channel) pairs and coarse channels of a block of the weight's gradient.
const GRADIENT_BLOCK: usize = 64;

/// The values of one or two sources, whose channels stand side by side.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) a: &'a Values<'a>,
    pub(crate) b: Option<&'a Values<'a>>,
    pub(crate) a_channels: usize,
}

/// The weight and bias of a pass.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) weight: &'a Values<'a>,
    pub(crate) order: WeightOrder,
    /// f32.
    pub(crate) bias: Option<&'a Values<'a>>,
    /// Numbers from one sample's weight and bias to the next sample's; 0 where all share one.
    pub(crate) of_sample: [usize; 2],
}

impl WeightOrder {
    /// Places between neighbouring fine channels, and between neighbouring coarse channels.
    fn steps(self, g: &Geometry) -> [usize; 2] {
        match self {
            Self::FineCoarse => [g.coarse_channels, 1],
            Self::CoarseFine => [1, g.fine_channels],
        }
    }
}

/// See [`super::reference::to_coarse`].
pub(crate) fn to_coarse(device: &CudaDevice, g: &Geometry, fine: Sources, parameters: Parameters) -> Result<Output> {
    let pass = Pass::to_coarse(g, &fine, &parameters)?;
    let mut y = Output::new(device, fine.a.dtype(), g.coarse_shape().iter().product())?;
    convolve(device, g.batch, &pass, fine, parameters, &mut y)?;
    Ok(y)
}

/// See [`super::reference::to_fine`]; of the fine channels the `count` from `first` on.
pub(crate) fn to_fine(
    device: &CudaDevice,
    g: &Geometry,
    coarse: &Values,
    parameters: Parameters,
    [first, count]: [usize; 2],
) -> Result<Output> {
    let [of_fine, of_coarse] = parameters.order.steps(g);
    let sources = Sources { a: coarse, b: None, a_channels: g.coarse_channels };
    let weight = parameters.weight.part(first * of_fine, parameters.weight.len() - first * of_fine);
    let parameters = Parameters { weight: &weight, ..parameters };
    let shared = Pass::shared(g, &sources, &parameters, g.coarse_channels)?;
    let mut y = Output::new(device, coarse.dtype(), g.batch * g.fine.iter().product::<usize>() * count)?;
    let classes: usize = g.stride.iter().product();
    for class in 0..classes {
        // Where the class's kernel positions begin, along each axis: its results are those that these reach.
        let place = [class / (g.stride[1] * g.stride[2]), class / g.stride[2] % g.stride[1], class % g.stride[2]];
        let axis = |axis: usize| Along::new(g, axis, place[axis]);
        let axes = [axis(0), axis(1), axis(2)];
        let pass = Pass {
            input: all(g.coarse)?,
            output: all(g.fine)?,
            grid: all([0, 1, 2].map(|i| axes[i].results))?,
            taps: all([0, 1, 2].map(|i| axes[i].taps))?,
            step: [1; 3],
            origin: [0, 1, 2].map(|i| axes[i].origin as i32),
            sign: -1,
            first: all([0, 1, 2].map(|i| axes[i].first))?,
            spread: all(g.stride)?,
            tap_first: all(place)?,
            tap_step: all(g.stride)?,
            results: whole(count)?,
            weight_of_input: whole(of_coarse)?,
            weight_of_result: whole(of_fine)?,
            ..shared
        };
        convolve(device, g.batch, &pass, sources, parameters, &mut y)?;
    }
    Ok(y)
}

/// The class of fine voxels that kernel positions `tap`, `tap + stride`, .. reach, along one axis.
struct Along {
    /// The first fine voxel of the class.
    first: usize,
    /// Its fine voxels.
    results: usize,
    /// Its kernel positions.
    taps: usize,
    /// The coarse voxel that reaches the first fine voxel through the first position.
    origin: isize,
}

impl Along {
    fn new(g: &Geometry, axis: usize, tap: usize) -> Self {
        let (stride, padding) = (g.stride[axis] as isize, g.padding[axis] as isize);
        let first = (tap as isize - padding).rem_euclid(stride);
        Self {
            first: first as usize,
            results: g.fine[axis].saturating_sub(first as usize).div_ceil(g.stride[axis]),
            taps: g.kernel[axis].saturating_sub(tap).div_ceil(g.stride[axis]),
            origin: (first + padding - tap as isize) / stride,
        }
    }
}

impl Pass {
    /// From the fine grid to all results of the coarse one.
    fn to_coarse(g: &Geometry, fine: &Sources, parameters: &Parameters) -> Result<Self> {
        let [of_fine, of_coarse] = parameters.order.steps(g);
        Ok(Self {
            input: all(g.fine)?,
            output: all(g.coarse)?,
            grid: all(g.coarse)?,
            taps: all(g.kernel)?,
            step: all(g.stride)?,
            origin: g.padding.map(|padding| -(padding as i32)),
            sign: 1,
            first: [0; 3],
            spread: [1; 3],
            tap_first: [0; 3],
            tap_step: [1; 3],
            results: whole(g.coarse_channels)?,
            weight_of_input: whole(of_fine)?,
            weight_of_result: whole(of_coarse)?,
            ..Self::shared(g, fine, parameters, g.fine_channels)?
        })
    }

    /// What both directions share; the rest is to be set.
    fn shared(g: &Geometry, sources: &Sources, parameters: &Parameters, channels: usize) -> Result<Self> {
        if sources.a.dtype() != parameters.weight.dtype() {
            bail!("conv3d: the input is {:?}, the weight {:?}", sources.a.dtype(), parameters.weight.dtype());
        }
        let b_channels = channels - sources.a_channels;
        if (b_channels > 0) != sources.b.is_some() {
            bail!("conv3d: {b_channels} channels of a second input, which is there: {}", sources.b.is_some());
        }
        Ok(Self {
            kernel: all(g.kernel)?,
            a_channels: whole(sources.a_channels)?,
            b_channels: whole(b_channels)?,
            weight_of_tap: whole(g.fine_channels * g.coarse_channels)?,
            weight_of_sample: whole(parameters.of_sample[0])?,
            bias_of_sample: whole(parameters.of_sample[1])?,
            ..Self::default()
        })
    }
}

/// One pass over so many samples, and what it reads.
#[derive(Clone, Copy)]
struct Work<'a> {
    device: &'a CudaDevice,
    samples: usize,
    pass: &'a Pass,
    sources: Sources<'a>,
    parameters: Parameters<'a>,
}

impl Work<'_> {
    /// Results of a sample, channels not counted.
    fn rows(&self) -> usize {
        self.pass.grid.iter().map(|&size| size as usize).product()
    }

    /// Products of a sample that are summed.
    fn products(&self) -> u64 {
        let Pass { taps, a_channels, b_channels, results, .. } = *self.pass;
        let of_result = taps.iter().map(|&taps| taps as u64).product::<u64>() * (a_channels + b_channels) as u64;
        self.rows() as u64 * of_result * results as u64
    }

    /// Starts a kernel whose blocks have so many rows and columns.
    fn launch(&self, (kernel, rows, columns, size): &Chosen, y: &mut Output) -> Result<()> {
        let Self { pass, sources, parameters, .. } = *self;
        let blocks = [self.rows().div_ceil(*rows), (pass.results as usize).div_ceil(*columns), self.samples];
        let launch = kernel.launch().input(sources.a).optional(sources.b).input(parameters.weight);
        launch.optional(parameters.bias).output(y).value(pass).run(Size { blocks, ..*size })
    }
}

/// A kernel, the results and channels of its blocks, and their threads and shared memory.
type Chosen = (Arc<Kernel>, usize, usize, Size);

fn convolve(
    device: &CudaDevice,
    samples: usize,
    pass: &Pass,
    sources: Sources,
    parameters: Parameters,
    y: &mut Output,
) -> Result<()> {
    let work = Work { device, samples, pass, sources, parameters };
    if tensor::fits(pass, &sources, parameters.weight) {
        return candidates::convolve(&work, y);
    }
    let [rows, columns] = if pass.results > 16 { [64, 64] } else { [128, 16] };
    let name = sources.a.kernel(&format!("convolve_{rows}x{columns}"));
    let kernel = Kernel::of(device, &embedded::CONV3D, &name)?;
    work.launch(&(kernel, rows, columns, Size::of_blocks([1; 3], THREADS)), y)
}

/// See [`super::reference::weight_gradient`]; of the weight's type.
pub(crate) fn weight_gradient(
    device: &CudaDevice,
    g: &Geometry,
    fine: Sources,
    coarse: &Values,
    order: WeightOrder,
) -> Result<Output> {
    let count = g.taps() * g.fine_channels * g.coarse_channels;
    let voxels = g.batch * g.coarse.iter().product::<usize>();
    let (kernel, rows, columns, size) = if tensor::gradient_fits(g, &fine, coarse) {
        tensor::gradient_kernel(device, g, coarse.dtype())?
    } else {
        let kernel = Kernel::of(device, &embedded::CONV3D, &coarse.kernel("weight_gradient"))?;
        (kernel, GRADIENT_BLOCK, GRADIENT_BLOCK, Size::of_blocks([1; 3], THREADS))
    };
    let (rows, columns) = ((g.taps() * g.fine_channels).div_ceil(rows), g.coarse_channels.div_ceil(columns));
    let parts = BLOCKS.div_ceil(rows * columns).min(voxels.div_ceil(512)).min((PARTS_FLOATS / count).max(1));
    let span = voxels.div_ceil(parts);
    let parts = voxels.div_ceil(span);
    let numbers = Gradient {
        batch: whole(g.batch)?,
        fine: all(g.fine)?,
        coarse: all(g.coarse)?,
        kernel: all(g.kernel)?,
        stride: all(g.stride)?,
        padding: all(g.padding)?,
        a_channels: whole(fine.a_channels)?,
        b_channels: whole(g.fine_channels - fine.a_channels)?,
        coarse_channels: whole(g.coarse_channels)?,
        span: whole(span)?,
        coarse_first: (order == WeightOrder::CoarseFine).into(),
    };
    let mut partial = Output::new(device, DType::F32, parts * count)?;
    kernel
        .launch()
        .input(fine.a)
        .optional(fine.b)
        .input(coarse)
        .output(&mut partial)
        .value(&numbers)
        .run(Size { blocks: [rows, columns, parts], ..size })?;
    sum_parts(device, &partial, parts, count, coarse.dtype())
}

fn all(sizes: [usize; 3]) -> Result<[i32; 3]> {
    Ok([whole(sizes[0])?, whole(sizes[1])?, whole(sizes[2])?])
}
