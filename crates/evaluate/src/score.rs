//! What a score is: its name, what it is measured in, and how it is found.

use pulmoav_task::Cancelled;

use crate::row::Row;

/// A number, or `None` where the score is not defined.
pub(crate) type Value = Result<Option<f64>, Cancelled>;

/// One score of the list.
#[derive(Debug, Clone, Copy)]
pub struct Score {
    /// Its key in the results.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is counted among.
    pub group: Group,
    /// What it is measured in.
    pub unit: Unit,
    /// Which values are better.
    pub better: Better,
    /// Finds its value.
    pub(crate) value: fn(&Row<'_>) -> Value,
}

/// Scores that are asked for together, the cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Counts of voxels.
    Overlap,
    /// Distances between surfaces.
    Surface,
    /// Centrelines.
    Skeleton,
    /// Branches and topology.
    Tree,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 4] = [Self::Overlap, Self::Surface, Self::Skeleton, Self::Tree];

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Surface => "surface",
            Self::Skeleton => "skeleton",
            Self::Tree => "tree",
        }
    }

    /// The group of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

/// What a score is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share, 0 to 1 where its formula does not say otherwise.
    Share,
    /// Voxels.
    Voxels,
    /// How many.
    Count,
    /// Millimetres.
    Mm,
    /// Square millimetres.
    Mm2,
    /// Millilitres.
    Ml,
}

impl Unit {
    /// How it is written behind a number; empty for shares and counts.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Share | Self::Count => "",
            Self::Voxels => "voxels",
            Self::Mm => "mm",
            Self::Mm2 => "mm²",
            Self::Ml => "ml",
        }
    }
}

/// Which values of a score are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher ones.
    Higher,
    /// The lower ones.
    Lower,
    /// It tells a size, and none is better.
    Neither,
}
