//! The linear layer on the CPU: blocks of rows of a fixed size, each one single-threaded GEMM; where rows are few and
//! weights many, as in a text tower, panels of columns instead, so that every weight is read once.

use rayon::prelude::*;

use crate::dense::collect_blocks;
use crate::multiversion::multiversion;

/// Multiply-adds of one block: large enough to hide the start, small enough to share.
const BLOCK_PRODUCTS: usize = 1 << 20;

/// At most so many rows, and at least so many columns, are worked off by panels of [`PANEL`] columns.
const FEW_ROWS: usize = 256;
const MANY_COLUMNS: usize = 256;
const PANEL: usize = 64;

/// y = x w + bias.
pub(super) fn forward(x: &[f32], weight: &[f32], bias: &[f32], ci: usize) -> Vec<f32> {
    if x.len() / ci <= FEW_ROWS && bias.len() >= MANY_COLUMNS {
        return forward_by_panels(x, weight, bias, ci);
    }
    forward_per_sample(x, 1, ci, bias.len(), |_| (weight, bias))
}

/// y = x w + bias, panel by panel.
fn forward_by_panels(x: &[f32], weight: &[f32], bias: &[f32], ci: usize) -> Vec<f32> {
    let (rows, co) = (x.len() / ci, bias.len());
    let panels: Vec<Vec<f32>> = bias
        .par_chunks(PANEL)
        .enumerate()
        .map(|(panel, bias)| {
            let mut y = bias.repeat(rows);
            let columns = Matrix { columns: bias.len(), ..Matrix::rows(weight, co) }.starting_at_column(panel * PANEL);
            multiply(&mut y, bias.len(), &Matrix::rows(x, ci), &columns, true);
            y
        })
        .collect();
    let mut y = Vec::with_capacity(rows * co);
    for row in 0..rows {
        for panel in &panels {
            let width = panel.len() / rows.max(1);
            y.extend_from_slice(&panel[row * width..][..width]);
        }
    }
    y
}

/// y = x w + bias, where `parts` gives each sample's w and bias.
pub(super) fn forward_per_sample<'a>(
    x: &[f32],
    samples: usize,
    ci: usize,
    co: usize,
    parts: impl Fn(usize) -> (&'a [f32], &'a [f32]) + Sync,
) -> Vec<f32> {
    let len = x.len() / ci * co;
    collect_blocks(len, (len / samples).max(1), block_rows(ci, co) * co, |sample, start, y| {
        let (weight, bias) = parts(sample);
        let x = &x[start / co * ci..][..y.len() / co * ci];
        for row in y.chunks_exact_mut(co) {
            row.copy_from_slice(bias);
        }
        let (x, weight) = (Matrix::rows(x, ci), Matrix::rows(weight, co));
        multiply(y, co, &x, &weight, true);
    })
}

/// dx = g w^T.
pub(super) fn input_gradient(grad: &[f32], weight: &[f32], co: usize) -> Vec<f32> {
    input_gradient_per_sample(grad, 1, weight.len() / co, co, |_| weight)
}

/// dx = g w^T, where `weight` gives each sample's w.
pub(super) fn input_gradient_per_sample<'a>(
    grad: &[f32],
    samples: usize,
    ci: usize,
    co: usize,
    weight: impl Fn(usize) -> &'a [f32] + Sync,
) -> Vec<f32> {
    let len = grad.len() / co * ci;
    collect_blocks(len, (len / samples).max(1), block_rows(ci, co) * ci, |sample, start, dx| {
        let grad = &grad[start / ci * co..][..dx.len() / ci * co];
        multiply(dx, ci, &Matrix::rows(grad, co), &Matrix::rows(weight(sample), co).transposed(), false);
    })
}

/// dw = x^T g, summed over blocks of rows in their order.
pub(super) fn weight_gradient(x: &[f32], grad: &[f32], ci: usize, co: usize) -> Vec<f32> {
    // A partial costs ci * co floats: blocks of many rows keep the partials few.
    let rows = block_rows(ci, co).max(1024);
    let partials: Vec<Vec<f32>> = x
        .par_chunks(rows * ci)
        .zip(grad.par_chunks(rows * co))
        .map(|(x, grad)| {
            let mut partial = vec![0.0; ci * co];
            multiply(&mut partial, co, &Matrix::rows(x, ci).transposed(), &Matrix::rows(grad, co), false);
            partial
        })
        .collect();
    sum_in_order(&partials, ci * co)
}

/// The sum of g over its rows.
pub(super) fn bias_gradient(grad: &[f32], co: usize) -> Vec<f32> {
    let rows = 1024;
    let partials: Vec<Vec<f32>> = grad
        .par_chunks(rows * co)
        .map(|grad| {
            let mut partial = vec![0.0; co];
            add_rows(grad, &mut partial);
            partial
        })
        .collect();
    sum_in_order(&partials, co)
}

fn block_rows(ci: usize, co: usize) -> usize {
    (BLOCK_PRODUCTS / (ci * co)).max(16)
}

fn sum_in_order(partials: &[Vec<f32>], length: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; length];
    for partial in partials {
        sums.iter_mut().zip(partial).for_each(|(sum, &part)| *sum += f64::from(part));
    }
    sums.iter().map(|&sum| sum as f32).collect()
}

multiversion! {
    fn add_rows(values: &[f32], sums: &mut [f32]) {
        for row in values.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// A dense matrix and how it is read.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    fn rows(values: &'a [f32], columns: usize) -> Self {
        Self { values, rows: values.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same from a column on, without those before.
    fn starting_at_column(self, column: usize) -> Self {
        Self { values: &self.values[column * self.column_stride..], ..self }
    }

    /// One more than the last index that it reads.
    fn reach(&self) -> usize {
        match (self.rows, self.columns) {
            (0, _) | (_, 0) => 0,
            (rows, columns) => (rows - 1) * self.row_stride + (columns - 1) * self.column_stride + 1,
        }
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = a b`, or `out += a b`; `out` is row-major with `columns` columns.
#[allow(unsafe_code)]
fn multiply(out: &mut [f32], columns: usize, a: &Matrix, b: &Matrix, accumulate: bool) {
    assert!(a.columns == b.rows && columns == b.columns && out.len() == a.rows * columns, "linear: sizes disagree");
    for matrix in [a, b] {
        assert!(matrix.reach() <= matrix.values.len(), "linear: a matrix reaches beyond its values");
    }
    // SAFETY: the assertions above hold every index row * row_stride + column * column_stride inside its slice; `out`
    // is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            a.rows,
            columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            columns as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_give_what_blocks_of_rows_give() {
        let noise =
            |count: usize, step: usize| -> Vec<f32> { (0..count).map(|i| (i * step % 17) as f32 - 8.0).collect() };
        for (rows, ci, co) in [(1, 3, 256), (5, 40, 300), (36, 64, 321)] {
            let (x, weight, bias) = (noise(rows * ci, 7), noise(ci * co, 5), noise(co, 3));
            // Small whole numbers: every order of summing gives the same.
            let expected = forward_per_sample(&x, 1, ci, co, |_| (&weight, &bias));
            assert_eq!(forward(&x, &weight, &bias, ci), expected, "{rows} {ci} {co}");
        }
        assert!(forward(&[], &noise(3 * 300, 5), &noise(300, 3), 3).is_empty());
    }
}
