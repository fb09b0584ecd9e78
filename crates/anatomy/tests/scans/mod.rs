//! Scans under `../shared/data`, which is not part of the repository.

use std::path::{Path, PathBuf};

use pulmoav_anatomy::{Labelled, Structure, label};
use pulmoav_task::Silent;
use pulmoav_volume::hounsfield::hounsfield;
use pulmoav_volume::{Volume, formats};

/// A file of `../shared/data`; says so and gives `None` where it is missing.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let found = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    let found = found.is_file().then_some(found);
    if found.is_none() {
        println!("skipped: no ../shared/data/{name}");
    }
    found
}

/// The anatomy of a scan.
pub(crate) fn labelled(path: &Path) -> Labelled {
    let image = formats::read(path, None, &Silent).expect("a scan");
    let (data, _) = hounsfield(&image.voxels);
    label(&Volume { data, grid: image.header.grid }, &Silent).expect("three directions")
}

/// Whether a label is a lung's.
pub(crate) fn is_lung(label: u8) -> bool {
    label == Structure::LeftLung.value() || label == Structure::RightLung.value()
}

/// Volumes of the left and the right lung.
pub(crate) fn left_and_right_ml(found: &Labelled) -> [f64; 2] {
    [Structure::LeftLung, Structure::RightLung].map(|structure| {
        let of = found.structures.iter().find(|measured| measured.structure == structure);
        of.expect("every structure").volume_ml
    })
}

/// Codes of the warnings.
pub(crate) fn codes(found: &Labelled) -> Vec<&'static str> {
    found.warnings.iter().map(|warning| warning.code).collect()
}
