//! What every piece of work shares: progress, cancellation, warnings, a clock.

mod clock;
mod monitor;
mod warning;

pub use clock::Clock;
pub use monitor::{Cancelled, Monitor, Silent};
pub use warning::Warning;
