//! libcublas.so.13, as far as candle calls it: matrix products, column by column, with sums in f32 (of f64 in f64).
#![expect(unsafe_code, reason = "a C interface on memory of the device")]

use std::collections::HashMap;
use std::ops::{Add, Mul};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use half::{bf16, f16};

use crate::driver::{Answer, Code, Out, State, api, put, refuse, state};
use crate::settings::settings;

/// Streams of the handles.
fn handles() -> MutexGuard<'static, HashMap<u64, u64>> {
    static HANDLES: OnceLock<Mutex<HashMap<u64, u64>>> = OnceLock::new();
    HANDLES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Element types, as `cudaDataType` numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Element {
    F32,
    F64,
    F16,
    Bf16,
}

impl Element {
    fn of(number: i32) -> Result<Element, Code> {
        match number {
            0 => Ok(Element::F32),
            1 => Ok(Element::F64),
            2 => Ok(Element::F16),
            14 => Ok(Element::Bf16),
            _ => refuse(Code::NotSupported, format_args!("matrices of type {number}")),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F64 => 8,
            Element::F16 | Element::Bf16 => 2,
        }
    }

    /// The number at a place that was checked, which is a multiple of its size.
    fn read(self, place: u64) -> f64 {
        // SAFETY: `Product::check` found all of the matrix in allocations, or the place is the caller's own scalar.
        unsafe {
            match self {
                Element::F32 => (place as *const f32).read_unaligned().into(),
                Element::F64 => (place as *const f64).read_unaligned(),
                Element::F16 => (place as *const f16).read_unaligned().into(),
                Element::Bf16 => (place as *const bf16).read_unaligned().into(),
            }
        }
    }

    fn write(self, place: u64, value: f64) {
        // SAFETY: `Product::check` found all of the matrix in allocations.
        unsafe {
            match self {
                Element::F32 => (place as *mut f32).write_unaligned(value as f32),
                Element::F64 => (place as *mut f64).write_unaligned(value),
                Element::F16 => (place as *mut f16).write_unaligned(f16::from_f64(value)),
                Element::Bf16 => (place as *mut bf16).write_unaligned(bf16::from_f64(value)),
            }
        }
    }
}

/// Matrices of a batch, columns one after another.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    start: u64,
    element: Element,
    /// Elements from one column to the next, and from one matrix of the batch to the next.
    column: usize,
    each: i64,
    is_transposed: bool,
}

impl Matrix {
    /// The place of an element of the matrix that is multiplied.
    fn place(&self, batch: usize, row: usize, column: usize) -> u64 {
        let (row, column) = if self.is_transposed { (column, row) } else { (row, column) };
        let at = batch as i64 * self.each + (row + column * self.column) as i64;
        self.start.wrapping_add_signed(at * self.element.bytes() as i64)
    }
}

/// `c = alpha a b + beta c`, of `rows` × `columns`, over `inner`.
#[derive(Clone, Copy, Debug)]
struct Product {
    rows: usize,
    columns: usize,
    inner: usize,
    batch: usize,
    alpha: f64,
    beta: f64,
    a: Matrix,
    b: Matrix,
    c: Matrix,
}

impl Product {
    fn check(&self, state: &State) -> Answer {
        let parts =
            [(&self.a, self.rows, self.inner), (&self.b, self.inner, self.columns), (&self.c, self.rows, self.columns)];
        for (matrix, rows, columns) in parts {
            if rows * columns * self.batch == 0 {
                continue;
            }
            for batch in [0, self.batch - 1] {
                let (first, last) = (matrix.place(batch, 0, 0), matrix.place(batch, rows - 1, columns - 1));
                let bytes = (last - first) as usize + matrix.element.bytes();
                if !state.memory.iter().any(|memory| memory.holds(first, bytes)) {
                    let what = format_args!("cuBLAS: {rows} x {columns} at {first:x} are outside of an allocation");
                    return refuse(Code::IllegalAddress, what);
                }
            }
        }
        Ok(())
    }

    fn run(&self, state: &State) -> Answer {
        self.check(state)?;
        for batch in 0..self.batch {
            if self.c.element == Element::F64 { self.one::<f64>(batch) } else { self.one::<f32>(batch) }
        }
        Ok(())
    }

    /// One of the batch: columns over threads, each a sum of the first matrix's columns.
    fn one<T: Sum>(&self, batch: usize) {
        let place = |at: usize| self.a.element.read(self.a.place(batch, at % self.rows, at / self.rows));
        let left: Vec<T> = (0..self.rows * self.inner).map(|at| T::of(place(at))).collect();
        let work = |columns: std::ops::Range<usize>| {
            let mut sums = vec![T::default(); self.rows];
            for column in columns {
                sums.fill(T::default());
                for inner in 0..self.inner {
                    let by = T::of(self.b.element.read(self.b.place(batch, inner, column)));
                    for (sum, value) in sums.iter_mut().zip(&left[inner * self.rows..][..self.rows]) {
                        *sum = *sum + *value * by;
                    }
                }
                for (row, sum) in sums.iter().enumerate() {
                    let place = self.c.place(batch, row, column);
                    let old = if self.beta == 0.0 { 0.0 } else { self.beta * self.c.element.read(place) };
                    self.c.element.write(place, self.alpha * sum.wide() + old);
                }
            }
        };
        let threads = if self.rows * self.columns * self.inner < 1 << 20 { 1 } else { settings().threads };
        let share = self.columns.div_ceil(threads);
        std::thread::scope(|scope| {
            for thread in 1..threads {
                let columns = (thread * share).min(self.columns)..((thread + 1) * share).min(self.columns);
                scope.spawn(|| work(columns));
            }
            work(0..share.min(self.columns));
        });
    }
}

