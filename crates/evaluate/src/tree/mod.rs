//! Scores of branches and of topology.

pub(crate) mod betti;
pub(crate) mod branches;
pub(crate) mod branches_detected;
pub(crate) mod branches_swapped;
pub(crate) mod length_detected;
