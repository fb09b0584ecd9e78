//! One step's input: sampled, augmented, windowed. A pure function of seed, step and the sampling weights.

use pulmoav_plan::{Channel, Plan};
use pulmoav_random::{Philox, Stream};
use pulmoav_segment::prepare::windowed;

use crate::{
    augment::Randoms,
    cache::CachedCase,
    case::Annotated,
    code::{IGNORE_BIT, SUPERVISED_BIT, TargetTable},
    config::{StepConfig, Unannotated},
    error::TrainError,
    loss::TargetGrid,
    patch::Patch,
    places::{Kind, Listed},
    sampler::{Draw, Drawn, Sampling, SamplingWeights},
};

/// How often a patch is drawn at most: in a half-labelled case it may lie in the other lung.
const DRAWS: usize = 8;

/// What the network is shown, and what the reference says to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[n, d, h, w, c]`, row-major.
    pub image: Vec<f32>,
    /// Its shape.
    pub shape: [usize; 5],
    /// Targets at each supervised scale, finest first; none where a card makes them.
    pub targets: Vec<TargetGrid>,
    /// The codes of each patch and what they say of the targets, where a card makes these.
    pub codes: Vec<(Vec<u8>, TargetTable)>,
    /// What each patch was drawn for.
    pub draws: Vec<Draw>,
    /// What a teacher sees, where it has something to say.
    pub view: Option<View>,
}

/// The patches of a batch before their values were augmented.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// `[n, d, h, w, c]`, row-major.
    pub image: Vec<f32>,
    /// Its shape.
    pub shape: [usize; 5],
    /// What is known of each patch.
    pub samples: Vec<ViewSample>,
}

/// What is known of a patch that a teacher sees.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSample {
    /// One [`crate::code`] byte a voxel.
    pub codes: Vec<u8>,
    /// What of its case is annotated.
    pub annotated: Annotated,
    /// What the teacher's codes say of the targets.
    pub table: TargetTable,
}

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
    patch: Patch,
    case: &'a TrainingCase,
    draw: Draw,
    /// Channels and codes before values were augmented; only with a teacher.
    plain: Option<(Vec<f32>, Vec<u8>)>,
}

impl BatchMaker {
    /// `scales` is how many scales the network supervises.
    pub fn new(plan: Plan, config: StepConfig, scales: usize, cases: Vec<TrainingCase>) -> Self {
        Self { config, plan, scales, cases, for_card: false }
    }

    /// Whether a card makes the targets.
    #[must_use]
    pub fn for_card(self, for_card: bool) -> Self {
        Self { for_card, ..self }
    }

    /// The batch of a step.
    ///
    /// # Errors
    /// What reading a case gives, [`Sampling::draw`](crate::sampler::Sampling::draw).
    pub fn make(&self, step: u64, weights: &SamplingWeights) -> Result<Batch, TrainError> {
        let samples: Vec<Sample<'_>> =
            (0..self.config.batch).map(|sample| self.sample(step, sample as u32, weights)).collect::<Result<_, _>>()?;
        let [d, h, w] = self.plan.patch;
        let shape = [samples.len(), d, h, w, self.plan.channels.len()];
        let mut image = Vec::with_capacity(shape.iter().product());
        for sample in &samples {
            append_channels(&mut image, &sample.patch, &self.plan.channels);
        }
        let draws = samples.iter().map(|sample| sample.draw).collect();
        let (mut targets, mut codes) = (Vec::new(), Vec::new());
        if self.for_card {
            codes = samples.iter().map(|sample| (sample.patch.codes.clone(), self.table(sample.case))).collect();
        } else {
            targets = self.targets(&samples);
        }
        Ok(Batch { image, shape, targets, codes, draws, view: self.view(samples, shape) })
    }

    /// What codes of a case say of the targets.
    fn table(&self, case: &TrainingCase) -> TargetTable {
        let everything = Annotated::default();
        let annotated = if self.config.unannotated == Unannotated::Background { &everything } else { &case.annotated };
        TargetTable::new(&self.plan.targets, self.plan.auxiliary(), annotated, case.cached.has_airways())
    }

    fn targets(&self, samples: &[Sample<'_>]) -> Vec<TargetGrid> {
        let codes: Vec<(&[u8], TargetTable)> =
            samples.iter().map(|Sample { patch, case, .. }| (&*patch.codes, self.table(case))).collect();
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
    fn view(&self, samples: Vec<Sample<'_>>, shape: [usize; 5]) -> Option<View> {
        let mut view = View { image: Vec::new(), shape, samples: Vec::new() };
        let mut unknown = false;
        for Sample { case, plain, .. } in samples {
            let (image, codes) = plain?;
            let both = case.annotated.classes.len() == 2;
            unknown |= !both || codes.iter().any(|code| code & (SUPERVISED_BIT | IGNORE_BIT) == 0);
            view.image.extend(image);
            let table = TargetTable::taught(&self.plan.targets, self.plan.auxiliary(), &case.annotated);
            view.samples.push(ViewSample { codes, annotated: case.annotated.clone(), table });
        }
        unknown.then_some(view)
    }

    fn sample(&self, step: u64, sample: u32, weights: &SamplingWeights) -> Result<Sample<'_>, TrainError> {
        let stream = |stream| Philox::new(self.config.seed, step, sample, stream);
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        let warp = self.config.augment.draw_warp(self.plan.patch, self.plan.spacing_mm, random.choice);
        let (mut patch, draw) = self.crop(&mut stream(Stream::Sample), weights)?;
        if let Some(warp) = &warp {
            patch = self.cut(&draw, warp.margin())?;
        }
        self.config.augment.apply_geometry(&mut patch, warp.as_ref(), self.plan.spacing_mm, &mut random);
        let plain = (self.config.unannotated == Unannotated::Teacher).then(|| {
            let mut image = Vec::new();
            append_channels(&mut image, &patch, &self.plan.channels);
            (image, patch.codes.clone())
        });
        self.config.augment.apply_intensity(&mut patch, self.plan.spacing_mm, &mut random);
        Ok(Sample { patch, case: &self.cases[draw.case], draw, plain })
    }

    /// A patch of which the reference knows something, unless it is drawn for what it does not know; after [`DRAWS`]
    /// misses it is taken as it is.
    fn crop(&self, random: &mut Philox, weights: &SamplingWeights) -> Result<(Patch, Draw), TrainError> {
        let teacher = self.config.unannotated == Unannotated::Teacher;
        let sampling = Sampling {
            unannotated: if teacher { self.config.sampling.unannotated } else { 0.0 },
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
    fn cut(&self, draw: &Draw, margin: [usize; 3]) -> Result<Patch, TrainError> {
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