/// What sums are kept in.
trait Sum: Copy + Default + Send + Sync + Add<Output = Self> + Mul<Output = Self> {
    fn of(wide: f64) -> Self;
    fn wide(self) -> f64;
}
impl Sum for f32 {
    fn of(wide: f64) -> f32 {
        wide as f32
    }
    fn wide(self) -> f64 {
        self.into()
    }
}
impl Sum for f64 {
    fn of(wide: f64) -> f64 {
        wide
    }
    fn wide(self) -> f64 {
        self
    }
}

/// Operations and sizes of a product, in cuBLAS's order.
struct Shape {
    operations: [i32; 2],
    sizes: [i32; 3],
    batch: i32,
}

fn enqueue(handle: u64, shape: &Shape, (alpha, beta): (f64, f64), [a, b, c]: [Matrix; 3]) -> Answer {
    let stream = *handles().get(&handle).ok_or(Code::InvalidValue)?;
    let [rows, columns, inner] = shape.sizes.map(|size| usize::try_from(size).unwrap_or(0));
    let a = Matrix { is_transposed: shape.operations[0] != 0, ..a };
    let b = Matrix { is_transposed: shape.operations[1] != 0, ..b };
    let batch = shape.batch.max(0) as usize;
    let product = Product { rows, columns, inner, batch, alpha, beta, a, b, c };
    put(&mut state(), stream, move |state| product.run(state))
}

fn matrix(start: u64, element: Element, column: i32, each: i64) -> Matrix {
    Matrix { start, element, column: column.max(0) as usize, each, is_transposed: false }
}

/// The type of alpha and beta, by what sums are kept in (`cublasComputeType_t`).
fn scalar(compute: i32) -> Element {
    match compute {
        64 | 65 => Element::F16,
        70 | 71 => Element::F64,
        _ => Element::F32,
    }
}

api! {
    fn cublasCreate_v2(handle: Out<u64>) {
        let new = state().handle();
        handles().insert(new, 0);
        handle.set(new)
    }
    fn cublasDestroy_v2(handle: u64) { handles().remove(&handle).map(|_| ()).ok_or(Code::InvalidValue) }
    fn cublasSetStream_v2(handle: u64, stream: u64) {
        state().stream(stream)?;
        *handles().get_mut(&handle).ok_or(Code::InvalidValue)? = stream;
        Ok(())
    }
    fn cublasSetMathMode(handle: u64, _mode: i32) { handles().get(&handle).map(|_| ()).ok_or(Code::InvalidValue) }
    fn cublasSetWorkspace_v2(handle: u64, _place: u64, _bytes: usize) {
        handles().get(&handle).map(|_| ()).ok_or(Code::InvalidValue)
    }
    fn cublasGetVersion_v2(_handle: u64, version: Out<i32>) { version.set(130_000) }
    fn cublasGemmStridedBatchedEx(
        handle: u64, first: i32, second: i32, m: i32, n: i32, k: i32, alpha: u64,
        a: u64, a_type: i32, lda: i32, a_each: i64, b: u64, b_type: i32, ldb: i32, b_each: i64, beta: u64,
        c: u64, c_type: i32, ldc: i32, c_each: i64, batch: i32, compute: i32, _algorithm: i32,
    ) {
        let shape = Shape { operations: [first, second], sizes: [m, n, k], batch };
        let scalars = (scalar(compute).read(alpha), scalar(compute).read(beta));
        let a = matrix(a, Element::of(a_type)?, lda, a_each);
        let b = matrix(b, Element::of(b_type)?, ldb, b_each);
        enqueue(handle, &shape, scalars, [a, b, matrix(c, Element::of(c_type)?, ldc, c_each)])
    }
    fn cublasGemmEx(
        handle: u64, first: i32, second: i32, m: i32, n: i32, k: i32, alpha: u64, a: u64, a_type: i32, lda: i32,
        b: u64, b_type: i32, ldb: i32, beta: u64, c: u64, c_type: i32, ldc: i32, compute: i32, _algorithm: i32,
    ) {
        let shape = Shape { operations: [first, second], sizes: [m, n, k], batch: 1 };
        let scalars = (scalar(compute).read(alpha), scalar(compute).read(beta));
        let (a, b) = (matrix(a, Element::of(a_type)?, lda, 0), matrix(b, Element::of(b_type)?, ldb, 0));
        enqueue(handle, &shape, scalars, [a, b, matrix(c, Element::of(c_type)?, ldc, 0)])
    }
    fn cublasSgemm_v2(
        handle: u64, first: i32, second: i32, m: i32, n: i32, k: i32, alpha: u64, a: u64, lda: i32, b: u64, ldb: i32,
        beta: u64, c: u64, ldc: i32,
    ) {
        let shape = Shape { operations: [first, second], sizes: [m, n, k], batch: 1 };
        let scalars = (Element::F32.read(alpha), Element::F32.read(beta));
        enqueue(handle, &shape, scalars, [(a, lda), (b, ldb), (c, ldc)].map(|(m, ld)| matrix(m, Element::F32, ld, 0)))
    }
    fn cublasDgemmStridedBatched(
        handle: u64, first: i32, second: i32, m: i32, n: i32, k: i32, alpha: u64, a: u64, lda: i32, a_each: i64,
        b: u64, ldb: i32, b_each: i64, beta: u64, c: u64, ldc: i32, c_each: i64, batch: i32,
    ) {
        let shape = Shape { operations: [first, second], sizes: [m, n, k], batch };
        let scalars = (Element::F64.read(alpha), Element::F64.read(beta));
        let matrices = [(a, lda, a_each), (b, ldb, b_each), (c, ldc, c_each)];
        enqueue(handle, &shape, scalars, matrices.map(|(m, ld, each)| matrix(m, Element::F64, ld, each)))
    }
}
