//! Which case, and where in it.

use pulmoav_random::Philox;
use serde::{Deserialize, Serialize};

use crate::{error::TrainError, range::within};

/// Odds of a patch centred on an artery voxel, on a vein voxel, or anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sampling {
    /// Odds of an artery voxel.
    pub artery: f64,
    /// Odds of a vein voxel.
    pub vein: f64,
    /// Odds of any voxel.
    pub anywhere: f64,
    /// The chosen voxel lies up to this share of the patch away from its middle, each axis.
    pub jitter: f64,
}

impl Sampling {
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        within("sampling.artery", self.artery, 0.0, 1e6)?;
        within("sampling.vein", self.vein, 0.0, 1e6)?;
        within("sampling.anywhere", self.anywhere, 0.0, 1e6)?;
        within("sampling.jitter", self.jitter, 0.0, 0.5)?;
        within("sampling.artery + vein + anywhere", self.artery + self.vein + self.anywhere, 1e-9, 1e7)
    }
}

/// What a case offers to the sampler.
pub trait Places {
    /// Voxels, `[z, y, x]`.
    fn shape(&self) -> [usize; 3];
    /// How many supervised voxels of this label are listed.
    fn count(&self, label: u8) -> usize;
    /// The `index`-th of them, `[z, y, x]`.
    fn place(&self, label: u8, index: usize) -> Result<[usize; 3], TrainError>;
}

/// Where a patch starts; negative where it sticks out of a case smaller than a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Index into the list of cases.
    pub case: usize,
    /// First voxel, `[z, y, x]`.
    pub origin: [isize; 3],
}

impl Sampling {
    /// Draws case and place. A label that the case does not have falls back to anywhere.
    pub fn draw<P: Places>(&self, cases: &[P], patch: [usize; 3], random: &mut Philox) -> Result<Draw, TrainError> {
        let index = random.below(cases.len());
        let case = cases.get(index).ok_or_else(|| TrainError::Config("the data set has no training case".into()))?;
        let shape = case.shape();
        let centre: [f64; 3] = match self.label(random).filter(|&label| case.count(label) > 0) {
            Some(label) => {
                let place = case.place(label, random.below(case.count(label)))?;
                std::array::from_fn(|axis| place[axis] as f64 + self.offset(patch[axis], random))
            }
            None => std::array::from_fn(|axis| random.below(shape[axis]) as f64),
        };
        let origin = std::array::from_fn(|axis| origin(centre[axis], shape[axis], patch[axis]));
        Ok(Draw { case: index, origin })
    }

    fn label(&self, random: &mut Philox) -> Option<u8> {
        let at = f64::from(random.uniform()) * (self.artery + self.vein + self.anywhere);
        if at < self.artery {
            Some(1)
        } else if at < self.artery + self.vein {
            Some(2)
        } else {
            None
        }
    }

    fn offset(&self, patch: usize, random: &mut Philox) -> f64 {
        let reach = (self.jitter * patch as f64) as f32;
        f64::from(random.between(-reach, reach))
    }
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
    use super::*;
    use pulmoav_random::Stream;

    struct Grid(Vec<[usize; 3]>);

    impl Places for Grid {
        fn shape(&self) -> [usize; 3] {
            [40, 50, 20]
        }
        fn count(&self, label: u8) -> usize {
            if label == 1 { self.0.len() } else { 0 }
        }
        fn place(&self, _label: u8, index: usize) -> Result<[usize; 3], TrainError> {
            Ok(self.0[index])
        }
    }

    const SAMPLING: Sampling = Sampling { artery: 1.0, vein: 1.0, anywhere: 1.0, jitter: 0.25 };

    #[test]
    fn the_step_is_the_state() {
        let cases = [Grid(vec![[1, 2, 3], [30, 40, 10]]), Grid(vec![])];
        let draw = |step, sample| {
            SAMPLING.draw(&cases, [16, 16, 32], &mut Philox::new(5, step, sample, Stream::Sample)).unwrap()
        };
        let once: Vec<Draw> = (0..50).flat_map(|step| [draw(step, 0), draw(step, 1)]).collect();
        let again: Vec<Draw> = (0..50).flat_map(|step| [draw(step, 0), draw(step, 1)]).collect();
        assert_eq!(once, again);
        assert!(once.iter().any(|d| d.case == 0) && once.iter().any(|d| d.case == 1));
        for draw in &once {
            assert!((0..=24).contains(&draw.origin[0]) && (0..=34).contains(&draw.origin[1]));
            assert_eq!(draw.origin[2], -6);
        }
    }

    #[test]
    fn arteries_are_in_their_patches() {
        let cases = [Grid(vec![[20, 25, 10]])];
        let only = Sampling { vein: 0.0, anywhere: 0.0, ..SAMPLING };
        for step in 0..200 {
            let draw = only.draw(&cases, [16, 16, 16], &mut Philox::new(5, step, 0, Stream::Sample)).unwrap();
            for (axis, at) in [20isize, 25, 10].into_iter().enumerate() {
                assert!((draw.origin[axis]..draw.origin[axis] + 16).contains(&at), "{draw:?}");
            }
        }
    }
}
