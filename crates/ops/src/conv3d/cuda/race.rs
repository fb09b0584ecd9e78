//! A race between candidates: each does the same pass, the first one's result says which are right, and the fastest of
//! those is taken.

use std::time::{Duration, Instant};

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::sys::CUstreamCaptureStatus;
use candle_core::{DType, Error, Result};

use super::Work;
use super::candidates::Candidate;
use crate::cuda::{Kernel, Output, Size, embedded, whole};
use crate::device::is_out_of_memory;

/// Results may differ by a rounding of bf16, and by this share of the largest value: sums in another order.
const SUMS: f32 = 1.0 / 1024.0;
/// Where fewer of the values differ from their neighbours, right and wrong kernels may give the same: the input is empty.
const TELLING: f32 = 1.0 / 8.0;
/// Blocks and threads of the comparison.
const BLOCKS: usize = 512;
const THREADS: usize = 256;
/// Rounds of launches that are timed, of which the faster counts.
const ROUNDS: usize = 2;
const LAUNCHES: u32 = 3;

/// What a race has shown.
pub(super) enum Outcome {
    /// This one is to be taken.
    Decided(&'static Candidate),
    /// Nothing: another convolution may be more telling.
    Open,
}

/// A candidate that is not to be taken again, and why.
pub(super) struct Unfit {
    pub(super) candidate: &'static Candidate,
    pub(super) why: String,
}

/// Whether the device's stream is being recorded, so that nothing can be waited for.
pub(super) fn is_recorded(device: &CudaDevice) -> Result<bool> {
    let status = device.cuda_stream().capture_status().map_err(Error::wrap)?;
    Ok(status != CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
}

/// Races the others against the first. The result is there in any case: that of the one to be taken, or the first one's.
pub(super) fn race(
    work: &Work,
    y: &mut Output,
    first: &'static Candidate,
    others: &[&'static Candidate],
) -> Result<(Outcome, Vec<Unfit>)> {
    (first.convolve)(work, y)?;
    let (mut best, mut fastest, mut unfit) = (first, None, vec![]);
    for &candidate in others {
        // Without room for a second result there is no race. What a candidate leaves out is 0, not what lay there before.
        let Ok(mut second) = Output::zeros(work.device, DType::BF16, y.values().len()) else {
            return Ok((Outcome::Open, unfit));
        };
        let compared = done(work, candidate, &mut second).and_then(|()| compare(work, y, &second));
        match compared {
            Err(error) if is_out_of_memory(&error) => return Ok((Outcome::Open, unfit)),
            // What a card breaks off takes all that was on it along.
            Err(error) if wait(work.device).is_err() => return Err(named(candidate, &error)),
            Err(error) => unfit.push(Unfit { candidate, why: format!("it failed, {error}") }),
            Ok(Verdict::Untelling) => return Ok((Outcome::Open, unfit)),
            Ok(Verdict::Wrong(why)) => unfit.push(Unfit { candidate, why }),
            Ok(Verdict::Right) => {
                let before = match fastest {
                    Some(time) => time,
                    None => timed(work, first, &mut second)?,
                };
                let time = timed(work, candidate, &mut second)?;
                fastest = Some(time.min(before));
                best = if time < before { candidate } else { best };
            }
        }
    }
    if best.name != first.name {
        (best.convolve)(work, y)?;
    }
    Ok((Outcome::Decided(best), unfit))
}

/// Does the pass and waits for it, so that a failure is known to be this candidate's.
fn done(work: &Work, candidate: &Candidate, y: &mut Output) -> Result<()> {
    (candidate.convolve)(work, y)?;
    wait(work.device)
}

fn named(candidate: &Candidate, error: &Error) -> Error {
    let Candidate { name, .. } = candidate;
    Error::msg(format!("cuda: the {name} kernel failed ({error}); {}=mma does without it", super::candidates::SWITCH))
}

fn wait(device: &CudaDevice) -> Result<()> {
    device.cuda_stream().synchronize().map_err(Error::wrap)
}

/// What one pass takes.
fn timed(work: &Work, candidate: &Candidate, y: &mut Output) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        wait(work.device)?;
        let begun = Instant::now();
        for _ in 0..LAUNCHES {
            (candidate.convolve)(work, y)?;
        }
        wait(work.device)?;
        fastest = fastest.min(begun.elapsed() / LAUNCHES);
    }
    Ok(fastest)
}

enum Verdict {
    Right,
    Wrong(String),
    Untelling,
}

fn compare(work: &Work, wanted: &Output, found: &Output) -> Result<Verdict> {
    let count = work.rows() * work.pass.results as usize * work.samples;
    let blocks = count.div_ceil(THREADS).min(BLOCKS);
    let mut parts = Output::new(work.device, DType::F32, blocks * 4)?;
    let (wanted, found, samples) = (wanted.values(), found.values(), whole(work.samples)?);
    let kernel = Kernel::of(work.device, &embedded::CONV3D_RACE, "race_compare")?;
    let launch = kernel.launch().input(&wanted).input(&found).output(&mut parts).value(work.pass).value(&samples);
    launch.run(Size::of_blocks([blocks, 1, 1], THREADS))?;
    let parts = work.device.clone_dtoh(parts.f32_mut()?)?;
    Ok(judged(&parts, count))
}

/// What the parts of a comparison say together, see `race.cu`.
fn judged(parts: &[f32], count: usize) -> Verdict {
    let of = |at: usize| parts.iter().skip(at).step_by(4).copied();
    let (largest, beyond) = (of(0).fold(0.0, f32::max), of(1).fold(0.0, f32::max));
    let (odd, unlike): (f32, f32) = (of(2).sum(), of(3).sum());
    if odd > 0.0 {
        return Verdict::Wrong(format!(
            "of its {count} values, {odd} are finite where they should not be, or not where they should"
        ));
    }
    if beyond > SUMS * largest {
        return Verdict::Wrong(format!("its values differ by up to {beyond}, the largest is {largest}"));
    }
    if unlike < TELLING * count as f32 || largest == 0.0 { Verdict::Untelling } else { Verdict::Right }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_even_where_little_can_be_told() {
        let name = |parts: &[f32]| match judged(parts, 64) {
            Verdict::Right => "right",
            Verdict::Wrong(_) => "wrong",
            Verdict::Untelling => "untelling",
        };
        assert_eq!(name(&[4.0, 0.003, 0.0, 60.0, 1.0, 0.0, 0.0, 2.0]), "right");
        assert_eq!(name(&[1.0, 0.003, 0.0, 60.0, 4.0, 0.0, 0.0, 2.0]), "right");
        assert_eq!(name(&[1.0, 0.003, 0.0, 60.0, 1.0, 0.0, 0.0, 2.0]), "wrong");
        assert_eq!(name(&[4.0, 0.0, 1.0, 60.0]), "wrong");
        assert_eq!(name(&[4.0, 0.0, 0.0, 7.0]), "untelling");
        assert_eq!(name(&[4.0, 4.0, 0.0, 0.0]), "wrong");
        assert_eq!(name(&[0.0, 0.0, 0.0, 64.0]), "untelling");
    }
}
