//! Connected components of masks.

use std::ops::Range;

use rayon::prelude::*;

use crate::bits::{Bits, WORD};
use crate::volume::Mask;

/// Which voxels touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Across faces: 6 neighbours.
    Faces,
    /// Across faces, edges and corners: 26 neighbours.
    Corners,
}

/// Components of an array.
#[derive(Debug, Clone)]
pub struct Components {
    /// 0 where the array is 0, else the component's number, from 1 in scan order of its first voxel; `[z, y, x]`.
    pub labels: Vec<u32>,
    /// Voxels of component `i + 1`.
    pub sizes: Vec<usize>,
}

impl Components {
    /// Number of the largest component, the first in scan order of equals; `None` when there is none.
    pub fn largest(&self) -> Option<u32> {
        let mut best: Option<(usize, usize)> = None;
        for (index, &size) in self.sizes.iter().enumerate() {
            if best.is_none_or(|(_, most)| size > most) {
                best = Some((index, size));
            }
        }
        best.map(|(index, _)| index as u32 + 1)
    }
}

/// Numbers the components of equal, non-zero value; scan order, so the numbers never depend on threads.
///
/// # Shapes
/// `data`: `[z, y, x]` of `shape`.
pub fn components(data: &[u8], shape: [usize; 3], connectivity: Connectivity) -> Components {
    let (runs, sizes) = Runs::find(data, shape).numbered(connectivity, |a, b| a == b);
    let mut labels = vec![0u32; data.len()];
    for run in &runs {
        labels[run.start..run.end].fill(run.label);
    }
    Components { labels, sizes }
}

/// Voxels of each component, in scan order of their first voxels; memory grows with the surface, not the volume.
pub fn component_sizes(bits: &Bits, connectivity: Connectivity) -> Vec<usize> {
    Runs::of_bits(bits).numbered(connectivity, |_, _| true).1
}

/// Components of a mask as runs along x; memory grows with the surface, not the volume.
#[derive(Debug, Clone)]
pub struct RunComponents {
    runs: Vec<Run>,
    /// Voxels of each component, in scan order of their first voxels.
    pub sizes: Vec<usize>,
}

impl RunComponents {
    /// Of the voxels that are set.
    pub fn find(bits: &Bits, connectivity: Connectivity) -> Self {
        let (runs, sizes) = Runs::of_bits(bits).numbered(connectivity, |_, _| true);
        Self { runs, sizes }
    }

    /// Every run in scan order: its voxels' indices and the index of its component in `sizes`.
    pub fn runs(&self) -> impl Iterator<Item = (Range<usize>, usize)> + '_ {
        self.runs.iter().map(|run| (run.start..run.end, run.label as usize - 1))
    }
}

/// Keeps the largest component.
pub fn keep_largest(mask: &mut Mask, connectivity: Connectivity) {
    let found = components(&mask.data, mask.grid.shape, connectivity);
    let Some(largest) = found.largest() else { return };
    for (value, &label) in mask.data.iter_mut().zip(&found.labels) {
        *value = if label == largest { *value } else { 0 };
    }
}

/// Clears components of equal value with fewer than `least` voxels; memory grows with the surface, not the volume.
///
/// # Shapes
/// `data`: `[z, y, x]` of `shape`, changed in place.
pub fn remove_small(data: &mut [u8], shape: [usize; 3], connectivity: Connectivity, least: usize) {
    clear_small(data, shape, connectivity, least, |a, b| a == b);
}

/// As [`remove_small`], but all non-zero values count as one.
pub fn remove_small_foreground(data: &mut [u8], shape: [usize; 3], connectivity: Connectivity, least: usize) {
    clear_small(data, shape, connectivity, least, |_, _| true);
}

/// Clears the components of non-zero voxels of which a share below `least_share` lies `inside`.
///
/// # Shapes
/// `data`: `[z, y, x]` of `shape`, changed in place; `inside` is asked by index.
pub fn remove_outside(
    data: &mut [u8],
    shape: [usize; 3],
    connectivity: Connectivity,
    inside: impl Fn(usize) -> bool,
    least_share: f64,
) {
    let (runs, sizes) = Runs::find(data, shape).numbered(connectivity, |_, _| true);
    let mut counts = vec![0usize; sizes.len()];
    for run in &runs {
        counts[run.label as usize - 1] += (run.start..run.end).filter(|&voxel| inside(voxel)).count();
    }
    let is_outside = |group: usize| (counts[group] as f64) < least_share * sizes[group] as f64;
    for run in runs.iter().filter(|run| is_outside(run.label as usize - 1)) {
        data[run.start..run.end].fill(0);
    }
}

fn clear_small(
    data: &mut [u8],
    shape: [usize; 3],
    connectivity: Connectivity,
    least: usize,
    alike: impl Fn(u8, u8) -> bool,
) {
    let (runs, sizes) = Runs::find(data, shape).numbered(connectivity, alike);
    for run in runs.iter().filter(|run| sizes[run.label as usize - 1] < least) {
        data[run.start..run.end].fill(0);
    }
}

