//! What the scores of one target are read off.

use crate::centreline::Lines;
use crate::confusion::{Confusion, Counts};
use crate::options::Target;

/// What the scores of one target are read off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// What is scored.
    pub(crate) target: &'a Target,
    /// Its voxels.
    pub(crate) counts: Counts,
    /// Its centrelines; `None` where nobody asked.
    pub(crate) lines: Option<Lines>,
    /// All voxels.
    pub(crate) confusion: &'a Confusion,
    /// The targets of all rows.
    pub(crate) targets: &'a [Target],
}
