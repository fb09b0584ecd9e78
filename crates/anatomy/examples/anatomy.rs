//! Finds the anatomy of scans: `anatomy SCAN…` prints for each the seconds, the ml of each structure and the warnings.
//!
//! `cargo run --release -p pulmoav-anatomy --example anatomy -- chest.nii.gz`

use std::path::Path;

use pulmoav_anatomy::label;
use pulmoav_task::Silent;
use pulmoav_volume::hounsfield::hounsfield;
use pulmoav_volume::{Volume, formats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for scan in std::env::args().skip(1) {
        let image = formats::read(Path::new(&scan), None, &Silent)?;
        let (data, _) = hounsfield(&image.voxels);
        let found = label(&Volume { data, grid: image.header.grid }, &Silent)?;
        println!("{scan}: found in {:.2} s, drawn in {:.2} s", found.find_seconds, found.draw_seconds);
        for measured in &found.structures {
            println!("  {} {:.0} ml", measured.structure.name(), measured.volume_ml);
        }
        for warning in &found.warnings {
            println!("  {}: {}", warning.code, warning.message);
        }
    }
    Ok(())
}
