//! Graphs: what is recorded, what is refused meanwhile, and what a launch finds.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod double;

use double::*;

const INVALID_VALUE: i32 = 1;
const OUT_OF_MEMORY: i32 = 2;
const ILLEGAL_STATE: i32 = 401;
const LAUNCH_FAILED: i32 = 719;
const UNSUPPORTED: i32 = 900;
const INVALIDATED: i32 = 901;
const ISOLATION: i32 = 905;
const IMPLICIT: i32 = 906;
const CAPTURED_EVENT: i32 = 907;
const WRONG_THREAD: i32 = 908;

/// Modes of captures.
const GLOBAL: i32 = 0;
const THREAD_LOCAL: i32 = 1;
const RELAXED: i32 = 2;
/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;
/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
const THRESHOLD: i32 = 4;
/// Of three floats.
const BYTES: usize = 12;

/// A process to a case: the library has one state, and reads its settings once.
#[test]
fn graphs_are_those_of_the_driver() {
    for (at, (name, _, settings)) in CASES.iter().enumerate() {
        println!("{name} {settings:?}");
        passed(&process("child", settings).env("CASE", at.to_string()).output().unwrap());
    }
}

/// Its name, what a process does, and with which settings.
type Case = (&'static str, fn(), &'static [(&'static str, &'static str)]);
const CASES: &[Case] = &[
    ("recorded", recorded, &[]),
    ("recorded", recorded, &[("EMU_LAZY", "1")]),
    ("states", states, &[]),
    ("forbidden", forbidden, &[]),
    ("the default stream", the_default_stream, &[]),
    ("events", events, &[]),
    ("threads", threads, &[]),
    ("memory", memory, &[]),
    ("memory", memory, &[("EMU_HEAP", "1")]),
    ("memory that stays", memory_that_stays, &[]),
    ("room", room, &[("EMU_MEMORY", "100")]),
    ("room", room, &[("EMU_MEMORY", "100"), ("EMU_LAZY", "1")]),
    ("freed", freed, &[]),
    ("freed", freed, &[("EMU_LAZY", "1")]),
];

/// The part of the processes; by itself it does nothing.
#[test]
fn child() {
    if let Ok(case) = std::env::var("CASE") {
        CASES[case.parse::<usize>().unwrap()].1();
    }
}

fn begin(stream: u64, mode: i32) {
    assert_eq!(cuStreamBeginCapture_v2(stream, mode), 0);
}

/// Ends a capture: the graph, or the driver's answer.
fn end(stream: u64) -> Result<u64, i32> {
    let mut graph = 7u64;
    match cuStreamEndCapture(stream, &raw mut graph) {
        0 => Ok(graph),
        code => {
            assert_eq!(graph, 0);
            Err(code)
        }
    }
}

fn instantiate(graph: u64, flags: u64) -> Result<u64, i32> {
    let mut instance = 0u64;
    match cuGraphInstantiateWithFlags(&raw mut instance, graph, flags) {
        0 => Ok(instance),
        code => Err(code),
    }
}

/// What is recorded while `work` runs, ready to be launched.
fn graph(stream: u64, work: impl FnOnce()) -> u64 {
    begin(stream, THREAD_LOCAL);
    work();
    instantiate(end(stream).unwrap(), 0).unwrap()
}

fn allocate(stream: u64, bytes: usize) -> u64 {
    let mut place = 0u64;
    assert_eq!(cuMemAllocAsync(&raw mut place, bytes, stream), 0);
    place
}

/// A graph does nothing while it is recorded, and its work at each launch, with the arguments of then.
fn recorded() {
    let (twice, place, stream) = (function("twice").unwrap(), upload(&[1.0, 2.0, 3.0]), stream(NON_BLOCKING));
    let instance = graph(stream, || assert_eq!(launch(stream, twice, [1, 32, 0], place, 2), 0));
    assert_eq!(download(place, 3), [1.0, 2.0, 3.0]);
    assert_eq!([6, 8, 9].map(count), [0, 0, 0]);
    for _ in 0..2 {
        assert_eq!(cuGraphLaunch(instance, stream), 0);
    }
    assert_eq!(count(8), if std::env::var("EMU_LAZY").is_ok() { 0 } else { 2 });
    assert_eq!(cuStreamSynchronize(stream), 0);
    assert_eq!(download(place, 3), [4.0, 8.0, 3.0]);
    // Launches of kernels, of graphs, and kernels of these.
    assert_eq!([6, 8, 9].map(count), [0, 2, 2]);
}

