//! Memory for kernels: aligned scratch, and results that tasks fill without zeroing them first.
#![allow(unsafe_code)] // Uninitialised results, written by many threads; slices of cache lines.

/// Values that start on a cache line, so that no vector of them crosses one.
#[derive(Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Aligned {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut aligned = Self::default();
        aligned.grow(len);
        aligned
    }

    /// `len` values, whole lines, each written by `fill`; skips zeroing what is overwritten anyway.
    ///
    /// # Safety
    /// `fill` writes every value.
    pub(crate) unsafe fn collect(len: usize, fill: impl FnOnce(Results)) -> Self {
        assert!(len.is_multiple_of(16), "{len} values are not whole lines");
        let mut lines: Vec<Line> = Vec::with_capacity(len / 16);
        fill(Results(lines.as_mut_ptr().cast()));
        // SAFETY: the capacity is there and `fill` has written all of it.
        unsafe { lines.set_len(len / 16) };
        Self { lines, len }
    }

    /// Makes room for `len` values; what they are is left open.
    pub(crate) fn grow(&mut self, len: usize) {
        if self.lines.len() * 16 < len {
            self.lines = vec![Line([0.0; 16]); len.div_ceil(16)];
        }
        self.len = len;
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is 16 floats without padding, and `grow` keeps `len` within the lines.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Where tasks write results that no two of them share.
#[derive(Clone, Copy)]
pub(crate) struct Results(*mut f32);

// SAFETY: whoever writes through it keeps the tasks' places apart.
unsafe impl Send for Results {}
// SAFETY: as above.
unsafe impl Sync for Results {}

impl Results {
    /// A vector of `len` values, each written by `fill`; skips zeroing what is overwritten anyway.
    ///
    /// # Safety
    /// `fill` writes every value.
    pub(crate) unsafe fn collect(len: usize, fill: impl FnOnce(Self)) -> Vec<f32> {
        let mut values = Vec::with_capacity(len);
        fill(Self(values.as_mut_ptr()));
        // SAFETY: the capacity is there and `fill` has written all of it.
        unsafe { values.set_len(len) };
        values
    }

    /// The results from value `at` on.
    ///
    /// # Safety
    /// `at` lies within the vector.
    pub(crate) unsafe fn at(self, at: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { self.0.add(at) })
    }

    /// The place of value `at`.
    ///
    /// # Safety
    /// `at` lies within the vector.
    pub(crate) unsafe fn place(self, at: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(at) }
    }
}
