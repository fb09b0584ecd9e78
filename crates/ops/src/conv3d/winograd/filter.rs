//! The matrices of F(2, 3), F(4, 3) and the strided filter, applied to one line of vectors.
//!
//! Generic over `N`, the inputs of a line, `R`, its results, and `P`, its points, which tell the filter: 4 and 6 are
//! those of F(2, 3) and F(4, 3), 5 those of stride 2; with 1, along z of flat tiles, a line is its own result. Every
//! function is written out for each.
#![allow(unsafe_code)] // `Lanes` needs an instruction set found at run time.
#![allow(clippy::inline_always)] // `simd::Kernel` demands it.

use crate::simd::Lanes;

/// The finite points of F(4, 3) beside 0: ±¾ and ±1½. The common choice ±1, ±2 triples the rounding error.
const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// Over these the rows of `G` are divided: the products of a point's distances from the others.
const AT_ZERO: f32 = A2 * B2;
const AT_A: f32 = 2.0 * A2 * (A2 - B2);
const AT_B: f32 = 2.0 * B2 * (B2 - A2);

/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
unsafe fn all<L: Lanes>(value: f32) -> L {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe { L::splat(&raw const value) }
}

/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
unsafe fn times<L: Lanes>(a: L, factor: f32) -> L {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe { L::zero().plus_product(a, all(factor)) }
}

/// `a + factor · b`.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
unsafe fn sum<L: Lanes>(a: L, factor: f32, b: L) -> L {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe { a.plus_product(b, all(factor)) }
}

/// `Bᵀ d`.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn input_line<L: Lanes, const N: usize, const P: usize>(d: [L; N]) -> [L; P] {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe {
        let mut line = [d[0]; P];
        if P == 5 {
            // The filter's outer taps meet every second input, its middle one those between; from coarse to fine both
            // meet all.
            let (outer, middle) = if N == 5 { ([0, 2, 4], [1, 3]) } else { ([0, 1, 2], [0, 1]) };
            line[0] = d[outer[0]].minus(d[outer[1]]);
            line[1] = d[outer[1]];
            line[2] = d[outer[2]].minus(d[outer[1]]);
            line[3] = d[middle[0]];
            line[4] = d[middle[1]];
        } else if P == 4 {
            line[0] = d[0].minus(d[2]);
            line[1] = d[1].plus(d[2]);
            line[2] = d[2].minus(d[1]);
            line[3] = d[1].minus(d[3]);
        } else if P == 6 {
            let (even_a, odd_a) = (sum(d[4], -B2, d[2]), sum(d[3], -B2, d[1]));
            let (even_b, odd_b) = (sum(d[4], -A2, d[2]), sum(d[3], -A2, d[1]));
            line[0] = sum(sum(d[4], -(A2 + B2), d[2]), A2 * B2, d[0]);
            line[1] = sum(even_a, A, odd_a);
            line[2] = sum(even_a, -A, odd_a);
            line[3] = sum(even_b, B, odd_b);
            line[4] = sum(even_b, -B, odd_b);
            line[5] = sum(sum(d[5], -(A2 + B2), d[3]), A2 * B2, d[1]);
        }
        line
    }
}

/// `G w`.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn weight_line<L: Lanes, const P: usize>(w: [L; 3]) -> [L; P] {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe {
        let mut line = [w[0]; P];
        line[P - 1] = w[2];
        if P == 5 {
            line[1] = w[0].plus(w[2]);
            line[2] = w[2];
            line[3] = w[1];
            line[4] = w[1];
        } else if P == 4 {
            let outer = w[0].plus(w[2]);
            line[1] = times(outer.plus(w[1]), 0.5);
            line[2] = times(outer.minus(w[1]), 0.5);
        } else {
            let (even_a, even_b) = (sum(w[0], A2, w[2]), sum(w[0], B2, w[2]));
            line[0] = times(w[0], 1.0 / AT_ZERO);
            line[1] = times(sum(even_a, A, w[1]), 1.0 / AT_A);
            line[2] = times(sum(even_a, -A, w[1]), 1.0 / AT_A);
            line[3] = times(sum(even_b, B, w[1]), 1.0 / AT_B);
            line[4] = times(sum(even_b, -B, w[1]), 1.0 / AT_B);
        }
        line
    }
}

