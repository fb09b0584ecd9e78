//! Three-dimensional thinning: a mask's centreline, with its parts, holes and tunnels kept.
//!
//! Voxels are peeled off from six sides in turn, as in Lee, Kashyap and Chu 1994 (CVGIP 56:462): a voxel goes when it
//! is *simple* (object 26-connected, background 6-connected; Bertrand and Malandain 1994, Pattern Recognit Lett 15:169)
//! and no end of a line.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pulmoav_volume::bits::{Bits, Ones, WORD};
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::{Mask, Volume};
use rayon::prelude::*;

/// Centreline of a mask, one voxel thin: 1 on it, else 0. Anything but 0 counts as inside.
pub fn skeleton(mask: &Mask) -> Mask {
    Volume { data: skeleton_of(&mask.data, mask.grid.shape), grid: mask.grid }
}

/// The same for a plain array.
///
/// # Shapes
/// `inside`: `shape` = `[z, y, x]`, x fastest.
///
/// # Panics
/// When `inside` has another length than `shape` says.
pub fn skeleton_of(inside: &[u8], shape: [usize; 3]) -> Vec<u8> {
    assert_eq!(inside.len(), shape.iter().product::<usize>(), "thinning: {} voxels for shape {shape:?}", inside.len());
    let [_, height, width] = shape;
    let mut data = vec![0; inside.len()];
    let padded = Bits::of(inside, shape, &VoxelBox::whole(shape), 1, |label| label != 0);
    for [z, y, x] in skeleton_of_bits(padded).iter() {
        data[((z - 1) * height + y - 1) * width + x - 1] = 1;
    }
    data
}

/// The same for bits, of which none on the outermost planes may be set.
pub fn skeleton_of_bits(inside: Bits) -> Bits {
    let mut body = Body::new(inside);
    let rules = Rules::known();
    loop {
        let peeled: usize = Side::ALL.iter().map(|&side| body.peel(side, rules)).sum();
        if peeled == 0 {
            return body.bits;
        }
    }
}

/// The face through which a voxel lies open.
#[derive(Debug, Clone, Copy)]
enum Side {
    BelowZ,
    AboveZ,
    BelowY,
    AboveY,
    BelowX,
    AboveX,
}

impl Side {
    /// Opposite ones, one after the other.
    const ALL: [Self; 6] = [Self::BelowZ, Self::AboveZ, Self::BelowY, Self::AboveY, Self::BelowX, Self::AboveX];
}

/// What is left of the mask.
struct Body {
    bits: Bits,
    /// Of each row, the last step that took a voxel off it.
    changed: Vec<u32>,
    /// Rows with voxels, `[z][..]`.
    rows: Vec<Vec<u32>>,
    /// Sides peeled so far, from 1 on.
    step: u32,
}

impl Body {
    fn new(bits: Bits) -> Self {
        let [depth, height, _] = bits.shape();
        let is_used = |z: usize, y: usize| bits.row(z, y).iter().any(|&word| word != 0);
        let rows = (0..depth).map(|z| (0..height).filter(|&y| is_used(z, y)).map(|y| y as u32).collect()).collect();
        Self { changed: vec![0; depth * height], rows, bits, step: 1 }
    }

    /// Takes off what lies open towards one side and may go; returns how many voxels went.
    fn peel(&mut self, side: Side, rules: &Rules) -> usize {
        let [depth, height, _] = self.bits.shape();
        let body = &*self;
        let open: Vec<Vec<[u32; 2]>> = (0..depth).into_par_iter().map(|z| body.open_in(z, side, rules)).collect();
        let mut gone = 0;
        for [row, x] in open.into_iter().flatten() {
            // Its neighbours may have gone since: look again, so that no two voxels that hold something together both
            // go.
            let (row, x) = (row as usize, x as usize);
            if rules.is_simple(self.around(row, x)) {
                self.bits.row_mut(row / height, row % height)[x / WORD] &= !(1 << (x % WORD));
                self.changed[row] = self.step;
                gone += 1;
            }
        }
        self.step += 1;
        gone
    }

