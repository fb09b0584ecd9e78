//! Three slices of a scored case, for people to look at.

use pulmoav_volume::crop::View;
use pulmoav_volume::{Mask, Orientation, Volume, VolumeError};

/// The value of `reference` where nobody annotated.
pub const UNKNOWN: u8 = 255;

/// One slice in the canonical frame: rows and columns are `y` and `x` of an axial slice, `z` and `x` of a coronal one,
/// `z` and `y` of a sagittal one.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Rows, columns.
    pub shape: [usize; 2],
    /// Of rows and columns.
    pub spacing_mm: [f64; 2],
    /// `[row, column]`, as is what follows.
    pub hu: Vec<i16>,
    /// Label values; [`UNKNOWN`] where nobody annotated.
    pub reference: Vec<u8>,
    /// Label values.
    pub predicted: Vec<u8>,
}

/// A case's volumes on one grid.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Hounsfield units.
    pub ct: &'a Volume<f32>,
    /// Label values.
    pub reference: &'a [u8],
    /// Label values.
    pub predicted: &'a [u8],
    /// Not 0 where somebody annotated; `None` where that is everywhere.
    pub known: Option<&'a Mask>,
}

/// The axial, the coronal and the sagittal slice with most of the reference, so that they stay the same from validation
/// to validation; the middle ones where it is empty.
///
/// # Errors
/// What an affine that names no axes gives.
pub fn slices(scored: &Scored) -> Result<[Slice; 3], VolumeError> {
    let grid = scored.ct.grid;
    let moves = Orientation::of(&grid.affine)?;
    let spacing_mm = moves.orient_grid(&grid).spacing_mm;
    let hu = View::new(&scored.ct.data, grid.shape).reordered(moves.source, moves.flipped);
    let oriented = |labels| View::new(labels, grid.shape).reordered(moves.source, moves.flipped);
    let (reference, predicted) = (oriented(scored.reference), oriented(scored.predicted));
    let known = scored.known.map(|mask| oriented(&mask.data));
    let fullest = fullest(&reference);
    Ok(std::array::from_fn(|through| {
        let [down, across] = [[1, 2], [0, 2], [0, 1]][through];
        let shape = [down, across].map(|axis| hu.shape()[axis]);
        let places: Vec<[usize; 3]> = (0..shape[0] * shape[1])
            .map(|pixel| {
                let mut place = fullest;
                (place[down], place[across]) = (pixel / shape[1], pixel % shape[1]);
                place
            })
            .collect();
        let is_known = |&[z, y, x]: &[usize; 3]| known.as_ref().is_none_or(|mask| mask.at(z, y, x) != 0);
        let labelled = |place: &[usize; 3]| match place {
            place if !is_known(place) => UNKNOWN,
            &[z, y, x] => reference.at(z, y, x),
        };
        Slice {
            shape,
            spacing_mm: [spacing_mm[down], spacing_mm[across]],
            hu: places.iter().map(|&[z, y, x]| hu.at(z, y, x) as i16).collect(),
            reference: places.iter().map(labelled).collect(),
            predicted: places.iter().map(|&[z, y, x]| predicted.at(z, y, x)).collect(),
        }
    }))
}

/// For each axis the first place with most labelled voxels, `[z, y, x]`.
fn fullest(labels: &View<u8>) -> [usize; 3] {
    let shape = labels.shape();
    let mut counts = shape.map(|size| vec![0u32; size]);
    let mut row = vec![0; shape[2]];
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for (x, _) in labels.row(z, y, &mut row).iter().enumerate().filter(|(_, label)| **label != 0) {
                counts[0][z] += 1;
                counts[1][y] += 1;
                counts[2][x] += 1;
            }
        }
    }
    counts.map(|counts| match counts.iter().max() {
        Some(&most) if most > 0 => counts.iter().position(|&count| count == most).unwrap_or(0),
        _ => counts.len() / 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::{Affine, Grid};

    #[test]
    fn slices_go_through_most_of_the_reference_whatever_the_orientation() {
        let spacing_mm = [3.0, 2.0, 1.0];
        let grid = Grid { shape: [4, 5, 6], spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        let hu = Volume { data: (0..120).map(|voxel| voxel as f32).collect(), grid };
        let mut reference = Volume { data: vec![0u8; 120], grid };
        let at = |z: usize, y: usize, x: usize| (z * 5 + y) * 6 + x;
        for place in [at(3, 1, 4), at(3, 1, 5), at(3, 2, 4), at(2, 1, 4)] {
            reference.data[place] = 2;
        }
        let known = Volume { data: (0..120).map(|voxel| u8::from(voxel % 6 > 0)).collect(), grid };
        for moves in
            [[0, 1, 2], [2, 0, 1], [1, 0, 2]].map(|source| Orientation { source, flipped: [true, false, true] })
        {
            let (ct, labels, known) = (moves.orient(&hu), moves.orient(&reference), moves.orient(&known));
            let scored = Scored { ct: &ct, reference: &labels.data, predicted: &labels.data, known: Some(&known) };
            let [axial, coronal, sagittal] = slices(&scored).unwrap();
            assert_eq!([axial.shape, coronal.shape, sagittal.shape], [[5, 6], [4, 6], [4, 5]]);
            assert_eq!(
                [axial.spacing_mm, coronal.spacing_mm, sagittal.spacing_mm],
                [[2.0, 1.0], [3.0, 1.0], [3.0, 2.0]]
            );
            let seen = [axial.hu[7], coronal.hu[7], sagittal.hu[7]].map(|hu| hu as usize);
            assert_eq!(seen, [at(3, 1, 1), at(1, 1, 1), at(1, 2, 4)]);
            assert_eq!((axial.reference[6], axial.reference[10], axial.predicted[6]), (UNKNOWN, 2, 0));
        }
    }
}
