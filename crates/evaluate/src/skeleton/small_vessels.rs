//! BV5 and BV10: the volume of the vessels with a cross-section below 5 mm², and of 5 to 10 mm² (San José Estépar et
//! al., Am J Respir Crit Care Med 2013, 188:231). A voxel belongs to the nearest point of the centreline, and the
//! cross-section there is π r².

use std::f64::consts::PI;

use pulmoav_task::Cancelled;
use pulmoav_volume::bits::{Ones, WORD};
use pulmoav_volume::nearest::Nearest;
use rayon::prelude::*;

use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit};

pub(crate) const PRED_BV5: Score = Score {
    name: "predBv5Ml",
    title: "BV5 predicted",
    group: Group::Skeleton,
    unit: Unit::Ml,
    better: Better::Neither,
    value: |row| Ok(Some(row.small_vessels(Which::Pred)?.below_5_ml)),
};

pub(crate) const REF_BV5: Score = Score {
    name: "refBv5Ml",
    title: "BV5 of the reference",
    value: |row| Ok(Some(row.small_vessels(Which::Reference)?.below_5_ml)),
    ..PRED_BV5
};

pub(crate) const PRED_BV10: Score = Score {
    name: "predBv10Ml",
    title: "BV10 predicted",
    value: |row| Ok(Some(row.small_vessels(Which::Pred)?.from_5_to_10_ml)),
    ..PRED_BV5
};

pub(crate) const REF_BV10: Score = Score {
    name: "refBv10Ml",
    title: "BV10 of the reference",
    value: |row| Ok(Some(row.small_vessels(Which::Reference)?.from_5_to_10_ml)),
    ..PRED_BV5
};

/// No voxel of a vessel of 10 mm² is further from its centreline, mm.
const REACH_MM: f64 = 3.0;

/// Volumes of small vessels, ml.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SmallVessels {
    below_5_ml: f64,
    from_5_to_10_ml: f64,
}

impl SmallVessels {
    pub(crate) fn find(row: &Row<'_>, which: Which) -> Result<Self, Cancelled> {
        let (mask, line) = (row.counted(row.pair.mask(which)?), row.pair.line(which)?);
        let radii_mm = row.pair.radii_mm(which)?;
        let nearest = Nearest::new(&line.bits, row.grid().spacing_mm);
        let monitor = row.case.maps.monitor;
        let [depth, height, _] = mask.shape();
        let of_plane = |z: usize| -> Result<[u64; 2], Cancelled> {
            monitor.proceed()?;
            let mut counts = [0; 2];
            for y in 0..height {
                for (index, &word) in mask.row(z, y).iter().enumerate() {
                    for bit in Ones(word) {
                        let found = nearest.to([z, y, index * WORD + bit], REACH_MM);
                        let Some(number) = found.and_then(|found| line.number(found.at)) else { continue };
                        let section_mm2 = PI * radii_mm[number].powi(2);
                        counts[0] += u64::from(section_mm2 < 5.0);
                        counts[1] += u64::from((5.0..10.0).contains(&section_mm2));
                    }
                }
            }
            Ok(counts)
        };
        let add = |a: [u64; 2], b: [u64; 2]| Ok([a[0] + b[0], a[1] + b[1]]);
        let counts = (0..depth).into_par_iter().map(of_plane).try_reduce(|| [0; 2], add)?;
        let [below_5_ml, from_5_to_10_ml] = counts.map(|count| count as f64 * row.grid().voxel_ml());
        Ok(Self { below_5_ml, from_5_to_10_ml })
    }
}
