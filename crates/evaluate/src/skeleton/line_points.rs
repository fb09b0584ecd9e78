//! The points of a centreline where they count, and what the other map says there.

use pulmoav_task::Cancelled;

use crate::pair::{Pair, Which};
use crate::row::Row;

/// A point of a centreline that counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LinePoint {
    /// Its place among the points of the whole line.
    pub(crate) number: usize,
    pub(crate) length_mm: f64,
    /// Whether the other map has the target there.
    pub(crate) inside: bool,
    /// Whether the other map has there what the target may be taken for.
    pub(crate) swapped: bool,
}

/// The points of a target's centreline that count in a row.
pub(crate) fn line_points(row: &Row<'_>, pair: &Pair<'_>, which: Which) -> Result<Vec<LinePoint>, Cancelled> {
    let maps = &pair.maps;
    let (other, target) = (maps.of(which.other()), pair.target);
    let mut counted = Vec::new();
    for (number, point) in pair.line(which)?.points.iter().enumerate() {
        let Some(voxel) = maps.voxel(point.at) else { continue };
        if row.options.lets(voxel, maps.reference.data[voxel]) {
            let label = other.data[voxel];
            let (inside, swapped) = (target.labels.contains(&label), target.swapped.contains(&label));
            counted.push(LinePoint { number, length_mm: point.length_mm, inside, swapped });
        }
    }
    Ok(counted)
}

/// The share of the length of the points that `is` takes; `None` where there are no points.
pub(crate) fn length_share<'a>(
    points: impl Iterator<Item = &'a LinePoint>,
    is: impl Fn(&LinePoint) -> bool,
) -> Option<f64> {
    let (mut taken, mut all) = (0.0, 0.0);
    for point in points {
        all += point.length_mm;
        if is(point) {
            taken += point.length_mm;
        }
    }
    (all > 0.0).then(|| taken / all)
}
