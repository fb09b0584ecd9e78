//! Which part of a centreline each voxel of a mask belongs to.

use crate::ranked::Ranked;

/// No part.
pub(crate) const NONE: u32 = u32::MAX;

/// Gives every voxel of the mask the number of the seed that is nearest on the way through the mask; [`NONE`] where
/// none can be reached. Of equals the lower number wins.
///
/// Voxels wait in buckets as wide as the shortest step: whatever a voxel reaches waits in a later one (Dial 1969,
/// Commun ACM 12:632).
///
/// # Shapes
/// The result: a value a voxel of the mask. `seeds`: voxels of the lattice with their numbers.
pub(crate) fn regions(mask: &Ranked, spacing_mm: [f64; 3], seeds: impl Iterator<Item = (u32, u32)>) -> Vec<u32> {
    let steps = steps(spacing_mm);
    let width = *steps.iter().filter(|&&step| step > 0).min().unwrap_or(&1);
    // The way so far and the number it started with; as one value, so that the lesser is the better.
    let mut best = vec![u64::MAX; mask.len()];
    let mut buckets: Vec<Vec<u32>> = vec![vec![]];
    for (voxel, number) in seeds {
        let Some(at) = mask.number(voxel) else { continue };
        best[at as usize] = best[at as usize].min(u64::from(number));
        buckets[0].push(at);
    }
    let mut is_done = vec![false; mask.len()];
    let mut bucket = 0;
    while bucket < buckets.len() {
        let mut waiting = std::mem::take(&mut buckets[bucket]);
        // In scan order, neighbours are at hand in the caches.
        waiting.sort_unstable();
        for at in waiting {
            let (way, number) = (best[at as usize] >> 32, best[at as usize] & u64::from(u32::MAX));
            if std::mem::replace(&mut is_done[at as usize], true) {
                continue;
            }
            mask.around(mask.voxels[at as usize], |next, k| {
                let further = way + steps[k];
                let offered = further << 32 | number;
                if offered < best[next as usize] {
                    best[next as usize] = offered;
                    let later = (further / width) as usize;
                    if buckets.len() <= later {
                        buckets.resize(later + 1, vec![]);
                    }
                    buckets[later].push(next);
                }
            });
        }
        bucket += 1;
    }
    best.into_iter().map(|value| value as u32).collect()
}

/// Ways are whole numbers, so that they compare exactly.
const STEPS_A_MM: f64 = 1024.0;

/// The way to each of the 27 voxels at and round one; 0 in the middle.
fn steps(spacing_mm: [f64; 3]) -> [u64; 27] {
    std::array::from_fn(|k| {
        let step = [k / 9, k / 3 % 3, k % 3].map(|s| s as f64 - 1.0);
        let mm = (0..3).map(|axis| (step[axis] * spacing_mm[axis]).powi(2)).sum::<f64>().sqrt();
        if k == 13 { 0 } else { ((mm * STEPS_A_MM) as u64).max(1) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::bits::Bits;

    #[test]
    fn the_way_counts_and_not_the_distance() {
        // A U: its right arm is near the left one's seed, but far along the mask.
        let rows = ["#.#", "#.#", "#.#", "###"];
        let mut bits = Bits::empty([3, 6, 5]);
        for (y, row) in rows.iter().enumerate() {
            row.bytes().enumerate().filter(|(_, c)| *c == b'#').for_each(|(x, _)| bits.set([1, y + 1, x + 1]));
        }
        let mask = Ranked::new(bits);
        let voxel = |y: u32, x: u32| (6 + y + 1) * 5 + x + 1;
        let found = regions(&mask, [1.0; 3], [(voxel(0, 0), 7), (voxel(3, 2), 3)].into_iter());
        let at = |y: u32, x: u32| mask.number(voxel(y, x)).map(|number| found[number as usize]);
        assert_eq!(at(0, 0), Some(7));
        assert_eq!([at(0, 2), at(2, 2), at(3, 2)], [Some(3); 3]);
        assert_eq!(at(0, 1), None);
    }
}
