//! How a card forms products of f32 values: as f32, or, by name only, of values rounded to TF32 on tensor cores.

use std::cell::Cell;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

/// How products of f32 values are formed on a card. Sums are f32 in any case, and so is all on the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Products {
    /// Of the values as they are.
    #[default]
    F32,
    /// Of the values rounded to TF32 (10 bits of mantissa), where tensor cores take the shapes: convolutions and linear
    /// layers.
    Tf32,
}

thread_local! {
    static NOW: Cell<Products> = const { Cell::new(Products::F32) };
}

/// Puts back what was there before.
struct Before(Products);

impl Drop for Before {
    fn drop(&mut self) {
        NOW.set(self.0);
    }
}

impl Products {
    /// How operators that are applied now on this thread form them, in their backward passes too.
    pub fn now() -> Self {
        NOW.get()
    }

    /// Applies the operators of `work` so.
    pub fn during<R>(self, work: impl FnOnce() -> R) -> R {
        let _before = Before(NOW.replace(self));
        work()
    }
}

/// An operator whose backward pass forms products as its forward pass did.
pub(crate) struct Kept<O> {
    op: O,
    products: Products,
}

impl<O> Kept<O> {
    pub(crate) fn new(op: O) -> Self {
        Self { op, products: Products::now() }
    }
}

impl<O: CustomOp1> CustomOp1 for Kept<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.op.cpu_fwd(storage, layout)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.op.cuda_fwd(storage, layout)
    }

    fn bwd(&self, x: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.products.during(|| self.op.bwd(x, res, grad))
    }
}

impl<O: CustomOp2> CustomOp2 for Kept<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.op.cpu_fwd(s1, l1, s2, l2)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        self.op.cuda_fwd(s1, l1, s2, l2)
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, res: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.products.during(|| self.op.bwd(a, b, res, grad))
    }
}

impl<O: CustomOp3> CustomOp3 for Kept<O> {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.op.cpu_fwd(s1, l1, s2, l2, s3, l3)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.op.cuda_fwd(s1, l1, s2, l2, s3, l3)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        self.products.during(|| self.op.bwd(a, b, c, res, grad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_end_with_the_work_even_where_it_panics() {
        assert_eq!(Products::Tf32.during(|| Products::F32.during(Products::now)), Products::F32);
        assert_eq!(Products::Tf32.during(|| (Products::F32.during(|| ()), Products::now()).1), Products::Tf32);
        assert!(std::panic::catch_unwind(|| Products::Tf32.during(|| panic!("on purpose"))).is_err());
        assert_eq!(Products::now(), Products::F32);
    }
}