fn states() {
    let (stream, mut status) = (stream(NON_BLOCKING), 7);
    let mut told = || {
        assert_eq!(cuStreamIsCapturing(stream, &raw mut status), 0);
        status
    };
    assert_eq!((told(), end(stream)), (0, Err(ILLEGAL_STATE)));
    begin(stream, RELAXED);
    assert_eq!((told(), cuStreamBeginCapture_v2(stream, RELAXED)), (1, ILLEGAL_STATE));
    assert_eq!((cuStreamSynchronize(stream), told()), (UNSUPPORTED, 2));
    assert_eq!(cuMemsetD8Async(upload(&[1.0]), 0, 4, stream), INVALIDATED);
    assert_eq!((end(stream), told()), (Err(INVALIDATED), 0));
    begin(stream, THREAD_LOCAL);
    let graph = end(stream).unwrap();
    assert_eq!(instantiate(graph, 1 << 20), Err(INVALID_VALUE));
    assert_eq!(cuGraphDestroy(graph), 0);
    assert_ne!(instantiate(graph, 0).unwrap_err(), 0);
}

/// A call by its name.
type Call<'a> = (&'a str, &'a dyn Fn() -> i32);

/// What cannot be recorded, or must not be called meanwhile, spoils what was recorded.
fn forbidden() {
    let (place, stream) = (upload(&[1.0, 2.0, 3.0]), stream(NON_BLOCKING));
    let (mut new, mut values) = (0u64, [0f32; 3]);
    let (new, values) = (&raw mut new, values.as_mut_ptr());
    // In every mode.
    let always: &[Call] = &[
        ("synchronize", &|| cuStreamSynchronize(stream)),
        ("query", &|| cuStreamQuery(stream)),
        ("context", &|| cuCtxSynchronize()),
        ("from pageable memory", &|| cuMemcpyHtoDAsync_v2(place, values, BYTES, stream)),
        ("to pageable memory", &|| cuMemcpyDtoHAsync_v2(values, place, BYTES, stream)),
    ];
    // But for `RELAXED`.
    let unsafe_calls: &[Call] = &[
        ("allocate", &|| cuMemAlloc_v2(new, 8)),
        ("allocate for the host", &|| cuMemHostAlloc(new, 8, 0)),
        ("copy to the device", &|| cuMemcpyHtoD_v2(place, values, BYTES)),
        ("copy to the host", &|| cuMemcpyDtoH_v2(values, place, BYTES)),
        ("set", &|| cuMemsetD8_v2(place, 0, BYTES)),
        ("load a module", &|| cuModuleLoadData(new, c".version 9.0\n.target sm_80".as_ptr())),
        ("free", &|| cuMemFree_v2(place)),
    ];
    for mode in [GLOBAL, THREAD_LOCAL, RELAXED] {
        let allowed = if mode == RELAXED { &[] } else { unsafe_calls };
        for (name, call) in always.iter().chain(allowed) {
            begin(stream, mode);
            assert_eq!((call(), end(stream)), (UNSUPPORTED, Err(INVALIDATED)), "{name}, {mode}");
        }
    }
    assert_eq!(download(place, 3), [1.0, 2.0, 3.0]);
    begin(stream, RELAXED);
    for (name, call) in unsafe_calls {
        assert_eq!(call(), 0, "{name}");
    }
    assert!(end(stream).is_ok());
}

/// It waits for streams that block: these cannot be recorded beside its work.
fn the_default_stream() {
    let place = upload(&[1.0]);
    assert_eq!(cuStreamBeginCapture_v2(0, RELAXED), UNSUPPORTED);
    let (blocking, other) = (stream(0), stream(NON_BLOCKING));
    begin(other, GLOBAL);
    assert_eq!(cuMemsetD8Async(place, 0, 4, 0), 0);
    assert!(end(other).is_ok());
    begin(blocking, RELAXED);
    assert_eq!(cuMemsetD8Async(place, 0, 4, 0), IMPLICIT);
    assert_eq!(end(blocking), Err(INVALIDATED));
}

