//! What the driver refuses, and the drivers that a program has to survive.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod double;

use double::*;

const INVALID_VALUE: i32 = 1;
const OUT_OF_MEMORY: i32 = 2;
const NO_DEVICE: i32 = 100;
const NOT_FOUND: i32 = 500;
const LAUNCH_FAILED: i32 = 719;
const DRIVER_MISMATCH: i32 = 803;

fn synchronize() -> i32 {
    cuCtxSynchronize()
}

#[test]
fn launches_are_checked() {
    let twice = function("twice").unwrap();
    assert_eq!(function("thrice"), Err(NOT_FOUND));
    let place = upload(&[1.0, 2.0, 3.0]);
    for (sizes, code) in [
        ([1, 32, 0], 0),
        ([0, 32, 0], INVALID_VALUE),
        ([1, 64, 0], INVALID_VALUE),
        ([1, 2048, 0], INVALID_VALUE),
        ([1, 32, 48 << 10], 0),
        ([1, 32, 64 << 10], INVALID_VALUE),
    ] {
        assert_eq!(launch(0, twice, sizes, place, 3), code, "{sizes:?}");
    }
    assert_eq!(download(place, 3), [4.0, 8.0, 12.0]);
    assert_eq!(cuFuncSetAttribute(twice, 8, 64 << 10), 0);
    assert_eq!(launch(0, twice, [1, 32, 64 << 10], place, 3), 0);
    assert_eq!(cuFuncSetAttribute(twice, 8, 300 << 10), INVALID_VALUE);
    assert_eq!(cuFuncSetAttribute(twice, 4, 8), INVALID_VALUE);
    let (mut offset, mut bytes) = (0usize, 0usize);
    assert_eq!(cuFuncGetParamInfo(twice, 1, &raw mut offset, &raw mut bytes), 0);
    assert_eq!((offset, bytes), (8, 4));
    assert_eq!(cuFuncGetParamInfo(twice, 2, &raw mut offset, &raw mut bytes), INVALID_VALUE);
    assert_eq!(cuMemFree_v2(place + 4), INVALID_VALUE);
    assert_eq!(cuMemFree_v2(place), 0);
}

/// A process to a setting: the library reads them once.
#[test]
fn settings_change_the_driver() {
    for (at, (_, settings)) in CASES.iter().enumerate() {
        println!("{settings:?}");
        passed(&process("child", settings).env("CASE", at.to_string()).output().unwrap());
    }
}

/// What a process does, and with which settings.
type Case = (fn(), &'static [(&'static str, &'static str)]);
const CASES: &[Case] = &[
    (beyond_the_end, &[]),
    (beyond_the_end, &[("EMU_LAZY", "1")]),
    (out_of_memory, &[("EMU_MEMORY", "1000")]),
    (hidden, &[("CUDA_VISIBLE_DEVICES", "")]),
    (none, &[("EMU_DRIVER", "none")]),
    (broken, &[("EMU_DRIVER", "broken")]),
    (old, &[("EMU_DRIVER", "old")]),
    (lying, &[("EMU_DRIVER", "lying")]),
    (lazy, &[("EMU_LAZY", "1")]),
];

/// The part of the processes; by itself it does nothing.
#[test]
fn child() {
    if let Ok(case) = std::env::var("CASE") {
        CASES[case.parse::<usize>().unwrap()].0();
    }
}

/// A fault of a kernel is every later call's answer.
fn beyond_the_end() {
    let (twice, place) = (function("twice").unwrap(), upload(&[1.0, 2.0, 3.0]));
    let code = launch(0, twice, [1, 32, 0], place, 4);
    assert!(code == LAUNCH_FAILED || std::env::var("EMU_LAZY").is_ok() && code == 0, "{code}");
    assert_eq!(synchronize(), LAUNCH_FAILED);
    assert_eq!(launch(0, twice, [1, 32, 0], place, 3), LAUNCH_FAILED);
}

fn out_of_memory() {
    let place = upload(&[0.0; 200]);
    let mut other = 0u64;
    assert_eq!(cuMemAlloc_v2(&raw mut other, 201), OUT_OF_MEMORY);
    assert_eq!(cuMemFree_v2(place), 0);
    assert_eq!(cuMemAlloc_v2(&raw mut other, 201), 0);
    assert_eq!(count(7), 800);
}

fn hidden() {
    assert_eq!(cuInit(0), NO_DEVICE);
}

fn none() {
    let mut devices = 5;
    assert_eq!(cuInit(0), NO_DEVICE);
    assert_eq!(cuDeviceGetCount(&raw mut devices), 0);
    assert_eq!(devices, 0);
}

fn broken() {
    assert_eq!(cuInit(0), DRIVER_MISMATCH);
    let mut devices = 0;
    assert_ne!(cuDeviceGetCount(&raw mut devices), 0);
    let mut blas = 0u64;
    assert_ne!(cublasCreate_v2(&raw mut blas), 0);
}

fn old() {
    let mut version = 0;
    assert_eq!(cuDriverGetVersion(&raw mut version), 0);
    assert!(version < 13000);
}

fn lying() {
    let (mut devices, mut memory, mut name) = (0, 0usize, [0u8; 8]);
    assert_eq!(cuDeviceGetCount(&raw mut devices), 0);
    assert!(devices > 1000);
    assert_eq!(cuDeviceTotalMem_v2(&raw mut memory, 0), 0);
    assert_eq!(memory, usize::MAX);
    assert_eq!(cuDeviceGetName(name.as_mut_ptr(), 8, 0), 0);
    assert!(!name.contains(&0), "it has no end");
}

/// Nothing is done before somebody waits for it.
fn lazy() {
    let (twice, place) = (function("twice").unwrap(), upload(&[1.0, 2.0, 3.0]));
    assert_eq!(launch(0, twice, [1, 32, 0], place, 3), 0);
    assert_eq!(count(6), 0);
    assert_eq!(synchronize(), 0);
    assert_eq!(count(6), 1);
    assert_eq!(download(place, 3), [2.0, 4.0, 6.0]);
}
