//! One step's input: sampled, augmented, windowed. A pure function of seed, step and the sampling weights.

use candle_core::{Device, Tensor};
use pulmoav_ops::device::from_host;
use pulmoav_plan::{Channel, Plan};
use pulmoav_random::{Philox, Stream};
use pulmoav_segment::prepare::windowed;

use crate::{
    augment::{Drawn as Changes, Randoms},
    cache::CachedCase,
    card::{CardSample, Cuts},
    case::Annotated,
    code::{IGNORE_BIT, SUPERVISED_BIT, TargetTable},
    config::{StepConfig, Unannotated},
    error::TrainError,
    loss::{DeviceTargets, TargetGrid},
    patch::{Patch, StoredPatch},
    places::{Kind, Listed},
    sampler::{Draw, Drawn, Sampling, SamplingWeights},
};

/// How often a patch is drawn at most: in a half-labelled case it may lie in the other lung.
const DRAWS: usize = 8;

/// What the network is shown, and what the reference says to it.
#[derive(Debug)]
pub struct Batch {
    /// f32 `[n, d, h, w, c]`, beside the network.
    pub image: Tensor,
    /// What the reference says.
    pub targets: BatchTargets,
    /// What each patch was drawn for.
    pub draws: Vec<Draw>,
    /// What a teacher sees, where it has something to say.
    pub view: Option<View>,
}

/// Targets at each supervised scale, finest first.
#[derive(Debug)]
pub enum BatchTargets {
    /// For losses on the host.
    Host(Vec<TargetGrid>),
    /// For those on a card.
    Card(Vec<DeviceTargets>),
}

/// The patches of a batch before their values were augmented.
#[derive(Debug)]
pub struct View {
    /// f32 `[n, d, h, w, c]`, beside the network.
    pub image: Tensor,
    /// One [`crate::code`] byte a voxel, u8 `[n, d, h, w]`, beside the network.
    pub codes: Tensor,
    /// What is known of each patch.
    pub samples: Vec<ViewSample>,
}

/// What is known of a patch that a teacher sees.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSample {
    /// What of its case is annotated.
    pub annotated: Annotated,
    /// What the teacher's codes say of the targets.
    pub table: TargetTable,
}

impl ViewSample {
    /// Whether both classes were annotated, so that the codes alone say what nobody knows.
    pub fn knows_both(&self) -> bool {
        self.annotated.classes.len() == 2
    }
}

/// A batch as the host leaves it.
#[derive(Debug)]
pub enum Made {
    /// Nothing is left to do.
    Batch(Batch),
    /// A card augments the patches.
    Cuts(Cuts),
}

/// Bits of a code, of which a voxel has one where a teacher has nothing to say.
pub(crate) const SAID_BITS: u8 = SUPERVISED_BIT | IGNORE_BIT;

/// A case that can be learnt from.
#[derive(Debug)]
pub struct TrainingCase {
    /// Its voxels.
    pub cached: CachedCase,
    /// What of it is annotated.
    pub annotated: Annotated,
}

/// Makes batches.
#[derive(Debug)]
pub struct BatchMaker {
    config: StepConfig,
    plan: Plan,
    scales: usize,
    cases: Vec<TrainingCase>,
    for_card: bool,
}

/// A patch on its way into a batch.
struct Sample<'a> {
    cut: StoredPatch,
    changes: Changes,
    case: &'a TrainingCase,
    draw: Draw,
}

/// A patch whose voxels were changed.
struct Augmented {
    patch: Patch,
    /// Channels and codes before values were augmented; only with a teacher.
    plain: Option<(Vec<f32>, Vec<u8>)>,
}

impl BatchMaker {
    /// `scales` is how many scales the network supervises.
    pub fn new(plan: Plan, config: StepConfig, scales: usize, cases: Vec<TrainingCase>) -> Self {
        Self { config, plan, scales, cases, for_card: false }
    }

    /// Whether a card augments the patches.
    #[must_use]
    pub fn for_card(self, for_card: bool) -> Self {
        Self { for_card, ..self }
    }

