//! What is scored, and where.

use pulmoav_volume::Mask;
use rayon::prelude::*;

use crate::score::{Group, Score};

/// A row of the scores: every voxel with one of these labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the scores.
    pub name: String,
    /// Labels that count as this target, none of them 0.
    pub labels: Vec<u8>,
    /// Labels it may be taken for: a reference voxel of this target that got one of them is swapped.
    pub swapped: Vec<u8>,
    /// Whether the row is given even when the reference has none of its labels.
    pub always: bool,
}

/// Which voxels count.
#[derive(Debug, Clone, Copy)]
pub enum Restriction<'a> {
    /// Where the mask is not 0: inside the lungs, say.
    Within(&'a Mask),
    /// Where the map of sides (1 the patient's left, 2 right) holds one of the annotated sides.
    Sides(&'a Mask, &'a [u8]),
}

/// What is scored, and where.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Rows of the scores, in order.
    pub targets: Vec<Target>,
    /// Voxels must pass every one of these to count.
    pub restrictions: Vec<Restriction<'a>>,
    /// Reference voxels with one of these values do not count.
    pub ignored: Vec<u8>,
    /// Lungs, 1 the patient's left and 2 the right: with them, each row is given for either lung and for what lies
    /// outside both, too.
    pub lungs: Option<&'a Mask>,
    /// Which scores are found: those of these groups …
    pub groups: Vec<Group>,
    /// … and those of these names.
    pub names: Vec<String>,
}

impl Options<'_> {
    /// Whether a voxel counts.
    pub(crate) fn lets(&self, voxel: usize, reference: u8) -> bool {
        !self.ignored.contains(&reference) && self.restrictions.iter().all(|restriction| restriction.lets(voxel))
    }

    /// How many voxels of a reference count.
    pub(crate) fn counted_voxels(&self, reference: &Mask) -> u64 {
        if self.lets_all() {
            return reference.data.len() as u64;
        }
        let counts = |(voxel, &value): (usize, &u8)| u64::from(self.lets(voxel, value));
        reference.data.par_iter().enumerate().with_min_len(1 << 16).map(counts).sum()
    }

    /// Whether a score is asked for.
    pub(crate) fn asks_for(&self, score: &Score) -> bool {
        self.groups.contains(&score.group) || self.names.iter().any(|name| name == score.name)
    }

    /// Whether every voxel counts.
    pub(crate) fn lets_all(&self) -> bool {
        self.ignored.is_empty() && self.restrictions.is_empty()
    }
}

impl Restriction<'_> {
    fn lets(&self, voxel: usize) -> bool {
        match self {
            Self::Within(mask) => mask.data[voxel] != 0,
            Self::Sides(sides, annotated) => annotated.contains(&sides.data[voxel]),
        }
    }
}

/// The places of the targets by which `target` is asked for swaps: its own, or, where it cannot be swapped, those of
/// the widest targets inside it that can, so that no voxel counts twice.
pub(crate) fn swappable(target: &Target, all: &[Target]) -> Vec<usize> {
    let inside =
        |part: &Target, whole: &Target| part != whole && part.labels.iter().all(|label| whole.labels.contains(label));
    let is_widest = |part: &&Target| {
        let contained = |other: &Target| !other.swapped.is_empty() && inside(part, other) && inside(other, target);
        !part.swapped.is_empty() && inside(part, target) && !all.iter().any(contained)
    };
    let is_asked = |part: &&Target| if target.swapped.is_empty() { is_widest(part) } else { *part == target };
    all.iter().enumerate().filter(|(_, part)| is_asked(part)).map(|(at, _)| at).collect()
}

impl Default for Options<'_> {
    /// The labels of our plans, everywhere: artery, vein and both together; sided rows where the reference has sides.
    /// Counts of voxels only.
    fn default() -> Self {
        let arteries = [1, 3, 4];
        let veins = [2, 5, 6];
        let row = |name: &str, labels: &[u8], swapped: &[u8], always| Target {
            name: name.to_owned(),
            labels: labels.to_vec(),
            swapped: swapped.to_vec(),
            always,
        };
        Self {
            targets: vec![
                row("artery", &arteries, &veins, true),
                row("vein", &veins, &arteries, true),
                row("left artery", &[3], &veins, false),
                row("right artery", &[4], &veins, false),
                row("left vein", &[5], &arteries, false),
                row("right vein", &[6], &arteries, false),
                row("vessels", &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], true),
                row("left vessels", &[3, 5, 8], &[], false),
                row("right vessels", &[4, 6, 9], &[], false),
            ],
            restrictions: Vec::new(),
            ignored: Vec::new(),
            lungs: None,
            groups: vec![Group::Overlap],
            names: Vec::new(),
        }
    }
}
