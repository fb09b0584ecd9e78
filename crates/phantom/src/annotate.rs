//! What an annotator left out: a phantom of which only one lung's vessels are labelled.

use pulmoav_volume::distance::squared_distance_mm2;

use crate::phantom::Phantom;

/// The lungs' values in [`Phantom::lungs`].
const LUNGS: [u8; 2] = [1, 2];

impl Phantom {
    /// Keeps the labels of the voxels that are nearest to one of `annotated` (1 left lung, 2 right lung); others become
    /// 0.
    pub fn keep_annotated(&mut self, annotated: &[u8]) {
        let grid = self.lungs.grid;
        let [left, right] = LUNGS.map(|lung| {
            let lungs = &self.lungs.data;
            squared_distance_mm2(|voxel| lungs[voxel] == lung, grid.shape, grid.spacing_mm)
        });
        for ((label, left), right) in self.labels.data.iter_mut().zip(left).zip(right) {
            let nearest = if left <= right { LUNGS[0] } else { LUNGS[1] };
            if !annotated.contains(&nearest) {
                *label = 0;
            }
        }
    }
}
