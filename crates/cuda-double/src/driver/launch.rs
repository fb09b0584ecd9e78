//! Launches, refused where the driver would refuse them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::function::{Body, Function, Image};
use super::state::{put, state};
use super::{Answer, Code, Out, State, api, refuse};
use crate::counts::{Count, count};
use crate::ptx::{self, Launch};
use crate::settings::settings;

/// The sizes of a launch.
#[derive(Clone, Copy)]
struct Sizes {
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_bytes: usize,
}

/// Checks the sizes as the driver does.
fn check(function: &Function, sizes: Sizes) -> Answer {
    let (name, [_, grid_y, grid_z], [_, _, block_z]) = (&function.name, sizes.grid, sizes.block);
    let threads: u64 = sizes.block.iter().map(|size| u64::from(*size)).product();
    if sizes.grid.contains(&0) || sizes.grid[0] > i32::MAX as u32 || grid_y.max(grid_z) > 65535 {
        return refuse(Code::InvalidValue, format_args!("{name}: a grid of {:?} blocks", sizes.grid));
    }
    if threads == 0 || threads > 1024 || block_z > 64 {
        return refuse(Code::InvalidValue, format_args!("{name}: a block of {:?} threads", sizes.block));
    }
    if threads > u64::from(function.threads) {
        let most = function.threads;
        return refuse(Code::InvalidValue, format_args!("{name}: {threads} threads in a block made for {most}"));
    }
    let most = function.most_dynamic.load(Ordering::Relaxed);
    if sizes.dynamic_bytes > most {
        let asked = sizes.dynamic_bytes;
        return refuse(
            Code::InvalidValue,
            format_args!("{name}: {asked} bytes of shared memory where {most} are allowed"),
        );
    }
    Ok(())
}

/// The bytes of each parameter, taken now as the driver takes them.
fn parameters(function: &Function, pointers: Out<*const u8>) -> Result<Vec<Vec<u8>>, Code> {
    let read = |(at, (_, bytes)): (usize, &(usize, usize))| {
        let pointer = Out(pointers.0.wrapping_add(at)).get().filter(|pointer| !pointer.is_null());
        let pointer = pointer.ok_or(Code::InvalidValue)?;
        // SAFETY: the interface demands a pointer for each parameter, to as many bytes as it has.
        Ok(unsafe { std::slice::from_raw_parts(pointer, *bytes) }.to_vec())
    };
    function.parameters.iter().enumerate().map(read).collect()
}

fn run(state: &State, function: &Function, sizes: Sizes, parameters: &[Vec<u8>]) -> Answer {
    count(if state.is_replaying { Count::Replayed } else { Count::Launches });
    if settings().traces {
        let Sizes { grid, block, dynamic_bytes } = sizes;
        eprintln!("[cuda double] {}: grid {grid:?}, block {block:?}, {dynamic_bytes} bytes", function.name);
    }
    let start = std::time::Instant::now();
    let outcome = match &function.body {
        Body::Compiled(kernel) => kernel.launch(parameters, (sizes.grid, sizes.block), sizes.dynamic_bytes),
        Body::Interpreted(kernel) => {
            let mut allocations: Vec<_> = state.memory.iter().flat_map(super::memory::Memory::ranges).collect();
            if let Image::Ptx(module) = &*function.image {
                allocations.extend(module.ranges());
            }
            allocations.sort_unstable();
            let mut packed = vec![0; function.parameters.last().map_or(0, |(offset, bytes)| offset + bytes)];
            for ((offset, bytes), value) in function.parameters.iter().zip(parameters) {
                packed[*offset..offset + bytes].copy_from_slice(value);
            }
            let launch = Launch {
                kernel,
                parameters: &packed,
                grid: sizes.grid,
                block: sizes.block,
                dynamic_bytes: sizes.dynamic_bytes,
                allocations: &allocations,
                order: settings().order,
                copies: settings().copies,
            };
            ptx::launch(&launch, settings().threads).map(|_| ()).map_err(|fault| fault.to_string())
        }
    };
    if settings().traces {
        eprintln!("[cuda double] {}: {:.2} ms", function.name, start.elapsed().as_secs_f64() * 1e3);
    }
    outcome.or_else(|why| refuse(Code::LaunchFailed, why))
}

fn launch(handle: u64, sizes: Sizes, stream: u64, pointers: Out<*const u8>) -> Answer {
    let mut state = state();
    state.alive()?;
    let function = state.functions.get(&handle).map(Arc::clone).ok_or(Code::InvalidHandle)?;
    check(&function, sizes)?;
    let parameters = parameters(&function, pointers)?;
    put(&mut state, stream, move |state| run(state, &function, sizes, &parameters))
}

api! {
    fn cuLaunchKernel(
        function: u64, grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32,
        dynamic_bytes: u32, stream: u64, parameters: Out<*const u8>, extra: u64,
    ) {
        if extra != 0 {
            return refuse(Code::NotSupported, "a launch with extra options");
        }
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        launch(function, Sizes { grid, block, dynamic_bytes: dynamic_bytes as usize }, stream, parameters)
    }
}
