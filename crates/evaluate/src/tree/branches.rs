//! Branches: what is left of a centreline without the voxels that have more than two neighbours on it.

use crate::skeleton::line::{Line, neighbours};

/// Shorter pieces are no branches: thinning leaves them on the walls of wide vessels and between the voxels of a fork,
/// mm.
pub(crate) const SHORTEST_MM: f64 = 2.0;

/// A branch: the numbers of its points on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch(pub(crate) Vec<usize>);

/// The branches of a line, in scan order of their first points.
pub(crate) fn branches(line: &Line) -> Vec<Branch> {
    let is_along = |at: [usize; 3]| neighbours(&line.bits, at).count() <= 2;
    let mut open: Vec<bool> = line.points.iter().map(|point| is_along(point.at)).collect();
    let mut found = Vec::new();
    for first in 0..open.len() {
        if !std::mem::take(&mut open[first]) {
            continue;
        }
        let mut points = vec![first];
        let mut next = 0;
        while let Some(&point) = points.get(next) {
            next += 1;
            for at in neighbours(&line.bits, line.points[point].at) {
                if let Some(number) = line.number(at).filter(|&number| std::mem::take(&mut open[number])) {
                    points.push(number);
                }
            }
        }
        let length_mm: f64 = points.iter().map(|&point| line.points[point].length_mm).sum();
        if length_mm >= SHORTEST_MM {
            points.sort_unstable();
            found.push(Branch(points));
        }
    }
    found
}
