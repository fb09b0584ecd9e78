//! A teacher for what nobody annotated: the moving average (EMA) of the weights labels the voxels without a reference,
//! and the network learns from those labels that are sure enough.
//!
//! The teacher sees the patch as it was cut, mirrored and turned; the network sees it augmented in full. With the
//! teacher's probabilities a and v of artery and vein at a voxel,
//!
//! ```text
//! odds of background : artery : vein = (1 − a)(1 − v) : a (1 − v) : v (1 − a)
//! ```
//!
//! give the class and, as shares of their sum, its confidence. The label counts where the confidence reaches the class's
//! threshold. Thresholds come with each step: the loop lets them follow the teacher's own running confidence (Wang et
//! al., "`FreeMatch`: self-adaptive thresholding for semi-supervised learning", ICLR 2023), of which each step reports
//! what it saw, and how far the teacher agrees with the reference where there is one.

use candle_core::{D, Tensor};
use pulmoav_model::{Mode, Network, Parameters};
use pulmoav_ops::concat_channels;
use pulmoav_ops::loss::Targets;
use pulmoav_ops::pseudo::{CLASSES, Counts, Role, Sample, label};
use pulmoav_plan::{Plan, Target, VesselClass};
use serde::{Deserialize, Serialize};

use crate::{
    batch::{View, ViewSample},
    code::{label as value_of, side_bit},
    ema::Ema,
    error::TrainError,
    loss::{DeviceTargets, LossConfig, ScaleLoss, TargetGrid, on_device, supervised},
    range::within,
};

/// How the teacher takes part in a step; decided by the loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeacherSettings {
    /// Weight of what is learnt from the teacher, 0 to 1; the reference has 1.
    pub weight: f64,
    /// Least confidence of background, artery and vein.
    pub thresholds: [f64; CLASSES],
}

impl TeacherSettings {
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        within("teacher.weight", self.weight, 0.0, 1.0)?;
        self.thresholds.iter().try_for_each(|&threshold| within("teacher.thresholds", threshold, 0.0, 1.0))
    }
}

/// What the teacher said of one class.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Voxels without a reference that it gave the class.
    pub voxels: u64,
    /// How many of them count.
    pub accepted: u64,
    /// The sum of their confidences.
    pub confidence: f64,
    /// Voxels whose reference knows the class and gives it.
    pub referenced: u64,
    /// Voxels whose reference knows the class and the teacher gives it.
    pub predicted: u64,
    /// Those that both give it.
    pub agreed: u64,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: &Self) {
        self.voxels += other.voxels;
        self.accepted += other.accepted;
        self.confidence += other.confidence;
        self.referenced += other.referenced;
        self.predicted += other.predicted;
        self.agreed += other.agreed;
    }
}

/// The moving average of the weights as a network.
pub struct Teacher {
    network: Network,
    parameters: Parameters,
    /// What each of its maps speaks of, auxiliary ones too.
    roles: Vec<Role>,
}

/// What a teacher says of a batch.
pub struct Lesson {
    /// Labels as targets; [`crate::code::IGNORED`] where the reference speaks, or nobody is sure.
    targets: Targets,
    /// Of background, artery and vein.
    pub verdicts: [Verdict; CLASSES],
}

impl Teacher {
    /// A teacher that knows what `parameters` hold.
    pub fn new(plan: &Plan, parameters: &Parameters) -> Result<Self, TrainError> {
        let mut parameters = parameters.duplicate()?;
        Ok(Self { network: Network::build(plan, &mut parameters)?, parameters, roles: roles(plan) })
    }

    /// Takes over the moving average; what the run leaves as it is has none, and stays as it was.
    pub fn follow(&mut self, ema: &Ema) -> Result<(), TrainError> {
        ema.copy_to(&self.parameters)
    }

