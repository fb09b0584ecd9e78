//! Scores of a label map against a reference on the same grid.
//!
//! One score a file, its formula and its source first, and a line in the list of `list.rs`; `overlap` reads them off
//! one table of counts, `surface`, `skeleton` and `tree` off what a `Pair` finds once. An empty reference means the
//! same everywhere: what cannot be divided is `None`, and `null` in JSON. The rules of a case are part of the answer.

pub mod check;
mod error;
mod joined;
mod list;
mod lungs;
mod once;
mod options;
mod overlap;
mod pair;
mod place;
mod row;
mod rules;
mod score;
mod scores;
mod skeleton;
mod surface;
mod tree;

pub use error::EvaluateError;
pub use joined::{IGNORED, Overlap, joined};
pub use list::SCORES;
pub use lungs::lung_sides;
pub use options::{Options, Restriction, Target};
pub use overlap::confusion::{Confusion, Counts};
pub use overlap::dice::dice;
pub use overlap::iou::iou;
pub use overlap::precision::precision;
pub use overlap::recall::recall;
pub use overlap::swap::{swap_rate, total_swap_rate};
pub use place::resampled;
pub use rules::Rule;
pub use score::{Better, Group, Score, Unit};
pub use scores::{Evaluation, Scores, TargetScores, evaluate};
