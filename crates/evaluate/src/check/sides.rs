//! `wrongSide` = voxels of left values in the right lung, and of right ones in the left / those in either lung.

use crate::check::figure::{Figure, Kind, Limits, Place};
use crate::check::seen::Seen;

pub(super) const WRONG_SIDE: Figure = Figure {
    name: "wrongSide",
    title: "Vessels of one side in the other lung",
    unit: "",
    kind: Kind::Plausibility,
    limits: Limits { green: [0.0, 0.01], yellow: [0.0, 0.05] },
    source: "a vessel of a lung lies in that lung",
    places: "",
    value: wrong_side,
};

fn wrong_side(seen: &Seen<'_>) -> (Option<f64>, Vec<Place>) {
    let mut of_value = [0_u8; 256];
    seen.request.sides.iter().for_each(|&[value, side]| of_value[usize::from(value)] = side);
    let (mut all, mut wrong) = (0_usize, 0_usize);
    for (index, &value) in seen.request.labels.data.iter().enumerate() {
        let side = of_value[usize::from(value)];
        let lung = seen.region(index);
        if side != 0 && (1..=2).contains(&lung) {
            all += 1;
            wrong += usize::from(side != lung);
        }
    }
    ((all > 0).then(|| wrong as f64 / all as f64), vec![])
}