fn events() {
    let (stream, mut event) = (stream(NON_BLOCKING), 0u64);
    assert_eq!(cuEventCreate(&raw mut event, 0), 0);
    assert_eq!(cuEventRecord(event, stream), 0);
    begin(stream, THREAD_LOCAL);
    assert_eq!((cuStreamWaitEvent(stream, event, 0), end(stream)), (ISOLATION, Err(INVALIDATED)));
    for ask in [cuEventQuery, cuEventSynchronize] {
        begin(stream, RELAXED);
        assert_eq!(cuEventRecord(event, stream), 0);
        assert_eq!(cuStreamWaitEvent(stream, event, 0), 0);
        assert_eq!((ask(event), end(stream)), (CAPTURED_EVENT, Err(INVALIDATED)));
    }
    assert_eq!(cuEventRecord(event, stream), 0);
    assert_eq!(cuEventSynchronize(event), 0);
}

/// Whose calls a capture forbids.
fn threads() {
    let stream = stream(NON_BLOCKING);
    let elsewhere = |own: i32| {
        std::thread::spawn(move || {
            let (mut mode, mut place) = (own, 0u64);
            assert_eq!(cuThreadExchangeStreamCaptureMode(&raw mut mode), 0);
            assert_eq!(mode, GLOBAL);
            cuMemAlloc_v2(&raw mut place, 8)
        })
        .join()
        .unwrap()
    };
    for (mode, own, code) in [
        (GLOBAL, GLOBAL, UNSUPPORTED),
        (GLOBAL, THREAD_LOCAL, 0),
        (GLOBAL, RELAXED, 0),
        (THREAD_LOCAL, GLOBAL, 0),
        (RELAXED, GLOBAL, 0),
    ] {
        begin(stream, mode);
        assert_eq!(elsewhere(own), code, "{mode} {own}");
        assert_eq!(end(stream).is_ok(), code == 0);
    }
    begin(stream, THREAD_LOCAL);
    assert_eq!(std::thread::spawn(move || end(stream)).join().unwrap(), Err(WRONG_THREAD));
    assert!(end(stream).is_ok());
    begin(stream, RELAXED);
    assert!(std::thread::spawn(move || end(stream)).join().unwrap().is_ok());
}

/// What a graph allocates is there while it runs, fresh each time, at the same place.
fn memory() {
    let (twice, stream) = (function("twice").unwrap(), stream(NON_BLOCKING));
    let (from, to) = (upload(&[1.0, 2.0, 3.0]), upload(&[0.0; 6]));
    let mut own = 0;
    let instance = graph(stream, || {
        own = allocate(stream, 2 * BYTES);
        assert_eq!(cuMemcpyDtoDAsync_v2(own, from, BYTES, stream), 0);
        assert_eq!(launch(stream, twice, [1, 32, 0], own, 3), 0);
        assert_eq!(cuMemcpyDtoDAsync_v2(to, own, 2 * BYTES, stream), 0);
        assert_eq!(cuMemsetD8Async(own, 0, 2 * BYTES, stream), 0);
        assert_eq!(cuMemFreeAsync(own, stream), 0);
        assert_eq!(cuMemFreeAsync(own, stream), INVALID_VALUE);
        assert_eq!(cuMemFreeAsync(from, stream), INVALID_VALUE);
    });
    for _ in 0..2 {
        assert_eq!(cuGraphLaunch(instance, stream), 0);
        let values = download(to, 6);
        assert_eq!(values[..3], [2.0, 4.0, 6.0]);
        assert!(values[3..].iter().all(|value| value.is_nan()), "{values:?}");
        let mut value = 0f32;
        assert_ne!(cuMemcpyDtoH_v2(&raw mut value, own, 4), 0);
    }
    assert_eq!(cuGraphExecDestroy(instance), 0);
    assert_ne!(cuGraphLaunch(instance, stream), 0);
}

