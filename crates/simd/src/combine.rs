//! Rows combined value by value.
#![allow(clippy::inline_always)] // `Kernel` demands it.

use crate::lanes::Lanes;
use crate::level::{Kernel, Level};

/// Makes each value of `to` by `value(those of the rows at its place, what it was)`.
///
/// `value` should be arithmetic of a line or two: that is certain to be compiled into the loop, and the loop into
/// vectors of the current level.
///
/// # Panics
/// If a row is shorter than `to`.
pub fn combine<T: Copy, V: Copy, const ROWS: usize>(
    rows: [&[T]; ROWS],
    to: &mut [V],
    value: impl Fn([T; ROWS], V) -> V,
) {
    Level::current().run(Combine { rows, to, value });
}

struct Combine<'a, T, V, const ROWS: usize, F> {
    rows: [&'a [T]; ROWS],
    to: &'a mut [V],
    value: F,
}

impl<T: Copy, V: Copy, const ROWS: usize, F: Fn([T; ROWS], V) -> V> Kernel for Combine<'_, T, V, ROWS, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { mut rows, to, value } = self;
        for row in &mut rows {
            *row = &row[..to.len()];
        }
        for (index, to) in to.iter_mut().enumerate() {
            *to = value(rows.map(|row| row[index]), *to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_level;

    #[test]
    fn every_level_gives_the_same_bits() {
        let row = |salt: usize| -> Vec<f32> { (0..77).map(|i| ((i * 37 + salt) % 101) as f32 / 101.0).collect() };
        let (first, second) = (row(1), row(2));
        let expected: Vec<f32> = row(3).iter().zip(&first).zip(&second).map(|((to, a), b)| 0.3 * a - b + to).collect();
        for level in Level::present() {
            let mut found = row(3);
            with_level(level, || combine([&first, &second], &mut found, |[a, b], to| 0.3 * a - b + to));
            assert_eq!(found, expected, "{level:?}");
        }
    }
}
