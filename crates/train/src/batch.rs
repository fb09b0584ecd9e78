//! One step's input: sampled, augmented, windowed. A pure function of (seed, step).

use pulmoav_plan::{BodySide, Channel, Plan};
use pulmoav_random::{Philox, Stream};
use pulmoav_segment::prepare::windowed;

use crate::{
    augment::Randoms,
    cache::CachedCase,
    case::Annotated,
    code::{SUPERVISED_BIT, TargetTable},
    config::StepConfig,
    error::TrainError,
    loss::TargetGrid,
    patch::Patch,
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
    /// Targets at each supervised scale, finest first.
    pub targets: Vec<TargetGrid>,
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
}

impl BatchMaker {
    /// `scales` is how many scales the network supervises.
    pub fn new(plan: Plan, config: StepConfig, scales: usize, cases: Vec<TrainingCase>) -> Self {
        Self { config, plan, scales, cases }
    }

    /// The batch of a step.
    pub fn make(&self, step: u64) -> Result<Batch, TrainError> {
        let patches: Vec<(Patch, TargetTable)> =
            (0..self.config.batch).map(|sample| self.sample(step, sample as u32)).collect::<Result<_, _>>()?;
        let [d, h, w] = self.plan.patch;
        let channels = self.plan.channels.len();
        let mut image = Vec::with_capacity(patches.len() * d * h * w * channels);
        for (patch, _) in &patches {
            append_channels(&mut image, patch, &self.plan.channels);
        }
        let codes: Vec<(&[u8], TargetTable)> =
            patches.iter().map(|(patch, table)| (&*patch.codes, table.clone())).collect();
        let mut targets = vec![TargetGrid::new(self.plan.patch, &codes)];
        while targets.len() < self.scales {
            targets.push(targets[targets.len() - 1].halved());
        }
        Ok(Batch { image, shape: [patches.len(), d, h, w, channels], targets })
    }

    fn sample(&self, step: u64, sample: u32) -> Result<(Patch, TargetTable), TrainError> {
        let stream = |stream| Philox::new(self.config.seed, step, sample, stream);
        let (mut patch, case) = self.crop(&mut stream(Stream::Sample))?;
        let mut random = Randoms { choice: &mut stream(Stream::Augment), noise: &mut stream(Stream::Noise) };
        self.config.augment.apply(&mut patch, self.plan.spacing_mm, &mut random);
        Ok((
            patch,
            TargetTable::new(&self.plan.targets, self.plan.auxiliary(), &case.annotated, case.cached.has_airways()),
        ))
    }

    /// A patch of which the reference knows something; after [`DRAWS`] misses it is taken as it is.
    fn crop(&self, random: &mut Philox) -> Result<(Patch, &TrainingCase), TrainError> {
        let mut draws = 1;
        loop {
            let draw = self.config.sampling.draw(&self.cases, self.plan.patch, random)?;
            let case = &self.cases[draw.case];
            let known = [BodySide::Left, BodySide::Right].map(|side| case.annotated.sides.contains(&side));
            let patch = case.cached.patch(draw.origin, self.plan.patch, known)?;
            if draws == DRAWS || patch.codes.iter().any(|code| code & SUPERVISED_BIT != 0) {
                return Ok((patch, case));
            }
            draws += 1;
        }
    }
}

impl crate::sampler::Places for TrainingCase {
    fn shape(&self) -> [usize; 3] {
        self.cached.shape()
    }

    fn count(&self, label: u8) -> usize {
        self.cached.count(label)
    }

    fn place(&self, label: u8, index: usize) -> Result<[usize; 3], TrainError> {
        self.cached.place(label, index)
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
