//! What the environment asks of the double.
//!
//! | variable | what |
//! |---|---|
//! | `EMU_MEMORY` | bytes of memory that each device has; 8 GiB unless it says otherwise |
//! | `EMU_DEVICES` | how many devices there are; `CUDA_VISIBLE_DEVICES` hides some |
//! | `EMU_CAPABILITY` | their compute capability, `9.0` unless it says otherwise |
//! | `EMU_LAZY=1` | work waits in its stream until something synchronises; `EMU_LAZY=first`: in the first stream only |
//! | `EMU_FORGET_WAIT=N` | the Nth wait of a stream for an event is left out: faults are planted so |
//! | `EMU_FORGET_COPY=N` | the Nth copy within the device is left out, of those that streams are given |
//! | `EMU_ORDER=last` | the last warp and block that can go on go first |
//! | `EMU_COPIES=early` | `cp.async` copies at once instead of at the wait |
//! | `EMU_THREADS` | threads of the machine that blocks are spread over |
//! | `EMU_KERNELS` | a library of kernels that the host's compiler made: cubins run these |
//! | `EMU_PTX` | a file of PTX that takes the place of the module with the same first kernel: faults are planted so |
//! | `EMU_HEAP=1` | device memory comes from `malloc`, whose ends a sanitizer watches |
//! | `EMU_COUNTS` | a file of ten little-endian u64, kept up to date: see `counts` |
//! | `EMU_TRACE=1` | calls and launches on standard error |
//! | `EMU_NCCL_SECONDS` | how long a rank waits for the others; 60 unless it says otherwise |
//! | `EMU_CUDNN` | `old`: the version before those that may be used; `wrong`: results that are a quarter too large |
//! | `EMU_DRIVER` | `old`, `none`, `broken`, `lying` or `crashing`: see `Mode` |

use std::sync::OnceLock;

use crate::ptx::{Copies, Order};

/// Drivers that a program has to survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Sound,
    /// A driver for CUDA 12.4, on which nothing of ours runs.
    Old,
    /// A driver that finds no device.
    None,
    /// A driver whose every call fails.
    Broken,
    /// A driver whose answers cannot be true.
    Lying,
    /// A driver that ends the process.
    Crashing,
}

/// Which streams let their work wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lazy {
    No,
    /// The first that was created.
    First,
    All,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) memory_bytes: u64,
    /// Numbers of the devices that are visible.
    pub(crate) devices: Vec<i32>,
    pub(crate) capability: (i32, i32),
    pub(crate) lazy: Lazy,
    /// Which wait of a stream is left out, from 1.
    pub(crate) forgotten_wait: Option<u64>,
    /// Which copy within the device is left out, from 1.
    pub(crate) forgotten_copy: Option<u64>,
    pub(crate) order: Order,
    pub(crate) copies: Copies,
    pub(crate) threads: usize,
    pub(crate) kernels: Option<String>,
    pub(crate) ptx: Option<String>,
    pub(crate) uses_heap: bool,
    pub(crate) counts: Option<String>,
    pub(crate) traces: bool,
    pub(crate) nccl_seconds: u64,
    /// `10000 · major + 100 · minor + patch`.
    pub(crate) cudnn_version: usize,
    pub(crate) cudnn_is_wrong: bool,
}

/// The settings, read once.
pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings::read(&|name| std::env::var(name).ok().filter(|value| !value.is_empty())))
}

impl Settings {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Settings {
        let is = |name: &str, value: &str| variable(name).is_some_and(|found| found == value);
        let number = |name: &str| variable(name).and_then(|value| value.parse::<u64>().ok());
        let mode = match variable("EMU_DRIVER").as_deref() {
            Some("old") => Mode::Old,
            Some("none") => Mode::None,
            Some("broken") => Mode::Broken,
            Some("lying") => Mode::Lying,
            Some("crashing") => Mode::Crashing,
            _ => Mode::Sound,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        Settings {
            mode,
            memory_bytes: number("EMU_MEMORY").unwrap_or(8 << 30),
            devices: visible_devices(number("EMU_DEVICES").unwrap_or(1) as i32, visible.as_deref()),
            capability: variable("EMU_CAPABILITY").and_then(|text| capability(&text)).unwrap_or((9, 0)),
            lazy: match variable("EMU_LAZY").as_deref() {
                Some("1") => Lazy::All,
                Some("first") => Lazy::First,
                _ => Lazy::No,
            },
            forgotten_wait: number("EMU_FORGET_WAIT"),
            forgotten_copy: number("EMU_FORGET_COPY"),
            order: if is("EMU_ORDER", "last") { Order::Last } else { Order::First },
            copies: if is("EMU_COPIES", "early") { Copies::Early } else { Copies::Late },
            threads: number("EMU_THREADS").map_or(cores, |count| count as usize),
            kernels: variable("EMU_KERNELS"),
            ptx: variable("EMU_PTX"),
            uses_heap: is("EMU_HEAP", "1"),
            counts: variable("EMU_COUNTS"),
            nccl_seconds: number("EMU_NCCL_SECONDS").unwrap_or(60),
            traces: is("EMU_TRACE", "1"),
            cudnn_version: if is("EMU_CUDNN", "old") { 91_400 } else { 91_600 },
            cudnn_is_wrong: is("EMU_CUDNN", "wrong"),
        }
    }
}

/// Devices in the order of the list, which ends where it names one that is not there.
fn visible_devices(count: i32, list: Option<&str>) -> Vec<i32> {
    let Some(list) = list else { return (0..count).collect() };
    let named = list.split(',').map_while(|number| number.trim().parse().ok());
    named.take_while(|number| (0..count).contains(number)).collect()
}

fn capability(text: &str) -> Option<(i32, i32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_can_be_hidden() {
        let cases: &[(Option<&str>, &[i32])] = &[
            (None, &[0, 1]),
            (Some("1"), &[1]),
            (Some("1,0"), &[1, 0]),
            (Some(""), &[]),
            (Some("-1"), &[]),
            (Some("0,7,1"), &[0]),
        ];
        for (list, want) in cases {
            assert_eq!(visible_devices(2, *list), *want, "{list:?}");
        }
    }
}
