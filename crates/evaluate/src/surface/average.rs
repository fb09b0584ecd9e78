//! ASSD = Σ area × distance / Σ area, over the surface elements of both surfaces (the two averages of
//! google-deepmind/surface-distance, `compute_average_surface_distance`, weighted by their areas).

use crate::score::{Better, Group, Score, Unit};

pub(crate) const ASSD: Score = Score {
    name: "assd",
    title: "ASSD",
    group: Group::Surface,
    unit: Unit::Mm,
    better: Better::Lower,
    value: |row| Ok(row.surfaces()?.mean()),
};
