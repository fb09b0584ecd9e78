//! One map's soft skeleton: the plain loops, and the reference of the kernels.

/// Erosions: vessels of up to this radius in voxels thin to their centreline.
const EROSIONS: usize = 5;

/// A map, and for each voxel the voxel of the map before that its value was taken from.
#[derive(Clone)]
struct Taken {
    values: Vec<f32>,
    from: Vec<u32>,
}

/// One round: what is left after it, and what the gradient needs.
struct Round {
    eroded: Taken,
    opened: Taken,
    /// δⱼ.
    delta: Vec<f32>,
    /// Π (1 − δᵢ) over the rounds before.
    left: Vec<f32>,
}

/// A soft skeleton.
pub struct SoftSkeleton {
    /// S, in the order of the map.
    pub values: Vec<f32>,
    rounds: Vec<Round>,
}

impl SoftSkeleton {
    /// The skeleton of `map`, `[z, y, x]`, values 0 to 1.
    pub fn of(map: &[f32], shape: [usize; 3]) -> Self {
        let mut left = vec![1.0; map.len()];
        let mut rounds: Vec<Round> = Vec::new();
        for _ in 0..=EROSIONS {
            let map = rounds.last().map_or(map, |round| &round.eroded.values);
            let eroded = eroded(map, shape);
            let opened = dilated(&eroded.values, shape);
            let delta: Vec<f32> = map.iter().zip(&opened.values).map(|(map, opened)| (map - opened).max(0.0)).collect();
            let next = left.iter().zip(&delta).map(|(left, delta)| left * (1.0 - delta)).collect();
            rounds.push(Round { eroded, opened, delta, left: std::mem::replace(&mut left, next) });
        }
        Self { values: left.iter().map(|left| 1.0 - left).collect(), rounds }
    }

    /// The gradient by the map, from that by the skeleton.
    pub fn backward(&self, mut by_skeleton: Vec<f32>) -> Vec<f32> {
        let mut by_next = vec![0.0; by_skeleton.len()];
        for Round { eroded, opened, delta, left } in self.rounds.iter().rev() {
            let mut by_map = vec![0.0; by_skeleton.len()];
            let mut by_eroded = by_next;
            for (at, slope) in by_skeleton.iter_mut().enumerate() {
                if delta[at] > 0.0 {
                    let by_delta = *slope * left[at];
                    by_map[at] += by_delta;
                    by_eroded[opened.from[at] as usize] -= by_delta;
                }
                *slope *= 1.0 - delta[at];
            }
            for (slope, &from) in by_eroded.iter().zip(&eroded.from) {
                by_map[from as usize] += slope;
            }
            by_next = by_map;
        }
        by_next
    }
}

/// The least of each voxel and its six neighbours.
fn eroded(map: &[f32], shape: [usize; 3]) -> Taken {
    let source = Taken::unmoved(map);
    let mut least = source.clone();
    (0..3).for_each(|axis| least.take(&source, shape, axis, |other, own| other < own));
    least
}

/// The largest of each voxel and its 26 neighbours, axis by axis.
fn dilated(map: &[f32], shape: [usize; 3]) -> Taken {
    let mut largest = Taken::unmoved(map);
    for axis in 0..3 {
        let source = largest.clone();
        largest.take(&source, shape, axis, |other, own| other > own);
    }
    largest
}

impl Taken {
    fn unmoved(map: &[f32]) -> Self {
        Self { values: map.to_vec(), from: (0..map.len() as u32).collect() }
    }

    /// Takes a value of the source from the voxel before or behind along an axis where it is `better`.
    fn take(&mut self, source: &Self, shape: [usize; 3], axis: usize, better: impl Fn(f32, f32) -> bool + Copy) {
        let stride: usize = shape[axis + 1..].iter().product();
        let block = (stride * shape[axis]).max(1);
        for start in (0..source.values.len()).step_by(block) {
            for at in 0..shape[axis] {
                let to = start + at * stride;
                let before = at.checked_sub(1).map(|_| to - stride);
                let behind = (at + 1 < shape[axis]).then_some(to + stride);
                for from in [before, behind].into_iter().flatten() {
                    self.take_row(source, to, from, stride, better);
                }
            }
        }
    }

    fn take_row(&mut self, source: &Self, to: usize, from: usize, length: usize, better: impl Fn(f32, f32) -> bool) {
        let own = self.values[to..to + length].iter_mut().zip(&mut self.from[to..to + length]);
        let other = source.values[from..from + length].iter().zip(&source.from[from..from + length]);
        for ((value, place), (&other, &other_place)) in own.zip(other) {
            let taken = better(other, *value);
            *value = if taken { other } else { *value };
            *place = if taken { other_place } else { *place };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rod_thins_to_its_axis() {
        let shape = [9, 9, 12];
        let inside = |z: usize, y: usize| (z as f64 - 4.0).hypot(y as f64 - 4.0) <= 2.0;
        let rod: Vec<f32> = (0..9 * 9 * 12).map(|at| f32::from(u8::from(inside(at / 108, at / 12 % 9)))).collect();
        let skeleton = SoftSkeleton::of(&rod, shape).values;
        let at = |z: usize, y: usize, x: usize| skeleton[(z * 9 + y) * 12 + x];
        assert_eq!(at(4, 4, 6), 1.0);
        assert_eq!([at(4, 6, 6), at(2, 4, 6), at(0, 0, 6)], [0.0; 3]);
    }
}
