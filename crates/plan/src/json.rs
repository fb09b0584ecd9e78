use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{CLASS_PLAN_VERSION, ClassPlan, Network, PLAN_VERSION, Plan, PlanError};

/// A plan of either kind, told by its version.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyPlan {
    /// Version 1: a network that is asked with prompts.
    Prompts(Plan),
    /// Version 2: a network that answers with classes.
    Classes(ClassPlan),
}

impl AnyPlan {
    /// Reads a plan and validates it; the version is looked at first, so that a newer plan is named as such.
    ///
    /// # Errors
    /// [`PlanError`]: not JSON, another version, unknown or missing fields, values that cannot be used.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        match version(text)? {
            PLAN_VERSION => Plan::from_json(text).map(Self::Prompts),
            _ => ClassPlan::from_json(text).map(Self::Classes),
        }
    }

    /// Human name of the model.
    pub fn name(&self) -> &str {
        match self {
            Self::Prompts(plan) => &plan.name,
            Self::Classes(plan) => &plan.name,
        }
    }

    /// The network's own numbers.
    pub fn network(&self) -> &Network {
        match self {
            Self::Prompts(plan) => &plan.network,
            Self::Classes(plan) => &plan.network,
        }
    }
}

impl Plan {
    /// Reads a plan and validates it; the version is looked at first, so that a newer plan is named as such.
    ///
    /// # Errors
    /// [`PlanError`]: not JSON, another version or kind, unknown or missing fields, values that cannot be used.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let plan: Self = read(text, PLAN_VERSION)?;
        plan.validate()?;
        Ok(plan)
    }

    /// The plan as indented JSON with a final newline; the same plan always gives the same bytes.
    ///
    /// # Errors
    /// [`PlanError::Json`] never happens for a validated plan (its numbers are finite).
    pub fn to_json(&self) -> Result<String, PlanError> {
        write(self)
    }
}

impl ClassPlan {
    /// Reads a plan and validates it; the version is looked at first, so that a newer plan is named as such.
    ///
    /// # Errors
    /// [`PlanError`]: not JSON, another version or kind, unknown or missing fields, values that cannot be used.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let plan: Self = read(text, CLASS_PLAN_VERSION)?;
        plan.validate()?;
        Ok(plan)
    }

    /// The plan as indented JSON with a final newline; the same plan always gives the same bytes.
    ///
    /// # Errors
    /// [`PlanError::Json`] never happens for a validated plan (its numbers are finite).
    pub fn to_json(&self) -> Result<String, PlanError> {
        write(self)
    }
}

/// The version of a plan, which this build can read.
fn version(text: &str) -> Result<u32, PlanError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let Versioned { version: found } = serde_json::from_str(text)?;
    let known = [PLAN_VERSION, CLASS_PLAN_VERSION].into_iter().find(|&known| u64::from(known) == found);
    known.ok_or(PlanError::Version { found })
}

fn read<P: DeserializeOwned>(text: &str, expected: u32) -> Result<P, PlanError> {
    let found = version(text)?;
    if found != expected {
        return Err(PlanError::Kind { found: found.into(), expected });
    }
    Ok(serde_json::from_str(text)?)
}

fn write(plan: &impl Serialize) -> Result<String, PlanError> {
    let mut text = serde_json::to_string_pretty(plan)?;
    text.push('\n');
    Ok(text)
}