    /// The batch of a step, as far as the host makes it.
    ///
    /// # Errors
    /// What reading a case gives, [`Sampling::draw`](crate::sampler::Sampling::draw).
    pub fn make(&self, step: u64, weights: &SamplingWeights) -> Result<Made, TrainError> {
        let samples: Vec<Sample<'_>> =
            (0..self.config.batch).map(|sample| self.sample(step, sample as u32, weights)).collect::<Result<_, _>>()?;
        if self.for_card {
            return Ok(Made::Cuts(Cuts::new(samples.into_iter().map(|sample| self.for_a_card(sample)).collect())));
        }
        self.on_host(samples).map(Made::Batch)
    }

    fn on_host(&self, samples: Vec<Sample<'_>>) -> Result<Batch, TrainError> {
        let draws = samples.iter().map(|sample| sample.draw).collect();
        let cases: Vec<&TrainingCase> = samples.iter().map(|sample| sample.case).collect();
        let augmented: Vec<Augmented> = samples.into_iter().map(|sample| self.augmented(sample)).collect();
        let (n, d, h, w, c) = self.shape();
        let mut image = Vec::with_capacity(n * d * h * w * c);
        for sample in &augmented {
            append_channels(&mut image, &sample.patch, &self.plan.channels);
        }
        let targets = BatchTargets::Host(self.targets(&augmented, &cases));
        let image = from_host(image, self.shape(), &Device::Cpu)?;
        Ok(Batch { image, targets, draws, view: self.view(augmented, &cases)? })
    }

    /// `[n, d, h, w, c]`
    fn shape(&self) -> (usize, usize, usize, usize, usize) {
        let [d, h, w] = self.plan.patch;
        (self.config.batch, d, h, w, self.plan.channels.len())
    }

    fn has_teacher(&self) -> bool {
        self.config.unannotated == Unannotated::Teacher
    }

    fn for_a_card(&self, Sample { cut, changes, case, draw }: Sample<'_>) -> CardSample {
        CardSample { cut, changes, draw, table: self.table(case), seen: self.has_teacher().then(|| self.seen(case)) }
    }

    fn augmented(&self, Sample { cut, changes, .. }: Sample<'_>) -> Augmented {
        let mut patch = Patch::from(cut);
        changes.move_voxels(&mut patch);
        let plain = self.has_teacher().then(|| {
            let mut image = Vec::new();
            append_channels(&mut image, &patch, &self.plan.channels);
            (image, patch.codes.clone())
        });
        changes.change_values(&mut patch);
        Augmented { patch, plain }
    }

    /// What codes of a case say of the targets.
    fn table(&self, case: &TrainingCase) -> TargetTable {
        let everything = Annotated::default();
        let annotated = if self.config.unannotated == Unannotated::Background { &everything } else { &case.annotated };
        TargetTable::new(&self.plan.targets, self.plan.auxiliary(), annotated, case.cached.has_airways())
    }

    fn seen(&self, case: &TrainingCase) -> ViewSample {
        let table = TargetTable::taught(&self.plan.targets, self.plan.auxiliary(), &case.annotated);
        ViewSample { annotated: case.annotated.clone(), table }
    }

    fn targets(&self, augmented: &[Augmented], cases: &[&TrainingCase]) -> Vec<TargetGrid> {
        let codes: Vec<(&[u8], TargetTable)> = augmented
            .iter()
            .zip(cases)
            .map(|(Augmented { patch, .. }, case)| (&*patch.codes, self.table(case)))
            .collect();
        let mut finest = TargetGrid::new(self.plan.patch, &codes);
        if self.config.loss.needs_centrelines() {
            finest = finest.with_centrelines(codes.iter().map(|(codes, _)| *codes));
        }
        let mut scales = vec![finest];
        while scales.len() < self.scales {
            scales.push(scales[scales.len() - 1].halved());
        }
        scales
    }

    /// What a teacher sees; `None` where everything in the batch is annotated.
    fn view(&self, augmented: Vec<Augmented>, cases: &[&TrainingCase]) -> Result<Option<View>, TrainError> {
        let (mut image, mut codes) = (Vec::new(), Vec::new());
        for sample in augmented {
            let Some((own_image, own_codes)) = sample.plain else { return Ok(None) };
            image.extend(own_image);
            codes.extend(own_codes);
        }
        let samples: Vec<ViewSample> = cases.iter().map(|case| self.seen(case)).collect();
        if samples.iter().all(ViewSample::knows_both) && codes.iter().all(|code| code & SAID_BITS != 0) {
            return Ok(None);
        }
        let shape = self.shape();
        let (n, d, h, w, _) = shape;
        let image = from_host(image, shape, &Device::Cpu)?;
        Ok(Some(View { image, codes: from_host(codes, (n, d, h, w), &Device::Cpu)?, samples }))
    }

