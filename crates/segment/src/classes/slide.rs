//! The sliding window: every network over every window, one mean.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use half::f16;
use pulmoav_task::Monitor;

use super::card::{self, OnCard};
use super::error::ClassError;
use super::gaussian::gaussian;
use super::network::{WindowNetwork, mirrored_logits};
use super::prepare::Prepared;
use super::run::ClassRequest;
use super::sums::{Sums, add_fold, divide_folds};
use super::windows::Windows;
use crate::card::CardMemory;
use crate::error::SegmentError;

/// The logits of a prepared scan, the mean over the request's networks, and what a card had and took. Networks on
/// different cards work side by side.
///
/// # Shapes
/// `prepared.image` `[z, y, x, c]` → `[z, y, x, o]`.
///
/// # Errors
/// What a network returns; [`ClassError::Overflow`], [`ClassError::Answer`]; `CANCELLED`, looked at before each window.
pub(super) fn logits(
    request: &ClassRequest<'_>,
    prepared: &Prepared,
    windows: &Windows,
    monitor: &dyn Monitor,
) -> Result<(Vec<f16>, Option<CardMemory>), SegmentError> {
    let gaussian = gaussian(windows.patch);
    let total = (windows.count() * request.networks.len()) as u64;
    let slide = Slide { request, prepared, windows, gaussian: &gaussian, monitor, done: AtomicU64::new(0), total };
    let (mut mean, mut memory): (Option<Vec<f16>>, _) = (None, None);
    // As many folds at a time as there are cards: they were dealt out in turn.
    for some in request.networks.chunks(cards(request.networks)) {
        for found in slide.side_by_side(some) {
            let (fold, card) = found?;
            memory = memory.or(card);
            match &mut mean {
                None => mean = Some(fold),
                Some(mean) => add_fold(mean, &fold),
            }
        }
    }
    monitor.report("network", total, total);
    let mut mean = mean.ok_or(ClassError::Answer { expected: 1, found: 0 })?;
    if request.networks.len() > 1 {
        divide_folds(&mut mean, request.networks.len());
    }
    Ok((mean, memory))
}

/// How many cards the networks are on; 1 for the CPU.
fn cards(networks: &[Box<dyn WindowNetwork>]) -> usize {
    let mut seen = Vec::new();
    for card in networks.iter().filter_map(|network| network.on_card()) {
        let location = card.device().location();
        if !seen.contains(&location) {
            seen.push(location);
        }
    }
    seen.len().max(1)
}

/// A scan's windows, and how far its networks are.
struct Slide<'a> {
    request: &'a ClassRequest<'a>,
    prepared: &'a Prepared,
    windows: &'a Windows,
    gaussian: &'a [f16],
    monitor: &'a dyn Monitor,
    /// Windows shown so far, and of all networks.
    done: AtomicU64,
    total: u64,
}

/// One network's logits, and what its card had and took.
type Fold = Result<(Vec<f16>, Option<CardMemory>), SegmentError>;

