//! Weighted sums of neighbours along a row, at places between its values: interpolation.
//!
//! New value `i` is the sum of `weights[t][i] · row[from[i] + t]` over a few taps t. Where new values are dense, those
//! of one vector come from little more than a vector of the row: it is loaded once a tap, from the block's `base + t`
//! on, and one permutation, the same for every tap and every row, brings each lane what it needs. Two or four vectors
//! do where the row has up to twice or four times as many values as the new one; rows that are denser still, or shorter
//! than that, are summed value by value. A row's last vector starts early enough to end with the row, so some values
//! are computed twice. Products are rounded before they are added, as in the plain sum, so every level gives the same
//! bits.
#![allow(unsafe_code)] // Raw loads and stores.
#![allow(clippy::inline_always)] // `Kernel` demands it.

use crate::lanes::Lanes;
use crate::level::{Kernel, Level};

/// Where each new value lies between those of a row; made for the level that is current then.
#[derive(Debug)]
pub struct Taps<const TAPS: usize> {
    /// Values of a row.
    size: usize,
    from: Vec<u32>,
    weights: Vec<[f32; TAPS]>,
    level: Level,
    blocks: Option<Blocks>,
}

/// The new values of a row, a vector at a time.
#[derive(Debug)]
struct Blocks {
    /// Vectors that a block's values are picked from: 1, 2 or 4.
    reach: usize,
    /// Where a block's new values start and where those of the row, which with the taps behind it hold whatever it
    /// picks.
    starts: Vec<[usize; 2]>,
    /// `[block, lane]`: which value, counted from the block's start in the row.
    lanes: Vec<u32>,
    /// `[block, tap, lane]`
    weights: Vec<f32>,
}

impl<const TAPS: usize> Taps<TAPS> {
    /// For rows of `size` values, from the first value's index and the weights of each new value.
    ///
    /// # Panics
    /// If a new value would look beyond the row.
    pub fn new(size: usize, taps: impl IntoIterator<Item = (usize, [f32; TAPS])>) -> Self {
        let (from, weights): (Vec<u32>, Vec<_>) =
            taps.into_iter().map(|(from, weights)| (from as u32, weights)).unzip();
        assert!(
            from.iter().all(|&from| from as usize + TAPS <= size),
            "{TAPS} taps look beyond a row of {size} values"
        );
        let mut taps = Self { size, from, weights, level: Level::current(), blocks: None };
        taps.blocks = [1, 2, 4].into_iter().find_map(|reach| taps.blocks_of(reach));
        taps
    }

    /// New values of a row.
    pub fn len(&self) -> usize {
        self.from.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }

    /// Blocks that pick from `reach` vectors, if all of them can.
    fn blocks_of(&self, reach: usize) -> Option<Blocks> {
        let lanes = self.level.lanes();
        let last_start = self.len().checked_sub(lanes)?;
        let last_base = (self.size + 1).checked_sub(reach * lanes + TAPS)?;
        let mut blocks = Blocks { reach, starts: Vec::new(), lanes: Vec::new(), weights: Vec::new() };
        for start in (0..self.len()).step_by(lanes).map(|start| start.min(last_start)) {
            let (from, weights) = (&self.from[start..start + lanes], &self.weights[start..start + lanes]);
            let base = from.iter().fold(last_base, |base, &from| base.min(from as usize));
            blocks.starts.push([start, base]);
            blocks.lanes.extend(from.iter().map(|&from| from - base as u32));
            blocks.weights.extend((0..TAPS).flat_map(|tap| weights.iter().map(move |weights| weights[tap])));
        }
        blocks.lanes.iter().all(|&lane| (lane as usize) < reach * lanes).then_some(blocks)
    }

    /// All new values of a row.
    ///
    /// # Panics
    /// If `row` has not the size the taps were made for, or `to` not as many values as there are new ones.
    pub fn apply(&self, row: &[f32], to: &mut [f32]) {
        assert!(row.len() == self.size && to.len() == self.len(), "{} to {} values", row.len(), to.len());
        match &self.blocks {
            None => self.apply_plain(row, to),
            Some(blocks) => match blocks.reach {
                1 => self.level.run(Apply::<TAPS, 1> { blocks, row, to }),
                2 => self.level.run(Apply::<TAPS, 2> { blocks, row, to }),
                _ => self.level.run(Apply::<TAPS, 4> { blocks, row, to }),
            },
        }
    }