    fn sample(&self, step: u64, sample: u32, weights: &SamplingWeights) -> Result<Sample<'_>, TrainError> {
        let stream = |stream| Philox::new(self.config.seed, step, sample, stream);
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        let changes = self.config.augment.draw(self.plan.patch, self.plan.spacing_mm, &mut random);
        let (mut cut, draw) = self.crop(&mut stream(Stream::Sample), weights)?;
        if changes.leaves_grid() {
            cut = self.cut(&draw, changes.margin())?;
        }
        Ok(Sample { cut, changes, case: &self.cases[draw.case], draw })
    }

    /// A patch of which the reference knows something, unless it is drawn for what it does not know; after [`DRAWS`]
    /// misses it is taken as it is.
    fn crop(&self, random: &mut Philox, weights: &SamplingWeights) -> Result<(StoredPatch, Draw), TrainError> {
        let sampling = Sampling {
            unannotated: if self.has_teacher() { self.config.sampling.unannotated } else { 0.0 },
            ..self.config.sampling
        };
        let mut draws = 1;
        loop {
            let draw = sampling.draw(&self.cases, weights, self.plan.patch, random)?;
            let patch = self.cut(&draw, [0; 3])?;
            if draw.unannotated || draws == DRAWS || patch.codes.iter().any(|code| code & SUPERVISED_BIT != 0) {
                return Ok((patch, draw));
            }
            draws += 1;
        }
    }

    /// The patch that was drawn, with so many voxels around it.
    fn cut(&self, draw: &Draw, margin: [usize; 3]) -> Result<StoredPatch, TrainError> {
        let case = &self.cases[draw.case];
        let background = self.config.unannotated == Unannotated::Background;
        let knows = |part| background || !case.annotated.classes.is_empty() && case.annotated.knows(part);
        let origin = std::array::from_fn(|axis| draw.origin[axis] - margin[axis] as isize);
        let size = std::array::from_fn(|axis| self.plan.patch[axis] + 2 * margin[axis]);
        case.cached.patch(origin, size, knows)
    }
}

impl Listed for TrainingCase {
    fn shape(&self) -> [usize; 3] {
        self.cached.shape()
    }

    fn count(&self, kind: Kind) -> usize {
        self.cached.count(kind)
    }

    fn place(&self, kind: Kind, index: usize) -> Result<[usize; 3], TrainError> {
        self.cached.place(kind, index)
    }
}

impl Drawn for TrainingCase {
    fn annotated(&self) -> &Annotated {
        &self.annotated
    }
}

/// Interleaves the plan's channels, as the network takes them.
fn append_channels(image: &mut Vec<f32>, patch: &Patch, channels: &[Channel]) {
    let start = image.len();
    image.resize(start + patch.len() * channels.len(), 0.0);
    for (channel, kind) in channels.iter().enumerate() {
        let out = image[start..].iter_mut().skip(channel).step_by(channels.len());
        match kind {
            Channel::Window { window_hu } => {
                out.zip(&patch.hu).for_each(|(out, &hu)| *out = windowed(hu, *window_hu));
            }
            Channel::Side => out.zip(&patch.side).for_each(|(out, side)| *out = *side),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use pulmoav_plan::{BodySide, VesselClass};

    use super::*;
    use crate::cache::{tests::example, write};

    /// Two small cases, one of them half-labelled.
    pub(crate) fn training_cases(dir: &Path) -> Vec<TrainingCase> {
        let cases = [("a", vec![BodySide::Left, BodySide::Right]), ("b", vec![BodySide::Right])];
        let open = |(name, sides)| {
            let path = dir.join(format!("{name}.case"));
            if !path.is_file() {
                write(&path, &example([20, 24, 32])).unwrap();
            }
            let annotated = Annotated { sides, classes: vec![VesselClass::Artery, VesselClass::Vein], central: None };
            TrainingCase { cached: CachedCase::open(&path).unwrap(), annotated }
        };
        cases.into_iter().map(open).collect()
    }
}
