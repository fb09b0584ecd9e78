//! A scan on its way in: from a file or from JavaScript, as Hounsfield units.

use std::path::Path;
use std::time::Instant;

use pulmoav_task::Warning;
use pulmoav_volume::hounsfield::hounsfield;
use pulmoav_volume::image::{Header, Image};
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Grid, Volume, formats};

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
        let index = self.index.map(|index| index as usize);
        Ok(formats::read_series(path, self.series.as_deref(), index, shared)?)
    }

    /// Reads what is said of it before its voxels are read.
    pub fn header(&self, path: &Path, shared: &Shared) -> Result<Header, Failure> {
        Ok(formats::read_series_header(path, self.series.as_deref(), shared)?)
    }
}

/// A scan in Hounsfield units with what its file said.
pub struct Scan {
    /// The voxels, HU.
    pub ct: Volume<f32>,
    /// Whether the patient's sides are known.
    pub oriented: bool,
    /// What its file and its values gave cause to say.
    pub warnings: Vec<Warning>,
    /// Wall time of reading and converting, s.
    pub load_seconds: f64,
    /// The voxels as they were read, bytes.
    pub read_bytes: u64,
    /// What JavaScript holds of the scan meanwhile, bytes.
    pub held_bytes: u64,
}

impl Scan {
    /// Reads what is asked for of a file or of DICOM.
    pub fn read(path: &Path, part: &Part, shared: &Shared) -> Result<Self, Failure> {
        let clock = Instant::now();
        let image = part.read(path, shared)?;
        let (grid, oriented, warnings) = (image.header.grid, image.header.oriented, image.header.warnings);
        let mut scan = Self::new(image.voxels, grid, oriented, warnings, clock);
        if image.header.scaling.is_some() {
            scan.read_bytes += (grid.len() * image.header.data_type.bytes()) as u64;
        }
        Ok(scan)
    }

    /// Takes over the copy of a volume that JavaScript keeps.
    pub fn given(given: Given) -> Result<Self, Failure> {
        let clock = Instant::now();
        let grid = given.grid()?;
        let mut scan = Self::new(given.voxels, grid, given.oriented, Vec::new(), clock);
        scan.held_bytes = scan.read_bytes;
        Ok(scan)
    }

    fn new(voxels: Voxels, grid: Grid, oriented: bool, mut warnings: Vec<Warning>, clock: Instant) -> Self {
        let (data, not_hu) = hounsfield(&voxels);
        let read_bytes = (voxels.len() * voxels.data_type().bytes()) as u64;
        drop(voxels);
        warnings.extend(not_hu);
        let load_seconds = clock.elapsed().as_secs_f64();
        Self { ct: Volume { data, grid }, oriented, warnings, load_seconds, read_bytes, held_bytes: 0 }
    }
}
