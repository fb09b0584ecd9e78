//! A case's label maps as one reference: 0 background, 1 artery, 2 vein, [`NO_LOSS`] where nothing is learnt.

use std::path::Path;

use pulmoav_plan::VesselClass;
use pulmoav_task::{Monitor, Warning};
use pulmoav_volume::crop::{VoxelBox, crop};
use pulmoav_volume::{Grid, Volume, Voxels, formats, label};
use rayon::prelude::*;

use crate::case::{Case, LabelFiles};
use crate::code::{self, ARTERY, VEIN};
use crate::error::TrainError;
use crate::labels::{LabelValues, NO_LOSS};
use crate::npz;
use crate::places::ball_sizes;

/// The array that a `.npz` label map holds, as HiPaS publishes them.
const NPZ_KEY: &str = "data";
/// Radii by which vessels are told apart where they overlap, mm.
const RADII_MM: [f64; 9] = [0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0];

/// A case's reference, and what its files gave cause to say.
pub(crate) struct Reference {
    /// On its scan's grid.
    pub(crate) labels: Volume<u8>,
    /// `LABELS_OVERLAP`, where files of artery and vein share voxels.
    pub(crate) warnings: Vec<Warning>,
}

/// Reads a case's reference on the grid of its scan.
///
/// # Errors
/// `ERR_FORMAT` for a value that is not named, and for separate files on different grids; what reading gives.
pub(crate) fn read_reference(
    case: &Case,
    files: &LabelFiles,
    grid: &Grid,
    oriented: bool,
    monitor: &dyn Monitor,
) -> Result<Reference, TrainError> {
    let mut parts = Vec::new();
    for (class, path) in files.each() {
        let map = LabelMap::read(path, grid, oriented, monitor)?;
        let labels = map.classes(&case.values, class).map_err(|value| {
            TrainError::format(
                path,
                format!(
                    "holds the value {value}, which labels of dataset.json does not name; name it, or mend the file"
                ),
            )
        })?;
        parts.push((path, Volume { data: labels, grid: map.grid }));
    }
    if let [(_, first), (path, second)] = &parts[..]
        && !second.grid.is_at(&first.grid)
    {
        return Err(TrainError::format(path, "lies on another grid than the other label map of its case; resample it"));
    }
    let parts = parts.into_iter().map(|(_, labels)| labels).collect();
    merged(parts).ok_or_else(|| TrainError::Internal(format!("{} has no label map", case.name)))
}

/// One label map as it was read, at its place.
pub(crate) struct LabelMap {
    voxels: Voxels,
    pub(crate) grid: Grid,
}

impl LabelMap {
    /// Reads a file of a scan on `grid`.
    pub(crate) fn read(path: &Path, grid: &Grid, oriented: bool, monitor: &dyn Monitor) -> Result<Self, TrainError> {
        if npz::is_npz(path) {
            return Ok(Self { voxels: npz::read(path, NPZ_KEY, grid.shape)?, grid: *grid });
        }
        let image = formats::read(path, None, monitor).map_err(TrainError::volume(path))?;
        Ok(Self { voxels: image.voxels, grid: image.header.grid.beside(image.header.oriented, grid, oriented) })
    }

    /// Labels of a reference; with a class the file holds that alone, in every value that is not ignored.
    ///
    /// # Errors
    /// A value that is not described.
    pub(crate) fn classes(&self, values: &LabelValues, class: Option<VesselClass>) -> Result<Vec<u8>, f64> {
        label::mapped(&self.voxels, |value| class_of(value, values, class))
    }

    /// The values that are not described, with their numbers of voxels.
    pub(crate) fn unknown(&self, values: &LabelValues, class: Option<VesselClass>) -> Vec<(f64, u64)> {
        let mut found = label::distinct(&self.voxels);
        found.retain(|&(value, _)| class_of(value, values, class).is_none());
        found
    }

    /// As [`Self::classes`]; what is not described carries no loss.
    pub(crate) fn known_classes(&self, values: &LabelValues, class: Option<VesselClass>) -> Vec<u8> {
        let known = |value: f64| Some(class_of(value, values, class).unwrap_or(NO_LOSS));
        label::mapped(&self.voxels, known).unwrap_or_default()
    }
}

fn class_of(value: f64, values: &LabelValues, class: Option<VesselClass>) -> Option<u8> {
    match class {
        None => values.class_of(value),
        Some(_) if values.is_ignored(value) => Some(NO_LOSS),
        Some(class) => (value.fract() == 0.0 && value >= 0.0).then(|| if value > 0.0 { code::label(class) } else { 0 }),
    }
}

