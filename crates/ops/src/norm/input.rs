//! Inputs that an operator may overwrite.

use std::mem;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};

/// The input of a norm.
#[derive(Debug)]
pub enum Input<'a> {
    /// Stays as it is.
    Kept(&'a Tensor),
    /// Nobody needs its values any more, neither through another handle nor in the backward pass of what made it (a
    /// convolution's does not): the norm may write its result over them. Whoever reads them afterwards gets an error.
    Spent(Tensor),
}

impl<'a> From<&'a Tensor> for Input<'a> {
    fn from(x: &'a Tensor) -> Self {
        Self::Kept(x)
    }
}

impl Input<'_> {
    pub(super) fn tensor(&self) -> &Tensor {
        match self {
            Self::Kept(x) => x,
            Self::Spent(x) => x,
        }
    }

    /// The values of a spent input, which is left without any; none of one that is kept or is a view of more.
    pub(super) fn take_values(&self) -> Result<Option<Vec<f32>>> {
        let Self::Spent(x) = self else { return Ok(None) };
        let taking = Taking::default();
        x.inplace_op1(&taking)?;
        Ok(taking.0.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Default)]
struct Taking(Mutex<Option<Vec<f32>>>);

impl InplaceOp1 for Taking {
    fn name(&self) -> &'static str {
        "take_values"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        if let CpuStorage::F32(values) = storage
            && layout.contiguous_offsets() == Some((0, values.len()))
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(mem::take(values));
        }
        Ok(())
    }
}
