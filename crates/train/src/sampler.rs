//! Which case, and where in it.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use crate::{
    case::{Annotated, Part},
    code::{ARTERY, VEIN},
    error::TrainError,
    places::{Calibre, Kind, Listed},
    range::within,
};

/// Odds of a patch centred on an artery voxel, on a vein voxel, anywhere, or where nobody annotated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sampling {
    /// Odds of an artery voxel.
    pub artery: f64,
    /// Odds of a vein voxel.
    pub vein: f64,
    /// Odds of any voxel.
    pub anywhere: f64,
    /// Odds of a voxel of a part that nobody annotated; only a run with a teacher draws there.
    pub unannotated: f64,
    /// The chosen voxel lies up to this share of the patch away from its middle, each axis.
    pub jitter: f64,
}

/// How much likelier cases and calibres are than without a policy; decided by the loop.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SamplingWeights {
    /// One factor a training case; empty: all alike.
    pub cases: Vec<f64>,
    /// Factors of small, medium and large vessels; empty: all alike.
    pub calibres: Vec<f64>,
}

impl SamplingWeights {
    /// Checks that there is one positive factor for each of `cases` cases and each calibre, or none.
    pub(crate) fn validate(&self, cases: usize) -> Result<(), TrainError> {
        for (name, weights, expected) in
            [("cases", &self.cases, cases), ("calibres", &self.calibres, Calibre::ALL.len())]
        {
            let fits = weights.is_empty() || weights.len() == expected;
            if !fits || !weights.iter().all(|weight| weight.is_finite() && *weight > 0.0) {
                return Err(TrainError::Config(format!(
                    "sampling.{name} is {weights:?}, expected {expected} positive numbers or none"
                )));
            }
        }
        Ok(())
    }

    fn case(&self, index: usize) -> f64 {
        self.cases.get(index).copied().unwrap_or(1.0)
    }

    fn calibre(&self, calibre: Calibre) -> f64 {
        self.calibres.get(calibre as usize).copied().unwrap_or(1.0)
    }
}

/// A case that patches can be drawn from.
pub trait Drawn: Listed {
    /// What of it is annotated.
    fn annotated(&self) -> &Annotated;
}

/// Where a patch starts, and what it was drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Index into the list of cases.
    pub case: usize,
    /// First voxel, `[z, y, x]`; negative where the patch sticks out of a case smaller than itself.
    pub origin: [isize; 3],
    /// The calibre of the vessel it was drawn for.
    pub calibre: Option<Calibre>,
    /// Whether it was drawn for what nobody annotated.
    pub unannotated: bool,
}

/// What a patch is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Label(u8),
    Anywhere,
    Unannotated,
}

impl Sampling {
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        within("sampling.artery", self.artery, 0.0, 1e6)?;
        within("sampling.vein", self.vein, 0.0, 1e6)?;
        within("sampling.anywhere", self.anywhere, 0.0, 1e6)?;
        within("sampling.unannotated", self.unannotated, 0.0, 1e6)?;
        within("sampling.jitter", self.jitter, 0.0, 0.5)?;
        within("sampling.artery + vein + anywhere", self.artery + self.vein + self.anywhere, 1e-9, 1e7)
    }

    /// Draws case and place. A label that the case does not have falls back to anywhere; so does what nobody annotated
    /// where everything is.
    ///
    /// # Errors
    /// `ERR_CONFIG` where no case is annotated.
    pub fn draw<C: Drawn>(
        &self,
        cases: &[C],
        weights: &SamplingWeights,
        patch: [usize; 3],
        random: &mut Philox,
    ) -> Result<Draw, TrainError> {
        let mut aim = self.aim(random);
        if aim == Aim::Unannotated && !cases.iter().any(|case| !unknown_parts(case).is_empty()) {
            aim = Aim::Anywhere;
        }
        let odds = cases.iter().enumerate().map(|(index, case)| {
            let fits = match aim {
                Aim::Unannotated => !unknown_parts(case).is_empty(),
                _ => !case.annotated().is_empty(),
            };
            if fits { weights.case(index) } else { 0.0 }
        });
        let index = chosen(odds, random).ok_or_else(|| {
            TrainError::Config("no case learnt from is annotated; a network needs at least one with labels".into())
        })?;
        let case = &cases[index];
        let kind = kind(case, aim, weights, random);
        let shape = case.shape();
        let centre: [f64; 3] = match kind {
            Some(kind) => {
                let place = case.place(kind, random.below(case.count(kind)))?;
                std::array::from_fn(|axis| place[axis] as f64 + self.offset(patch[axis], random))
            }
            None => std::array::from_fn(|axis| random.below(shape[axis]) as f64),
        };
        let calibre = kind.and_then(|kind| match kind {
            Kind::Vessel(_, calibre) => Some(calibre),
            Kind::Part(_) => None,
        });
        let origin = std::array::from_fn(|axis| origin(centre[axis], shape[axis], patch[axis]));
        Ok(Draw { case: index, origin, calibre, unannotated: aim == Aim::Unannotated })
    }

    fn aim(&self, random: &mut Philox) -> Aim {
        let aims = [
            (self.artery, Aim::Label(ARTERY)),
            (self.vein, Aim::Label(VEIN)),
            (self.anywhere, Aim::Anywhere),
            (self.unannotated, Aim::Unannotated),
        ];
        chosen(aims.iter().map(|(odds, _)| *odds), random).map_or(Aim::Anywhere, |index| aims[index].1)
    }

    fn offset(&self, patch: usize, random: &mut Philox) -> f64 {
        let reach = (self.jitter * patch as f64) as f32;
        f64::from(random.between(-reach, reach))
    }
}

