//! The nearest voxel of a mask, exactly, asked of some voxels only.
//!
//! A search looks at the rows round a voxel, the nearest first, 64 voxels at once, until no further row can hold a
//! nearer one. Few voxels are far from any; for them a k-d tree (Bentley 1975, Commun ACM 18:509) is made when the
//! first asks.

use std::sync::OnceLock;

use rayon::prelude::*;

use crate::bits::{Bits, Ones, WORD};

/// Rows further off than this many of the smallest steps are left to the tree.
const ROW_STEPS: f64 = 8.0;
/// Voxels in a leaf of the tree.
const LEAF: usize = 16;

/// A voxel that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Squared distance between the centres, mm².
    pub squared_mm2: f64,
    /// Its place, `[z, y, x]`.
    pub at: [usize; 3],
}

/// Answers which voxel of a mask is nearest.
#[derive(Debug)]
pub struct Nearest<'a> {
    bits: &'a Bits,
    spacing_mm: [f64; 3],
    /// Steps along z and y to the rows nearby, with the squared distance of the row, the nearest first.
    rows: Vec<(isize, isize, f64)>,
    /// Nothing of a row that is not in `rows` is nearer than this, mm².
    rows_reach_mm2: f64,
    /// Whether a row holds any voxel.
    any: Vec<bool>,
    tree: OnceLock<Tree>,
}

impl<'a> Nearest<'a> {
    /// Of the voxels that are set.
    pub fn new(bits: &'a Bits, spacing_mm: [f64; 3]) -> Self {
        Self::reaching(bits, spacing_mm, ROW_STEPS * spacing_mm[0].min(spacing_mm[1]))
    }

    /// The same, told how far most voxels are from any: up to there rows are looked at, and no tree is needed.
    pub fn reaching(bits: &'a Bits, spacing_mm: [f64; 3], reach_mm: f64) -> Self {
        let steps = |axis: usize| (reach_mm / spacing_mm[axis]) as isize;
        let square = |step: isize, axis: usize| (step as f64 * spacing_mm[axis]).powi(2);
        let mut rows = Vec::new();
        for z in -steps(0)..=steps(0) {
            for y in -steps(1)..=steps(1) {
                let squared_mm2 = square(z, 0) + square(y, 1);
                if squared_mm2 <= reach_mm.powi(2) {
                    rows.push((z, y, squared_mm2));
                }
            }
        }
        rows.sort_by(|a, b| a.2.total_cmp(&b.2));
        let any = bits.words().chunks_exact(bits.row_words().max(1)).map(|row| row.iter().any(|&w| w != 0)).collect();
        Self { bits, spacing_mm, rows, rows_reach_mm2: reach_mm.powi(2), any, tree: OnceLock::new() }
    }

    /// The nearest to a voxel, which need not be set itself; `None` where none is at most `reach_mm` away.
    pub fn to(&self, at: [usize; 3], reach_mm: f64) -> Option<Found> {
        self.search(at, Found { squared_mm2: reach_mm * reach_mm, at: [usize::MAX; 3] })
    }

    /// What is nearer than `best`, or it.
    fn search(&self, at: [usize; 3], mut best: Found) -> Option<Found> {
        let [depth, height, _] = self.bits.shape();
        for &(step_z, step_y, squared_mm2) in &self.rows {
            if squared_mm2 > best.squared_mm2 {
                return known(best);
            }
            let (Some(z), Some(y)) = (at[0].checked_add_signed(step_z), at[1].checked_add_signed(step_y)) else {
                continue;
            };
            if z >= depth || y >= height || !self.any[z * height + y] {
                continue;
            }
            let most = ((best.squared_mm2 - squared_mm2).sqrt() / self.spacing_mm[2]).min(1e9) as usize + 1;
            if let Some(x) = nearest_in_row(self.bits.row(z, y), at[2], most) {
                self.improve(&mut best, at, [z, y, x]);
            }
        }
        if best.squared_mm2 > self.rows_reach_mm2 {
            self.tree.get_or_init(|| Tree::new(self.bits, self.spacing_mm)).search(self, at, &mut best);
        }
        known(best)
    }

