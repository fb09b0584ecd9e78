//! NVIDIA's cards: what is there, and a device of one.
//!
//! Whatever a driver answers is held against what is possible before anything is made of it, and a panic of a library
//! that is missing after all is caught. What cannot be caught here, a driver that breaks the process or never answers,
//! is for who calls: see [`probe`].
#![allow(unsafe_code)] // The pool's settings, and the promise of one stream a context.

use std::env;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{result, sys};
use candle_core::{DType, Device, Tensor};

use super::driver::{Driver, load, major_version, meaning, names};
use super::probe::{Card, Library, Probe};
use super::quiet::quietly;
use super::room::Room;

/// The oldest CUDA version whose driver runs this build's code.
const OLDEST_DRIVER: [u32; 2] = [13, 0];
/// The oldest compute capability that there is code for.
const OLDEST_CARD: [u32; 2] = [8, 0];
/// The major version of cuBLAS that this build calls.
const CUBLAS: i32 = 13;
/// And that of cuRAND.
const CURAND: i32 = 10;
/// More cards than a machine has.
const MAX_CARDS: i32 = 256;
/// More memory than a card has, bytes.
const MAX_BYTES: u64 = 1 << 46;
/// Attributes `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR`.
const CAPABILITY: [i32; 2] = [75, 76];

/// What [`probe`](super::probe()) tells.
pub(super) fn probe() -> Probe {
    quietly(look).unwrap_or_else(|panic| Probe {
        compiled: true,
        reason: Some(format!("asking the driver failed: {panic}")),
        ..Probe::default()
    })
}

fn look() -> Probe {
    let mut found = Probe { compiled: true, ..Probe::default() };
    let driver = load(&[names("cuda"), names("nvcuda")].concat());
    found.libraries = vec![
        Library {
            name: "CUDA driver",
            optional: false,
            found: driver.as_ref().map(|d| d.0.clone()).map_err(Clone::clone),
        },
        library("cuBLAS", "cublas", Some(("cublasGetProperty", CUBLAS))),
        library("cuRAND", "curand", Some(("curandGetProperty", CURAND))),
        Library { optional: true, ..library("cuDNN", "cudnn", None) },
        Library { optional: true, ..library("NCCL", "nccl", None) },
    ];
    let driver = match driver {
        Ok((_, library)) => Driver(library),
        Err(problem) => {
            let cure = "install NVIDIA's driver of version 580 or newer";
            found.reason = Some(format!("there is no CUDA driver ({problem}); {cure}"));
            return found;
        }
    };
    if let Err(reason) = ask(&driver, &mut found) {
        found.reason = Some(reason);
    }
    // A library that is missing is told first: it is what a user can mend without a new driver or card.
    if let Some((name, problem)) = missing(&found.libraries) {
        let cure = "CUDA 13's libraries are needed: `pip install nvidia-cublas nvidia-curand` and their folders in \
                    LD_LIBRARY_PATH, or NVIDIA's CUDA 13 runtime packages";
        found.reason.get_or_insert(format!("{name} was not found ({problem}); {cure}"));
    }
    // The driver stays loaded: unloading it is not something that its makers foresee.
    std::mem::forget(driver);
    found
}

/// Fills in the driver and the cards.
fn ask(driver: &Driver, found: &mut Probe) -> Result<(), String> {
    let version = driver.version()?;
    if !(1000..100_000).contains(&version) {
        return Err(format!("the driver says that it is of version {version}, which is none; install it again"));
    }
    let version = [version / 1000, version % 1000 / 10].map(i32::unsigned_abs);
    found.driver = Some(version);
    if version < OLDEST_DRIVER {
        let [major, minor] = version;
        return Err(format!("the driver knows CUDA {major}.{minor}, but 13.0 is needed; install version 580 or newer"));
    }
    driver.init().map_err(|code| no_start(code))?;
    let count = driver.count()?;
    if !(0..=MAX_CARDS).contains(&count) {
        return Err(format!("the driver says that there are {count} cards, which cannot be; install it again"));
    }
    found.cards = (0..count).map(|number| card(driver, number)).collect();
    if count == 0 { Err(no_start(NO_DEVICE)) } else { Ok(()) }
}

/// The driver's code for a machine without cards.
const NO_DEVICE: i32 = 100;

fn no_start(code: i32) -> String {
    match env::var("CUDA_VISIBLE_DEVICES") {
        Ok(list) if code == NO_DEVICE => format!("CUDA_VISIBLE_DEVICES=\"{list}\" leaves no card to see; unset it"),
        _ => format!("the driver does not start: {}", meaning(code)),
    }
}

fn card(driver: &Driver, number: i32) -> Card {
    let mut card = Card {
        number: number.unsigned_abs() as usize,
        name: "a card without a name".to_owned(),
        capability: [0, 0],
        total_bytes: 0,
        free_bytes: None,
        reason: None,
    };
    card.reason = inspect(driver, number, &mut card).err();
    card
}