/// Parts of a case that nobody annotated, in both classes.
fn unknown_parts<C: Drawn>(case: &C) -> Vec<Kind> {
    let annotated = case.annotated();
    let unknown = Part::ALL.into_iter().filter(|&part| annotated.classes.len() < 2 || !annotated.knows(part));
    unknown.map(Kind::Part).filter(|&kind| case.count(kind) > 0).collect()
}

/// The kind of voxel to draw from a case; `None` for any voxel.
fn kind<C: Drawn>(case: &C, aim: Aim, weights: &SamplingWeights, random: &mut Philox) -> Option<Kind> {
    let kinds = match aim {
        Aim::Anywhere => return None,
        Aim::Label(label) => Kind::of_label(label).to_vec(),
        Aim::Unannotated => unknown_parts(case),
    };
    let odds = kinds.iter().map(|&kind| {
        let factor = if let Kind::Vessel(_, calibre) = kind { weights.calibre(calibre) } else { 1.0 };
        case.count(kind) as f64 * factor
    });
    chosen(odds, random).map(|index| kinds[index])
}

/// An index by its odds; `None` where all are 0.
fn chosen(odds: impl Iterator<Item = f64> + Clone, random: &mut Philox) -> Option<usize> {
    let at = f64::from(random.uniform()) * odds.clone().sum::<f64>();
    let mut below = 0.0;
    let mut last = None;
    for (index, odds) in odds.enumerate().filter(|(_, odds)| *odds > 0.0) {
        below += odds;
        last = Some(index);
        if at < below {
            break;
        }
    }
    last
}

/// Start of a patch about `centre`, inside the case where it fits, else centred on the case.
fn origin(centre: f64, size: usize, patch: usize) -> isize {
    if size <= patch {
        return -(((patch - size) / 2) as isize);
    }
    (centre.round() as isize - (patch / 2) as isize).clamp(0, (size - patch) as isize)
}

#[cfg(test)]
mod tests {
    use pulmoav_random::Stream;

    use super::*;

    struct Grid {
        arteries: Vec<[usize; 3]>,
        annotated: Annotated,
    }

    impl Grid {
        fn new(arteries: &[[usize; 3]], annotated: &str) -> Self {
            Self { arteries: arteries.to_vec(), annotated: serde_json::from_str(annotated).unwrap() }
        }
    }

    impl Listed for Grid {
        fn shape(&self) -> [usize; 3] {
            [40, 50, 20]
        }
        fn count(&self, kind: Kind) -> usize {
            match kind {
                Kind::Vessel(ARTERY, Calibre::Small | Calibre::Large) => self.arteries.len(),
                Kind::Part(Part::Right) => 1,
                _ => 0,
            }
        }
        fn place(&self, kind: Kind, index: usize) -> Result<[usize; 3], TrainError> {
            Ok(if kind == Kind::Part(Part::Right) { [39, 49, 19] } else { self.arteries[index] })
        }
    }

