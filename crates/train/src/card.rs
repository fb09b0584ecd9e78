//! Batches whose patches a card augments: voxels go there as the cache stores them, with what was drawn for them. What
//! comes out has the host's bits, so a run is the same either way.

use candle_core::{Device, Tensor};
use pulmoav_ops::augment::{CardPatch, Channel, any_without};
use pulmoav_plan::{self as plan, Plan};

use crate::{
    augment::{CardTables, Drawn},
    batch::{Batch, BatchTargets, SAID_BITS, View, ViewSample},
    code::TargetTable,
    error::TrainError,
    loss::DeviceTargets,
    patch::StoredPatch,
    sampler::Draw,
};

/// The patches of a batch, as they were cut.
#[derive(Debug)]
pub struct Cuts {
    samples: Vec<CardSample>,
    /// Whether a teacher has something to say; `None` where only the moved voxels will tell.
    is_taught: Option<bool>,
}

/// A patch as it was cut, and what is to happen to it.
#[derive(Debug)]
pub struct CardSample {
    /// With the margin that the changes need.
    pub cut: StoredPatch,
    /// What was drawn for it.
    pub changes: Drawn,
    /// What it was drawn for.
    pub draw: Draw,
    /// What its codes say of the targets.
    pub table: TargetTable,
    /// What a teacher knows of it, where there is one.
    pub seen: Option<ViewSample>,
}

impl Cuts {
    /// Looks at what was cut, as far as that tells what a teacher will see: voxels that stay on their grid keep their
    /// codes.
    pub fn new(samples: Vec<CardSample>) -> Self {
        let is_taught = |sample: &CardSample| match &sample.seen {
            None => Some(false),
            Some(seen) if !seen.knows_both() => Some(true),
            Some(_) if sample.changes.leaves_grid() => None,
            Some(_) => Some(sample.cut.codes.iter().any(|code| code & SAID_BITS == 0)),
        };
        let told: Vec<Option<bool>> = samples.iter().map(is_taught).collect();
        let is_taught = match told.contains(&Some(true)) {
            true => Some(true),
            false if told.contains(&None) => None,
            false => Some(false),
        };
        Self { samples, is_taught }
    }
}

/// Makes batches on a card.
#[derive(Debug)]
pub struct CardBatches {
    card: Device,
    tables: CardTables,
    channels: Vec<Channel>,
    scales: usize,
    /// Whether losses of centrelines apply.
    centrelines: bool,
}

impl CardBatches {
    /// For a network beside the card that supervises so many scales.
    ///
    /// # Errors
    /// A card without room.
    pub fn new(plan: &Plan, scales: usize, centrelines: bool, card: &Device) -> Result<Self, TrainError> {
        let channels = plan.channels.iter().map(|channel| match channel {
            plan::Channel::Window { window_hu: [low, high] } => {
                Channel::Window { low: *low as f32, width: (high - low) as f32 }
            }
            plan::Channel::Side => Channel::Line,
        });
        let channels = channels.collect();
        Ok(Self { card: card.clone(), tables: CardTables::new(card)?, channels, scales, centrelines })
    }

    /// Takes patches to the card and augments them there. Nothing comes back, but for one byte of some voxels where only
    /// that tells whether a teacher has something to say.
    ///
    /// # Errors
    /// A card without room.
    pub fn make(&self, cuts: Cuts) -> Result<Batch, TrainError> {
        let mut patches = Vec::with_capacity(cuts.samples.len());
        for CardSample { cut, changes, .. } in &cuts.samples {
            let mut patch = CardPatch::new(&cut.hu, &cut.side, &cut.codes, cut.shape, &self.card)?;
            changes.move_voxels_on_card(&mut patch, &self.tables)?;
            patches.push(patch);
        }
        let codes = joined(patches.iter().map(|patch| patch.codes().unsqueeze(0)))?;
        let is_taught = cuts.is_taught.map_or_else(|| any_without(&codes, SAID_BITS), Ok)?;
        let plain = if is_taught { Some(self.channels(&patches)?) } else { None };
        for (CardSample { changes, .. }, patch) in cuts.samples.iter().zip(&mut patches) {
            changes.change_values_on_card(patch, &self.tables)?;
        }
        let (image, seen) = (self.channels(&patches)?, codes.clone());
        // Coarse voxels have coarse labels, which a teacher does not see.
        let codes = joined(patches.iter().map(|patch| patch.codes().unsqueeze(0)))?;
        let tables: Vec<&TargetTable> = cuts.samples.iter().map(|sample| &sample.table).collect();
        let targets = DeviceTargets::scales(&codes, &tables, self.centrelines, self.scales)?;
        let draws = cuts.samples.iter().map(|sample| sample.draw).collect();
        let view = plain.map(|image| {
            let samples = cuts.samples.into_iter().filter_map(|sample| sample.seen).collect();
            View { image, codes: seen, samples }
        });
        Ok(Batch { image, targets: BatchTargets::Card(targets), draws, view })
    }

