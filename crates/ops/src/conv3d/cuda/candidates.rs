//! Kernels that can do the same pass on tensor cores, and which of them does: the one that `PULMOAV_CUDA_CONV` names, or
//! the one that won the race of its class of shapes.

use std::collections::HashMap;
use std::env;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use candle_core::{Result, bail};

use super::race::{Outcome, Unfit, is_recorded, race};
use super::{Work, cudnn, tensor, wgmma};
use crate::cuda::Output;

/// Names the kernel that passes get where it can do them; `race` has all of them raced, small ones too.
pub(super) const SWITCH: &str = "PULMOAV_CUDA_CONV";
/// Products of a sample from which on a race is worth it.
const MIN_PRODUCTS: u64 = 1 << 28;

/// Races of a class that may show nothing; then the first is taken.
const MAX_OPEN: u32 = 8;

/// A way to do a pass that fits tensor cores.
pub(super) struct Candidate {
    pub(super) name: &'static str,
    pub(super) fits: fn(&Work) -> Result<bool>,
    pub(super) convolve: fn(&Work, &mut Output) -> Result<()>,
}

/// What every card can, and what others are held against, comes first.
static CANDIDATES: [Candidate; 3] = [
    Candidate { name: "mma", fits: |_| Ok(true), convolve: tensor::convolve },
    Candidate { name: "wgmma", fits: wgmma::fits, convolve: wgmma::convolve },
    Candidate { name: "cudnn", fits: |work| Ok(cudnn::fits(work)), convolve: cudnn::convolve },
];

/// Does a pass that fits tensor cores.
pub(super) fn convolve(work: &Work, y: &mut Output) -> Result<()> {
    let first = &CANDIDATES[0];
    let least = match asked()? {
        Asked::For(candidate) => {
            let candidate = if (candidate.fits)(work)? { candidate } else { first };
            return (candidate.convolve)(work, y);
        }
        Asked::Race(least) => least,
    };
    if work.products() < least {
        return (first.convolve)(work, y);
    }
    let mut others = vec![];
    for candidate in &CANDIDATES[1..] {
        if (candidate.fits)(work)? {
            others.push(candidate);
        }
    }
    if others.is_empty() {
        return (first.convolve)(work, y);
    }
    raced(work, y, first, others)
}

/// Does a pass by the winner of its class, and has it raced where there is none yet.
fn raced(work: &Work, y: &mut Output, first: &'static Candidate, mut others: Vec<&'static Candidate>) -> Result<()> {
    let (card, class) = (work.device.cuda_stream().context().ordinal(), Class::of(work));
    let known = {
        let results = results();
        others.retain(|other| !results.distrusted.contains(&(card, other.name)));
        if others.is_empty() { Some(first) } else { results.winners.get(&(card, class)).copied() }
    };
    if let Some(winner) = known {
        return (winner.convolve)(work, y);
    }
    if is_recorded(work.device)? {
        return (first.convolve)(work, y);
    }
    let (outcome, unfit) = race(work, y, first, &others)?;
    let mut results = results();
    let winner = match outcome {
        Outcome::Decided(winner) => Some(winner),
        Outcome::Open => {
            let open = results.open.entry((card, class)).or_default();
            *open += 1;
            (*open == MAX_OPEN).then_some(first)
        }
    };
    if let Some(winner) = winner {
        results.winners.insert((card, class), winner);
    }
    for Unfit { candidate, why } in unfit {
        results.distrust(card, candidate, &format!("{why}, for {class:?}"));
    }
    Ok(())
}

enum Asked {
    For(&'static Candidate),
    /// Of passes with so many products a sample and more.
    Race(u64),
}

fn asked() -> Result<Asked> {
    let Ok(name) = env::var(SWITCH) else { return Ok(Asked::Race(MIN_PRODUCTS)) };
    if name == "race" {
        return Ok(Asked::Race(0));
    }
    match CANDIDATES.iter().find(|candidate| candidate.name == name) {
        Some(candidate) => Ok(Asked::For(candidate)),
        None => bail!("{SWITCH}={name} names no kernel: it is mma, wgmma, cudnn or race"),
    }
}

/// Passes that are taken to be alike: what decides how fast a kernel is, but for how many samples there are, on which
/// results are not to depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Class {
    channels: [i32; 2],
    results: i32,
    taps: [i32; 3],
    step: [i32; 3],
    /// Whether the weight's inputs are neighbours, and whether each sample has its own.
    weight: [bool; 2],
    /// The power of two of a sample's results, channels not counted.
    log2_rows: u32,
}