    impl Drawn for Grid {
        fn annotated(&self) -> &Annotated {
            &self.annotated
        }
    }

    const SAMPLING: Sampling = Sampling { artery: 1.0, vein: 1.0, anywhere: 1.0, unannotated: 0.0, jitter: 0.25 };

    fn draws(sampling: Sampling, cases: &[Grid], weights: &SamplingWeights, patch: [usize; 3]) -> Vec<Draw> {
        let draw = |step| sampling.draw(cases, weights, patch, &mut Philox::new(5, step, 0, Stream::Sample)).unwrap();
        (0..200).map(draw).collect()
    }

    #[test]
    fn the_step_is_the_state() {
        let cases = [Grid::new(&[[1, 2, 3], [30, 40, 10]], "{}"), Grid::new(&[], "{}")];
        let once = draws(SAMPLING, &cases, &SamplingWeights::default(), [16, 16, 32]);
        assert_eq!(once, draws(SAMPLING, &cases, &SamplingWeights::default(), [16, 16, 32]));
        assert!(once.iter().any(|d| d.case == 0) && once.iter().any(|d| d.case == 1));
        for draw in &once {
            assert!((0..=24).contains(&draw.origin[0]) && (0..=34).contains(&draw.origin[1]));
            assert_eq!(draw.origin[2], -6);
        }
    }

    #[test]
    fn arteries_are_in_their_patches() {
        let cases = [Grid::new(&[[20, 25, 10]], "{}")];
        let only = Sampling { vein: 0.0, anywhere: 0.0, ..SAMPLING };
        for draw in draws(only, &cases, &SamplingWeights::default(), [16; 3]) {
            for (axis, at) in [20isize, 25, 10].into_iter().enumerate() {
                assert!((draw.origin[axis]..draw.origin[axis] + 16).contains(&at), "{draw:?}");
            }
        }
    }

    #[test]
    fn what_nobody_annotated_is_drawn_only_for_a_teacher() {
        let cases = [
            Grid::new(&[[20, 25, 10]], "{}"),
            Grid::new(&[[20, 25, 10]], r#"{"sides":["left"]}"#),
            Grid::new(&[], r#"{"sides":[]}"#),
        ];
        let plain = draws(SAMPLING, &cases, &SamplingWeights::default(), [8; 3]);
        assert!(plain.iter().all(|draw| draw.case < 2 && !draw.unannotated));
        let taught = Sampling { unannotated: 3.0, ..SAMPLING };
        let taught = draws(taught, &cases, &SamplingWeights::default(), [8; 3]);
        let unknown: Vec<_> = taught.iter().filter(|draw| draw.unannotated).collect();
        assert!((60..140).contains(&unknown.len()), "{}", unknown.len());
        assert!(unknown.iter().all(|draw| draw.case > 0 && draw.origin == [32, 42, 12]));
        assert!(unknown.iter().any(|draw| draw.case == 1) && unknown.iter().any(|draw| draw.case == 2));
    }

    #[test]
    fn weights_make_cases_and_calibres_likelier() {
        let cases = [Grid::new(&[[20, 25, 10]], "{}"), Grid::new(&[[20, 25, 10]], "{}")];
        let only = Sampling { vein: 0.0, anywhere: 0.0, ..SAMPLING };
        let weights = SamplingWeights { cases: vec![9.0, 1.0], calibres: vec![1.0, 1.0, 9.0] };
        let drawn = draws(only, &cases, &weights, [8; 3]);
        let share = |of: &dyn Fn(&Draw) -> bool| drawn.iter().filter(|draw| of(draw)).count() as f64 / 200.0;
        assert!((share(&|draw| draw.case == 0) - 0.9).abs() < 0.06);
        assert!((share(&|draw| draw.calibre == Some(Calibre::Large)) - 0.9).abs() < 0.06);
        assert!(weights.validate(2).is_ok() && SamplingWeights::default().validate(7).is_ok());
        assert!(weights.validate(3).is_err());
        assert!(SamplingWeights { calibres: vec![0.0, 1.0, 1.0], ..weights }.validate(2).is_err());
    }
}
