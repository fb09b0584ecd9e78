//! A scan on its way in: from a file or from JavaScript, as Hounsfield units.

use std::path::Path;
use std::time::Instant;

use pulmoav_task::Warning;
use pulmoav_volume::hounsfield::Hounsfield;
use pulmoav_volume::image::{Header, Image};
use pulmoav_volume::{Grid, formats};

use crate::monitor::Shared;
use crate::outcome::Failure;
use crate::volume::Given;

/// Which of several volumes is meant.
#[derive(Default)]
pub struct Part {
    /// Of a file with four or more axes: which of its volumes.
    pub index: Option<u32>,
    /// Of DICOM: which series, by UID or by number in the list.
    pub series: Option<String>,
}

impl Part {
    /// Reads it.
    pub fn read(&self, path: &Path, shared: &Shared) -> Result<Image, Failure> {
        Ok(formats::read_series(path, self.series.as_deref(), self.index(), shared)?)
    }

    fn index(&self) -> Option<usize> {
        self.index.map(|index| index as usize)
    }

    /// Reads what is said of it before its voxels are read.
    pub fn header(&self, path: &Path, shared: &Shared) -> Result<Header, Failure> {
        Ok(formats::read_series_header(path, self.series.as_deref(), shared)?)
    }
}

/// A scan in Hounsfield units with what its file said.
pub struct Scan {
    /// The voxels, `grid.len()` of them.
    pub hu: Hounsfield,
    /// Their shape and place.
    pub grid: Grid,
    /// Whether the patient's sides are known.
    pub oriented: bool,
    /// What its file and its values gave cause to say.
    pub warnings: Vec<Warning>,
    /// Wall time of reading and converting, s.
    pub load_seconds: f64,
    /// What was there beside the voxels while they were made, bytes.
    pub read_bytes: u64,
    /// What JavaScript holds of the scan meanwhile, bytes.
    pub held_bytes: u64,
}

impl Scan {
    /// Reads what is asked for of a file or of DICOM.
    pub fn read(path: &Path, part: &Part, shared: &Shared) -> Result<Self, Failure> {
        let clock = Instant::now();
        let Image { voxels, header } = formats::read_stored(path, part.series.as_deref(), part.index(), shared)?;
        let (stored, scaling, grid) = (voxels.data_type(), header.scaling, header.grid);
        let (hu, not_hu) = Hounsfield::of(voxels, scaling);
        let beside = Hounsfield::bytes_beside(stored, scaling, hu.voxel_bytes());
        Ok(Self {
            hu,
            grid,
            oriented: header.oriented,
            warnings: header.warnings.into_iter().chain(not_hu).collect(),
            load_seconds: clock.elapsed().as_secs_f64(),
            read_bytes: (grid.len() * beside) as u64,
            held_bytes: 0,
        })
    }

    /// Takes over the copy of a volume that JavaScript keeps.
    pub fn given(given: Given) -> Result<Self, Failure> {
        let clock = Instant::now();
        let (grid, stored) = (given.grid()?, given.voxels.data_type());
        let (hu, not_hu) = Hounsfield::of(given.voxels, None);
        let beside = Hounsfield::bytes_beside(stored, None, hu.voxel_bytes());
        Ok(Self {
            hu,
            grid,
            oriented: given.oriented,
            warnings: not_hu.into_iter().collect(),
            load_seconds: clock.elapsed().as_secs_f64(),
            read_bytes: (grid.len() * beside) as u64,
            held_bytes: (grid.len() * stored.bytes()) as u64,
        })
    }
}
