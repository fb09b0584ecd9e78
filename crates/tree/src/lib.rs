//! Skeletons and vessel trees of masks.
//!
//! [`vessel_tree`] is the walk: mask → centreline ([`thinning`]) → graph → loops cut, spurs pruned → radii, roots,
//! orders. [`export`] writes trees for other programs.

pub mod class;
mod depth;
mod error;
pub mod export;
mod extract;
mod graph;
mod lattice;
mod loops;
pub mod order;
mod prune;
mod radius;
mod ranked;
mod region;
pub mod thinning;
pub mod tidy;
mod tree;

pub use class::{Class, classes};
pub use error::TreeError;
pub use extract::{extract_warnings, vessel_tree, vessel_trees};
pub use thinning::{skeleton, skeleton_of, skeleton_of_bits};
pub use tree::{Branch, Loop, Piece, Point, TreeNode, VesselTree};