impl Class {
    fn of(work: &Work) -> Self {
        let pass = work.pass;
        Self {
            channels: [pass.a_channels, pass.b_channels],
            results: pass.results,
            taps: pass.taps,
            step: pass.step,
            weight: [pass.weight_of_input == 1, pass.weight_of_sample != 0],
            log2_rows: work.rows().max(1).ilog2(),
        }
    }
}

/// What races have shown in this process.
#[derive(Default)]
struct Results {
    winners: HashMap<(usize, Class), &'static Candidate>,
    /// How many races of a class showed nothing.
    open: HashMap<(usize, Class), u32>,
    /// Those that were unfit once, on which card.
    distrusted: Vec<(usize, &'static str)>,
    /// What nobody has been told yet.
    unsaid: Vec<String>,
}

impl Results {
    /// Takes a candidate out of use on a card.
    fn distrust(&mut self, card: usize, candidate: &Candidate, why: &str) {
        if self.distrusted.contains(&(card, candidate.name)) {
            return;
        }
        self.distrusted.push((card, candidate.name));
        self.winners.retain(|(of, _), winner| *of != card || winner.name != candidate.name);
        let Candidate { name, .. } = candidate;
        self.unsaid.push(format!("cuda:{card}: the {name} kernel of convolutions is used no more: {why}"));
    }
}

fn results() -> MutexGuard<'static, Results> {
    static RESULTS: LazyLock<Mutex<Results>> = LazyLock::new(Mutex::default);
    RESULTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was found unfit since this was last asked.
pub(crate) fn wrong_kernels() -> Vec<String> {
    std::mem::take(&mut results().unsaid)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Tensor};

    use super::super::super::geometry::{Geometry, WeightOrder};
    use super::super::{Parameters, Pass, Sources, to_coarse};
    use super::*;
    use crate::cuda::Operand;
    use crate::device::{Choice, Device, choose, to_host};

    /// As the first, with results from one input further on.
    static SHIFTED: Candidate = Candidate {
        name: "shifted",
        fits: |_| Ok(true),
        convolve: |work, y| {
            let mut pass = *work.pass;
            pass.origin[2] += 1;
            tensor::convolve(&Work { pass: &pass, ..*work }, y)
        },
    };
    /// As the first, to the bit.
    static SAME: Candidate = Candidate { name: "same", fits: |_| Ok(true), convolve: tensor::convolve };
    /// Which leaves its result as it is.
    static IDLE: Candidate = Candidate { name: "idle", fits: |_| Ok(true), convolve: |_, _| Ok(()) };
    /// Which no card can launch.
    static BROKEN: Candidate =
        Candidate { name: "broken", fits: |_| Ok(true), convolve: |_, _| bail!("an illegal instruction") };

    /// A card, or none: `PULMOAV_CARD=required` makes that a failure.
    fn card() -> Option<Device> {
        let found = choose(Choice::Cuda(0));
        assert!(found.is_ok() || env::var("PULMOAV_CARD").is_err(), "a card is required: {:?}", found.err());
        found.ok().map(|found| found.device)
    }

