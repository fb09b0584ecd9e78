//! NSD = area of both surfaces that lies within a tolerance of the other / area of both surfaces (Nikolov et al., J Med
//! Internet Res 2021, 23:e26151; google-deepmind/surface-distance, `compute_surface_dice_at_tolerance`).

use crate::score::{Better, Group, Score, Unit};

pub(crate) const NSD_HALF_MM: Score = Score {
    name: "nsd05mm",
    title: "NSD at 0.5 mm",
    group: Group::Surface,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| Ok(row.surfaces()?.share_within(0.5)),
};

pub(crate) const NSD_1_MM: Score =
    Score { name: "nsd1mm", title: "NSD at 1 mm", value: |row| Ok(row.surfaces()?.share_within(1.0)), ..NSD_HALF_MM };

pub(crate) const NSD_2_MM: Score =
    Score { name: "nsd2mm", title: "NSD at 2 mm", value: |row| Ok(row.surfaces()?.share_within(2.0)), ..NSD_HALF_MM };
