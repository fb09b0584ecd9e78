//! Masks of one bit a voxel: 64 voxels a step.

use rayon::prelude::*;

use crate::crop::VoxelBox;

/// Voxels in one word.
pub const WORD: usize = 64;

/// One bit a voxel; each row along x takes whole words, whose bits beyond the row are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    row_words: usize,
    shape: [usize; 3],
}

impl Bits {
    /// No voxel set.
    pub fn empty(shape: [usize; 3]) -> Self {
        let row_words = shape[2].div_ceil(WORD);
        Self { words: vec![0; shape[0] * shape[1] * row_words], row_words, shape }
    }

    /// The voxels of `part` whose label `is_in` names, with `margin` more voxels on each side that are not set.
    ///
    /// # Shapes
    /// `data`: `[z, y, x]` of `shape`; the result: `part`'s shape, twice the margin more along each axis.
    pub fn of(data: &[u8], shape: [usize; 3], part: &VoxelBox, margin: usize, is_in: impl Fn(u8) -> bool) -> Self {
        let table: Vec<bool> = (0..=255).map(is_in).collect();
        let mut bits = Self::empty(part.shape().map(|length| length + 2 * margin));
        let [_, height, width] = shape;
        let [_, rows, _] = bits.shape;
        let words = bits.row_words;
        if bits.words.is_empty() {
            return bits;
        }
        bits.words.par_chunks_mut(words * rows).enumerate().for_each(|(z, plane)| {
            let Some(z) = (z + part.low[0]).checked_sub(margin).filter(|z| (part.low[0]..part.high[0]).contains(z))
            else {
                return;
            };
            for (y, row) in plane.chunks_exact_mut(words).enumerate() {
                let Some(y) = (y + part.low[1]).checked_sub(margin).filter(|y| (part.low[1]..part.high[1]).contains(y))
                else {
                    continue;
                };
                let start = (z * height + y) * width;
                pack(&data[start + part.low[2]..start + part.high[2]], margin, &table, row);
            }
        });
        bits
    }

    /// Voxels along each axis, `[z, y, x]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Words of a row.
    pub fn row_words(&self) -> usize {
        self.row_words
    }

    /// All words, row after row.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// All words, to be changed; bits beyond a row's end must stay 0.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The words of a row.
    pub fn row(&self, z: usize, y: usize) -> &[u64] {
        let start = (z * self.shape[1] + y) * self.row_words;
        &self.words[start..start + self.row_words]
    }

    /// The words of a row to be changed; bits beyond its end must stay 0.
    pub fn row_mut(&mut self, z: usize, y: usize) -> &mut [u64] {
        let start = (z * self.shape[1] + y) * self.row_words;
        &mut self.words[start..start + self.row_words]
    }

    /// Whether a voxel is set.
    pub fn get(&self, [z, y, x]: [usize; 3]) -> bool {
        self.words[(z * self.shape[1] + y) * self.row_words + x / WORD] >> (x % WORD) & 1 != 0
    }

    /// Sets a voxel.
    pub fn set(&mut self, [z, y, x]: [usize; 3]) {
        self.words[(z * self.shape[1] + y) * self.row_words + x / WORD] |= 1 << (x % WORD);
    }

    /// Takes a voxel away.
    pub fn clear(&mut self, [z, y, x]: [usize; 3]) {
        self.words[(z * self.shape[1] + y) * self.row_words + x / WORD] &= !(1 << (x % WORD));
    }

    /// Voxels that are set.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The smallest box of the voxels that are set; `None` where there are none.
    pub fn bounds(&self) -> Option<VoxelBox> {
        let mut found: Option<VoxelBox> = None;
        for (row, words) in self.words.chunks_exact(self.row_words.max(1)).enumerate() {
            let Some(first) = words.iter().position(|&word| word != 0) else { continue };
            let last = words.iter().rposition(|&word| word != 0).unwrap_or(first);
            let low = first * WORD + words[first].trailing_zeros() as usize;
            let high = last * WORD + WORD - words[last].leading_zeros() as usize;
            let (z, y) = (row / self.shape[1], row % self.shape[1]);
            let here = VoxelBox { low: [z, y, low], high: [z + 1, y + 1, high] };
            found = Some(found.map_or(here, |part| part.joined(&here)));
        }
        found
    }

