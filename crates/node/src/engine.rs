//! The threads that work: one engine a device and thread count for tensors, a few workers for everything else.
//! Each has a rayon pool of its own, and libuv's pool is left alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use napi::bindgen_prelude::{PromiseRaw, ToNapiValue};
use napi::{Env, Error, JsDeferred, JsValue, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::memory::{Afterwards, Job as Memory};
use crate::monitor::CallMonitor;
use crate::outcome::{Failure, Outcome, outcome};

/// Graphs of candle drop recursively, so the threads that hold them need room.
const STACK_BYTES: usize = 256 << 20;
/// Engines of so many thread counts are kept.
const KEPT_ENGINES: usize = 2;
/// Threads for reading, writing, scoring and phantoms.
const WORKERS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;
type Resolver<T> = Box<dyn FnOnce(Env) -> Result<Outcome<T>>>;
/// What a job came to.
type Done<T> = std::result::Result<T, Failure>;

/// A queue of jobs, worked off in order of arrival.
pub struct Engine {
    jobs: Sender<Job>,
}

impl Engine {
    /// The engine for tensor work with `threads` threads: one for each of the [`KEPT_ENGINES`] counts last asked for.
    /// One that is let go ends when its jobs are done.
    pub fn tensors(threads: usize) -> Result<Arc<Self>> {
        /// The one last asked for comes last.
        static ENGINES: Mutex<Vec<(usize, Arc<Engine>)>> = Mutex::new(Vec::new());
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        let found = engines.iter().position(|(count, _)| *count == threads);
        let engine = match found {
            Some(at) => engines.remove(at).1,
            None => Arc::new(Self::start("pulmoav-engine", 1, threads)?),
        };
        engines.push((threads, Arc::clone(&engine)));
        let surplus = engines.len().saturating_sub(KEPT_ENGINES);
        engines.drain(..surplus);
        Ok(engine)
    }

    /// The workers for everything without tensors.
    pub fn workers() -> Result<&'static Self> {
        static STARTED: OnceLock<Engine> = OnceLock::new();
        if let Some(workers) = STARTED.get() {
            return Ok(workers);
        }
        let workers = Self::start("pulmoav-worker", WORKERS, available_threads())?;
        Ok(STARTED.get_or_init(|| workers))
    }

    /// Runs `work` on this engine and gives JavaScript a promise of its outcome. A panic becomes `ERR_INTERNAL`; freed
    /// memory goes back to the system.
    pub fn promise<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        work: impl FnOnce() -> Done<T> + Send + 'static,
    ) -> Result<PromiseRaw<'env, Outcome<T>>> {
        self.promise_and(Afterwards::Release, env, work)
    }

    /// As [`Engine::promise`], with a word on the memory.
    pub fn promise_and<'env, T: ToNapiValue + Send + 'static>(
        &self,
        afterwards: Afterwards,
        env: &'env Env,
        work: impl FnOnce() -> Done<T> + Send + 'static,
    ) -> Result<PromiseRaw<'env, Outcome<T>>> {
        let (call, promise) = Call::new(env, work)?;
        self.send(Box::new(move || call.run(afterwards)))?;
        Ok(promise)
    }

    /// As [`Engine::promise`], for work that its monitor can cancel: before its turn the promise is settled with
    /// `CANCELLED` at once, and the work is let go; from then on the work itself has to look at the monitor.
    pub fn cancellable<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        monitor: &CallMonitor,
        work: impl FnOnce() -> Done<T> + Send + 'static,
    ) -> Result<PromiseRaw<'env, Outcome<T>>> {
        let (call, promise) = Call::new(env, work)?;
        let waiting = Arc::new(Mutex::new(Some(call)));
        let leaving = Arc::clone(&waiting);
        self.send(Box::new(move || {
            if let Some(call) = take(&waiting) {
                call.run(Afterwards::Release);
            }
        }))?;
        monitor.share().on_cancel(move || {
            if let Some(call) = take(&leaving) {
                call.settle(Err(Failure::new("CANCELLED", "cancelled")));
            }
        });
        Ok(promise)
    }

    fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| Error::from_reason("the engine thread has ended"))
    }

    fn start(name: &str, readers: usize, threads: usize) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name({
                let name = name.to_owned();
                move |index| format!("{name}-{index}")
            })
            .stack_size(STACK_BYTES)
            .build()
            .map_err(|error| Error::from_reason(format!("no threads could be started: {error}")))?;
        let pool = Arc::new(pool);
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..readers {
            let (pool, queue) = (Arc::clone(&pool), Arc::clone(&queue));
            thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || work_off(&pool, &queue))
                .map_err(|error| Error::from_reason(format!("no thread could be started: {error}")))?;
        }
        Ok(Self { jobs })
    }
}

/// Work that JavaScript holds a promise of.
struct Call<Work, T: ToNapiValue> {
    work: Work,
    deferred: JsDeferred<Outcome<T>, Resolver<T>>,
}

impl<T: ToNapiValue + Send + 'static, Work: FnOnce() -> Done<T>> Call<Work, T> {
    fn new(env: &Env, work: Work) -> Result<(Self, PromiseRaw<'_, Outcome<T>>)> {
        let (deferred, promise) = env.create_deferred()?;
        Ok((Self { work, deferred }, PromiseRaw::new(env.raw(), promise.raw())))
    }

    fn run(self, afterwards: Afterwards) {
        let Self { work, deferred } = self;
        let memory = Memory::begin(afterwards);
        let result = guarded(work);
        drop(memory);
        settle(deferred, result);
    }

    /// Ends the call without its work.
    fn settle(self, result: Done<T>) {
        settle(self.deferred, result);
    }
}

fn settle<T: ToNapiValue + Send + 'static>(deferred: JsDeferred<Outcome<T>, Resolver<T>>, result: Done<T>) {
    deferred.resolve(Box::new(move |_| Ok(outcome(result))));
}

/// What is there, for the first who asks.
fn take<T>(held: &Mutex<Option<T>>) -> Option<T> {
    held.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Threads this process may use.
pub fn available_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn work_off(pool: &ThreadPool, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => pool.install(job),
            Err(_) => return,
        }
    }
}

fn guarded<T>(work: impl FnOnce() -> Done<T>) -> Done<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default();
        Err(Failure::new("ERR_INTERNAL", format!("pulmoav broke one of its own rules ({what}); please report it")))
    })
}