impl Slide<'_> {
    /// The answers of networks, each of which has a device of its own.
    fn side_by_side(&self, networks: &[Box<dyn WindowNetwork>]) -> Vec<Fold> {
        if let [only] = networks {
            return vec![self.network(only.as_ref())];
        }
        thread::scope(|scope| {
            let mut started = Vec::with_capacity(networks.len());
            for network in networks {
                started.push(scope.spawn(move || self.network(network.as_ref())));
            }
            started.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        })
    }

    /// The axes along which windows are mirrored.
    fn axes(&self) -> &[usize] {
        if self.request.mirror { &self.request.plan.mirror_axes } else { &[] }
    }

    /// Goes on with so many windows more.
    fn proceed(&self, windows: u64) -> Result<(), SegmentError> {
        self.monitor.proceed()?;
        self.monitor.report("network", self.done.fetch_add(windows, Ordering::Relaxed), self.total);
        Ok(())
    }

    /// One network's logits: summed on its card where that has the room, else here.
    fn network(&self, network: &dyn WindowNetwork) -> Fold {
        if let Some(card) = network.on_card() {
            let on_card = OnCard {
                network: card,
                of: &self.request.plan.network,
                windows: self.windows,
                gaussian: self.gaussian,
                turns: card::turns(self.axes()),
                outputs: network.outputs(),
            };
            let memory = on_card.memory(network.channels());
            if let Some(memory) = memory.filter(|memory| memory.batch > 0) {
                let shown = AtomicU64::new(0);
                let found = on_card.run(&self.prepared.image, memory.batch, |windows| {
                    shown.fetch_add(windows, Ordering::Relaxed);
                    self.proceed(windows)
                });
                match found {
                    Err(error) if error.is_out_of_memory() => {
                        self.done.fetch_sub(shown.into_inner(), Ordering::Relaxed);
                    }
                    other => return Ok((other?, Some(memory))),
                }
            }
        }
        Ok((self.on_host(network)?, None))
    }

    fn on_host(&self, network: &dyn WindowNetwork) -> Result<Vec<f16>, SegmentError> {
        let (channels, outputs) = (network.channels(), network.outputs());
        let mut sums = Sums::new(self.windows, self.gaussian, outputs);
        for start in self.windows.places() {
            self.proceed(1)?;
            let window = self.windows.cut(&self.prepared.image, channels, start);
            sums.add(&mirrored_logits(network, window, self.windows.patch, self.axes())?, start);
        }
        Ok(sums.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::VoxelBox;
    use pulmoav_volume::{Affine, Grid};

    use super::*;
    use crate::classes::fixture::{FakeNetwork, golden, plan};
    use crate::classes::frame::Frame;
    use crate::classes::network::WindowNetwork;

    /// An image as if it were prepared.
    fn prepared(image: Vec<f32>, shape: [usize; 3]) -> Prepared {
        let grid = Grid { shape, spacing_mm: [2.0; 3], affine: Affine::from_spacing([2.0; 3]) };
        let frame = Frame::of(&grid, &plan()).unwrap();
        Prepared { image, shape, part: VoxelBox::whole(shape), frame }
    }

    fn fakes(offsets: &[f32]) -> Vec<Box<dyn WindowNetwork>> {
        let fake = |&offset: &f32| Box::new(FakeNetwork { channels: 2, outputs: 3, offset }) as Box<dyn WindowNetwork>;
        offsets.iter().map(fake).collect()
    }

    /// Expected values: nnunetv2's predictor, made by `crates/testing/goldens/classes.py`.
    #[test]
    fn sums_and_folds_round_as_nnunets() {
        for case in golden()["slides"].as_array().unwrap() {
            let numbers = |name: &str| -> Vec<f32> { serde_json::from_value(case[name].clone()).unwrap() };
            let shape: [usize; 3] = serde_json::from_value(case["shape"].clone()).unwrap();
            let mirror_axes: Vec<usize> = serde_json::from_value(case["mirror"].clone()).unwrap();
            let bits: Vec<u16> = serde_json::from_value(case["bits"].clone()).unwrap();
            let plan = pulmoav_plan::ClassPlan { mirror_axes, ..plan() };
            let step = case["step"].as_f64().unwrap();
            let networks = fakes(&numbers("offsets"));
            let request = ClassRequest { plan: &plan, networks: &networks, step, mirror: true, probabilities: false };
            let windows = Windows::new(shape, plan.patch, step);
            let prepared = prepared(numbers("image"), shape);
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (found, _) = pool.install(|| logits(&request, &prepared, &windows, &Silent).unwrap());
                let found: Vec<u16> = found.into_iter().map(f16::to_bits).collect();
                assert_eq!(found, bits, "{shape:?}, mirrored along {:?}", plan.mirror_axes);
            }
        }
    }

    #[test]
    fn sums_beyond_f16_are_an_error() {
        let plan = plan();
        let networks = fakes(&[60_000.0]);
        let request = ClassRequest { plan: &plan, networks: &networks, step: 0.5, mirror: false, probabilities: false };
        let shape = [12, 8, 8];
        let prepared = prepared(vec![0.0; 768 * 2], shape);
        let error = logits(&request, &prepared, &Windows::new(shape, [8; 3], 0.5), &Silent).unwrap_err();
        assert_eq!(error.code(), "ERR_MODEL");
        assert!(error.to_string().contains("infinite"), "{error}");
    }
}