    /// A convolution of 16 to so many channels of an input, done by `convolve`; the result.
    fn run(input: &Tensor, results: usize, convolve: impl Fn(&Work, &mut Output) -> Result<()>) -> Result<Vec<f32>> {
        let device = input.device();
        let of = |count: usize| (0..count).map(|i| (i * 7 % 11) as f32 / 8.0 - 0.6).collect::<Vec<_>>();
        let weight = Tensor::from_vec(of(27 * 16 * results), (3, 3, 3, 16, results), device)?.to_dtype(DType::BF16)?;
        let geometry = Geometry::convolution(input, &weight, [1; 3], [1; 3])?;
        let (input, weight) = (Operand::new(input), Operand::new(&weight));
        let (x, weight) = (input.values()?, weight.values()?);
        let parameters = Parameters { weight: &weight, order: WeightOrder::FineCoarse, bias: None, of_sample: [0; 2] };
        let sources = Sources { a: &x, b: None, a_channels: 16 };
        let card = input.device()?;
        let pass = Pass::to_coarse(&geometry, &sources, &parameters)?;
        let work = Work { device: card, samples: geometry.batch, pass: &pass, sources, parameters };
        let mut y = Output::new(card, DType::BF16, geometry.coarse_shape().iter().product())?;
        convolve(&work, &mut y)?;
        let plain =
            to_coarse(card, &geometry, sources, parameters)?.into_tensor(card, geometry.coarse_shape().as_slice());
        let y = y.into_tensor(card, geometry.coarse_shape().as_slice());
        assert_eq!(host(&y), host(&plain));
        Ok(host(&y))
    }

    fn host(tensor: &Tensor) -> Vec<f32> {
        to_host(&tensor.to_dtype(DType::F32).unwrap()).unwrap()
    }

    fn input(device: &Device, value: impl Fn(usize) -> f32) -> Tensor {
        let values: Vec<f32> = (0..5 * 6 * 7 * 16).map(value).collect();
        Tensor::from_vec(values, (1, 5, 6, 7, 16), device).unwrap().to_dtype(DType::BF16).unwrap()
    }

    fn varied(i: usize) -> f32 {
        (i * 5 % 13) as f32 / 4.0 - 1.5
    }

    fn is_decided(results_of: i32) -> Option<&'static str> {
        let results = results();
        let mut found = results.winners.iter().filter(|((_, class), _)| class.results == results_of);
        found.next().map(|(_, winner)| winner.name)
    }

    #[test]
    fn a_card_takes_no_kernel_that_was_wrong() {
        let Some(device) = card() else { return };
        let x = input(&device, varied);
        let by = |others: &[&'static Candidate]| {
            let others = others.to_vec();
            move |work: &Work, y: &mut Output| raced(work, y, &CANDIDATES[0], others.clone())
        };
        run(&x, 40, by(&[&SHIFTED])).unwrap();
        assert_eq!(is_decided(40), Some("mma"));
        let said = wrong_kernels();
        assert!(said.len() == 1 && said[0].contains("shifted") && said[0].contains("differ by up to"), "{said:?}");
        // Once is enough: it is not raced again, nor told again.
        run(&x, 48, by(&[&SHIFTED])).unwrap();
        assert_eq!((is_decided(48), wrong_kernels()), (None, vec![]));
        // Others are.
        run(&x, 56, by(&[&SHIFTED, &SAME])).unwrap();
        assert!(is_decided(56).is_some());
        assert_eq!(wrong_kernels(), Vec::<String>::new());
        run(&x, 64, by(&[&IDLE])).unwrap();
        assert_eq!(is_decided(64), Some("mma"));
        assert_eq!(wrong_kernels().len(), 1);
        run(&x, 64, by(&[&IDLE])).unwrap();
        run(&x, 88, by(&[&BROKEN])).unwrap();
        let said = wrong_kernels();
        assert!(
            said.len() == 1 && said[0].contains("broken") && said[0].contains("an illegal instruction"),
            "{said:?}"
        );
    }

    #[test]
    fn a_card_decides_nothing_by_an_empty_input() {
        let Some(device) = card() else { return };
        let by = |work: &Work, y: &mut Output| raced(work, y, &CANDIDATES[0], vec![&SAME]);
        for _ in 0..2 {
            run(&input(&device, |_| 0.0), 72, by).unwrap();
            assert_eq!(is_decided(72), None);
        }
        run(&input(&device, varied), 72, by).unwrap();
        assert!(is_decided(72).is_some());
        // Nor for ever.
        for _ in 0..MAX_OPEN {
            run(&input(&device, |_| 0.0), 80, by).unwrap();
        }
        assert_eq!(is_decided(80), Some("mma"));
    }
}
