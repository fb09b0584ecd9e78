//! Kernels that can do the same pass on tensor cores, and which of them does.

use std::env;

use candle_core::{Result, bail};

use super::{Work, tensor, wgmma};
use crate::cuda::Output;

/// Names the kernel that passes get where it can do them.
const SWITCH: &str = "PULMOAV_CUDA_CONV";

/// A way to do a pass that fits tensor cores.
struct Candidate {
    name: &'static str,
    fits: fn(&Work) -> Result<bool>,
    convolve: fn(&Work, &mut Output) -> Result<()>,
}

/// What every card can comes first.
static CANDIDATES: [Candidate; 2] = [
    Candidate { name: "mma", fits: |_| Ok(true), convolve: tensor::convolve },
    Candidate { name: "wgmma", fits: wgmma::fits, convolve: wgmma::convolve },
];

/// Does a pass that fits tensor cores.
pub(super) fn convolve(work: &Work, y: &mut Output) -> Result<()> {
    let candidate = asked()?;
    let candidate = if (candidate.fits)(work)? { candidate } else { &CANDIDATES[0] };
    (candidate.convolve)(work, y)
}

fn asked() -> Result<&'static Candidate> {
    let Ok(name) = env::var(SWITCH) else { return Ok(&CANDIDATES[0]) };
    match CANDIDATES.iter().find(|candidate| candidate.name == name) {
        Some(candidate) => Ok(candidate),
        None => bail!("{SWITCH}={name} names no kernel: it is mma or wgmma"),
    }
}