    #[cfg(test)]
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Labels what nobody annotated.
    pub fn label(&self, view: &View, prompts: &Tensor, thresholds: &[f64; CLASSES]) -> Result<Lesson, TrainError> {
        let scales = self.network.forward(&view.image, prompts, Mode::Infer)?;
        let finest = scales.into_iter().next().ok_or_else(|| TrainError::Internal("no logits".into()))?;
        let samples: Vec<Sample> = view.samples.iter().map(sample).collect();
        let (targets, counts) = label(&self.widened(&finest)?, &view.codes, &self.roles, &samples, *thresholds)?;
        Ok(Lesson { targets, verdicts: counts.map(Verdict::from) })
    }

    /// Logits with zeros for the auxiliary maps, which a network answers in training alone.
    fn widened(&self, logits: &Tensor) -> Result<Tensor, TrainError> {
        let answered = logits.dim(D::Minus1)?;
        let missing = self.roles.len().saturating_sub(answered);
        if missing == 0 {
            return Ok(logits.contiguous()?);
        }
        let mut shape = logits.dims().to_vec();
        shape[logits.rank() - 1] = missing;
        let zeros = Tensor::zeros(shape, logits.dtype(), logits.device())?;
        Ok(concat_channels(&logits.contiguous()?, &zeros)?)
    }
}

impl Lesson {
    /// The losses of every scale by these labels, as [`supervised`] gives them.
    ///
    /// # Errors
    /// As [`supervised`].
    pub fn losses(&self, logits: &[Tensor], config: &LossConfig, maps: &[f64]) -> Result<Vec<ScaleLoss>, TrainError> {
        if logits.first().is_some_and(|logits| !logits.device().is_cpu()) {
            let finest = DeviceTargets { targets: self.targets.clone(), centrelines: false };
            return on_device(logits, &finest.halved_to(logits.len())?, config, maps);
        }
        let mut scales = vec![TargetGrid::of(&self.targets)?];
        while scales.len() < logits.len() {
            scales.push(scales[scales.len() - 1].halved());
        }
        supervised(logits, &scales, config, maps)
    }
}

impl From<Counts> for Verdict {
    fn from(counts: Counts) -> Self {
        let Counts { voxels, accepted, confidence, referenced, predicted, agreed } = counts;
        Self { voxels, accepted, confidence, referenced, predicted, agreed }
    }
}

/// Maps that speak of one class alone: of artery or of vein, perhaps of one side.
fn roles(plan: &Plan) -> Vec<Role> {
    let auxiliary = plan.auxiliary().iter().map(|_| Role { class: 0, side: None });
    plan.targets.iter().map(role).chain(auxiliary).collect()
}

fn role(target: &Target) -> Role {
    match target.classes[..] {
        [class] => Role { class: value_of(class), side: target.side.map(side_bit) },
        _ => Role { class: 0, side: None },
    }
}

