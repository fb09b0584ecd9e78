//! The tagged result of every call, and how errors become one.

use std::error::Error;

use napi::bindgen_prelude::{
    BigInt64Array, BigUint64Array, Either10, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Uint8Array,
    Uint16Array, Uint32Array,
};
use napi_derive::napi;
use serde::Serialize;

/// Any typed array JavaScript has for voxels.
pub type TypedArray = Either10<
    Int8Array,
    Uint8Array,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
>;

/// What a call came to: `error`, or `json` with the `arrays` it speaks of.
#[napi(object, object_from_js = false)]
pub struct Outcome {
    pub json: Option<String>,
    pub arrays: Vec<TypedArray>,
    pub error: Option<ErrorInfo>,
}

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
        Self { code, message: error.to_string(), causes }
    }
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
    pulmoav_model::ModelError,
    pulmoav_model::import::ImportError,
    pulmoav_plan::PlanError,
    pulmoav_segment::SegmentError,
    pulmoav_train::TrainError,
    pulmoav_evaluate::EvaluateError,
);

/// What a successful job hands back: JSON and the arrays that go with it.
pub struct Success {
    json: String,
    arrays: Vec<TypedArray>,
}

impl Success {
    /// A result without arrays.
    pub fn json(value: &impl Serialize) -> Result<Self, Failure> {
        Self::with_arrays(value, Vec::new())
    }

    /// A result with arrays.
    pub fn with_arrays(value: &impl Serialize, arrays: Vec<TypedArray>) -> Result<Self, Failure> {
        let json = serde_json::to_string(value).map_err(|error| Failure::from_error("ERR_INTERNAL", &error))?;
        Ok(Self { json, arrays })
    }
}

impl From<Result<Success, Failure>> for Outcome {
    fn from(result: Result<Success, Failure>) -> Self {
        match result {
            Ok(success) => Self { json: Some(success.json), arrays: success.arrays, error: None },
            Err(failure) => Self {
                json: None,
                arrays: Vec::new(),
                error: Some(ErrorInfo {
                    code: failure.code.to_owned(),
                    message: failure.message,
                    causes: failure.causes,
                }),
            },
        }
    }
}

/// Reads a JSON argument; `what` names it in the error.
pub fn parse<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| Failure::new("ERR_CONFIG", format!("{what} is not valid: {error}")))
}
