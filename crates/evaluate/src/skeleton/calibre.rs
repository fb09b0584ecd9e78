//! By calibre, the radius at the reference's centreline: below 1 mm, 1 to 2, 2 to 4, and 4 mm and more. Of each
//! stretch, the share of the length that was found, and of what was called vessel, the share with the wrong class.

use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};
use crate::skeleton::line_points::length_share;
use crate::skeleton::line_swap::swapped_length;

/// Radii that part the strata, mm.
const EDGES_MM: [f64; 5] = [0.0, 1.0, 2.0, 4.0, f64::INFINITY];

const A_RECALL: Score = Score {
    name: "lengthRecallRadiusBelow1mm",
    title: "Length found, radius < 1 mm",
    group: Group::Skeleton,
    unit: Unit::Share,
    better: Better::Higher,
    value: recall::<0>,
};

pub(crate) const RECALL: [Score; 4] = [
    A_RECALL,
    Score { name: "lengthRecallRadius1To2mm", title: "Length found, radius 1–2 mm", value: recall::<1>, ..A_RECALL },
    Score { name: "lengthRecallRadius2To4mm", title: "Length found, radius 2–4 mm", value: recall::<2>, ..A_RECALL },
    Score { name: "lengthRecallRadiusFrom4mm", title: "Length found, radius ≥ 4 mm", value: recall::<3>, ..A_RECALL },
];

const A_SWAP_RATE: Score = Score {
    name: "swapRateRadiusBelow1mm",
    title: "Swapped length, radius < 1 mm",
    better: Better::Lower,
    value: swap_rate::<0>,
    ..A_RECALL
};

pub(crate) const SWAP_RATE: [Score; 4] = [
    A_SWAP_RATE,
    Score {
        name: "swapRateRadius1To2mm",
        title: "Swapped length, radius 1–2 mm",
        value: swap_rate::<1>,
        ..A_SWAP_RATE
    },
    Score {
        name: "swapRateRadius2To4mm",
        title: "Swapped length, radius 2–4 mm",
        value: swap_rate::<2>,
        ..A_SWAP_RATE
    },
    Score {
        name: "swapRateRadiusFrom4mm",
        title: "Swapped length, radius ≥ 4 mm",
        value: swap_rate::<3>,
        ..A_SWAP_RATE
    },
];

fn is_in<const STRATUM: usize>(radius_mm: f64) -> bool {
    (EDGES_MM[STRATUM]..EDGES_MM[STRATUM + 1]).contains(&radius_mm)
}

fn recall<const STRATUM: usize>(row: &Row<'_>) -> Value {
    let radii_mm = row.pair.radii_mm(Which::Reference)?;
    let points = row.points(Which::Reference)?.iter().filter(|point| is_in::<STRATUM>(radii_mm[point.number]));
    Ok(length_share(points, |point| point.inside))
}

fn swap_rate<const STRATUM: usize>(row: &Row<'_>) -> Value {
    swapped_length(row, |_, radius_mm| is_in::<STRATUM>(radius_mm))
}
