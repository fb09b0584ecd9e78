//! HD95 and HD100: of each surface, the least distance within which 95 or 100 % of its area lie of the other; the
//! greater of the two (google-deepmind/surface-distance, `compute_robust_hausdorff`).

use crate::score::{Better, Group, Score, Unit};
use crate::surface::profile::Element;

pub(crate) const HD95: Score = Score {
    name: "hd95",
    title: "HD95",
    group: Group::Surface,
    unit: Unit::Mm,
    better: Better::Lower,
    value: |row| Ok(row.surfaces()?.greatest(|side| within(side, 0.95))),
};

pub(crate) const HD100: Score = Score {
    name: "hd100",
    title: "HD100",
    value: |row| Ok(row.surfaces()?.greatest(|side| side.last().map_or(0.0, |element| element.distance_mm))),
    ..HD95
};

/// The least distance within which a share of the weight lies; the elements are sorted by distance.
fn within(side: &[Element], share: f64) -> f64 {
    let total: f64 = side.iter().map(|element| element.weight).sum();
    let mut sum = 0.0;
    for element in side {
        sum += element.weight;
        if sum / total >= share {
            return element.distance_mm;
        }
    }
    side.last().map_or(0.0, |element| element.distance_mm)
}
