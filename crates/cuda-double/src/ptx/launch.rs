//! A launch: blocks over threads of the machine. Blocks that meet in global atomics keep their order; the others have
//! nothing to do with each other, so the outcome is the same for any number of threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::block::{Block, Launch, Order};
use super::fault::Fault;
use super::run::{Warp, run_block};
use super::value::WARP;

/// Runs a launch. Gives how often `ldmatrix` met a bank that was busy.
pub(crate) fn launch(launch: &Launch, workers: usize) -> Result<u64, Fault> {
    let blocks: u64 = launch.grid.iter().map(|size| u64::from(*size)).product();
    let workers = if launch.kernel.is_ordered { 1 } else { workers.min(blocks as usize).max(1) };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<(u64, Fault)>> = Mutex::new(None);
    let conflicts = AtomicU64::new(0);
    let work = || {
        let mut block = Block::new(launch);
        let threads = launch.block.iter().product::<u32>() as usize;
        let mut warps: Vec<_> = (0..threads.div_ceil(WARP)).map(|number| Warp::new(launch.kernel, number)).collect();
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= blocks {
                break;
            }
            block.start(index(launch, blocks, at));
            if let Err(fault) = run_block(&mut block, &mut warps) {
                stop.store(true, Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(other, _)| at < *other) {
                    *failed = Some((at, fault));
                }
            }
        }
        conflicts.fetch_add(block.bank_conflicts, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, fault)) => Err(fault.at(&launch.kernel.name)),
        None => Ok(conflicts.into_inner()),
    }
}

fn index(launch: &Launch, blocks: u64, at: u64) -> [u32; 3] {
    let at = if launch.order == Order::First { at } else { blocks - 1 - at };
    let [x, y, _] = launch.grid.map(u64::from);
    [(at % x) as u32, (at / x % y) as u32, (at / (x * y)) as u32]
}