    /// The definition.
    fn apply_plain(&self, row: &[f32], to: &mut [f32]) {
        for ((to, &from), weights) in to.iter_mut().zip(&self.from).zip(&self.weights) {
            let product = |tap: usize| weights[tap] * row[from as usize + tap];
            *to = (1..TAPS).fold(product(0), |sum, tap| sum + product(tap));
        }
    }
}

/// A row whose blocks pick from `REACH` vectors.
struct Apply<'a, const TAPS: usize, const REACH: usize> {
    blocks: &'a Blocks,
    row: &'a [f32],
    to: &'a mut [f32],
}

impl<const TAPS: usize, const REACH: usize> Kernel for Apply<'_, TAPS, REACH> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { blocks, row, to } = self;
        let lanes = blocks.lanes.chunks_exact(L::N);
        let weights = blocks.weights.chunks_exact(TAPS * L::N);
        for ((&[start, base], lanes), weights) in blocks.starts.iter().zip(lanes).zip(weights) {
            // SAFETY: `L` is the level the blocks were laid out for, since `apply` runs at that one, and `apply` has
            // compared both slices with the sizes the taps were made for. `blocks_of` saw to it that `start + N` new
            // values exist, that `base + TAPS - 1 + REACH · N` of the row's do, and that lanes are below `REACH · N`.
            // `Level::run`, below which kernels run, has asserted that the machine has the instruction set.
            unsafe {
                let from = row.as_ptr().add(base);
                let mut sum = product::<L, REACH>(from, lanes, weights.as_ptr());
                for tap in 1..TAPS {
                    sum = sum.plus(product::<L, REACH>(from.add(tap), lanes, weights.as_ptr().add(tap * L::N)));
                }
                sum.store(to.as_mut_ptr().add(start));
            }
        }
    }
}

/// What a tap adds to a block's new values.
///
/// # Safety
/// The instruction set of `L` is present; `REACH · N` values and `N` weights can be read; there are `N` lanes, each
/// below `REACH · N`.
#[inline(always)]
unsafe fn product<L: Lanes, const REACH: usize>(from: *const f32, lanes: &[u32], weights: *const f32) -> L {
    // SAFETY: by this function's contract vectors, weights and lanes can be read and lanes name values of the vectors.
    unsafe {
        let value = match REACH {
            1 => L::pick(from, lanes.as_ptr()),
            2 => L::pick_from_two(from, lanes.as_ptr()),
            _ => L::pick_from_four(from, lanes.as_ptr()),
        };
        value.times(L::load(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_level;

    /// Every level gives the definition's bits, whatever the step, at rows too short for its vectors too.
    #[test]
    fn blocks_are_as_the_definition() {
        for level in Level::present() {
            with_level(level, || {
                for (size, new_size) in [
                    (2, 9),
                    (17, 17),
                    (19, 40),
                    (40, 64),
                    (61, 43),
                    (97, 50),
                    (130, 31),
                    (200, 51),
                    (358, 120),
                    (130, 20),
                    (358, 512),
                    (5, 33),
                ] {
                    check::<1>(size, new_size, level);
                    check::<2>(size, new_size, level);
                    if size >= 4 {
                        check::<4>(size, new_size, level);
                    }
                }
            });
        }
    }

    fn check<const TAPS: usize>(size: usize, new_size: usize, level: Level) {
        let step = (size - TAPS + 1) as f64 / new_size as f64;
        let taps = Taps::<TAPS>::new(
            size,
            (0..new_size).map(|i| {
                (((i as f64 + 0.5) * step) as usize, std::array::from_fn(|tap| ((i * 7 + tap * 3) % 11) as f32 / 7.0))
            }),
        );
        let row: Vec<f32> = (0..size).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
        let (mut found, mut expected) = (vec![9f32; new_size], vec![9f32; new_size]);
        taps.apply(&row, &mut found);
        taps.apply_plain(&row, &mut expected);
        assert_eq!(found, expected, "{TAPS} taps, {size} → {new_size} at {level:?}");
        let lanes = level.lanes();
        if size >= 4 * lanes + TAPS && new_size >= lanes && step < 3.9 {
            assert!(taps.blocks.is_some(), "{size} → {new_size} is left to the plain sum at {level:?}");
        }
    }

    #[test]
    #[should_panic(expected = "2 taps look beyond a row of 3 values")]
    fn taps_stay_within_the_row() {
        Taps::<2>::new(3, [(2, [0.5, 0.5])]);
    }
}