    /// The same voxels on one grid with those of `other`, word by word.
    ///
    /// # Panics
    /// Where the shapes differ.
    #[must_use]
    pub fn combined(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        assert_eq!(self.shape, other.shape, "masks of one shape");
        let words = self.words.iter().zip(&other.words).map(|(&a, &b)| combine(a, b)).collect();
        Self { words, ..*self }
    }

    /// The voxels that are not set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut bits = self.clone();
        let last = last_word(self.shape[2]);
        for row in bits.words.chunks_exact_mut(self.row_words.max(1)) {
            for word in row.iter_mut() {
                *word = !*word;
            }
            if let Some(word) = row.last_mut() {
                *word &= last;
            }
        }
        bits
    }

    /// The voxels that are set, `[z, y, x]`, in scan order.
    pub fn iter(&self) -> impl Iterator<Item = [usize; 3]> {
        let height = self.shape[1];
        self.words.chunks_exact(self.row_words.max(1)).enumerate().flat_map(move |(row, words)| {
            words.iter().enumerate().flat_map(move |(index, &word)| {
                Ones(word).map(move |bit| [row / height, row % height, index * WORD + bit])
            })
        })
    }
}

/// The bits of a row's last word that lie in the row.
fn last_word(width: usize) -> u64 {
    if width.is_multiple_of(WORD) { u64::MAX } else { (1 << (width % WORD)) - 1 }
}

/// Places of the bits that are set, the lowest first.
#[derive(Debug, Clone)]
pub struct Ones(pub u64);

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        (self.0 != 0).then(|| {
            let bit = self.0.trailing_zeros() as usize;
            self.0 &= self.0 - 1;
            bit
        })
    }
}

/// Sets the bits of one row of labels, `shift` bits further on.
fn pack(labels: &[u8], shift: usize, table: &[bool], row: &mut [u64]) {
    let zero = table[0];
    for (index, labels) in labels.chunks(WORD).enumerate() {
        // Nearly all of a label map is background.
        if !zero && labels.iter().fold(0, |any, label| any | label) == 0 {
            continue;
        }
        let word = labels
            .iter()
            .enumerate()
            .fold(0u64, |word, (bit, &label)| word | u64::from(table[usize::from(label)]) << bit);
        let at = index * WORD + shift;
        row[at / WORD] |= word << (at % WORD);
        if !at.is_multiple_of(WORD) && at / WORD + 1 < row.len() {
            row[at / WORD + 1] |= word >> (WORD - at % WORD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_bits_with_a_margin() {
        let shape = [3, 4, 131];
        let data: Vec<u8> = (0..3 * 4 * 131).map(|at| (at * 7 % 11) as u8).collect();
        let part = VoxelBox { low: [1, 0, 3], high: [3, 3, 130] };
        for margin in [0, 1, 2] {
            let bits = Bits::of(&data, shape, &part, margin, |label| label == 3 || label == 5);
            let mut count = 0;
            for (z, y, x) in (1..3).flat_map(|z| (0..3).flat_map(move |y| (3..130).map(move |x| (z, y, x)))) {
                let expected = [3, 5].contains(&data[(z * 4 + y) * 131 + x]);
                assert_eq!(bits.get([z - 1 + margin, y + margin, x - 3 + margin]), expected);
                count += u64::from(expected);
            }
            assert_eq!((bits.count(), bits.iter().count() as u64), (count, count));
            let around = bits.bounds().expect("some are set");
            assert!(bits.iter().all(|at| (0..3).all(|axis| (around.low[axis]..around.high[axis]).contains(&at[axis]))));
            let rest = bits.complement();
            assert_eq!(rest.count() + count, bits.shape().iter().product::<usize>() as u64);
            assert!(bits.combined(&rest, |a, b| a & b).is_empty());
        }
    }
}