    fn channels(&self, patches: &[CardPatch]) -> candle_core::Result<Tensor> {
        joined(patches.iter().map(|patch| patch.channels(&self.channels)))
    }
}

/// Samples of one batch, each with a first axis of 1.
fn joined(samples: impl Iterator<Item = candle_core::Result<Tensor>>) -> candle_core::Result<Tensor> {
    let samples: Vec<Tensor> = samples.collect::<candle_core::Result<_>>()?;
    Tensor::cat(&samples, 0)
}

#[cfg(all(test, feature = "cuda"))]
pub(crate) mod tests {
    use pulmoav_ops::device::{Transfers, to_host, to_host_bytes};
    use pulmoav_ops::loss::ON_LINE;
    use pulmoav_random::{Philox, Stream};
    use serde_json::Value;

    use super::*;
    use crate::augment::{Augment, Randoms};
    use crate::batch::{BatchMaker, Made, tests::training_cases};
    use crate::config::StepConfig;
    use crate::loss::TargetGrid;
    use crate::patch::Patch;
    use crate::sampler::SamplingWeights;

    /// The first card. The environment variable `PULMOAV_CARD=required` turns its absence into a failure.
    pub(crate) fn card() -> Option<Device> {
        let found = std::panic::catch_unwind(|| Device::new_cuda_with_stream(0));
        if let Ok(Ok(card)) = found {
            return Some(card);
        }
        assert!(std::env::var("PULMOAV_CARD").is_err(), "a card is required");
        println!("skipped on a card: there is none");
        None
    }

    fn config() -> StepConfig {
        serde_json::from_str(include_str!("../tests/tiny-step.json")).unwrap()
    }

    /// Settings with which augmentations happen always or never, by their names.
    fn happening(happens: impl Fn(&str) -> bool) -> Augment {
        let mut settings = serde_json::to_value(config().augment).unwrap();
        for (name, of_one) in settings.as_object_mut().unwrap() {
            of_one["probability"] = Value::from(u8::from(happens(name)));
        }
        serde_json::from_value(settings).unwrap()
    }

