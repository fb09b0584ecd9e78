//! Contact = area of the voxel faces that lie between a target and the class it may be taken for.
//!
//! Arteries and veins touch where scanner or labels cannot part them; more contact than in the reference speaks of
//! vessels that were fused.

use pulmoav_volume::bits::{Bits, WORD};

use crate::options::swappable;
use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};

pub(crate) const PRED_CONTACT: Score = Score {
    name: "predContactMm2",
    title: "Contact of arteries and veins predicted",
    group: Group::Surface,
    unit: Unit::Mm2,
    better: Better::Neither,
    value: |row| contact_mm2(row, Which::Pred),
};

pub(crate) const REF_CONTACT: Score = Score {
    name: "refContactMm2",
    title: "Contact of arteries and veins of the reference",
    value: |row| contact_mm2(row, Which::Reference),
    ..PRED_CONTACT
};

/// The contact of a row's target; of a target that cannot be swapped, that of the first one inside it that can. `None`
/// where there is none.
fn contact_mm2(row: &Row<'_>, which: Which) -> Value {
    let targets = &row.case.options.targets;
    let Some(&at) = swappable(row.pair.target, targets).first() else { return Ok(None) };
    let own = row.counted(row.case.pairs[at].mask(which)?);
    row.case.maps.monitor.proceed()?;
    let other = row.counted(&row.case.maps.bits(which, &targets[at].swapped));
    Ok(Some(faces_mm2(&own, &other, row.grid().spacing_mm)))
}

/// The area of the faces between voxels of two masks.
pub(crate) fn faces_mm2(a: &Bits, b: &Bits, spacing_mm: [f64; 3]) -> f64 {
    let [depth, height, _] = a.shape();
    let mut faces = [0_u64; 3];
    let beside = |a: &[u64], b: &[u64]| -> u64 { a.iter().zip(b).map(|(a, b)| u64::from((a & b).count_ones())).sum() };
    for z in 0..depth {
        for y in 0..height {
            if z > 0 {
                faces[0] += beside(a.row(z, y), b.row(z - 1, y)) + beside(b.row(z, y), a.row(z - 1, y));
            }
            if y > 0 {
                faces[1] += beside(a.row(z, y), b.row(z, y - 1)) + beside(b.row(z, y), a.row(z, y - 1));
            }
            faces[2] += along_row(a.row(z, y), b.row(z, y)) + along_row(b.row(z, y), a.row(z, y));
        }
    }
    let [z, y, x] = spacing_mm;
    faces[0] as f64 * y * x + faces[1] as f64 * z * x + faces[2] as f64 * z * y
}

/// Voxels of `a` with one of `b` before them.
fn along_row(a: &[u64], b: &[u64]) -> u64 {
    let mut before = 0;
    let mut count = 0;
    for (a, b) in a.iter().zip(b) {
        count += u64::from((a & (b << 1 | before)).count_ones());
        before = b >> (WORD - 1);
    }
    count
}