/// Fills in a card; what makes it unusable is the error.
fn inspect(driver: &Driver, number: i32, card: &mut Card) -> Result<(), String> {
    let handle = driver.card(number)?;
    card.name = driver.name(handle)?;
    let [major, minor] = [driver.attribute(CAPABILITY[0], handle)?, driver.attribute(CAPABILITY[1], handle)?];
    if !(1..100).contains(&major) || !(0..10).contains(&minor) {
        return Err(format!("the driver gives {major}.{minor} as its compute capability, which is none"));
    }
    card.capability = [major, minor].map(i32::unsigned_abs);
    card.total_bytes = driver.total_bytes(handle)?;
    if !(1..MAX_BYTES).contains(&card.total_bytes) {
        let bytes = std::mem::take(&mut card.total_bytes);
        return Err(format!("the driver says that its memory has {bytes} bytes, which cannot be"));
    }
    if card.capability < OLDEST_CARD {
        return Err(format!("its compute capability is {major}.{minor}, but 8.0 (Ampere) or newer is needed"));
    }
    let free_bytes = driver.free_bytes(handle)?;
    if free_bytes > card.total_bytes {
        return Err(format!("the driver says that {free_bytes} bytes of {} are free", card.total_bytes));
    }
    card.free_bytes = Some(free_bytes);
    Ok(())
}

/// Looks for a library, and at its version where it states one.
fn library(name: &'static str, stem: &str, version: Option<(&str, i32)>) -> Library {
    let found = load(&names(stem)).and_then(|(file, library)| {
        let stated = version.and_then(|(function, wanted)| Some((major_version(&library, function)?, wanted)));
        // Loaded libraries stay, as cudarc keeps them.
        std::mem::forget(library);
        match stated {
            Some((major, wanted)) if major != wanted => {
                Err(format!("{file} is of version {major}, but {wanted} is needed"))
            }
            _ => Ok(file),
        }
    });
    Library { name, optional: false, found }
}

fn missing(libraries: &[Library]) -> Option<(&'static str, &str)> {
    let needed = libraries.iter().filter(|library| !library.optional);
    needed.filter_map(|library| Some((library.name, library.found.as_ref().err()?.as_str()))).next()
}

/// Held while a stream is recorded and while a device is opened: opening waits for all streams of the card's context,
/// which ends the recording of another thread.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device of a card that [`probe`] calls usable, with a stream of its own; a small sum has been computed on it.
pub(super) fn open(number: usize) -> Result<Device, String> {
    let opened = quietly(|| -> candle_core::Result<Device> {
        let _alone = alone();
        let device = Device::new_cuda_with_stream(number)?;
        if let Device::Cuda(cuda) = &device {
            // SAFETY: the context is this device's own and has one stream; candle refuses tensors of another device.
            unsafe { cuda.disable_event_tracking() };
        }
        keep_memory(number);
        let sum = Tensor::arange(0_f32, 64.0, &device)?.to_dtype(DType::F32)?.affine(2.0, 1.0)?.to_vec1::<f32>()?;
        if sum.iter().enumerate().all(|(i, &value)| value == 2.0 * i as f32 + 1.0) {
            return Ok(device);
        }
        candle_core::bail!("2 i + 1 came out wrong; the card or its driver is broken")
    });
    match opened {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err(format!("the card does not work: {error}")),
        Err(panic) => Err(format!("the card does not work: {panic}")),
    }
}

/// Lets the driver's memory pool keep what is freed: by default every wait for the card gives it back to the system.
fn keep_memory(number: usize) {
    let mut threshold = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the device was opened before; the attribute's value is a u64, which the driver copies. A card without
    // pools refuses, which changes nothing.
    unsafe {
        if let Ok(pool) = result::device::get(number as i32).and_then(|card| result::device::get_default_mem_pool(card))
        {
            sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut threshold).cast::<c_void>());
        }
    }
}

/// See [`room`](super::room()).
pub(super) fn room(device: &CudaDevice) -> Option<Room> {
    let context = device.cuda_stream().context().clone();
    let (free, total) = context.mem_get_info().ok()?;
    let kept = kept_bytes(context.cu_device()).unwrap_or(0);
    let (free, total) = (free as u64, total as u64);
    Some(Room { free_bytes: free.saturating_add(kept).min(total), total_bytes: total })
}

/// What the driver's pool of a card keeps although nobody uses it, bytes.
fn kept_bytes(card: sys::CUdevice) -> Option<u64> {
    // SAFETY: the card is that of a context that was made; a card without pools refuses.
    let pool = unsafe { result::device::get_default_mem_pool(card) }.ok()?;
    let asked = |attribute: sys::CUmemPool_attribute| {
        let mut bytes = 0_u64;
        // SAFETY: these attributes are a u64, for which there is room.
        let answer = unsafe { sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut bytes).cast::<c_void>()) };
        (answer == sys::CUresult::CUDA_SUCCESS).then_some(bytes)
    };
    let reserved = asked(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
    Some(reserved.saturating_sub(asked(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?))
}
