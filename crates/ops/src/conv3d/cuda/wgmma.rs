//! How the kernels of `wgmma.cu` are started: bf16 on cards of compute capability 9.0.

use candle_core::{DType, Error, Result};

use super::{Parameters, Pass, Work};
use crate::cuda::{Kernel, Output, Size, embedded, whole};

/// Rows and threads of a block, bytes of a step's depth.
const ROWS: usize = 128;
const THREADS: usize = 256;
const DEPTH_BYTES: usize = 128;
/// Inputs and results of a tile of the weight that is turned.
const TILE: usize = 32;

/// Whether a pass that fits tensor cores can be done so.
pub(super) fn fits(work: &Work) -> Result<bool> {
    if work.sources.a.dtype() != DType::BF16 || work.pass.taps.contains(&0) {
        return Ok(false);
    }
    let capability = work.device.cuda_stream().context().compute_capability().map_err(Error::wrap)?;
    Ok(capability == (9, 0))
}

/// Starts a pass that [fits][fits].
pub(super) fn convolve(work: &Work, y: &mut Output) -> Result<()> {
    if work.pass.weight_of_input == 1 {
        return launch(work, y);
    }
    let (turned, pass) = turn(work)?;
    let weight = turned.values();
    launch(&Work { pass: &pass, parameters: Parameters { weight: &weight, ..work.parameters }, ..*work }, y)
}

fn launch(work: &Work, y: &mut Output) -> Result<()> {
    let columns = if work.pass.results <= 64 { 64 } else { 128 };
    let stages = if columns == 64 { 4 } else { 3 };
    let shared_bytes = stages * (ROWS + columns) * DEPTH_BYTES;
    let kernel = Kernel::of(work.device, &embedded::CONV3D_WGMMA, &format!("wgmma_convolve_{columns}"))?;
    work.launch(&(kernel, ROWS, columns, Size { blocks: [1; 3], threads: THREADS, shared_bytes }), y)
}

/// The weight of the pass's taps with its inputs as neighbours, and the pass that reads it so.
fn turn(work: &Work) -> Result<(Output, Pass)> {
    let Work { device, pass, parameters, .. } = *work;
    let (inputs, results) = ((pass.a_channels + pass.b_channels) as usize, pass.results as usize);
    let taps: usize = pass.taps.iter().map(|&taps| taps as usize).product();
    let (count, is_shared) = (taps * inputs * results, pass.weight_of_sample == 0);
    let samples = if is_shared { 1 } else { work.samples };
    let mut turned = Output::new(device, DType::BF16, samples * count)?;
    let blocks = [inputs.div_ceil(TILE), results.div_ceil(TILE), taps * samples];
    let kernel = Kernel::of(device, &embedded::CONV3D_WGMMA, "wgmma_turn_weight")?;
    let launch = kernel.launch().input(parameters.weight).output(&mut turned).value(pass);
    launch.run(Size::of_blocks(blocks, THREADS))?;
    let pass = Pass {
        kernel: pass.taps,
        tap_first: [0; 3],
        tap_step: [1; 3],
        weight_of_tap: whole(inputs * results)?,
        weight_of_input: 1,
        weight_of_result: whole(inputs)?,
        weight_of_sample: if is_shared { 0 } else { whole(count)? },
        ..*pass
    };
    Ok((turned, pass))
}