/// What a graph allocates and does not free: whoever launches it again has to.
fn memory_that_stays() {
    let (stream, mut own) = (stream(NON_BLOCKING), 0);
    begin(stream, THREAD_LOCAL);
    own += allocate(stream, BYTES);
    assert_eq!(cuMemsetD8Async(own, 0, BYTES, stream), 0);
    let graph = end(stream).unwrap();
    let instance = instantiate(graph, 0).unwrap();
    assert_eq!(instantiate(graph, 0), Err(INVALID_VALUE));
    assert_eq!(cuGraphLaunch(instance, stream), 0);
    assert_eq!(download(own, 3), [0.0; 3]);
    assert_eq!(cuGraphLaunch(instance, stream), INVALID_VALUE);
    assert_eq!(cuMemFreeAsync(own, stream), 0);
    assert_eq!(cuGraphLaunch(instance, stream), 0);
    assert_eq!(cuGraphExecDestroy(instance), 0);
    let instance = instantiate(graph, 1).unwrap();
    for _ in 0..2 {
        assert_eq!(cuGraphLaunch(instance, stream), 0);
    }
    assert_eq!(download(own, 3), [0.0; 3]);
}

fn free_bytes() -> usize {
    let (mut free, mut total) = (0usize, 0usize);
    assert_eq!(cuMemGetInfo_v2(&raw mut free, &raw mut total), 0);
    free
}

/// The pool keeps what was freed, if it is told to, and graphs take their memory beside it, until they are trimmed.
fn room() {
    let (stream, mut pool, mut all) = (stream(NON_BLOCKING), 0u64, u64::MAX);
    assert_eq!(cuDeviceGetDefaultMemPool(&raw mut pool, 0), 0);
    assert_eq!(cuMemPoolSetAttribute(pool, THRESHOLD, &raw mut all), 0);
    assert_eq!(cuMemFreeAsync(allocate(stream, 60), stream), 0);
    assert_eq!(cuStreamSynchronize(stream), 0);
    assert_eq!(free_bytes(), 40);
    // Two blocks of 30 bytes, and one of 50 behind them.
    let instance = graph(stream, || {
        let both = [30, 30].map(|bytes| allocate(stream, bytes));
        for own in both {
            assert_eq!(cuMemFreeAsync(own, stream), 0);
        }
        assert_eq!(cuMemFreeAsync(allocate(stream, 50), stream), 0);
    });
    assert_eq!(cuGraphUpload(instance, stream), OUT_OF_MEMORY);
    assert_eq!(cuGraphLaunch(instance, stream), OUT_OF_MEMORY);
    assert_eq!(cuMemPoolTrimTo(pool, 0), 0);
    assert_eq!(free_bytes(), 100);
    assert_eq!(cuGraphUpload(instance, stream), 0);
    assert_eq!(free_bytes(), 40);
    assert_eq!(cuGraphLaunch(instance, stream), 0);
    let mut place = 0u64;
    assert_eq!(cuMemAllocAsync(&raw mut place, 41, stream), OUT_OF_MEMORY);
    assert_eq!(cuGraphLaunch(instance, stream), 0);
    // What is still to run keeps its memory.
    let is_lazy = std::env::var("EMU_LAZY").is_ok();
    assert_eq!(cuDeviceGraphMemTrim(0), 0);
    assert_eq!(free_bytes(), if is_lazy { 40 } else { 100 });
    assert_eq!(cuStreamSynchronize(stream), 0);
    assert_eq!(cuDeviceGraphMemTrim(0), 0);
    assert_eq!(free_bytes(), 100);
}

/// Memory that was freed although a graph knows it: nobody else gets its place, and the launch shows it.
fn freed() {
    let (twice, stream) = (function("twice").unwrap(), stream(NON_BLOCKING));
    let place = allocate(stream, BYTES);
    let instance = graph(stream, || assert_eq!(launch(stream, twice, [1, 32, 0], place, 3), 0));
    assert_eq!(cuMemFreeAsync(place, stream), 0);
    assert_eq!(cuStreamSynchronize(stream), 0);
    for _ in 0..16 {
        assert_ne!(allocate(stream, BYTES), place);
    }
    let code = cuGraphLaunch(instance, stream);
    assert!(code == LAUNCH_FAILED || std::env::var("EMU_LAZY").is_ok() && code == 0, "{code}");
    assert_eq!(cuStreamSynchronize(stream), LAUNCH_FAILED);
}