/// Neighbouring voxels of one row with one value.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    value: u8,
    label: u32,
}

/// How many values from the first on are equal; `values` is not empty.
fn alike(values: &[u8]) -> usize {
    const BLOCK: usize = 16;
    let first = values[0];
    let is_alike = |block: &[u8]| block.iter().fold(0, |differs, value| differs | (value ^ first)) == 0;
    let blocks = values.chunks_exact(BLOCK).take_while(|block| is_alike(block)).count();
    let rest = &values[blocks * BLOCK..];
    blocks * BLOCK + rest.iter().position(|&value| value != first).unwrap_or(rest.len())
}

/// All runs of an array, row by row.
struct Runs {
    list: Vec<Run>,
    /// Where each row's runs begin in `runs`; one more entry than rows.
    rows: Vec<usize>,
    shape: [usize; 3],
}

impl Runs {
    fn find(data: &[u8], shape: [usize; 3]) -> Self {
        let width = shape[2].max(1);
        let plane = (shape[1] * width).max(1);
        let of_slice = |(z, slice): (usize, &[u8])| {
            let mut runs = Vec::new();
            let mut ends = Vec::with_capacity(shape[1]);
            for (y, row) in slice.chunks_exact(width).enumerate() {
                let first = z * plane + y * width;
                let mut x = 0;
                while x < width {
                    let value = row[x];
                    let end = x + alike(&row[x..]);
                    if value != 0 {
                        runs.push(Run { start: first + x, end: first + end, value, label: 0 });
                    }
                    x = end;
                }
                ends.push(runs.len());
            }
            (runs, ends)
        };
        let slices: Vec<(Vec<Run>, Vec<usize>)> = data.par_chunks(plane).enumerate().map(of_slice).collect();
        let mut list = Vec::with_capacity(slices.iter().map(|(runs, _)| runs.len()).sum());
        let mut rows = vec![0];
        for (runs, ends) in slices {
            rows.extend(ends.into_iter().map(|end| list.len() + end));
            list.extend(runs);
        }
        Self { list, rows, shape }
    }

    fn of_bits(bits: &Bits) -> Self {
        let shape = bits.shape();
        let mut list = Vec::new();
        let mut rows = vec![0];
        for (row, words) in bits.words().chunks_exact(bits.row_words().max(1)).enumerate() {
            let first = row * shape[2];
            let mut from = 0;
            while let Some(start) = next_bit(words, from, 0) {
                let end = next_bit(words, start, u64::MAX).unwrap_or(shape[2]).min(shape[2]);
                list.push(Run { start: first + start, end: first + end, value: 1, label: 0 });
                from = end;
            }
            rows.push(list.len());
        }
        Self { list, rows, shape }
    }

    /// Numbers the runs by component, and the components' sizes.
    fn numbered(mut self, connectivity: Connectivity, alike: impl Fn(u8, u8) -> bool) -> (Vec<Run>, Vec<usize>) {
        let mut parents: Vec<u32> = (0..self.list.len() as u32).collect();
        let [depth, height, _] = self.shape;
        for row in 0..depth * height {
            if self.rows[row] == self.rows[row + 1] {
                continue;
            }
            for &(dz, dy) in rows_behind(connectivity) {
                let (z, y) = ((row / height) as isize + dz, (row % height) as isize + dy);
                if z >= 0 && y >= 0 && y < height as isize {
                    self.join(&mut parents, row, z as usize * height + y as usize, connectivity, &alike);
                }
            }
            self.join_within(&mut parents, row, &alike);
        }
        let mut sizes = Vec::new();
        for index in 0..self.list.len() {
            let top = root(&mut parents, index as u32) as usize;
            if top == index {
                sizes.push(0);
                self.list[index].label = sizes.len() as u32;
            } else {
                self.list[index].label = self.list[top].label;
            }
            let run = self.list[index];
            sizes[run.label as usize - 1] += run.end - run.start;
        }
        (self.list, sizes)
    }

    /// Joins touching runs of two neighbouring rows.
    fn join(
        &self,
        parents: &mut [u32],
        row: usize,
        other: usize,
        connectivity: Connectivity,
        alike: &impl Fn(u8, u8) -> bool,
    ) {
        let width = self.shape[2];
        let reach = usize::from(connectivity == Connectivity::Corners);
        let mut below = self.rows[other];
        for index in self.rows[row]..self.rows[row + 1] {
            let run = self.list[index];
            let (start, end) = (run.start - row * width, run.end - row * width);
            while below < self.rows[other + 1] && self.list[below].end - other * width + reach <= start {
                below += 1;
            }
            let mut at = below;
            while at < self.rows[other + 1] && self.list[at].start - other * width < end + reach {
                if alike(run.value, self.list[at].value) {
                    unite(parents, index as u32, at as u32);
                }
                at += 1;
            }
        }
    }

