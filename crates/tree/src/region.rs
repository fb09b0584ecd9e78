//! Which part of a centreline each voxel of a mask belongs to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::lattice::Lattice;

/// No part.
pub(crate) const NONE: u32 = u32::MAX;

/// Gives every voxel of the mask the number of the seed that is nearest on the way through the mask; [`NONE`] where
/// none can be reached. Of equals the lower number wins.
///
/// # Shapes
/// `inside`: `[z, y, x]` of the lattice, 0 outside; the result too. `seeds`: voxels with their numbers.
pub(crate) fn regions(inside: &[u8], lattice: &Lattice, seeds: impl Iterator<Item = (u32, u32)>) -> Vec<u32> {
    let mut nearest = vec![NONE; inside.len()];
    let mut open = BinaryHeap::new();
    for (voxel, number) in seeds {
        open.push(Reverse((0_u64, number, voxel)));
    }
    while let Some(Reverse((way, number, voxel))) = open.pop() {
        if nearest[voxel as usize] != NONE {
            continue;
        }
        nearest[voxel as usize] = number;
        for (next, step_mm) in lattice.neighbours(voxel) {
            if inside[next as usize] != 0 && nearest[next as usize] == NONE {
                open.push(Reverse((way + (step_mm * STEPS_A_MM) as u64, number, next)));
            }
        }
    }
    nearest
}

/// Ways are whole numbers, so that they compare exactly.
const STEPS_A_MM: f64 = 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_counts_and_not_the_distance() {
        // A U: its right arm is near the left one's seed, but far along the mask.
        let rows = ["#.#", "#.#", "#.#", "###"];
        let inside: Vec<u8> = rows.concat().bytes().map(|c| u8::from(c == b'#')).collect();
        let lattice = Lattice { shape: [1, 4, 3], spacing_mm: [1.0; 3] };
        let found = regions(&inside, &lattice, [(0, 7), (11, 3)].into_iter());
        assert_eq!(found[0], 7);
        assert_eq!((found[2], found[8], found[11]), (3, 3, 3));
        assert_eq!(found[1], NONE);
    }
}