    /// The distance in mm to the nearest of each voxel that is set in `from`, in scan order; infinite where there is
    /// none.
    pub fn distances_mm(&self, from: &Bits) -> Vec<f64> {
        let [depth, height, _] = from.shape();
        let of_plane = |z: usize| -> Vec<f64> {
            let mut found = Vec::new();
            let mut last: Option<Found> = None;
            for y in 0..height {
                for (index, &word) in from.row(z, y).iter().enumerate() {
                    for bit in Ones(word) {
                        let at = [z, y, index * WORD + bit];
                        // What was nearest to the voxel before is not far from this one's.
                        let guess = last.map_or(Found { squared_mm2: f64::INFINITY, at: [usize::MAX; 3] }, |last| {
                            Found { squared_mm2: self.squared_mm2(at, last.at), at: last.at }
                        });
                        last = self.search(at, guess);
                        found.push(last.map_or(f64::INFINITY, |found| found.squared_mm2.sqrt()));
                    }
                }
            }
            found
        };
        let planes: Vec<Vec<f64>> = (0..depth).into_par_iter().map(of_plane).collect();
        planes.concat()
    }

    /// Takes a voxel that is nearer, or as near as the reach allows where none was found yet.
    fn improve(&self, best: &mut Found, at: [usize; 3], voxel: [usize; 3]) {
        let squared_mm2 = self.squared_mm2(at, voxel);
        if squared_mm2 < best.squared_mm2 || (squared_mm2 <= best.squared_mm2 && best.at[0] == usize::MAX) {
            *best = Found { squared_mm2, at: voxel };
        }
    }

    fn squared_mm2(&self, a: [usize; 3], b: [usize; 3]) -> f64 {
        (0..3).map(|axis| ((a[axis] as f64 - b[axis] as f64) * self.spacing_mm[axis]).powi(2)).sum()
    }
}

fn known(best: Found) -> Option<Found> {
    (best.at[0] != usize::MAX).then_some(best)
}

/// The voxel of a row that is nearest to `x` and at most `most` steps from it; the lower of two.
fn nearest_in_row(row: &[u64], x: usize, most: usize) -> Option<usize> {
    let (word, bit) = (x / WORD, x % WORD);
    let (mut below, mut above) = (None, None);
    let low = x.saturating_sub(most) / WORD;
    let high = ((x + most) / WORD).min(row.len() - 1);
    let mut bits = row[word] << (WORD - 1 - bit);
    if bits != 0 {
        below = Some(x - bits.leading_zeros() as usize);
    } else {
        for index in (low..word).rev() {
            bits = row[index];
            if bits != 0 {
                below = Some(index * WORD + WORD - 1 - bits.leading_zeros() as usize);
                break;
            }
        }
    }
    let mut bits = row[word] >> bit;
    if bits != 0 {
        above = Some(x + bits.trailing_zeros() as usize);
    } else {
        for index in word + 1..=high {
            bits = row[index];
            if bits != 0 {
                above = Some(index * WORD + bits.trailing_zeros() as usize);
                break;
            }
        }
    }
    match (below, above) {
        (Some(below), Some(above)) => Some(if x - below <= above - x { below } else { above }),
        (below, above) => below.or(above),
    }
}

/// A k-d tree of voxels: the middle one of each stretch parts it along the axis of its node.
#[derive(Debug)]
struct Tree {
    voxels: Vec<[u32; 3]>,
    /// The axis along which the stretch round a voxel is parted.
    axes: Vec<u8>,
}

impl Tree {
    fn new(bits: &Bits, spacing_mm: [f64; 3]) -> Self {
        let mut voxels: Vec<[u32; 3]> = bits.iter().map(|at| at.map(|v| v as u32)).collect();
        let mut axes = vec![0; voxels.len()];
        part(&mut voxels, &mut axes, spacing_mm);
        Self { voxels, axes }
    }

