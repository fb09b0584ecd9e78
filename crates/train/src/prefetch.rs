//! The next batch is made while the step runs.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use crate::{
    batch::{Batch, BatchMaker},
    error::TrainError,
};

/// A thread that makes the batch after the one that was asked for. Batches depend on the step alone, so a wrong guess
/// costs time and never changes a result.
pub struct Prefetch {
    orders: Option<SyncSender<u64>>,
    batches: Receiver<Result<Batch, TrainError>>,
    pending: Option<u64>,
    worker: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts the thread.
    pub fn start(maker: BatchMaker) -> Result<Self, TrainError> {
        let (orders, to_make) = sync_channel::<u64>(2);
        let (made, batches) = sync_channel(2);
        let worker = std::thread::Builder::new()
            .name("pulmoav-batches".into())
            .spawn(move || {
                for step in to_make {
                    if made.send(maker.make(step)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| TrainError::Internal(format!("cannot start a thread: {error}")))?;
        Ok(Self { orders: Some(orders), batches, pending: None, worker: Some(worker) })
    }

    /// The batch of `step`; starts on the next one.
    pub fn take(&mut self, step: u64) -> Result<Batch, TrainError> {
        if self.pending != Some(step) {
            if self.pending.take().is_some() {
                // What was made for another step is not needed, whether it failed or not.
                let _ = self.receive()?;
            }
            self.order(step)?;
        }
        let batch = self.receive()?;
        self.order(step + 1)?;
        batch
    }

    fn order(&mut self, step: u64) -> Result<(), TrainError> {
        let orders = self.orders.as_ref().ok_or_else(stopped)?;
        orders.send(step).map_err(|_| stopped())?;
        self.pending = Some(step);
        Ok(())
    }

    fn receive(&self) -> Result<Result<Batch, TrainError>, TrainError> {
        self.batches.recv().map_err(|_| stopped())
    }
}

fn stopped() -> TrainError {
    TrainError::Internal("the thread that makes batches has stopped".into())
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(worker) = self.worker.take() {
            // It ends once its last batch has room in the channel; a panic there was already seen as `stopped`.
            let _ = worker.join();
        }
    }
}
