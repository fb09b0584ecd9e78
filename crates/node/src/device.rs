//! The machine's devices, told.

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use pulmoav_ops::device::{Card, Chosen, Library, choose, probe};

use crate::outcome::{ErrorInfo, Failure, outcome};

/// What this build and machine have for tensors beside the CPU.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct DeviceProbe {
    /// Whether this build has CUDA code.
    pub compiled: bool,
    /// The newest CUDA version that the driver knows, `13.0`; `null` where there is no driver.
    pub driver: Option<String>,
    /// Libraries looked for, needed ones first; none without CUDA code.
    pub libraries: Vec<DeviceLibrary>,
    /// The driver's cards.
    pub cards: Vec<GpuCard>,
    /// Why no card can be used at all, and what to do; `null` where one may be.
    pub reason: Option<String>,
}

/// A library that is loaded at run time.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct DeviceLibrary {
    /// What it is called.
    pub name: String,
    /// Whether a GPU can be used without it.
    pub optional: bool,
    /// The file name it was found under; `null` where it was not found.
    pub found: Option<String>,
    /// Why it was not found; `null` where it was.
    pub problem: Option<String>,
}

/// A graphics card.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct GpuCard {
    /// Its number N in `cuda:N`.
    pub number: u32,
    /// What the driver calls it.
    pub name: String,
    /// Compute capability, `9.0`.
    pub capability: String,
    /// Its memory.
    pub total_bytes: f64,
    /// What of its memory nobody uses; `null` of a card that cannot be used.
    pub free_bytes: Option<f64>,
    /// Why it cannot be used; `null` where it can.
    pub reason: Option<String>,
}

/// A device that work runs on.
#[napi(object, object_from_js = false)]
pub struct WorkingDevice {
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// Why this one.
    pub reason: String,
}

impl From<Library> for DeviceLibrary {
    fn from(Library { name, optional, found }: Library) -> Self {
        let (found, problem) = match found {
            Ok(file) => (Some(file), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { name: name.to_owned(), optional, found, problem }
    }
}

impl From<Card> for GpuCard {
    fn from(Card { number, name, capability: [major, minor], total_bytes, free_bytes, reason }: Card) -> Self {
        Self {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            name,
            capability: format!("{major}.{minor}"),
            total_bytes: total_bytes as f64,
            free_bytes: free_bytes.map(|bytes| bytes as f64),
            reason,
        }
    }
}

/// Looks at the driver, its libraries and its cards. Waits for the driver, and a broken one may take the process with
/// it: `src/native/device.ts` asks in a process of its own.
#[napi(catch_unwind)]
pub fn probe_devices() -> DeviceProbe {
    let found = probe();
    DeviceProbe {
        compiled: found.compiled,
        driver: found.driver.map(|[major, minor]| format!("{major}.{minor}")),
        libraries: found.libraries.into_iter().map(DeviceLibrary::from).collect(),
        cards: found.cards.into_iter().map(GpuCard::from).collect(),
        reason: found.reason,
    }
}

/// Computes something small on the device of that name. As [`probe_devices`] for a process of its own.
#[napi(catch_unwind)]
pub fn try_device(name: String) -> Either<WorkingDevice, ErrorInfo> {
    let tried = name.parse().and_then(choose).map_err(Failure::from);
    outcome(tried.map(|Chosen { name, reason, .. }| WorkingDevice { name, reason }))
}
