//! Cases, patches, losses, optimiser: one training step. The loop that calls it stands in TypeScript.

mod annotated;
pub mod augment;
pub mod batch;
pub mod cache;
pub mod case;
mod ceiling;
pub mod check;
pub mod code;
pub mod config;
pub mod ema;
pub mod error;
pub mod finding;
pub mod fingerprint;
pub mod labels;
pub mod loss;
mod npz;
pub mod optimizer;
pub mod patch;
pub mod places;
pub mod prefetch;
pub mod prepare;
mod range;
mod reference;
pub mod report;
pub mod sampler;
pub mod slices;
pub mod state;
pub mod survey;
pub mod teacher;
pub mod tower;
pub mod trainer;
pub mod validate;

pub use config::{StepConfig, StepSettings};
pub use error::TrainError;
pub use report::{StepReport, StepSeconds};
pub use trainer::{Facts, Setup, Trainer};
