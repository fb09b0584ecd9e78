//! What can go wrong while a phantom is made.

use pulmoav_task::Cancelled;

/// Why there is no phantom.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// The caller's monitor asked to stop.
    #[error("the phantom was cancelled; nothing was made")]
    Cancelled,
    /// A value of the configuration is outside its limits.
    #[error("phantom: {field} is {got}, it must be {wanted}; change the configuration")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        got: String,
        /// What is allowed.
        wanted: &'static str,
    },
}

impl From<Cancelled> for PhantomError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl PhantomError {
    /// The stable code of the contracts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Config { .. } => "ERR_CONFIG",
        }
    }
}
