//! The voxels of a mask, numbered one after the other: what is known of a vessel is kept for its voxels alone.

use pulmoav_volume::bits::{Bits, Ones, WORD};

use crate::lattice::Lattice;

/// A mask whose voxels are numbered in scan order; none lies on the outermost planes.
#[derive(Debug, Clone)]
pub(crate) struct Ranked {
    pub(crate) bits: Bits,
    /// Voxels before each word.
    before: Vec<u32>,
    /// The voxels' places in the lattice, ascending.
    pub(crate) voxels: Vec<u32>,
}

impl Ranked {
    pub(crate) fn new(bits: Bits) -> Self {
        let [_, height, width] = bits.shape();
        let words = bits.row_words();
        let mut before = Vec::with_capacity(bits.words().len());
        let mut voxels = Vec::new();
        for (index, &word) in bits.words().iter().enumerate() {
            before.push(voxels.len() as u32);
            let (row, x) = (index / words, index % words * WORD);
            debug_assert!(word == 0 || (row % height > 0 && row % height + 1 < height), "the margin is empty");
            voxels.extend(Ones(word).map(|bit| (row * width + x + bit) as u32));
        }
        Self { bits, before, voxels }
    }

    /// How many voxels there are.
    pub(crate) fn len(&self) -> usize {
        self.voxels.len()
    }

    /// The number of a voxel of the lattice; `None` outside the mask.
    pub(crate) fn number(&self, voxel: u32) -> Option<u32> {
        let (voxel, width) = (voxel as usize, self.bits.shape()[2]);
        let (row, x) = (voxel / width, voxel % width);
        let at = row * self.bits.row_words() + x / WORD;
        let word = self.bits.words()[at];
        (word >> (x % WORD) & 1 != 0).then(|| self.rank(at, word, x % WORD))
    }

    /// Calls `visit(number, k)` for the voxels of the mask among the 27 at and round a place that is on none of the
    /// outermost planes; `k` counts the 27, z slowest, the middle is 13.
    pub(crate) fn around(&self, voxel: u32, mut visit: impl FnMut(u32, usize)) {
        let [_, height, width] = self.bits.shape();
        let (row, x) = (voxel as usize / width, voxel as usize % width);
        let row_words = self.bits.row_words();
        let (index, shift) = ((x - 1) / WORD, (x - 1) % WORD);
        let words = self.bits.words();
        for (nine, near) in [row - height, row, row + height].into_iter().flat_map(|row| row - 1..=row + 1).enumerate()
        {
            let at = near * row_words + index;
            let mut three = words[at] >> shift;
            if shift > WORD - 3 && index + 1 < row_words {
                three |= words[at + 1] << (WORD - shift);
            }
            three &= 7;
            if three == 0 {
                continue;
            }
            let first = self.rank(at, words[at], shift);
            for (nth, bit) in Ones(three).enumerate() {
                visit(first + nth as u32, nine * 3 + bit);
            }
        }
    }

    /// The voxels that touch one of another mask of the same lattice, each with its number.
    pub(crate) fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (u32, u32)> + 'a {
        let [_, height, width] = self.bits.shape();
        let row_words = self.bits.row_words();
        let held = self.bits.words().iter().enumerate().filter(|(_, word)| **word != 0);
        held.flat_map(move |(at, &word)| {
            let (row, index) = (at / row_words, at % row_words);
            let first = row * width + index * WORD;
            Ones(word & near(&other.bits, row, index, height))
                .map(move |bit| ((first + bit) as u32, self.rank(at, word, bit)))
        })
    }

    /// Voxels before a bit of a word.
    fn rank(&self, at: usize, word: u64, bit: usize) -> u32 {
        self.before[at] + (word & ((1 << bit) - 1)).count_ones()
    }

    /// The lattice of these bits.
    pub(crate) fn lattice(&self, spacing_mm: [f64; 3]) -> Lattice {
        Lattice { shape: self.bits.shape(), spacing_mm }
    }
}

/// Which bits of a word have one set at or round their place.
fn near(bits: &Bits, row: usize, index: usize, height: usize) -> u64 {
    let [before, own, after] = [row - height, row, row + height].into_iter().flat_map(|row| row - 1..=row + 1).fold(
        [0; 3],
        |[before, own, after], row| {
            let words = &bits.words()[row * bits.row_words()..(row + 1) * bits.row_words()];
            let left = index.checked_sub(1).map_or(0, |left| words[left]);
            let right = words.get(index + 1).copied().unwrap_or(0);
            [before | left, own | words[index], after | right]
        },
    );
    own | own << 1 | own >> 1 | before >> (WORD - 1) | after << (WORD - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_neighbours_are_those_of_the_lattice() {
        let shape = [6, 7, 140];
        let mut bits = Bits::empty(shape);
        for v in 0..shape.iter().product::<usize>() {
            let at = [v / (7 * 140), v / 140 % 7, v % 140];
            if (v * 7 + v / 9) % 5 < 2 && (0..3).all(|k| at[k] > 0 && at[k] + 1 < shape[k]) {
                bits.set(at);
            }
        }
        let ranked = Ranked::new(bits);
        let lattice = ranked.lattice([1.0; 3]);
        for (number, &voxel) in ranked.voxels.iter().enumerate() {
            assert_eq!(ranked.number(voxel), Some(number as u32));
            let mut found = vec![];
            ranked.around(voxel, |number, k| {
                if k != 13 {
                    found.push(ranked.voxels[number as usize]);
                }
            });
            let expected: Vec<u32> =
                lattice.neighbours(voxel).map(|(v, _)| v).filter(|&v| ranked.number(v).is_some()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_touches_another_mask_is_beside_it() {
        let shape = [5, 6, 150];
        let mask = |every: usize| {
            let mut bits = Bits::empty(shape);
            for v in (0..shape.iter().product::<usize>()).filter(|v| v * 7 % every == 3) {
                let at = [v / (6 * 150), v / 150 % 6, v % 150];
                if (0..3).all(|k| at[k] > 0 && at[k] + 1 < shape[k]) {
                    bits.set(at);
                }
            }
            Ranked::new(bits)
        };
        let (own, other) = (mask(11), mask(61));
        let touches = |&(_, &voxel): &(u32, &u32)| {
            let mut any = false;
            other.around(voxel, |_, _| any = true);
            any
        };
        let expected: Vec<(u32, u32)> = (0..).zip(&own.voxels).filter(touches).map(|(n, &voxel)| (voxel, n)).collect();
        assert!(!expected.is_empty() && expected.len() < own.len());
        assert_eq!(own.beside(&other).collect::<Vec<_>>(), expected);
    }
}
