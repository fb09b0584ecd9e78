//! Progress out, cancellation in. JavaScript polls and sets; nothing calls back into it, so nothing can block or leak.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi_derive::napi;

/// What both sides share.
#[derive(Default)]
pub struct Shared {
    cancelled: AtomicBool,
    progress: Mutex<Option<Progress>>,
    on_cancel: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Shared {
    /// What cancelling does at once, beside telling the work; a later one takes its place.
    pub fn on_cancel(&self, action: impl FnOnce() + Send + 'static) {
        *self.on_cancel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }
}

/// How far a call has come.
#[napi(object)]
#[derive(Clone)]
pub struct Progress {
    pub stage: String,
    pub done: f64,
    pub total: f64,
}

impl pulmoav_task::Monitor for Shared {
    fn report(&self, stage: &'static str, done: u64, total: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *progress = Some(Progress { stage: stage.to_owned(), done: done as f64, total: total as f64 });
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// The JavaScript handle of one running call.
#[napi]
#[derive(Default)]
pub struct CallMonitor {
    shared: Arc<Shared>,
}

#[napi]
impl CallMonitor {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the call to stop: at its next step, or at once where its turn has not come.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        let action = self.shared.on_cancel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(action) = action {
            action();
        }
    }

    /// The latest report, or `null` before the first.
    #[napi(catch_unwind)]
    pub fn progress(&self) -> Option<Progress> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl CallMonitor {
    /// A share for the thread that works.
    pub fn share(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}
