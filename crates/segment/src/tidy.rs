//! Small clean-ups of a label map.

use pulmoav_volume::Volume;
use pulmoav_volume::components::{Connectivity, remove_small_foreground};
use rayon::prelude::*;

/// A group of touching vessel voxels smaller than this is noise: a vessel of 1.5 mm and 6 mm length.
const LEAST_MM3: f64 = 10.0;
/// A voxel below this is air through and through; even one half filled with blood is not.
const AIR_BELOW_HU: f32 = -900.0;

/// Clears voxels of air, then specks: groups of touching labelled voxels, whatever their labels, below [`LEAST_MM3`].
///
/// # Shapes
/// `labels` and `hu`: `[z, y, x]` on one grid.
pub fn tidy(labels: &mut Volume<u8>, hu: &[f32]) {
    labels.data.par_iter_mut().zip(hu).with_min_len(1 << 16).for_each(|(label, &hu)| {
        if hu < AIR_BELOW_HU {
            *label = 0;
        }
    });
    let voxel_mm3 = labels.grid.spacing_mm.iter().product::<f64>();
    let least = (LEAST_MM3 / voxel_mm3).ceil() as usize;
    remove_small_foreground(&mut labels.data, labels.grid.shape, Connectivity::Corners, least);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::{Affine, Grid};

    #[test]
    fn specks_and_air_go_and_vessels_of_two_labels_stay() {
        let spacing_mm = [1.0; 3];
        let grid = Grid { shape: [1, 3, 14], spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        let mut labels = Volume { data: vec![0u8; 42], grid };
        labels.data[..6].fill(1);
        labels.data[6..12].fill(2);
        labels.data[28] = 1;
        let mut hu = vec![0f32; 42];
        hu[11] = -950.0;
        tidy(&mut labels, &hu);
        assert_eq!(labels.data[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]);
        assert_eq!(labels.data[28], 0);
    }
}
