//! Small clean-ups of a label map.

use pulmoav_volume::Volume;
use pulmoav_volume::components::{Connectivity, remove_small_foreground};

/// A group of touching vessel voxels smaller than this is noise: a vessel of 1.5 mm and 6 mm length.
const LEAST_MM3: f64 = 10.0;

/// Removes specks: groups of touching labelled voxels, whatever their labels, below [`LEAST_MM3`].
pub fn tidy(labels: &mut Volume<u8>) {
    let voxel_mm3 = labels.grid.spacing_mm.iter().product::<f64>();
    let least = (LEAST_MM3 / voxel_mm3).ceil() as usize;
    remove_small_foreground(&mut labels.data, labels.grid.shape, Connectivity::Corners, least);
}
