//! How errors cross: every call comes to its answer or to an [`ErrorInfo`].

use std::error::Error;

use napi::bindgen_prelude::Either;
use napi_derive::napi;

/// What a call comes to. Exported signatures write it out, since the declarations for TypeScript are made of the
/// signature's words.
pub type Outcome<T> = Either<T, ErrorInfo>;

/// An error on its way to its TypeScript class.
#[napi(object, object_from_js = false)]
pub struct ErrorInfo {
    /// A stable code (`ERR_FORMAT`, …) or `CANCELLED`.
    pub code: String,
    /// One sentence: what, where, what was expected, what to do.
    pub message: String,
    /// Messages of the causes, outermost first.
    pub causes: Vec<String>,
}

/// A failed job.
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    message: String,
    causes: Vec<String>,
}

impl Failure {
    /// A failure told in one sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new() }
    }

    /// A library error with its code and its chain of causes.
    pub fn from_error(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        Self { code, message: without_number(&error.to_string()), causes }
    }
}

/// A message without the numbers that the operating system gives its refusals, which say nothing to a user.
fn without_number(message: &str) -> String {
    const BEFORE: &str = " (os error ";
    let mut parts = message.split(BEFORE);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(')') {
            Some(rest) => told.push_str(rest),
            None => told.extend([BEFORE, part]),
        }
    }
    told
}

/// Every library error enum names its code; one line here lets `?` carry it over the door.
macro_rules! failures {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::from_error(error.code(), &error)
            }
        }
    )*};
}
failures!(
    pulmoav_volume::VolumeError,
    pulmoav_phantom::PhantomError,
    pulmoav_ops::device::DeviceError,
    pulmoav_model::ModelError,
    pulmoav_checkpoint::la_caf::ImportError,
    pulmoav_checkpoint::nnunet::FolderError,
    pulmoav_plan::PlanError,
    pulmoav_segment::SegmentError,
    pulmoav_train::TrainError,
    pulmoav_evaluate::EvaluateError,
    pulmoav_tree::TreeError,
);

/// What a job came to, for JavaScript.
pub fn outcome<T>(result: Result<T, Failure>) -> Outcome<T> {
    match result {
        Ok(answer) => Either::A(answer),
        Err(Failure { code, message, causes }) => Either::B(ErrorInfo { code: code.to_owned(), message, causes }),
    }
}

/// Reads a JSON argument; `what` names it in the error.
pub fn parse<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| Failure::new("ERR_CONFIG", format!("{what} is not valid: {error}")))
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::without_number;

    #[test]
    fn words_of_the_system_come_without_its_number() {
        let said = format!("cannot read a.nii: {}; look again", Error::from_raw_os_error(2));
        assert!(said.contains("(os error 2)"), "{said}");
        assert_eq!(without_number(&said), said.replace(" (os error 2)", ""));
        assert_eq!(without_number("nothing of the kind"), "nothing of the kind");
    }
}
