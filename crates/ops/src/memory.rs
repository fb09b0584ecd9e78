//! Memory for kernels: aligned scratch, and results that tasks fill without zeroing them first.
#![allow(unsafe_code)] // Uninitialised results, written by many threads; slices of cache lines.
#![allow(clippy::inline_always)] // Called by kernels, see `simd::Kernel`.

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
    /// `fill` writes every value, and uses the results no longer once it has returned.
    pub(crate) unsafe fn collect(len: usize, fill: impl FnOnce(Results)) -> Self {
        assert!(len.is_multiple_of(16), "{len} values are not whole lines");
        let mut lines: Vec<Line> = Vec::with_capacity(len / 16);
        fill(Results { first: lines.as_mut_ptr().cast(), len });
        // SAFETY: `with_capacity` made room for `len / 16` lines, and this function's contract has `fill` write all
        // their values.
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
        // SAFETY: `Line` is 16 floats without padding, and `grow` and `collect` keep `len` within the lines.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: `Line` is 16 floats without padding, `grow` and `collect` keep `len` within the lines, and `self` is
        // borrowed mutably, so nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Where tasks write results that no two of them share: a place, and how many values can be written from there on.
#[derive(Clone, Copy)]
pub(crate) struct Results {
    first: *mut f32,
    len: usize,
}

// SAFETY: by itself it reads and writes nothing; the contracts of the kernels' targets, which write through its
// pointer, keep the tasks' values apart.
unsafe impl Send for Results {}
// SAFETY: a shared one gives out copies and pointers only; the contracts of the kernels' targets, which write through
// these, keep the tasks' values apart.
unsafe impl Sync for Results {}

impl Results {
    /// A vector of `len` values, each written by `fill`; skips zeroing what is overwritten anyway.
    ///
    /// # Safety
    /// `fill` writes every value, and uses the results no longer once it has returned.
    pub(crate) unsafe fn collect(len: usize, fill: impl FnOnce(Self)) -> Vec<f32> {
        let mut values = Vec::with_capacity(len);
        fill(Self { first: values.as_mut_ptr(), len });
        // SAFETY: `with_capacity` made room for `len` values, and this function's contract has `fill` write all.
        unsafe { values.set_len(len) };
        values
    }

    /// The results from value `at` on.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    pub(crate) fn from(self, at: usize) -> Self {
        assert!(at <= self.len, "a place beyond the results");
        // SAFETY: by the assertion the place lies within the allocation that `collect` made, or at its end.
        Self { first: unsafe { self.first.add(at) }, len: self.len - at }
    }

    /// The first value's place, from which `values` can be written.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    pub(crate) fn place(self, values: usize) -> *mut f32 {
        assert!(values <= self.len, "a kernel would write beyond the results");
        self.first
    }
}

/// Values from the first to the last of some runs of `run` values: along each axis so many, so far apart. Saturates
/// instead of wrapping, so that comparing it with a slice's length is a check whatever the numbers.
#[inline(always)]
pub(crate) fn extent<const AXES: usize>(axes: [(usize, usize); AXES], run: usize) -> usize {
    let mut last = 0usize;
    for (count, step) in axes {
        if count == 0 {
            return 0;
        }
        last = last.saturating_add((count - 1).saturating_mul(step));
    }
    last.saturating_add(run)
}

/// The product of sizes, where kernels are compiled without checks of overflow.
///
/// # Panics
/// If it does not fit.
pub(crate) fn product(sizes: impl IntoIterator<Item = usize>) -> usize {
    let product = sizes.into_iter().try_fold(1, usize::checked_mul);
    let Some(product) = product else { panic!("ops: sizes whose product is beyond any memory") };
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_ends_with_the_last_run_and_never_wraps() {
        assert_eq!(extent([(3, 10), (2, 4)], 4), 28);
        assert_eq!(extent([(3, 10), (0, 4)], 4), 0);
        assert_eq!(extent([(usize::MAX, usize::MAX)], 1), usize::MAX);
    }

    #[test]
    fn results_are_written_where_they_lie() {
        // SAFETY: both values are written.
        let values = unsafe {
            Results::collect(2, |results| {
                results.place(2).write(1.0);
                results.from(1).place(1).write(2.0);
            })
        };
        assert_eq!(values, [1.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "beyond the results")]
    fn a_place_beyond_the_results_is_refused() {
        // SAFETY: the only value is written.
        unsafe {
            Results::collect(1, |results| {
                results.place(1).write(1.0);
                results.from(1).place(1);
            })
        };
    }

    #[test]
    #[should_panic(expected = "beyond any memory")]
    fn a_product_that_wraps_is_refused() {
        product([1 << 33, 1 << 33]);
    }
}
