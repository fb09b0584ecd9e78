use crate::{CLASS_PLAN_VERSION, PLAN_VERSION};

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The text is not JSON, or not a plan: a field is missing, unknown or of another type.
    #[error("this is not a plan: {0}; compare it with docs/plan-format.md")]
    Json(#[from] serde_json::Error),
    /// The plan was written by another version of pulmoav.
    #[error(
        "plan version {found} cannot be read: this build reads versions {PLAN_VERSION} and {CLASS_PLAN_VERSION}; use the pulmoav that wrote the model, or convert it with `pulmoav import`"
    )]
    Version {
        /// The version found in the plan.
        found: u64,
    },
    /// The plan is of the other kind.
    #[error(
        "the plan has version {found}, {}; expected version {expected}, {}",
        kind(*found), kind(u64::from(*expected))
    )]
    Kind {
        /// The version found in the plan.
        found: u64,
        /// The version of the kind that is needed.
        expected: u32,
    },
    /// A value is out of range, or two fields contradict each other.
    #[error("plan field `{field}` is {found}; expected {expected}")]
    Invalid {
        /// Path of the field, as it stands in the JSON.
        field: String,
        /// What was found there.
        found: String,
        /// What would be right.
        expected: String,
    },
}

impl PlanError {
    /// The stable code: `ERR_MODEL` for a plan of another version or kind, else `ERR_CONFIG`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } | Self::Kind { .. } => "ERR_MODEL",
            Self::Json(_) | Self::Invalid { .. } => "ERR_CONFIG",
        }
    }
}

/// What plans of a version describe.
fn kind(version: u64) -> &'static str {
    if version == u64::from(PLAN_VERSION) {
        "a network that is asked with prompts"
    } else {
        "a network that answers with classes"
    }
}
