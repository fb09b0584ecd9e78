//! Refusing settings out of their range.

use crate::error::TrainError;

/// Refuses a value outside `[low, high]` (and what is not a number).
pub(crate) fn within(name: &str, value: f64, low: f64, high: f64) -> Result<(), TrainError> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(TrainError::Config(format!("{name} is {value}, expected {low} to {high}")))
}

/// Refuses a pair that does not rise, or leaves `[least, most]`.
pub(crate) fn rising(name: &str, [low, high]: [f32; 2], least: f64, most: f64) -> Result<(), TrainError> {
    within(&format!("{name}[0]"), f64::from(low), least, most)?;
    within(&format!("{name}[1]"), f64::from(high), f64::from(low), most)
}
