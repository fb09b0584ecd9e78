//! A scan beside a label map, and its anatomy.

use std::path::Path;

use pulmoav_anatomy::{Labelled, Structure, label};
use pulmoav_task::Warning;
use pulmoav_volume::hounsfield::Hounsfield;
use pulmoav_volume::{Grid, Mask, Volume, Voxel};

use crate::monitor::Shared;
use crate::outcome::Failure;
use crate::scan::{Part, Scan};

/// What a scan tells of a label map on its grid.
pub struct Beside {
    /// The scan, HU.
    pub hu: Hounsfield,
    /// Values of the anatomy's structures.
    structures: Vec<u8>,
    pub warnings: Vec<Warning>,
}

impl Beside {
    /// Reads the scan of a label map and finds its anatomy.
    pub fn read(scan: &Path, part: &Part, map: &Mask, shared: &Shared) -> Result<Self, Failure> {
        let Scan { hu, grid, mut warnings, .. } = Scan::read(scan, part, shared)?;
        if !grid.is_at(&map.grid) {
            let what = format!(
                "the scan has shape {:?} and the label map {:?}, or they lie in other places; expected the same grid, so \
                 resample one onto the other",
                grid.shape, map.grid.shape
            );
            return Err(Failure::new("ERR_GEOMETRY", what));
        }
        let (hu, anatomy) = match hu {
            Hounsfield::I16(data) => labelled(data, grid, shared, Hounsfield::I16)?,
            Hounsfield::F32(data) => labelled(data, grid, shared, Hounsfield::F32)?,
        };
        warnings.extend(anatomy.warnings);
        Ok(Self { hu, structures: anatomy.labels.data, warnings })
    }

    /// The lumen of the airways: indices.
    pub fn airways(&self) -> Vec<u32> {
        let value = Structure::Airways.value();
        (0..).zip(&self.structures).filter(|(_, label)| **label == value).map(|(at, _)| at).collect()
    }

    /// 0 outside the body, 1 left lung, 2 right lung, 3 mediastinum and airways, 4 what is left of the body.
    pub fn regions(&self) -> Vec<u8> {
        let mut region = [0_u8; 256];
        for (structure, value) in [
            (Structure::LeftLung, 1),
            (Structure::RightLung, 2),
            (Structure::Mediastinum, 3),
            (Structure::Airways, 3),
            (Structure::Body, 4),
        ] {
            region[usize::from(structure.value())] = value;
        }
        self.structures.iter().map(|&label| region[usize::from(label)]).collect()
    }

    /// Whether a lung was found.
    pub fn has_lungs(&self) -> bool {
        let lungs = [Structure::LeftLung, Structure::RightLung].map(Structure::value);
        self.structures.iter().any(|label| lungs.contains(label))
    }
}

/// The anatomy of voxels, and they again.
fn labelled<T: Voxel>(
    data: Vec<T>,
    grid: Grid,
    shared: &Shared,
    back: impl Fn(Vec<T>) -> Hounsfield,
) -> Result<(Hounsfield, Labelled), Failure> {
    let ct = Volume { data, grid };
    let anatomy = label(&ct, shared)?;
    Ok((back(ct.data), anatomy))
}
