//! Scores of centrelines, by 3-D thinning.

pub(crate) mod calibre;
pub(crate) mod cl_dice;
pub(crate) mod hilum;
pub(crate) mod line;
pub(crate) mod line_points;
pub(crate) mod line_recall;
pub(crate) mod line_swap;
pub(crate) mod radius;
pub(crate) mod small_vessels;
