//! libcurand.so.10, as far as candle calls it. Numbers are as random as a test needs, and not cuRAND's own.
#![expect(unsafe_code, reason = "a C interface on memory of the device")]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::driver::{Answer, Code, Out, api, put, refuse, state};

#[derive(Clone, Copy, Default)]
struct Generator {
    stream: u64,
    state: u64,
}

fn generators() -> MutexGuard<'static, HashMap<u64, Generator>> {
    static GENERATORS: OnceLock<Mutex<HashMap<u64, Generator>>> = OnceLock::new();
    GENERATORS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

impl Generator {
    /// `SplitMix64` (Steele, Lea, Flood, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Above 0, up to 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn change(handle: u64, change: impl FnOnce(&mut Generator)) -> Answer {
    generators().get_mut(&handle).map(change).ok_or(Code::InvalidValue)
}

/// Fills the device's memory when the stream comes to it; the numbers are drawn now.
fn fill<T: Copy + Send + Sync + 'static>(
    handle: u64,
    to: u64,
    count: usize,
    draw: impl Fn(&mut Generator) -> T,
) -> Answer {
    let mut generator = *generators().get(&handle).ok_or(Code::InvalidValue)?;
    let values: Vec<T> = (0..count).map(|_| draw(&mut generator)).collect();
    generators().insert(handle, generator);
    put(&mut state(), generator.stream, move |state| {
        if !state.memory.iter().any(|memory| memory.holds(to, size_of_val(&*values))) {
            return refuse(Code::IllegalAddress, format_args!("cuRAND: {} numbers at {to:x}", values.len()));
        }
        // SAFETY: an allocation holds all of the bytes.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), to as *mut u8, size_of_val(&*values)) };
        Ok(())
    })
}

/// cuRAND draws normal numbers in pairs, and refuses an odd count.
fn even(count: usize) -> Answer {
    if count.is_multiple_of(2) {
        Ok(())
    } else {
        refuse(Code::InvalidValue, format_args!("cuRAND: {count} normal numbers"))
    }
}

api! {
    fn curandCreateGenerator(handle: Out<u64>, _kind: i32) {
        let new = state().handle();
        generators().insert(new, Generator::default());
        handle.set(new)
    }
    fn curandDestroyGenerator(handle: u64) { generators().remove(&handle).map(|_| ()).ok_or(Code::InvalidValue) }
    fn curandSetStream(handle: u64, stream: u64) { change(handle, |generator| generator.stream = stream) }
    fn curandSetGeneratorOffset(handle: u64, offset: u64) {
        change(handle, |generator| generator.state = generator.state.wrapping_add(offset))
    }
    fn curandSetPseudoRandomGeneratorSeed(handle: u64, seed: u64) { change(handle, |generator| generator.state = seed) }
    fn curandGenerateUniform(handle: u64, to: u64, count: usize) {
        fill(handle, to, count, |generator| (generator.uniform() as f32).max(f32::MIN_POSITIVE))
    }
    fn curandGenerateUniformDouble(handle: u64, to: u64, count: usize) { fill(handle, to, count, Generator::uniform) }
    fn curandGenerateNormal(handle: u64, to: u64, count: usize, mean: f32, deviation: f32) {
        even(count)?;
        fill(handle, to, count, |generator| generator.normal() as f32 * deviation + mean)
    }
    fn curandGenerateNormalDouble(handle: u64, to: u64, count: usize, mean: f64, deviation: f64) {
        even(count)?;
        fill(handle, to, count, |generator| generator.normal() * deviation + mean)
    }
}