/// One reference of one or two label maps on one grid. A voxel that is in both belongs to the thinner vessel, and
/// carries no loss where both are alike; `None` without label maps.
pub(crate) fn merged(parts: Vec<Volume<u8>>) -> Option<Reference> {
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    let Some(second) = parts.next() else { return Some(Reference { labels: first, warnings: Vec::new() }) };
    let is_both = |(&a, &b): (&u8, &u8)| a == ARTERY && b == VEIN;
    let mut labels = first.clone();
    labels.data.par_iter_mut().zip(&second.data).for_each(|(to, &other)| {
        *to = match (*to, other) {
            (NO_LOSS, _) | (_, NO_LOSS) => NO_LOSS,
            (own, 0) => own,
            (_, other) => other,
        };
    });
    let overlap: Vec<u8> = first.data.par_iter().zip(&second.data).map(|pair| u8::from(is_both(pair))).collect();
    let mut warnings = Vec::new();
    if let Some(part) = VoxelBox::around(&overlap, labels.grid.shape, |both| both != 0) {
        let count = overlap.par_iter().filter(|&&both| both != 0).count();
        settle(&mut labels, &first, &second, &overlap, part);
        let message = format!("{count} voxels are artery and vein; the thinner vessel has them");
        warnings.push(Warning::new("LABELS_OVERLAP", message));
    }
    Some(Reference { labels, warnings })
}

/// Decides the voxels that are in both label maps.
fn settle(labels: &mut Volume<u8>, artery: &Volume<u8>, vein: &Volume<u8>, overlap: &[u8], part: VoxelBox) {
    let part = part.grown(2.0 * RADII_MM[RADII_MM.len() - 1], &labels.grid);
    let sizes = |map: &Volume<u8>, class: u8| {
        let part = crop(map, &part);
        ball_sizes(|voxel| part.data[voxel] != class, part.grid.shape, part.grid.spacing_mm, &RADII_MM)
    };
    let (arteries, veins) = (sizes(artery, ARTERY), sizes(vein, VEIN));
    let [_, height, width] = labels.grid.shape;
    let [_, rows, columns] = part.shape();
    for (voxel, (own, other)) in arteries.iter().zip(&veins).enumerate() {
        let (z, y, x) = (voxel / (rows * columns), voxel / columns % rows, voxel % columns);
        let at = ((z + part.low[0]) * height + y + part.low[1]) * width + x + part.low[2];
        if overlap[at] != 0 {
            labels.data[at] = match own.cmp(other) {
                std::cmp::Ordering::Less => ARTERY,
                std::cmp::Ordering::Equal => NO_LOSS,
                std::cmp::Ordering::Greater => VEIN,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::Affine;

    #[test]
    fn the_thinner_vessel_has_what_both_claim() {
        let shape = [24, 24, 40];
        let grid = Grid { shape, spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        let rod = |radius: f64, class: u8, along_y: bool| {
            let label = |voxel: usize| {
                let at = [voxel / (24 * 40), voxel / 40 % 24, voxel % 40].map(|index| index as f64);
                let across = if along_y { at[2] - 20.0 } else { at[1] - 12.0 };
                u8::from((at[0] - 12.0).hypot(across) <= radius) * class
            };
            Volume { data: (0..grid.len()).map(label).collect(), grid }
        };
        let at = |z: usize, y: usize, x: usize| (z * 24 + y) * 40 + x;
        let Reference { labels, warnings } = merged(vec![rod(5.0, ARTERY, false), rod(1.5, VEIN, true)]).unwrap();
        assert_eq!([at(12, 12, 20), at(12, 12, 30), at(12, 2, 20)].map(|at| labels.data[at]), [VEIN, ARTERY, VEIN]);
        assert_eq!(warnings[0].code, "LABELS_OVERLAP");
        let alike = merged(vec![rod(3.0, ARTERY, false), rod(3.0, VEIN, false)]).unwrap();
        assert_eq!(alike.labels.data[at(12, 12, 20)], NO_LOSS);
        let apart = merged(vec![rod(3.0, ARTERY, false), rod(0.0, VEIN, false)]).unwrap();
        assert_eq!(apart.warnings.len(), 1);
    }

    #[test]
    fn separate_files_hold_their_class_in_any_value() {
        let values =
            LabelValues::read(&serde_json::from_str(r#"{"artery":1,"vein":2,"ignore":-999}"#).unwrap()).unwrap().0;
        let grid = Grid { shape: [1, 1, 4], spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        let map = LabelMap { voxels: vec![0i16, 1, 255, -999].into(), grid };
        assert_eq!(map.classes(&values, Some(VesselClass::Vein)).unwrap(), [0, 2, 2, NO_LOSS]);
        assert_eq!(map.classes(&values, None), Err(255.0));
        assert_eq!(map.unknown(&values, None), [(255.0, 1)]);
        assert_eq!(map.known_classes(&values, None), [0, 1, NO_LOSS, NO_LOSS]);
    }
}
