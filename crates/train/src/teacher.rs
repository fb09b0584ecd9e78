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

use candle_core::Tensor;
use pulmoav_model::{Mode, Network, Parameters};
use pulmoav_ops::device::{from_host, to_host};
use pulmoav_plan::{BodySide, Plan, VesselClass};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    batch::View,
    case::Annotated,
    code::{ACCEPTED_BIT, IGNORE_BIT, LABEL_BITS, RIGHT_BIT, SUPERVISED_BIT, TargetTable, label, side_bit},
    ema::Ema,
    error::TrainError,
    loss::TargetGrid,
    range::within,
};

/// Voxels a block: what a block counts never depends on the number of threads.
const BLOCK: usize = 4096;
/// Background, artery, vein.
const CLASSES: usize = 3;

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
    maps: ClassMaps,
}

/// What a teacher says of a batch.
pub struct Lesson {
    /// Labels as targets; [`crate::code::IGNORED`] where the reference speaks, or nobody is sure.
    pub targets: TargetGrid,
    /// Of background, artery and vein.
    pub verdicts: [Verdict; CLASSES],
}

impl Teacher {
    /// A teacher that knows what `parameters` hold.
    pub fn new(plan: &Plan, parameters: &Parameters) -> Result<Self, TrainError> {
        let mut parameters = parameters.duplicate()?;
        Ok(Self { network: Network::build(plan, &mut parameters)?, parameters, maps: ClassMaps::new(plan) })
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
        let image = from_host(view.image.clone(), &view.shape, self.network.device())?;
        let scales = self.network.forward(&image, prompts, Mode::Infer)?;
        let finest = scales.into_iter().next().ok_or_else(|| TrainError::Internal("no logits".into()))?;
        let maps = finest.dims().last().copied().unwrap_or(1);
        let logits = to_host(&finest)?;
        let [_, d, h, w, _] = view.shape;
        let mut verdicts = [Verdict::default(); CLASSES];
        let mut labelled = Vec::with_capacity(view.samples.len());
        for (sample, logits) in view.samples.iter().zip(logits.chunks_exact(d * h * w * maps)) {
            let rules = Rules { maps: &self.maps, annotated: &sample.annotated, thresholds };
            let (codes, seen) = rules.label(logits, maps, &sample.codes);
            verdicts.iter_mut().zip(&seen).for_each(|(sum, seen)| sum.add(seen));
            labelled.push((codes, sample.table.clone()));
        }
        let codes: Vec<(&[u8], TargetTable)> =
            labelled.iter().map(|(codes, table)| (codes.as_slice(), table.clone())).collect();
        Ok(Lesson { targets: TargetGrid::new([d, h, w], &codes), verdicts })
    }
}

/// The maps that speak of one class alone: of artery, then of vein, each with the side it is confined to.
struct ClassMaps([Vec<(usize, Option<BodySide>)>; 2]);

impl ClassMaps {
    fn new(plan: &Plan) -> Self {
        Self([VesselClass::Artery, VesselClass::Vein].map(|class| {
            let targets = plan.targets.iter().enumerate();
            targets.filter(|(_, target)| target.classes == [class]).map(|(map, target)| (map, target.side)).collect()
        }))
    }

    /// Probabilities of artery and vein at a voxel: the largest of the maps that speak of it.
    fn probabilities(&self, logits: &[f32], code: u8) -> [f32; 2] {
        [0, 1].map(|class: usize| {
            let speaks = |side: &Option<BodySide>| side.is_none_or(|side| code & RIGHT_BIT == side_bit(side));
            let maps = self.0[class].iter().filter(|(_, side)| speaks(side));
            maps.map(|&(map, _)| 1.0 / (1.0 + (-logits[map]).exp())).fold(0.0, f32::max)
        })
    }
}

/// What decides whether a voxel's label counts.
struct Rules<'a> {
    maps: &'a ClassMaps,
    annotated: &'a Annotated,
    thresholds: &'a [f64; CLASSES],
}