/// `Aᵀ m`.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn output_line<L: Lanes, const R: usize, const P: usize>(m: [L; P]) -> [L; R] {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe {
        let mut line = [m[0]; R];
        if P == 5 {
            let (outer, middle) = ([m[0].plus(m[1]), m[1].plus(m[2])], [m[3], m[4]]);
            for result in 0..2 {
                if R == 2 {
                    line[result] = outer[result].plus(middle[result]);
                } else {
                    line[2 * result] = middle[result];
                    line[2 * result + 1] = outer[result];
                }
            }
        } else if P == 4 {
            line[0] = m[0].plus(m[1]).plus(m[2]);
            line[1] = m[1].minus(m[2]).minus(m[3]);
        } else if P == 6 {
            let (even_a, odd_a) = (m[1].plus(m[2]), m[1].minus(m[2]));
            let (even_b, odd_b) = (m[3].plus(m[4]), m[3].minus(m[4]));
            line[0] = m[0].plus(even_a).plus(even_b);
            line[1] = sum(times(odd_a, A), B, odd_b);
            line[2] = sum(times(even_a, A2), B2, even_b);
            line[3] = sum(sum(m[5], A * A2, odd_a), B * B2, odd_b);
        }
        line
    }
}

/// `A d`.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn gradient_line<L: Lanes, const R: usize, const P: usize>(d: [L; R]) -> [L; P] {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe {
        let mut line = [d[0]; P];
        if P == 5 {
            line[1] = d[0].plus(d[1]);
            line[2] = d[1];
            line[4] = d[1];
        } else if P == 4 {
            line[1] = d[0].plus(d[1]);
            line[2] = d[0].minus(d[1]);
            line[3] = L::zero().minus(d[1]);
        } else {
            let (even_a, odd_a) = (sum(d[0], A2, d[2]), sum(d[1], A2, d[3]));
            let (even_b, odd_b) = (sum(d[0], B2, d[2]), sum(d[1], B2, d[3]));
            line[1] = sum(even_a, A, odd_a);
            line[2] = sum(even_a, -A, odd_a);
            line[3] = sum(even_b, B, odd_b);
            line[4] = sum(even_b, -B, odd_b);
            line[5] = d[3];
        }
        line
    }
}

/// Point `POINT` of `A d`, of the vectors at `at` in every row.
///
/// # Safety
/// A vector can be read at `at` in every row, and the machine has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn gradient_point<L: Lanes, const R: usize, const P: usize, const POINT: usize>(
    rows: &[&[f32]; R],
    at: usize,
) -> L {
    // SAFETY: by this function's contract the vectors can be read and the machine has the instruction set.
    unsafe {
        let rows = rows.map(<[f32]>::as_ptr);
        if POINT == 0 || P == 5 && POINT == 3 {
            return L::load(rows[0].add(at));
        }
        if P == 5 && POINT != 1 {
            return L::load(rows[1].add(at));
        }
        if R == 2 {
            let high = L::load(rows[1].add(at));
            return match POINT {
                1 => L::load(rows[0].add(at)).plus(high),
                2 => L::load(rows[0].add(at)).minus(high),
                _ => L::zero().minus(high),
            };
        }
        if POINT == 5 {
            return L::load(rows[3].add(at));
        }
        let point = [A, -A, B, -B][POINT - 1];
        let even = sum(L::load(rows[0].add(at)), point * point, L::load(rows[2].add(at)));
        let odd = sum(L::load(rows[1].add(at)), point * point, L::load(rows[3].add(at)));
        sum(even, point, odd)
    }
}

/// `Gᵀ u`.
///
/// # Safety
/// The machine has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn weight_gradient_line<L: Lanes, const P: usize>(u: [L; P]) -> [L; 3] {
    // SAFETY: by this function's contract the machine has the instruction set.
    unsafe {
        if P == 5 {
            return [u[0].plus(u[1]), u[3].plus(u[4]), u[1].plus(u[2])];
        }
        let (even_a, odd_a) = (u[1].plus(u[2]), u[1].minus(u[2]));
        if P == 4 {
            return [sum(u[0], 0.5, even_a), times(odd_a, 0.5), sum(u[3], 0.5, even_a)];
        }
        let (even_b, odd_b) = (u[3].plus(u[4]), u[3].minus(u[4]));
        [
            sum(sum(times(u[0], 1.0 / AT_ZERO), 1.0 / AT_A, even_a), 1.0 / AT_B, even_b),
            sum(times(odd_a, A / AT_A), B / AT_B, odd_b),
            sum(sum(u[5], A2 / AT_A, even_a), B2 / AT_B, even_b),
        ]
    }
}