    /// The voxels of a plane that lie open towards a side and may go, `[row, x]`.
    fn open_in(&self, z: usize, side: Side, rules: &Rules) -> Vec<[u32; 2]> {
        let height = self.bits.shape()[1];
        let mut open = Vec::new();
        for &y in &self.rows[z] {
            let y = y as usize;
            let row = z * height + y;
            if !self.has_changed_round(row, height) {
                continue;
            }
            let words = self.bits.row(z, y);
            for (index, &word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
                let covered = match side {
                    Side::BelowZ => self.bits.row(z - 1, y)[index],
                    Side::AboveZ => self.bits.row(z + 1, y)[index],
                    Side::BelowY => self.bits.row(z, y - 1)[index],
                    Side::AboveY => self.bits.row(z, y + 1)[index],
                    Side::BelowX => word << 1 | index.checked_sub(1).map_or(0, |before| words[before] >> (WORD - 1)),
                    Side::AboveX => word >> 1 | words.get(index + 1).map_or(0, |after| after << (WORD - 1)),
                };
                for bit in Ones(word & !covered) {
                    let x = index * WORD + bit;
                    let around = self.around(row, x);
                    // An end of a line has one neighbour and stays.
                    if (around & !MIDDLE).count_ones() > 1 && rules.is_simple(around) {
                        open.push([row as u32, x as u32]);
                    }
                }
            }
        }
        open
    }

    /// Whether a voxel went, in the row or beside it, since this side was peeled last: else nothing here may go now
    /// that could not then.
    fn has_changed_round(&self, row: usize, height: usize) -> bool {
        let sides = Side::ALL.len() as u32;
        [row - height, row, row + height]
            .into_iter()
            .any(|middle| self.changed[middle - 1..=middle + 1].iter().any(|&step| step + sides >= self.step))
    }

    /// The 27 voxels round one as bits, z slowest; the middle is bit 13.
    fn around(&self, row: usize, x: usize) -> u32 {
        let (words, row_words, height) = (self.bits.words(), self.bits.row_words(), self.bits.shape()[1]);
        let (index, shift) = ((x - 1) / WORD, (x - 1) % WORD);
        let mut bits = 0;
        let mut bit = 0;
        for middle in [row - height, row, row + height] {
            for row in middle - 1..=middle + 1 {
                let at = row * row_words + index;
                let mut three = words[at] >> shift;
                if shift > WORD - 3 {
                    three |= words[at + 1] << (WORD - shift);
                }
                bits |= ((three & 7) as u32) << bit;
                bit += 3;
            }
        }
        bits
    }
}

const MIDDLE: u32 = 1 << 13;
const ALL: u32 = (1 << 27) - 1;

/// Who touches whom among 27 voxels.
struct Rules {
    /// Neighbours by corner, edge or face of each of the 27, without the middle one.
    near: [u32; 27],
    /// Neighbours by face within the 18-neighbourhood, without the middle one.
    faces: [u32; 27],
    /// The six face neighbours of the middle.
    six: u32,
    /// Its eighteen face and edge neighbours.
    eighteen: u32,
    /// What was found of each of the 2²⁶ surroundings, two bits a surrounding: 0 nothing yet, 1 it is not simple, 2 it
    /// is.
    found: Vec<AtomicU32>,
}

/// Surroundings in a word of `found`.
const A_WORD: u32 = 16;

