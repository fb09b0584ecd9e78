//! Scores of a label map against a reference on the same grid.
//!
//! One metric a file, its formula first, and a line in the list of `scores.rs`. All of them are read off one table of
//! counts, or of one count of centrelines, so an empty reference means the same everywhere: what cannot be divided is `None`, and `null` in JSON.

mod centreline;
mod cl_dice;
mod confusion;
mod dice;
mod error;
mod iou;
mod options;
mod precision;
mod recall;
mod row;
mod scores;
mod swap;

pub use centreline::Lines;
pub use cl_dice::cl_dice;
pub use confusion::{Confusion, Counts};
pub use dice::dice;
pub use error::EvaluateError;
pub use iou::iou;
pub use options::{Options, Restriction, Target};
pub use precision::precision;
pub use recall::recall;
pub use scores::{Score, Scores, TargetScores, evaluate};
pub use swap::{swap_rate, total_swap_rate};
