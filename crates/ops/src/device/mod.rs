//! Where tensors live: what a user may ask for, what this machine has, and the device that follows.
//!
//! A device is chosen once and handed to everything that makes tensors. Nothing falls back by itself later: an operator
//! that fails on a GPU is an error, not a slow success.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cuda")]
pub(crate) mod driver;
#[cfg(feature = "cuda")]
mod graph;
mod pace;
mod probe;
#[cfg(feature = "cuda")]
mod quiet;
mod repeated;
mod room;
mod transfer;

use std::fmt;
use std::str::FromStr;

use candle_core::DType;
pub use candle_core::Device;

use crate::products::Products;

pub use pace::Pace;
pub use probe::{Card, Library, Probe, probe};
pub use repeated::Repeated;
pub use room::{Room, room};
pub use transfer::{Transfers, from_host, from_slice, to_cpu, to_host, to_host_bytes, to_host_half, with_host};

/// The device asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The first GPU that can be used, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of that number, as `CUDA_VISIBLE_DEVICES` numbers them.
    Cuda(usize),
}

impl FromStr for Choice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
                let number = number.and_then(|digits| digits.parse().ok());
                number.map(Self::Cuda).ok_or_else(|| DeviceError::Unknown { name: text.to_owned() })
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// Why a device cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceError {
    /// There is no such name.
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// There is no such precision on the device.
    Precision {
        /// What was asked for.
        name: String,
    },
    /// It cannot be used here.
    Unusable {
        /// What was asked for.
        choice: Choice,
        /// Why not, and what to do.
        reason: String,
    },
}

impl DeviceError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "ERR_DEVICE"
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "there is no device \"{name}\"; expected auto, cpu or cuda[:N]"),
            Self::Precision { name } => {
                write!(f, "there is no precision {name} on this device; expected f32, or tf32 or bf16 on a GPU")
            }
            Self::Unusable { choice, reason } => write!(f, "{choice} cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for DeviceError {}

/// Where tensors are, and the type that networks compute in. Parameters are f32 in any case.
#[derive(Debug, Clone)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// f32, or bf16 on a GPU.
    pub dtype: DType,
    /// How a GPU forms products of f32 values.
    pub products: Products,
}

impl Compute {
    /// In f32 on the CPU.
    pub fn cpu() -> Self {
        Self::on(&Device::Cpu)
    }

    /// In f32 on a device.
    pub fn on(device: &Device) -> Self {
        Self { device: device.clone(), dtype: DType::F32, products: Products::F32 }
    }

    /// On a device with the precision of that name: `f32`, `tf32` or `bf16`.
    ///
    /// # Errors
    /// [`DeviceError::Precision`].
    pub fn named(device: &Device, precision: &str) -> Result<Self, DeviceError> {
        let (dtype, products) = match precision {
            "f32" => (DType::F32, Products::F32),
            "tf32" if !device.is_cpu() => (DType::F32, Products::Tf32),
            "bf16" if !device.is_cpu() => (DType::BF16, Products::F32),
            other => return Err(DeviceError::Precision { name: other.to_owned() }),
        };
        Ok(Self { device: device.clone(), dtype, products })
    }
}

/// A device, ready for tensors.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// Why this one, in words.
    pub reason: String,
}

/// Makes the device that was asked for. Each call makes a stream of its own on a GPU, so a thread that works calls it
/// once.
///
/// # Errors
/// [`DeviceError::Unusable`] where a GPU was asked for by name and cannot be used; `auto` takes the CPU then and says why.
pub fn choose(choice: Choice) -> Result<Chosen, DeviceError> {
    let cpu = |reason: String| Chosen { device: Device::Cpu, name: "cpu".to_owned(), reason };
    match choice {
        Choice::Cpu => Ok(cpu("it was asked for".to_owned())),
        Choice::Cuda(number) => gpu(number)
            .map(|device| Chosen { device, name: choice.to_string(), reason: "it was asked for".to_owned() })
            .map_err(|reason| DeviceError::Unusable { choice, reason }),
        Choice::Auto => Ok(match probe().best().and_then(|card| gpu(card.number).map(|device| (device, card))) {
            Ok((device, card)) => {
                let reason = format!("{} can be used", card.name);
                Chosen { device, name: Choice::Cuda(card.number).to_string(), reason }
            }
            Err(reason) => cpu(reason),
        }),
    }
}

#[cfg(feature = "cuda")]
fn gpu(number: usize) -> Result<Device, String> {
    probe().card(number)?;
    cuda::open(number)
}

#[cfg(not(feature = "cuda"))]
fn gpu(number: usize) -> Result<Device, String> {
    Err(probe().card(number).err().unwrap_or_default())
}

/// Which kernels were found wrong on a card since this was last asked, and how, in words. They are used no more, so that
/// results are right.
pub fn wrong_kernels() -> Vec<String> {
    #[cfg(feature = "cuda")]
    return crate::conv3d::cuda::candidates::wrong_kernels();
    #[cfg(not(feature = "cuda"))]
    Vec::new()
}

/// Whether an operator failed because the device has no room left: what was computed before still holds, and less may
/// fit.
pub fn is_out_of_memory(error: &candle_core::Error) -> bool {
    let said = format!("{error} {error:?}");
    ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"].iter().any(|name| said.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        let parse = |text: &str| text.parse::<Choice>();
        assert_eq!(parse("auto"), Ok(Choice::Auto));
        assert_eq!(parse("cpu"), Ok(Choice::Cpu));
        assert_eq!(parse("cuda"), Ok(Choice::Cuda(0)));
        assert_eq!(parse("cuda:12"), Ok(Choice::Cuda(12)));
        for wrong in ["", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda:99999999999999999999", "cuda0", "gpu"]
        {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.code(), "ERR_DEVICE");
            assert!(error.to_string().contains(&format!("\"{wrong}\"")), "{error}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn without_cuda_there_is_the_cpu_alone() {
        assert!(choose(Choice::Cpu).unwrap().device.is_cpu());
        let auto = choose(Choice::Auto).unwrap();
        assert_eq!((auto.device.is_cpu(), auto.name.as_str()), (true, "cpu"));
        assert!(auto.reason.contains("npm run build:cuda"), "{}", auto.reason);
        let error = choose(Choice::Cuda(1)).unwrap_err();
        assert!(error.to_string().starts_with("cuda:1 cannot be used: this build has CPU code only"), "{error}");
    }
}
