//! The threads that work: one engine a device and thread count for tensors, a few workers for everything else.
//! Each has a rayon pool of its own, and libuv's pool is left alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use napi::bindgen_prelude::{PromiseRaw, ToNapiValue};
use napi::{Env, Error, JsDeferred, JsValue, Result};
use pulmoav_ops::device::{Choice, Chosen, choose};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::memory::{Afterwards, Job as Memory};
use crate::monitor::CallMonitor;
use crate::outcome::{Failure, Outcome, outcome};

/// Graphs of candle drop recursively, so the threads that hold them need room.
const STACK_BYTES: usize = 256 << 20;
/// So many engines are kept.
const KEPT_ENGINES: usize = 2;
/// Threads for reading, writing, scoring and phantoms.
const WORKERS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;
type Resolver<T> = Box<dyn FnOnce(Env) -> Result<Outcome<T>>>;
/// What a job came to.
type Done<T> = std::result::Result<T, Failure>;

/// Where tensors are worked on: a device, and threads of the CPU beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    device: Choice,
    threads: usize,
}

impl Place {
    /// The CPU.
    pub fn cpu(threads: usize) -> Self {
        Self { device: Choice::Cpu, threads }
    }

    /// The device of that name: `auto`, `cpu` or `cuda[:N]`.
    ///
    /// # Errors
    /// `ERR_DEVICE` for another name.
    pub fn named(device: &str, threads: u32) -> Done<Self> {
        Ok(Self { device: device.parse()?, threads: threads as usize })
    }
}

/// A queue of jobs, worked off in order of arrival.
pub struct Engine {
    jobs: Sender<Job>,
    device: Arc<LazyDevice>,
}

/// An engine's device, made on its thread by the first job that needs it.
struct LazyDevice {
    choice: Choice,
    made: OnceLock<Chosen>,
}

impl LazyDevice {
    fn get(&self) -> Done<&Chosen> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let made = choose(self.choice)?;
        Ok(self.made.get_or_init(|| made))
    }
}

impl Engine {
    /// The engine for work without tensors that wants as many threads; the same as that of tensors on the CPU.
    pub fn threads(threads: usize) -> Result<Arc<Self>> {
        Self::at(Place::cpu(threads))
    }

    /// The engine for tensor work at a place: one for each of the [`KEPT_ENGINES`] places last asked for. One that is
    /// let go ends when its jobs are done; tensors on its device stay valid.
    pub fn at(place: Place) -> Result<Arc<Self>> {
        /// The one last asked for comes last.
        static ENGINES: Mutex<Vec<(Place, Arc<Engine>)>> = Mutex::new(Vec::new());
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        let found = engines.iter().position(|(other, _)| *other == place);
        let engine = match found {
            Some(at) => engines.remove(at).1,
            None => Arc::new(Self::start("pulmoav-engine", 1, place)?),
        };
        engines.push((place, Arc::clone(&engine)));
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
        let workers = Self::start("pulmoav-worker", WORKERS, Place::cpu(available_threads()))?;
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

    /// As [`Engine::cancellable`], for work that needs this engine's device.
    pub fn with_device<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        monitor: &CallMonitor,
        work: impl FnOnce(&Chosen) -> Done<T> + Send + 'static,
    ) -> Result<PromiseRaw<'env, Outcome<T>>> {
        let device = Arc::clone(&self.device);
        self.cancellable(env, monitor, move || work(device.get()?))
    }

    /// As [`Engine::promise`], for work that needs this engine's device.
    pub fn promise_with_device<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        work: impl FnOnce(&Chosen) -> Done<T> + Send + 'static,
    ) -> Result<PromiseRaw<'env, Outcome<T>>> {
        let device = Arc::clone(&self.device);
        self.promise(env, move || work(device.get()?))
    }

    /// A promise of a failure.
    pub fn refused<T: ToNapiValue + Send + 'static>(env: &Env, failure: Failure) -> Result<PromiseRaw<'_, Outcome<T>>> {
        Self::workers()?.promise(env, move || Err(failure))
    }

    fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| Error::from_reason("the engine thread has ended"))
    }

    fn start(name: &str, readers: usize, place: Place) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(place.threads)
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
        Ok(Self { jobs, device: Arc::new(LazyDevice { choice: place.device, made: OnceLock::new() }) })
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