impl Rules {
    /// The one table, kept once it is made.
    fn known() -> &'static Self {
        static RULES: OnceLock<Rules> = OnceLock::new();
        RULES.get_or_init(Self::new)
    }

    fn new() -> Self {
        let place = |i: usize| [i / 9, i / 3 % 3, i % 3].map(|v| v as i32);
        let steps = |i: usize, j: usize| -> [i32; 3] {
            let (a, b) = (place(i), place(j));
            [0, 1, 2].map(|k| (a[k] - b[k]).abs())
        };
        let within = |i: usize, most: i32| -> u32 {
            (0..27)
                .filter(|&j| {
                    let d = steps(i, j);
                    j != i && j != 13 && d.iter().all(|&k| k <= 1) && d.iter().sum::<i32>() <= most
                })
                .map(|j| 1 << j)
                .sum()
        };
        let eighteen = within(13, 2);
        let found = (0..(1 << 26) / A_WORD).map(|_| AtomicU32::new(0)).collect();
        let mut rules = Self { near: [0; 27], faces: [0; 27], six: within(13, 1), eighteen, found };
        for i in 0..27 {
            rules.near[i] = within(i, 3);
            rules.faces[i] = within(i, 1) & eighteen;
        }
        rules
    }

    /// Whether the middle may go without joining, parting, opening or closing anything. Few of the 2²⁶ surroundings
    /// ever occur, so each is looked at once.
    fn is_simple(&self, around: u32) -> bool {
        let number = (around & (MIDDLE - 1)) | (around >> 14) << 13;
        let (word, shift) = (&self.found[(number / A_WORD) as usize], number % A_WORD * 2);
        match word.load(Ordering::Relaxed) >> shift & 3 {
            0 => {
                let simple = self.decide(around);
                word.fetch_or((1 + u32::from(simple)) << shift, Ordering::Relaxed);
                simple
            }
            known => known == 2,
        }
    }

    fn decide(&self, around: u32) -> bool {
        let object = around & !MIDDLE;
        if object == 0 {
            return false;
        }
        // One part of object around it ...
        if spread(object, object & object.wrapping_neg(), &self.near) != object {
            return false;
        }
        // ... and one part of background that touches it by a face.
        let ground = !around & ALL & self.eighteen;
        let touching = ground & self.six;
        touching != 0 && touching & !spread(ground, touching & touching.wrapping_neg(), &self.faces) == 0
    }
}