fn sample(sample: &ViewSample) -> Sample {
    let knows = [VesselClass::Artery, VesselClass::Vein].map(|class| sample.annotated.classes.contains(&class));
    Sample { knows, table: sample.table.rows().to_vec() }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use pulmoav_plan::{BodySide, Target};

    use super::*;
    use crate::case::Annotated;
    use crate::code::{ARTERY, FULL, IGNORE_BIT, IGNORED, RIGHT_BIT, SUPERVISED_BIT, TargetTable, VEIN, tests::target};

    fn targets() -> Vec<Target> {
        use VesselClass::{Artery, Vein};
        vec![
            target("artery", &[Artery], None),
            target("right vein", &[Vein], Some(BodySide::Right)),
            target("vessels", &[Artery, Vein], None),
        ]
    }

    fn shares(annotated: &str, code: u8, logits: [f32; 3]) -> (Vec<u8>, [Verdict; CLASSES]) {
        let annotated: Annotated = serde_json::from_str(annotated).unwrap();
        let table = TargetTable::taught(&targets(), &[], &annotated);
        let roles: Vec<Role> = targets().iter().map(role).collect();
        let view = sample(&ViewSample { annotated, table });
        let codes = Tensor::new(&[code], &Device::Cpu).unwrap().reshape((1, 1, 1, 1)).unwrap();
        let logits = Tensor::new(&logits, &Device::Cpu).unwrap().reshape((1, 1, 1, 1, 3)).unwrap();
        let (out, counts) = label(&logits, &codes, &roles, &[view], [0.9, 0.7, 0.7]).unwrap();
        (out.to_host().unwrap(), counts.map(Verdict::from))
    }

    #[test]
    fn the_reference_is_never_overruled() {
        let (out, verdicts) = shares("{}", SUPERVISED_BIT | ARTERY, [-9.0, 9.0, 0.0]);
        assert_eq!((out, verdicts.map(|verdict| verdict.voxels)), (vec![IGNORED; 3], [0; 3]));
        let arteries = r#"{"classes":["artery"]}"#;
        let (out, _) = shares(arteries, SUPERVISED_BIT | RIGHT_BIT | ARTERY, [-9.0, 9.0, 0.0]);
        assert_eq!(out, [IGNORED, 0, FULL], "an artery is no vein");
        let (out, _) = shares(arteries, SUPERVISED_BIT | RIGHT_BIT, [9.0, -9.0, 0.0]);
        assert_eq!(out, [IGNORED; 3], "there is no artery");
        let (out, _) = shares(arteries, SUPERVISED_BIT | RIGHT_BIT, [-9.0, 9.0, 0.0]);
        assert_eq!(out, [IGNORED, FULL, FULL]);
    }

    #[test]
    fn agreement_is_counted_where_the_reference_knows_the_class() {
        let counts = |annotated: &str, code: u8, logits: [f32; 3]| {
            let (_, verdicts) = shares(annotated, code, logits);
            verdicts.map(|verdict| [verdict.referenced, verdict.predicted, verdict.agreed])
        };
        let (artery, vein) = ([9.0, -9.0, 0.0], [-9.0, 9.0, 0.0]);
        let here = SUPERVISED_BIT | RIGHT_BIT;
        assert_eq!(counts("{}", here | ARTERY, artery), [[0; 3], [1; 3], [0; 3]]);
        assert_eq!(counts("{}", here | ARTERY, vein), [[0; 3], [1, 0, 0], [0, 1, 0]]);
        assert_eq!(counts("{}", here, vein), [[1, 0, 0], [0; 3], [0, 1, 0]]);
        let arteries = r#"{"classes":["artery"]}"#;
        assert_eq!(counts(arteries, here, vein), [[0; 3]; 3], "whether it is a vein is not known");
        assert_eq!(counts(arteries, here, artery), [[0; 3], [0, 1, 0], [0; 3]]);
        assert_eq!(counts("{}", here | IGNORE_BIT, artery), [[0; 3]; 3]);
        assert_eq!(counts(r#"{"sides":["left"]}"#, RIGHT_BIT, artery), [[0; 3]; 3]);
    }

    #[test]
    fn sure_labels_count_where_nobody_annotated() {
        let half = r#"{"sides":["left"]}"#;
        let (out, verdicts) = shares(half, RIGHT_BIT, [-9.0, 9.0, 0.0]);
        assert_eq!(out, [0, FULL, FULL]);
        assert_eq!((verdicts[2].voxels, verdicts[2].accepted), (1, 1));
        assert!((verdicts[2].confidence - 1.0).abs() < 1e-3);
        let (out, verdicts) = shares(half, RIGHT_BIT, [-0.2, 0.3, 0.0]);
        assert_eq!(out, [IGNORED; 3]);
        assert_eq!((verdicts[2].voxels, verdicts[2].accepted), (1, 0));
        let (out, verdicts) = shares(half, RIGHT_BIT | IGNORE_BIT, [-9.0, 9.0, 0.0]);
        assert_eq!((out, verdicts), (vec![IGNORED; 3], [Verdict::default(); 3]), "left out on purpose");
        let (out, _) = shares(half, 0, [-9.0, 9.0, 0.0]);
        assert_eq!(out, [0; 3], "no map speaks of a vein on the left, so it is background");
        assert_eq!(value_of(VesselClass::Vein), VEIN);
    }
}