impl Rules<'_> {
    /// A code a voxel, with the teacher's label and whether it counts, and what was seen of each class.
    fn label(&self, logits: &[f32], maps: usize, codes: &[u8]) -> (Vec<u8>, [Verdict; CLASSES]) {
        let blocks = logits.par_chunks(BLOCK * maps).zip(codes.par_chunks(BLOCK));
        let labelled: Vec<(Vec<u8>, [Verdict; CLASSES])> = blocks
            .map(|(logits, codes)| {
                let mut verdicts = [Verdict::default(); CLASSES];
                let voxels = codes.iter().zip(logits.chunks_exact(maps));
                let codes = voxels.map(|(&code, logits)| self.voxel(code, logits, &mut verdicts)).collect();
                (codes, verdicts)
            })
            .collect();
        let mut verdicts = [Verdict::default(); CLASSES];
        let mut all = Vec::with_capacity(codes.len());
        for (codes, seen) in labelled {
            all.extend(codes);
            verdicts.iter_mut().zip(&seen).for_each(|(sum, seen)| sum.add(seen));
        }
        (all, verdicts)
    }

    fn voxel(&self, code: u8, logits: &[f32], verdicts: &mut [Verdict; CLASSES]) -> u8 {
        let place = code & (RIGHT_BIT | SUPERVISED_BIT);
        if code & IGNORE_BIT != 0 {
            return place;
        }
        let (class, confidence) = self.opinion(code, logits);
        let reference = code & LABEL_BITS;
        let is_whole = code & SUPERVISED_BIT != 0 && self.annotated.classes.len() == CLASSES - 1;
        for (known, verdict) in verdicts.iter_mut().enumerate() {
            if is_whole || self.is_annotated(code, known) {
                let [referenced, predicted] = [usize::from(reference), class].map(|given| given == known);
                verdict.referenced += u64::from(referenced);
                verdict.predicted += u64::from(predicted);
                verdict.agreed += u64::from(referenced && predicted);
            }
        }
        if is_whole {
            return place;
        }
        if self.is_annotated(code, usize::from(reference)) {
            return place | reference | ACCEPTED_BIT;
        }
        if self.is_annotated(code, class) {
            // The reference says that there is none.
            return place;
        }
        let accepted = confidence >= self.thresholds[class];
        verdicts[class].add(&Verdict { voxels: 1, accepted: u64::from(accepted), confidence, ..Verdict::default() });
        if accepted { place | class as u8 | ACCEPTED_BIT } else { place }
    }

    /// Whether the reference says of this voxel if it is of that class, artery or vein.
    fn is_annotated(&self, code: u8, class: usize) -> bool {
        let knows = |&known: &VesselClass| usize::from(label(known)) == class;
        code & SUPERVISED_BIT != 0 && self.annotated.classes.iter().any(knows)
    }

    /// The teacher's class of a voxel, and how sure it is of it.
    fn opinion(&self, code: u8, logits: &[f32]) -> (usize, f64) {
        let [artery, vein] = self.maps.probabilities(logits, code);
        let odds = [(1.0 - artery) * (1.0 - vein), artery * (1.0 - vein), vein * (1.0 - artery)];
        let class = (1..CLASSES).fold(0, |best, class| if odds[class] > odds[best] { class } else { best });
        (class, f64::from(odds[class]) / f64::from(odds.iter().sum::<f32>()).max(1e-12))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{ARTERY, FULL, IGNORED, VEIN, tests::target};
    use pulmoav_plan::Target;

    fn targets() -> Vec<Target> {
        use VesselClass::{Artery, Vein};
        vec![
            target("artery", &[Artery], None),
            target("right vein", &[Vein], Some(BodySide::Right)),
            target("vessels", &[Artery, Vein], None),
        ]
    }

    const MAPS: [Vec<(usize, Option<BodySide>)>; 2] = [Vec::new(), Vec::new()];

    fn shares(annotated: &str, code: u8, logits: [f32; 3]) -> (Vec<u8>, [Verdict; CLASSES]) {
        let annotated: Annotated = serde_json::from_str(annotated).unwrap();
        let [mut artery, mut vein] = MAPS;
        artery.push((0, None));
        vein.push((1, Some(BodySide::Right)));
        let maps = ClassMaps([artery, vein]);
        let rules = Rules { maps: &maps, annotated: &annotated, thresholds: &[0.9, 0.7, 0.7] };
        let (codes, verdicts) = rules.label(&logits, 3, &[code]);
        let table = TargetTable::taught(&targets(), &[], &annotated);
        let mut out = vec![0; 3];
        table.look_up(codes[0], &mut out);
        (out, verdicts)
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
        assert_eq!(label(VesselClass::Vein), VEIN);
    }
}
