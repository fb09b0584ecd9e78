//! The compiled kernels that the library carries, and which of them a card gets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaModule};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::{Error, Result};

/// What was made of one `kernels.cu`.
pub(crate) struct Kernels {
    /// The operator's folder.
    pub(crate) name: &'static str,
    /// Machine code: architecture (90 is 9.0, and holds code for 9.0 alone) and cubin.
    pub(crate) cubins: &'static [(u32, &'static [u8])],
    /// For cards without a cubin.
    pub(crate) ptx: &'static str,
}

/// One item an operator, written by `build.rs`.
pub(crate) mod embedded {
    use super::Kernels;
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

type Loaded = Mutex<HashMap<(usize, &'static str), Arc<CudaModule>>>;

impl Kernels {
    /// The module on a device, loaded once.
    pub(super) fn module(&'static self, context: &Arc<CudaContext>) -> Result<Arc<CudaModule>> {
        static LOADED: OnceLock<Loaded> = OnceLock::new();
        let mut loaded = LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let key = (context.ordinal(), self.name);
        if let Some(module) = loaded.get(&key) {
            return Ok(Arc::clone(module));
        }
        let (major, minor) = context.compute_capability().map_err(Error::wrap)?;
        let code = match self.cubin((major * 10 + minor) as u32) {
            Some(cubin) => Ptx::from_binary(cubin.to_vec()),
            None => Ptx::from_src(self.ptx),
        };
        let module = context.load_module(code).map_err(Error::wrap)?;
        loaded.insert(key, Arc::clone(&module));
        Ok(module)
    }

    /// The newest cubin that runs on a card: one of the same major version and at most its minor version.
    /// `PULMOAV_CUDA_PTX=1` asks for the PTX.
    fn cubin(&self, card: u32) -> Option<&'static [u8]> {
        if std::env::var_os("PULMOAV_CUDA_PTX").is_some_and(|value| value == "1") {
            return None;
        }
        let fits = |&&(code, _): &&(u32, &[u8])| code / 10 == card / 10 && code <= card;
        self.cubins.iter().filter(fits).max_by_key(|(code, _)| *code).map(|&(_, cubin)| cubin)
    }
}
