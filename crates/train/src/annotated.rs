//! What of a case is annotated.

use pulmoav_plan::{BodySide, VesselClass};
use serde::Deserialize;

use crate::code::{CENTRAL_BIT, RIGHT_BIT};

/// Which sides and classes of a case were annotated; the rest carries no loss. Without a side or a class the scan is
/// unlabelled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Annotated {
    /// The patient's sides.
    #[serde(default = "both_sides")]
    pub sides: Vec<BodySide>,
    /// Vessel classes.
    #[serde(default = "both_classes")]
    pub classes: Vec<VesselClass>,
    /// Whether the vessels between the lungs were annotated, which belong to neither side; by default they were where
    /// both sides were.
    #[serde(default)]
    pub central: Option<bool>,
}

impl Default for Annotated {
    fn default() -> Self {
        Self { sides: both_sides(), classes: both_classes(), central: None }
    }
}

impl Annotated {
    /// Both lungs, what lies between them, and both classes.
    pub fn is_full(&self) -> bool {
        Part::ALL.iter().all(|&part| self.knows(part)) && self.classes.len() == 2
    }

    /// Whether nothing was annotated.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty() || Part::ALL.iter().all(|&part| !self.knows(part))
    }

    /// Whether a part was annotated, in the classes that were.
    pub fn knows(&self, part: Part) -> bool {
        match part {
            Part::Left => self.sides.contains(&BodySide::Left),
            Part::Right => self.sides.contains(&BodySide::Right),
            Part::Central => self.central.unwrap_or(self.sides.len() == 2),
        }
    }
}

/// A part of the chest that is annotated as a whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The patient's left.
    Left,
    /// The patient's right.
    Right,
    /// Between the lungs.
    Central,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Left, Self::Right, Self::Central];

    /// The part of a voxel's code.
    pub fn of(code: u8) -> Self {
        match (code & CENTRAL_BIT != 0, code & RIGHT_BIT != 0) {
            (true, _) => Self::Central,
            (false, true) => Self::Right,
            (false, false) => Self::Left,
        }
    }
}

fn both_sides() -> Vec<BodySide> {
    vec![BodySide::Left, BodySide::Right]
}

fn both_classes() -> Vec<VesselClass> {
    vec![VesselClass::Artery, VesselClass::Vein]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_annotated_or_not() {
        let parts = |json: &str| {
            let annotated: Annotated = serde_json::from_str(json).unwrap();
            Part::ALL.map(|part| annotated.knows(part))
        };
        assert_eq!(parts("{}"), [true; 3]);
        assert_eq!(parts(r#"{"sides":["left"]}"#), [true, false, false]);
        assert_eq!(parts(r#"{"sides":["right"],"central":true}"#), [false, true, true]);
        assert_eq!(parts(r#"{"sides":[]}"#), [false; 3]);
    }
}