    /// Joins runs of different values that touch within a row, where values are alike.
    fn join_within(&self, parents: &mut [u32], row: usize, alike: &impl Fn(u8, u8) -> bool) {
        for index in self.rows[row] + 1..self.rows[row + 1] {
            let (before, run) = (self.list[index - 1], self.list[index]);
            if before.end == run.start && alike(before.value, run.value) {
                unite(parents, index as u32 - 1, index as u32);
            }
        }
    }
}

/// The first bit from `from` on that is set; that is not set where `flip` is all ones.
fn next_bit(words: &[u64], from: usize, flip: u64) -> Option<usize> {
    let mut index = from / WORD;
    let mut word = (words.get(index)? ^ flip) & (u64::MAX << (from % WORD));
    while word == 0 {
        index += 1;
        word = words.get(index)? ^ flip;
    }
    Some(index * WORD + word.trailing_zeros() as usize)
}

/// Rows behind in scan order that touch a row, `(dz, dy)`.
fn rows_behind(connectivity: Connectivity) -> &'static [(isize, isize)] {
    match connectivity {
        Connectivity::Faces => &[(-1, 0), (0, -1)],
        Connectivity::Corners => &[(-1, -1), (-1, 0), (-1, 1), (0, -1)],
    }
}

/// The smaller number stays the root, so numbering follows scan order.
fn unite(parents: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b) as usize] = a.min(b);
}

fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        parents[label as usize] = parents[parents[label as usize] as usize];
        label = parents[label as usize];
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::VoxelBox;

    #[test]
    fn groups_outside_go() {
        let mut data = [1, 1, 1, 0, 2, 2, 0, 1, 2];
        remove_outside(&mut data, [1, 1, 9], Connectivity::Corners, |voxel| voxel == 7, 0.5);
        assert_eq!(data, [0, 0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn faces_and_corners_differ() {
        let data = [1, 0, 0, 1, 1, 0, 0, 0, 1];
        let by_face = components(&data, [1, 3, 3], Connectivity::Faces);
        assert_eq!(by_face.labels, [1, 0, 0, 1, 1, 0, 0, 0, 2]);
        assert_eq!(by_face.sizes, [3, 1]);
        let by_corner = components(&data, [1, 3, 3], Connectivity::Corners);
        assert_eq!(by_corner.sizes, [4]);
    }

    #[test]
    fn late_joins_keep_scan_order() {
        // Two arms of a U that meet on the last row, then a lone voxel.
        let data = [1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1];
        let found = components(&data, [1, 4, 4], Connectivity::Faces);
        assert_eq!(found.sizes, [7, 1]);
        assert_eq!(found.largest(), Some(1));
    }

    #[test]
    fn values_do_not_mix_and_small_ones_go() {
        let mut data = [1, 1, 2, 0, 2, 2];
        remove_small(&mut data, [1, 1, 6], Connectivity::Corners, 2);
        assert_eq!(data, [1, 1, 0, 0, 2, 2]);
        let mut data = [1, 1, 2, 0, 2, 2];
        remove_small_foreground(&mut data, [1, 1, 6], Connectivity::Corners, 3);
        assert_eq!(data, [1, 1, 2, 0, 0, 0]);
    }

    #[test]
    fn equals_flood_fill() {
        let shape = [5, 6, 7];
        for seed in 0..20u32 {
            let mut state = seed.wrapping_mul(2_654_435_761) | 1;
            let data: Vec<u8> = (0..210)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    [0, 0, 1, 2][(state >> 30) as usize]
                })
                .collect();
            for connectivity in [Connectivity::Faces, Connectivity::Corners] {
                let found = components(&data, shape, connectivity);
                assert_eq!(found.labels, flood(&data, shape, connectivity));
                let ones: Vec<u8> = data.iter().map(|&label| u8::from(label == 1)).collect();
                let bits = Bits::of(&data, shape, &VoxelBox::whole(shape), 0, |label| label == 1);
                assert_eq!(component_sizes(&bits, connectivity), components(&ones, shape, connectivity).sizes);
            }
        }
    }

    fn flood(data: &[u8], [depth, height, width]: [usize; 3], connectivity: Connectivity) -> Vec<u32> {
        let mut labels = vec![0; data.len()];
        let mut next = 0;
        let place = |i: usize| [i / (height * width), i / width % height, i % width].map(|v| v as isize);
        for start in 0..data.len() {
            if data[start] == 0 || labels[start] != 0 {
                continue;
            }
            next += 1;
            let mut stack = vec![start];
            labels[start] = next;
            while let Some(at) = stack.pop() {
                for other in 0..depth * height * width {
                    let apart: Vec<isize> = (0..3).map(|a| (place(at)[a] - place(other)[a]).abs()).collect();
                    let near = match connectivity {
                        Connectivity::Faces => apart.iter().sum::<isize>() == 1,
                        Connectivity::Corners => apart.iter().all(|&d| d <= 1),
                    };
                    if near && labels[other] == 0 && data[other] == data[at] {
                        labels[other] = next;
                        stack.push(other);
                    }
                }
            }
        }
        labels
    }
}
