//! A figure of a label map without a reference: what it is, what is plausible, and what was found.

use crate::check::seen::Seen;

/// What a figure is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its rank follows the share of swapped voxels on phantoms.
    FollowsErrors,
    /// It tells of maps that cannot be right; a plausible value says nothing of small errors.
    Plausibility,
}

/// How a value is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// Within the plausible range.
    Green,
    /// Beyond it.
    Yellow,
    /// Far beyond it.
    Red,
}

/// Ranges of values, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What is plausible.
    pub green: [f64; 2],
    /// What is to be looked at; beyond it something is wrong.
    pub yellow: [f64; 2],
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// RAS mm, `[x, y, z]`.
    pub at_mm: [f64; 3],
    /// The voxel, `[z, y, x]` of the map.
    pub voxel: [usize; 3],
    /// How much is there, in the unit of `Figure::places`.
    pub size: f64,
}

/// A figure.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its key in results.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Empty for a share.
    pub unit: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What is plausible.
    pub limits: Limits,
    /// Where the limits come from.
    pub source: &'static str,
    /// What the size of its places is; empty where it has none.
    pub places: &'static str,
    /// Its value, `None` where it is not defined, and the places, the largest first.
    pub(crate) value: fn(&Seen<'_>) -> (Option<f64>, Vec<Place>),
}

/// What a figure came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its key.
    pub name: &'static str,
    /// `None` where it is not defined: without lungs, say.
    pub value: Option<f64>,
    /// How to take it; `None` without a value.
    pub light: Option<Light>,
    /// Where to look: where it is not green, the largest first.
    pub places: Vec<Place>,
}

/// So many places at most.
const MOST_PLACES: usize = 10;

impl Figure {
    pub(crate) fn found(&self, seen: &Seen<'_>) -> Found {
        let (value, mut places) = (self.value)(seen);
        let light = value.map(|value| self.limits.light(value));
        places.sort_by(|a, b| b.size.total_cmp(&a.size));
        places.truncate(MOST_PLACES);
        Found { name: self.name, value, light, places }
    }
}

impl Limits {
    fn light(&self, value: f64) -> Light {
        let within = |[low, high]: [f64; 2]| (low..=high).contains(&value);
        if within(self.green) {
            Light::Green
        } else if within(self.yellow) {
            Light::Yellow
        } else {
            Light::Red
        }
    }
}
