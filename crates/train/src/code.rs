//! One byte a voxel: its label, its side, and whether the reference knows it.
//!
//! Bits 0–1 the label (0 background, 1 artery, 2 vein, 3 airway), bit 2 the patient's right side, bit 3 supervised (the
//! voxel's part was annotated, and the voxel lies inside the scan), bit 4 central (between the lungs, where vessels
//! belong to neither side), bit 5 near the centreline of its label, bit 6 ignored (the reference marks the voxel as one
//! without loss, so it is never supervised). Losses, sampling and augmentation work on these
//! bytes; float targets are never made.

use pulmoav_ops::pseudo;
use pulmoav_plan::{Auxiliary, BodySide, Target, VesselClass};

use crate::case::Annotated;

/// The bits of the label.
pub const LABEL_BITS: u8 = 0b0011;
/// Label of arteries.
pub const ARTERY: u8 = 1;
/// Label of veins.
pub const VEIN: u8 = 2;
/// Label of bronchi and windpipe.
pub const AIRWAY: u8 = 3;
/// Set on the patient's right.
pub const RIGHT_BIT: u8 = 0b0100;
/// Set where the reference says something.
pub const SUPERVISED_BIT: u8 = 0b1000;
/// Set between the lungs: the pulmonary trunk and whatever else belongs to neither side.
pub const CENTRAL_BIT: u8 = 0b1_0000;
/// Set on the centreline of an artery or a vein and close to it, inside the vessel.
pub const CENTRELINE_BIT: u8 = 0b10_0000;
/// Set where the reference says that nothing is learnt.
pub const IGNORE_BIT: u8 = 0b100_0000;
/// In codes that a teacher makes, instead of [`CENTRAL_BIT`]: its label counts.
pub const ACCEPTED_BIT: u8 = CENTRAL_BIT;
const _: () = assert!(
    LABEL_BITS == pseudo::LABEL_BITS
        && RIGHT_BIT == pseudo::RIGHT_BIT
        && SUPERVISED_BIT == pseudo::SUPERVISED_BIT
        && IGNORE_BIT == pseudo::IGNORE_BIT
        && ACCEPTED_BIT == pseudo::ACCEPTED_BIT
        && CODES == pseudo::CODES
);
/// Number of different codes, but for [`IGNORE_BIT`], of which targets know nothing.
pub const CODES: usize = 64;

/// What a map should be at a voxel: the share of the voxel that belongs to the target in 1/[`FULL`], or [`IGNORED`].
pub type Share = u8;
/// The whole voxel belongs to the target.
pub const FULL: Share = 128;
/// The ignore mask: the reference does not say.
pub const IGNORED: Share = 255;

/// Side of a voxel as a code bit.
pub fn side_bit(side: BodySide) -> u8 {
    match side {
        BodySide::Left => 0,
        BodySide::Right => RIGHT_BIT,
    }
}

/// For every target and auxiliary map, and every code: its share. One table a case, since cases differ in what was
/// annotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTable(Vec<[Share; CODES]>);

impl TargetTable {
    /// A target none of whose classes is missing from the annotation is known on supervised voxels, others nowhere;
    /// so are airways, where the case has them.
    pub fn new(targets: &[Target], auxiliary: &[Auxiliary], annotated: &Annotated, airways: bool) -> Self {
        let auxiliary = auxiliary.iter().map(|kind| match kind {
            Auxiliary::Airway => table(airways, |code| code & LABEL_BITS == AIRWAY),
        });
        Self(targets.iter().map(|target| shares(target, annotated)).chain(auxiliary).collect())
    }

    /// The same for a teacher's codes: a target is told where the teacher is sure and the reference does not know it;
    /// airways nowhere.
    pub fn taught(targets: &[Target], auxiliary: &[Auxiliary], annotated: &Annotated) -> Self {
        let told = targets.iter().map(|target| {
            let known = is_known(target, annotated);
            std::array::from_fn(|code| {
                let code = code as u8;
                if code & ACCEPTED_BIT == 0 || known && code & SUPERVISED_BIT != 0 {
                    IGNORED
                } else if belongs(target, code) {
                    FULL
                } else {
                    0
                }
            })
        });
        Self(told.chain(auxiliary.iter().map(|_| [IGNORED; CODES])).collect())
    }

    /// Shares of every target for a code, into `out` (one a target).
    pub fn look_up(&self, code: u8, out: &mut [Share]) {
        for (share, table) in out.iter_mut().zip(&self.0) {
            *share = table[usize::from(code) % CODES];
        }
    }

    /// Shares of every map for every code.
    pub(crate) fn rows(&self) -> &[[Share; CODES]] {
        &self.0
    }

    /// Number of targets and auxiliary maps.
    pub fn maps(&self) -> usize {
        self.0.len()
    }
}

fn shares(target: &Target, annotated: &Annotated) -> [Share; CODES] {
    table(is_known(target, annotated), |code| belongs(target, code))
}

/// Whether all classes of a target were annotated.
fn is_known(target: &Target, annotated: &Annotated) -> bool {
    target.classes.iter().all(|class| annotated.classes.contains(class))
}

/// Whether a voxel with this code belongs to a target.
fn belongs(target: &Target, code: u8) -> bool {
    let of_class = target.classes.iter().any(|class| code & LABEL_BITS == label(*class));
    of_class && target.side.is_none_or(|side| code & RIGHT_BIT == side_bit(side))
}

fn table(known: bool, belongs: impl Fn(u8) -> bool) -> [Share; CODES] {
    std::array::from_fn(|code| {
        let code = code as u8;
        match known && code & SUPERVISED_BIT != 0 {
            true if belongs(code) => FULL,
            true => 0,
            false => IGNORED,
        }
    })
}

/// The class's value in reference label maps.
pub fn label(class: VesselClass) -> u8 {
    match class {
        VesselClass::Artery => ARTERY,
        VesselClass::Vein => VEIN,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn target(name: &str, classes: &[VesselClass], side: Option<BodySide>) -> Target {
        Target { name: name.into(), value: 1, prompt: name.into(), classes: classes.to_vec(), side, embedding: vec![] }
    }

    #[test]
    fn shares_follow_class_side_and_annotation() {
        use VesselClass::{Artery, Vein};
        let targets = [
            target("artery", &[Artery], None),
            target("right vein", &[Vein], Some(BodySide::Right)),
            target("vessels", &[Artery, Vein], None),
        ];
        let rows: [(Annotated, u8, [Share; 3]); 5] = [
            (Annotated::default(), SUPERVISED_BIT | 1, [FULL, 0, FULL]),
            (Annotated::default(), SUPERVISED_BIT | RIGHT_BIT | 2, [0, FULL, FULL]),
            (Annotated::default(), SUPERVISED_BIT | 2, [0, 0, FULL]),
            (Annotated::default(), 1, [IGNORED; 3]),
            (
                Annotated { sides: vec![BodySide::Left], classes: vec![Artery], central: None },
                SUPERVISED_BIT | 1,
                [FULL, IGNORED, IGNORED],
            ),
        ];
        for (annotated, code, expected) in rows {
            let mut out = [0; 3];
            TargetTable::new(&targets, &[], &annotated, false).look_up(code, &mut out);
            assert_eq!(out, expected, "{annotated:?} {code:#b}");
        }
    }
}
