//! Cases, patches, losses, optimiser: one training step. The loop that calls it stands in TypeScript.

pub mod augment;
pub mod batch;
pub mod cache;
pub mod case;
pub mod code;
pub mod config;
pub mod error;
pub mod loss;
pub mod optimizer;
pub mod patch;
pub mod places;
pub mod prefetch;
pub mod prepare;
mod range;
pub mod sampler;
pub mod slices;
pub mod state;
pub mod teacher;
pub mod tower;
pub mod trainer;
pub mod validate;

pub use config::{StepConfig, StepSettings};
pub use error::TrainError;
pub use trainer::{Facts, Setup, StepReport, StepSeconds, Trainer};
