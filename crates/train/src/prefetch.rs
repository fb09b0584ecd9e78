//! The next batch is made while the step runs.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use crate::{
    batch::{BatchMaker, Made},
    error::TrainError,
    sampler::SamplingWeights,
};

/// A step, and what its patches are drawn by.
type Order = (u64, SamplingWeights);

/// A thread that makes the batch after the one that was asked for. Batches depend on the order alone, so a wrong guess
/// costs time and never changes a result.
pub struct Prefetch {
    orders: Option<SyncSender<Order>>,
    batches: Receiver<Result<Made, TrainError>>,
    pending: Option<Order>,
    worker: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts the thread.
    pub fn start(maker: BatchMaker) -> Result<Self, TrainError> {
        let (orders, to_make) = sync_channel::<Order>(2);
        let (made, batches) = sync_channel(2);
        let worker = std::thread::Builder::new()
            .name("pulmoav-batches".into())
            .spawn(move || {
                for (step, weights) in to_make {
                    if made.send(maker.make(step, &weights)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| TrainError::Internal(format!("cannot start a thread: {error}")))?;
        Ok(Self { orders: Some(orders), batches, pending: None, worker: Some(worker) })
    }

    /// The batch of `number`, as far as the host makes it, drawn by `weights`; starts on the one that will be asked for next.
    pub fn take(
        &mut self,
        number: u64,
        weights: &SamplingWeights,
        next: (u64, &SamplingWeights),
    ) -> Result<Made, TrainError> {
        let order = (number, weights.clone());
        if self.pending.as_ref() != Some(&order) {
            if self.pending.take().is_some() {
                // What was made for another step is not needed, whether it failed or not.
                let _ = self.receive()?;
            }
            self.order(order)?;
        }
        let batch = self.receive()?;
        self.order((next.0, next.1.clone()))?;
        batch
    }

    fn order(&mut self, order: Order) -> Result<(), TrainError> {
        let orders = self.orders.as_ref().ok_or_else(stopped)?;
        orders.send(order.clone()).map_err(|_| stopped())?;
        self.pending = Some(order);
        Ok(())
    }

    fn receive(&self) -> Result<Result<Made, TrainError>, TrainError> {
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
