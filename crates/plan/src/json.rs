use serde::Deserialize;

use crate::{PLAN_VERSION, Plan, PlanError};

impl Plan {
    /// Reads a plan and validates it; the version is looked at first, so that a newer plan is named as such.
    ///
    /// # Errors
    /// [`PlanError`]: not JSON, another version, unknown or missing fields, values that cannot be used.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let Versioned { version } = serde_json::from_str(text)?;
        if version != u64::from(PLAN_VERSION) {
            return Err(PlanError::Version { found: version });
        }
        let plan: Self = serde_json::from_str(text)?;
        plan.validate()?;
        Ok(plan)
    }

    /// The plan as indented JSON with a final newline; the same plan always gives the same bytes.
    ///
    /// # Errors
    /// [`PlanError::Json`] never happens for a validated plan (its numbers are finite).
    pub fn to_json(&self) -> Result<String, PlanError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}
