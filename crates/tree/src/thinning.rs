//! Three-dimensional thinning: a mask's centreline, with its parts, holes and tunnels kept.
//!
//! Voxels are peeled off from six sides in turn, as in Lee, Kashyap and Chu 1994 (CVGIP 56:462): a voxel goes when it
//! is *simple* (object 26-connected, background 6-connected; Bertrand and Malandain 1994, Pattern Recognit Lett 15:169)
//! and no end of a line.

use pulmoav_volume::{Mask, Volume};

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
    let mut body = Body::padded(inside, shape);
    let rules = Rules::new();
    loop {
        let mut peeled = 0;
        for side in body.sides() {
            peeled += body.peel(side, &rules);
        }
        if peeled == 0 {
            break;
        }
    }
    body.cropped(shape)
}

/// The mask with a rim of background, so that every voxel has 26 neighbours.
struct Body {
    voxels: Vec<u8>,
    /// Voxels still inside.
    left: Vec<u32>,
    /// Steps along y and z.
    row: isize,
    plane: isize,
}

impl Body {
    fn padded(inside: &[u8], [nz, ny, nx]: [usize; 3]) -> Self {
        let (row, plane) = (nx + 2, (nx + 2) * (ny + 2));
        let mut voxels = vec![0_u8; plane * (nz + 2)];
        let mut left = vec![];
        for z in 0..nz {
            for y in 0..ny {
                let from = (z * ny + y) * nx;
                let to = (z + 1) * plane + (y + 1) * row + 1;
                for x in 0..nx {
                    if inside[from + x] != 0 {
                        voxels[to + x] = 1;
                        left.push((to + x) as u32);
                    }
                }
            }
        }
        Self { voxels, left, row: row as isize, plane: plane as isize }
    }

    fn cropped(&self, [nz, ny, nx]: [usize; 3]) -> Vec<u8> {
        let (row, plane) = (self.row as usize, self.plane as usize);
        let mut data = Vec::with_capacity(nz * ny * nx);
        for z in 0..nz {
            for y in 0..ny {
                let from = (z + 1) * plane + (y + 1) * row + 1;
                data.extend_from_slice(&self.voxels[from..from + nx]);
            }
        }
        data
    }

    /// Offsets of the six face neighbours, opposite sides one after the other.
    fn sides(&self) -> [isize; 6] {
        [-self.plane, self.plane, -self.row, self.row, -1, 1]
    }

    /// Takes off what lies open towards one side and may go; returns how many voxels went.
    fn peel(&mut self, side: isize, rules: &Rules) -> usize {
        let open: Vec<u32> = self
            .left
            .iter()
            .copied()
            .filter(|&v| self.voxels[(v as isize + side) as usize] == 0)
            .filter(|&v| {
                let around = self.around(v);
                // An end of a line has one neighbour and stays.
                (around & !MIDDLE).count_ones() > 1 && rules.is_simple(around)
            })
            .collect();
        let mut gone = 0;
        for v in open {
            // Its neighbours may have gone since: look again, so that no two voxels that hold something together both
            // go.
            if rules.is_simple(self.around(v)) {
                self.voxels[v as usize] = 0;
                gone += 1;
            }
        }
        if gone > 0 {
            let voxels = &self.voxels;
            self.left.retain(|&v| voxels[v as usize] != 0);
        }
        gone
    }

    /// The 27 voxels round one as bits, z slowest; the middle is bit 13.
    fn around(&self, voxel: u32) -> u32 {
        let mut bits = 0;
        let mut bit = 0;
        for dz in -1..=1 {
            for dy in -1..=1 {
                let middle = voxel as isize + dz * self.plane + dy * self.row;
                for &v in &self.voxels[(middle - 1) as usize..=(middle + 1) as usize] {
                    bits |= u32::from(v) << bit;
                    bit += 1;
                }
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
}

impl Rules {
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
        let mut rules = Self { near: [0; 27], faces: [0; 27], six: within(13, 1), eighteen };
        for i in 0..27 {
            rules.near[i] = within(i, 3);
            rules.faces[i] = within(i, 1) & eighteen;
        }
        rules
    }

    /// Whether the middle may go without joining, parting, opening or closing anything.
    fn is_simple(&self, around: u32) -> bool {
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
}