    /// Every voxel different, with every code.
    fn stored(shape: [usize; 3]) -> StoredPatch {
        let voxels = shape.iter().product::<usize>();
        let mut random = Philox::new(7, shape[2] as u64, 0, Stream::Noise);
        StoredPatch {
            shape,
            hu: (0..voxels).map(|_| random.between(-1100.0, 700.0) as i16).collect(),
            side: (0..shape[2]).map(|x| (x as f32 - 3.3) / 5.7).collect(),
            codes: (0..voxels).map(|_| (random.next_u32() % 128) as u8).collect(),
        }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Asserts that a card makes of a patch what the host does, to the bit.
    fn check(what: &str, augment: &Augment, shape: [usize; 3], step: u64, (card, tables): (&Device, &CardTables)) {
        let stream = |stream| Philox::new(5, step, 1, stream);
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        let drawn = augment.draw(shape, [1.25, 0.8, 0.9], &mut random);
        // Without the margin that is asked for, the border is repeated.
        let margin = if step % 2 == 0 { [0; 3] } else { drawn.margin() };
        let stored = stored(std::array::from_fn(|axis| shape[axis] + 2 * margin[axis]));
        let mut on_card = CardPatch::new(&stored.hu, &stored.side, &stored.codes, stored.shape, card).unwrap();
        let mut on_host = Patch::from(stored);
        for (stage, name) in ["moved", "changed"].into_iter().enumerate() {
            match stage {
                0 => {
                    drawn.move_voxels(&mut on_host);
                    drawn.move_voxels_on_card(&mut on_card, tables).unwrap();
                }
                _ => {
                    drawn.change_values(&mut on_host);
                    drawn.change_values_on_card(&mut on_card, tables).unwrap();
                }
            }
            let what = format!("{what} {name} in step {step}: {drawn:?}");
            assert_eq!(on_card.shape(), on_host.shape, "{what}");
            for (found, expected) in [(on_card.hu(), &on_host.hu), (on_card.side(), &on_host.side)] {
                let found = to_host(found).unwrap();
                let differ = bits(&found).iter().zip(bits(expected)).filter(|(a, b)| **a != *b).count();
                assert_eq!(differ, 0, "{what}");
            }
            assert!(to_host_bytes(on_card.codes()).unwrap() == on_host.codes, "{what}: codes");
        }
    }

    #[test]
    fn a_card_does_each_augmentation_as_the_host_does() {
        let Some(card) = card() else { return };
        let tables = CardTables::new(&card).unwrap();
        let settings = serde_json::to_value(config().augment).unwrap();
        for name in settings.as_object().unwrap().keys() {
            let augment = happening(|other| other == name);
            for (step, shape) in [[8, 10, 10], [7, 9, 11], [8, 10, 10]].into_iter().enumerate() {
                check(name, &augment, shape, step as u64, (&card, &tables));
            }
        }
    }

    #[test]
    fn a_card_does_all_augmentations_in_their_order() {
        let Some(card) = card() else { return };
        let tables = CardTables::new(&card).unwrap();
        for step in 0..3 {
            check("all", &happening(|_| true), [9, 12, 12], step, (&card, &tables));
        }
        // So many voxels that a mean has more parts than a block takes at a time, by more than a warp's.
        check("contrast", &happening(|name| name == "contrast"), [68, 68, 66], 1, (&card, &tables));
    }

    /// Targets as a card keeps them.
    fn bytes(targets: &TargetGrid) -> Vec<u8> {
        let mut bytes = targets.data.clone();
        bytes.iter_mut().zip(&targets.centreline).filter(|(_, on)| **on).for_each(|(byte, _)| *byte = ON_LINE);
        bytes
    }

    #[test]
    fn a_card_makes_the_host_s_batches() {
        let Some(card) = card() else { return };
        let (plan, config): (Plan, _) =
            (serde_json::from_str(include_str!("../tests/tiny-plan.json")).unwrap(), config());
        let lines = config.loss.needs_centrelines();
        let maker = |name: &str| {
            let dir = crate::cache::tests::temporary(&format!("card-{name}"));
            BatchMaker::new(plan.clone(), config.clone(), 2, training_cases(&dir))
        };
        let (host, for_card) = (maker("host"), maker("card").for_card(true));
        let batches = CardBatches::new(&plan, 2, lines, &card).unwrap();
        let values = |tensor: &Tensor| (tensor.dims().to_vec(), bits(&to_host(tensor).unwrap()));
        let mut taught = 0;
        for step in 0..6 {
            let weights = SamplingWeights::default();
            let Made::Batch(expected) = host.make(step, &weights).unwrap() else { panic!("not made") };
            let Made::Cuts(cuts) = for_card.make(step, &weights).unwrap() else { panic!("made") };
            let (before, is_told) = (Transfers::so_far(), cuts.is_taught.is_some());
            let found = batches.make(cuts).unwrap();
            assert_eq!(before.since().downloads, u64::from(!is_told));
            assert_eq!(values(&found.image), values(&expected.image), "step {step}");
            assert_eq!(found.draws, expected.draws);
            let (BatchTargets::Card(targets), BatchTargets::Host(grids)) = (found.targets, expected.targets) else {
                panic!("targets on the wrong side")
            };
            assert_eq!((targets.len(), grids.len()), (2, 2));
            for (found, expected) in targets.iter().zip(&grids) {
                assert!(found.targets.to_host().unwrap() == bytes(expected), "step {step}");
            }
            assert_eq!(found.view.is_some(), expected.view.is_some(), "step {step}");
            taught += usize::from(found.view.is_some());
            for (found, expected) in found.view.iter().zip(&expected.view) {
                assert_eq!(values(&found.image), values(&expected.image), "step {step}");
                let codes = |view: &View| (view.codes.dims().to_vec(), to_host_bytes(&view.codes).unwrap());
                assert!(codes(found) == codes(expected) && found.samples == expected.samples, "step {step}");
            }
        }
        assert!(taught > 0);
    }
}
