//! Small clean-ups of a label map.

use pulmoav_volume::components::{Connectivity, remove_small_foreground};
use pulmoav_volume::crop::View;
use pulmoav_volume::{Grid, Voxel};
use rayon::prelude::*;

/// A group of touching vessel voxels smaller than this is noise: a vessel of 1.5 mm and 6 mm length.
const MIN_MM3: f64 = 10.0;
/// A voxel below this is air through and through; even one half filled with blood is not.
const AIR_BELOW_HU: f32 = -900.0;

/// Clears voxels of air, then specks: groups of touching labelled voxels, whatever their labels, below `MIN_MM3`.
/// Gives the number of labelled voxels of air: many of them mean that the network does not see what it should.
///
/// # Shapes
/// `labels` and `hu`: `[z, y, x]`, a box of `grid`.
pub fn postprocess(labels: &mut [u8], hu: &View<'_, impl Voxel>, grid: &Grid) -> u64 {
    let shape = hu.shape();
    let [_, height, width] = shape;
    let clear = |(label, &hu): (&mut u8, &f32)| {
        let is_labelled_air = hu < AIR_BELOW_HU && *label != 0;
        if is_labelled_air {
            *label = 0;
        }
        u64::from(is_labelled_air)
    };
    let clear_plane = |(z, plane): (usize, &mut [u8])| -> u64 {
        let mut buffer = vec![0.0; width];
        let rows = plane.chunks_exact_mut(width).enumerate();
        rows.map(|(y, row)| row.iter_mut().zip(hu.values(z, y, &mut buffer)).map(clear).sum::<u64>()).sum()
    };
    let in_air = labels.par_chunks_mut((height * width).max(1)).enumerate().map(clear_plane).sum();
    let least = (MIN_MM3 / 1000.0 / grid.voxel_ml()).ceil() as usize;
    remove_small_foreground(labels, shape, Connectivity::Corners, least);
    in_air
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::Affine;

    #[test]
    fn specks_and_air_go_and_vessels_of_two_labels_stay() {
        let spacing_mm = [1.0; 3];
        let grid = Grid { shape: [1, 3, 14], spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        let mut labels = vec![0u8; 42];
        labels[..6].fill(1);
        labels[6..12].fill(2);
        labels[28] = 1;
        let mut hu = vec![0f32; 42];
        hu[11] = -950.0;
        assert_eq!(postprocess(&mut labels, &View::new(&hu, grid.shape), &grid), 1);
        assert_eq!(labels[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]);
        assert_eq!(labels[28], 0);
    }
}