    fn search(&self, all: &Nearest<'_>, at: [usize; 3], best: &mut Found) {
        let mut open = vec![(0, self.voxels.len(), 0.0)];
        while let Some((low, high, squared_mm2)) = open.pop() {
            if squared_mm2 > best.squared_mm2 {
                continue;
            }
            if high - low <= LEAF {
                for voxel in &self.voxels[low..high] {
                    all.improve(best, at, voxel.map(|v| v as usize));
                }
                continue;
            }
            let middle = usize::midpoint(low, high);
            let axis = usize::from(self.axes[middle]);
            let voxel = self.voxels[middle].map(|v| v as usize);
            all.improve(best, at, voxel);
            let beyond = (at[axis] as f64 - voxel[axis] as f64) * all.spacing_mm[axis];
            let (near, far) =
                if beyond <= 0.0 { ((low, middle), (middle + 1, high)) } else { ((middle + 1, high), (low, middle)) };
            open.push((far.0, far.1, beyond * beyond));
            open.push((near.0, near.1, squared_mm2));
        }
    }
}

fn part(voxels: &mut [[u32; 3]], axes: &mut [u8], spacing_mm: [f64; 3]) {
    if voxels.len() <= LEAF {
        return;
    }
    let extent_mm = |axis: usize| {
        let (low, high) =
            voxels.iter().fold((u32::MAX, 0), |(low, high), voxel| (low.min(voxel[axis]), high.max(voxel[axis])));
        f64::from(high - low) * spacing_mm[axis]
    };
    let lengths: [f64; 3] = std::array::from_fn(extent_mm);
    let axis = (1..3).fold(0, |widest, axis| if lengths[axis] > lengths[widest] { axis } else { widest });
    let middle = voxels.len() / 2;
    voxels.select_nth_unstable_by_key(middle, |voxel| voxel[axis]);
    axes[middle] = axis as u8;
    let ((low, high), (low_axes, high_axes)) = (voxels.split_at_mut(middle), axes.split_at_mut(middle));
    rayon::join(|| part(low, low_axes, spacing_mm), || part(&mut high[1..], &mut high_axes[1..], spacing_mm));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::squared_distance_mm2;

    #[test]
    fn equals_the_distance_transform() {
        let (shape, spacing_mm) = ([23, 19, 150], [2.0, 1.25, 0.75]);
        for every in [1, 3, 97, 5003, 40_000] {
            let mut bits = Bits::empty(shape);
            let is_set = |at: usize| at * 31 % every == every / 2 && at > 20_000;
            let count = shape.iter().product::<usize>();
            let place = |at: usize| [at / (19 * 150), at / 150 % 19, at % 150];
            (0..count).filter(|&at| is_set(at)).for_each(|at| bits.set(place(at)));
            let field = squared_distance_mm2(is_set, shape, spacing_mm);
            let nearest = Nearest::new(&bits, spacing_mm);
            let mut from = Bits::empty(shape);
            (0..count).step_by(5).for_each(|at| from.set(place(at)));
            for (at, found) in (0..count).step_by(5).zip(nearest.distances_mm(&from)) {
                let expected = f64::from(field[at]).sqrt();
                assert!(
                    found == expected || (found - expected).abs() <= 1e-4 * expected,
                    "{found}, expected {expected}"
                );
            }
            for at in (0..count).step_by(7) {
                let expected = f64::from(field[at]);
                let Some(found) = nearest.to(place(at), f64::INFINITY) else {
                    assert!(expected.is_infinite());
                    continue;
                };
                assert!((found.squared_mm2 - expected).abs() <= 1e-4 * expected, "{found:?}, expected {expected}");
                assert!(bits.get(found.at));
                assert_eq!(nearest.to(place(at), 5.0).is_some(), found.squared_mm2 <= 25.0);
            }
        }
    }
}
