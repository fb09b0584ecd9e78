//! Quarter turns in the axial plane.

use pulmoav_ops::augment::{CardPatch, Move};
use serde::{Deserialize, Serialize};

use super::{Augmentation, CardTables, Change, Randoms, Site};
use crate::patch::Patch;

/// Turns the patch by 90°, 180° or 270° about the body's axis; the side channel and the codes turn with it. Patches
/// that are not square in the axial plane only turn by 180°.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rotate {
    /// How often.
    pub probability: f32,
}

impl Augmentation for Rotate {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn draw(&self, site: Site, random: &mut Randoms<'_>) -> Box<dyn Change> {
        let square = site.shape[1] == site.shape[2];
        Box::new(Turned { quarters: if square { 1 + random.choice.below(3) } else { 2 } })
    }
}

#[derive(Debug)]
struct Turned {
    quarters: usize,
}

impl Change for Turned {
    fn apply(&self, patch: &mut Patch) {
        patch.hu = turn(&patch.hu, patch.shape, self.quarters);
        patch.codes = turn(&patch.codes, patch.shape, self.quarters);
        patch.side = turn(&patch.side, patch.shape, self.quarters);
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        let [_, height, width] = patch.shape();
        let row = width as isize;
        let (origin, steps) = match self.quarters {
            1 => (width - 1, [-1, row]),
            2 => (height * width - 1, [-row, -1]),
            _ => ((height - 1) * width, [1, -row]),
        };
        patch.shuffle(Move { origin, steps, swaps_sides: false })
    }
}

fn turn<T: Copy>(values: &[T], [_, height, width]: [usize; 3], quarters: usize) -> Vec<T> {
    match quarters {
        1 => turn_slices(values, height, width, |y, x| (x, width - 1 - y)),
        2 => turn_slices(values, height, width, |y, x| (height - 1 - y, width - 1 - x)),
        _ => turn_slices(values, height, width, |y, x| (height - 1 - x, y)),
    }
}

/// Every axial slice with the value at `from(y, x)` at `(y, x)`.
fn turn_slices<T: Copy>(
    values: &[T],
    height: usize,
    width: usize,
    from: impl Fn(usize, usize) -> (usize, usize),
) -> Vec<T> {
    let mut turned = values.to_vec();
    for (slice, turned) in values.chunks_exact(height * width).zip(turned.chunks_exact_mut(height * width)) {
        for (y, row) in turned.chunks_exact_mut(width).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let (from_y, from_x) = from(y, x);
                *value = slice[from_y * width + from_x];
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_quarters_are_none() {
        let values: Vec<u8> = (0..32).collect();
        let once = turn(&values, [2, 4, 4], 1);
        assert_ne!(once, values);
        assert_eq!(turn(&once, [2, 4, 4], 1), turn(&values, [2, 4, 4], 2));
        assert_eq!(turn(&once, [2, 4, 4], 3), values);
    }
}