/// All of `set` that `start` reaches.
fn spread(set: u32, start: u32, neighbours: &[u32; 27]) -> u32 {
    let (mut reached, mut fresh) = (start, start);
    while fresh != 0 {
        let i = fresh.trailing_zeros() as usize;
        fresh &= fresh - 1;
        let more = neighbours[i] & set & !reached;
        reached |= more;
        fresh |= more;
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [24, 26, 28];

    fn drawn(holds: impl Fn([f32; 3]) -> bool) -> Vec<u8> {
        let [nz, ny, nx] = SHAPE;
        (0..nz * ny * nx).map(|i| u8::from(holds([i / (ny * nx), i / nx % ny, i % nx].map(|v| v as f32)))).collect()
    }

    fn count(mask: &[u8]) -> usize {
        mask.iter().filter(|&&v| v != 0).count()
    }

    /// Number of parts (26-connected), by flooding.
    fn parts(mask: &[u8]) -> usize {
        let [nz, ny, nx] = SHAPE.map(|n| n as i32);
        let mut left: Vec<u8> = mask.to_vec();
        let mut parts = 0;
        for start in 0..left.len() {
            if left[start] == 0 {
                continue;
            }
            parts += 1;
            let mut open = vec![start as i32];
            left[start] = 0;
            while let Some(v) = open.pop() {
                let (z, y, x) = (v / (ny * nx), v / nx % ny, v % nx);
                for k in 0..27 {
                    let (a, b, c) = (z + k / 9 - 1, y + k / 3 % 3 - 1, x + k % 3 - 1);
                    if (0..nz).contains(&a) && (0..ny).contains(&b) && (0..nx).contains(&c) {
                        let to = (a * ny + b) * nx + c;
                        if std::mem::take(&mut left[to as usize]) != 0 {
                            open.push(to);
                        }
                    }
                }
            }
        }
        parts
    }

    #[test]
    fn a_bar_becomes_a_line_inside_it() {
        let bar = drawn(|[z, y, x]| (z - 12.0).hypot(y - 12.0) <= 4.0 && (2.0..=25.0).contains(&x));
        let line = skeleton_of(&bar, SHAPE);
        assert!(line.iter().zip(&bar).all(|(l, b)| l <= b));
        assert_eq!(parts(&line), 1);
        assert!((14..=30).contains(&count(&line)), "{}", count(&line));
    }

    #[test]
    fn a_ring_stays_a_ring_and_a_ball_becomes_a_point() {
        let ring = drawn(|[z, y, x]| ((y - 13.0).hypot(x - 14.0) - 8.0).hypot(z - 12.0) <= 2.5);
        let line = skeleton_of(&ring, SHAPE);
        assert_eq!(parts(&line), 1);
        // A closed curve: no voxel is an end, and it is about 2 π 8 voxels of mixed steps long.
        assert!((35..=60).contains(&count(&line)), "{}", count(&line));
        let ball = drawn(|[z, y, x]| (z - 12.0).hypot(y - 12.0).hypot(x - 12.0) <= 6.0);
        let left = count(&skeleton_of(&ball, SHAPE));
        assert!(left <= 9, "{left}");
    }

    #[test]
    fn parts_and_thin_lines_are_kept() {
        let line = drawn(|[z, y, x]| z == 3.0 && y == x && x < 20.0);
        assert_eq!(skeleton_of(&line, SHAPE), line);
        let two = drawn(|[z, y, x]| (z - 6.0).hypot(y - 6.0) < 3.0 && !(11.0..=14.0).contains(&x));
        assert_eq!(parts(&skeleton_of(&two, SHAPE)), 2);
    }

    #[test]
    fn nothing_gives_nothing_and_a_full_box_does_not_read_outside() {
        assert!(skeleton_of(&[], [0, 3, 3]).is_empty());
        assert!(count(&skeleton_of(&[1; 27], [3, 3, 3])) >= 1);
    }

    /// The same peeling without what makes it fast: every voxel that is left is looked at for each side.
    fn plain_skeleton(inside: &[u8]) -> Vec<u8> {
        let [nz, ny, nx] = SHAPE.map(|n| n as isize);
        let mut left = inside.to_vec();
        let place = |v: usize| [v as isize / (ny * nx), v as isize / nx % ny, v as isize % nx];
        let is_set = |left: &[u8], [z, y, x]: [isize; 3]| {
            (0..nz).contains(&z)
                && (0..ny).contains(&y)
                && (0..nx).contains(&x)
                && left[((z * ny + y) * nx + x) as usize] != 0
        };
        let around = |left: &[u8], [z, y, x]: [isize; 3]| -> u32 {
            let bit = |k: isize| is_set(left, [z + k / 9 - 1, y + k / 3 % 3 - 1, x + k % 3 - 1]);
            (0..27).map(|k| u32::from(bit(k)) << k).sum()
        };
        let rules = Rules::known();
        loop {
            let mut gone = 0;
            for [dz, dy, dx] in [[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]] {
                let may_go = |&v: &usize| {
                    let [z, y, x] = place(v);
                    let near = around(&left, [z, y, x]);
                    left[v] != 0
                        && !is_set(&left, [z + dz, y + dy, x + dx])
                        && (near & !MIDDLE).count_ones() > 1
                        && rules.decide(near)
                };
                let open: Vec<usize> = (0..left.len()).filter(may_go).collect();
                for v in open {
                    if rules.decide(around(&left, place(v))) {
                        left[v] = 0;
                        gone += 1;
                    }
                }
            }
            if gone == 0 {
                return left;
            }
        }
    }

    #[test]
    fn what_makes_it_fast_changes_nothing() {
        let ring = drawn(|[z, y, x]| ((y - 13.0).hypot(x - 14.0) - 7.0).hypot(z - 12.0) <= 4.0);
        let rough = drawn(|[z, y, x]| (z * 7.3 + y * y * 1.7 + x * 3.1).sin() + (x * 0.4).cos() > 0.2);
        let slab = drawn(|[z, y, x]| z >= 3.0 && (z - 12.0).abs() <= 9.0 && (y * x) % 11.0 != 5.0);
        for mask in [ring, rough, slab] {
            assert_eq!(skeleton_of(&mask, SHAPE), plain_skeleton(&mask));
        }
    }
}
