//! Left–right mirror; left and right swap names.

use pulmoav_ops::augment::{CardPatch, Move};
use serde::{Deserialize, Serialize};

use super::{Augmentation, CardTables, Change, Randoms, Site};
use crate::{code::RIGHT_BIT, patch::Patch};

/// Mirrors the patch left–right: an artery of the left lung becomes one of the right lung, in codes and side channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Flip {
    /// How often.
    pub probability: f32,
}

impl Augmentation for Flip {
    fn probability(&self) -> f32 {
        self.probability
    }

    fn draw(&self, _site: Site, _random: &mut Randoms<'_>) -> Box<dyn Change> {
        Box::new(Mirrored)
    }
}

#[derive(Debug)]
struct Mirrored;

impl Change for Mirrored {
    fn apply(&self, patch: &mut Patch) {
        mirror(patch);
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        let [.., width] = patch.shape();
        patch.shuffle(Move { origin: width - 1, steps: [width as isize, -1], swaps_sides: true })
    }
}

fn mirror(patch: &mut Patch) {
    let width = patch.shape[2];
    patch.hu.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    patch.codes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    patch.side.chunks_exact_mut(width).for_each(<[f32]>::reverse);
    patch.side.iter_mut().for_each(|side| *side = -*side);
    patch.codes.iter_mut().for_each(|code| *code ^= RIGHT_BIT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        code::{LABEL_BITS, SUPERVISED_BIT},
        patch::tests::numbered,
    };

    #[test]
    fn sides_swap_and_labels_travel() {
        let before = numbered([2, 3, 4]);
        let mut after = before.clone();
        mirror(&mut after);
        for row in 0..6 {
            for x in 0..4 {
                let (from, to) = (row * 4 + x, row * 4 + 3 - x);
                assert_eq!(after.hu[to], before.hu[from]);
                assert_eq!(after.side[to], -before.side[from]);
                assert_eq!(after.codes[to] & LABEL_BITS, before.codes[from] & LABEL_BITS);
                assert_eq!(after.codes[to] & SUPERVISED_BIT, SUPERVISED_BIT);
                assert_ne!(after.codes[to] & RIGHT_BIT, before.codes[from] & RIGHT_BIT);
            }
        }
        mirror(&mut after);
        assert_eq!(after, before);
    }
}
