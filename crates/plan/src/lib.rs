//! The recipe that travels with the weights: what the network sees, what it is asked for, how it is built.
//!
//! A plan is data, versioned, and stored in the safetensors metadata under the key `plan`.
//! Unknown fields are refused, and there are no defaults here: every default stands in the TypeScript configs.

mod classes;
mod error;
mod json;
mod network;
mod recipe;
mod training;
mod validate;

pub use classes::{CLASS_PLAN_VERSION, Class, ClassChannel, ClassPlan, Normalisation, Output, Resampling, Source};
pub use error::PlanError;
pub use json::AnyPlan;
pub use network::{Auxiliary, LaCaf, LaCafVariant, Network, Pulmoav, Unet};
pub use recipe::{
    Blend, BodySide, BoundaryRefinement, Channel, Crop, PLAN_VERSION, Plan, Target, TextEncoder, Tiles, VesselClass,
};
pub use training::StepShape;
