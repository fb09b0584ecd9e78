//! Lungs of real scans against reference masks. The scans are not part of the repository.

use std::path::{Path, PathBuf};

use pulmoav_anatomy::lungs::Lungs;
use pulmoav_anatomy::{Structure, find, label};
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::hounsfield::hounsfield;
use pulmoav_volume::label::labels;
use pulmoav_volume::monitor::Silent;
use pulmoav_volume::{Grid, Orientation, Volume, formats};

fn data() -> Option<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ct")).to_owned();
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no ../shared/data");
    None
}

fn lungs_of(path: &Path) -> (Option<Lungs>, Orientation, Grid) {
    let image = formats::read(path, None, &Silent).expect("a scan");
    let grid = image.header.grid;
    let moves = Orientation::of(&grid.affine).expect("three directions");
    let (hu, _) = hounsfield(&image.voxels);
    let view = View::new(&hu, grid.shape).reordered(moves.source, moves.flipped);
    (find(&view, &moves.orient_grid(&grid)).lungs, moves, grid)
}

/// The reference mask on the scan's grid; a mask of another size is looked up at the nearest voxel.
fn reference(path: &Path, grid: &Grid) -> Vec<u8> {
    let image = formats::read(path, None, &Silent).expect("a mask");
    let mask = labels(&image.voxels).expect("labels");
    let from = image.header.grid.shape;
    let at = |axis: usize, i: usize| ((i as f64 + 0.5) * from[axis] as f64 / grid.shape[axis] as f64) as usize;
    let mut found = Vec::with_capacity(grid.len());
    for z in 0..grid.shape[0] {
        for y in 0..grid.shape[1] {
            for x in 0..grid.shape[2] {
                found.push(mask[(at(0, z) * from[1] + at(1, y)) * from[2] + at(2, x)].min(1));
            }
        }
    }
    found
}

#[test]
fn lungs_agree_with_reference_masks() {
    let Some(data) = data() else { return };
    for (scan, mask) in [
        ("imlab_id001_ct.nii.gz", "imlab_id001_lungmask.nii.gz"),
        ("imlab_id003_ct.nii.gz", "imlab_id003_lungmask.nii.gz"),
        ("cip/ct-64.nrrd", "cip/wholeLung-64.nrrd"),
        ("elastix/3DCT_lung.mha", "elastix/3DCT_lung_baseline_mask.mha"),
        ("elastix/3DCT_lung_baseline_small.mha", "elastix/3DCT_lung_baseline_mask.mha"),
    ] {
        let (lungs, moves, grid) = lungs_of(&data.join(scan));
        let lungs = lungs.unwrap_or_else(|| panic!("{scan}: no lungs"));
        let sides = lungs.sides_in(&VoxelBox::whole(lungs.grid.shape), lungs.grid.shape);
        let found = moves.inverse().orient_data(&sides, lungs.grid.shape, 1);
        let expected = reference(&data.join(mask), &grid);
        let both = found.iter().zip(&expected).filter(|&(&f, &e)| f > 0 && e > 0).count();
        let sum = found.iter().filter(|&&f| f > 0).count() + expected.iter().filter(|&&e| e > 0).count();
        let dice = 2.0 * both as f64 / sum as f64;
        println!("{scan}: Dice {dice:.4}, {:.0} + {:.0} ml", lungs.volumes_ml[0], lungs.volumes_ml[1]);
        assert!(dice >= 0.95, "{scan}: Dice {dice}");
    }
}

#[test]
fn sides_are_the_patients() {
    let Some(data) = data() else { return };
    // The right lung is the larger one; the elastix scan holds a right lung alone.
    for scan in ["imlab_id001_ct.nii.gz", "imlab_id003_ct.nii.gz", "cip/ct-64.nrrd", "elastix/3DCT_lung.mha"] {
        let (lungs, ..) = lungs_of(&data.join(scan));
        let [left_ml, right_ml] = lungs.expect("lungs").volumes_ml;
        assert!(right_ml > left_ml, "{scan}: left {left_ml}, right {right_ml} ml");
    }
}

#[test]
fn an_abdomen_has_no_lungs() {
    let Some(data) = data() else { return };
    for scan in ["ts_example_ct.nii.gz", "ts_example_ct_sm.nii.gz"] {
        assert!(lungs_of(&data.join(scan)).0.is_none(), "{scan}");
    }
}

#[test]
fn a_cut_scan_says_so() {
    let Some(data) = data() else { return };
    let (lungs, ..) = lungs_of(&data.join("ts_aorta_ct_cropped.nii.gz"));
    assert!(lungs.expect("lungs").cut);
}

/// Volumes of the left and the right lung in the label map of a scan, ml.
fn volumes_ml(path: &Path) -> [f64; 2] {
    let image = formats::read(path, None, &Silent).expect("a scan");
    let (data, _) = hounsfield(&image.voxels);
    let found = label(&Volume { data, grid: image.header.grid }, &Silent).expect("three directions");
    let of = |structure| found.structures.iter().find(|m| m.structure == structure).expect("every structure").volume_ml;
    [of(Structure::LeftLung), of(Structure::RightLung)]
}

#[test]
fn table_open_windpipe_and_field_of_view_change_no_lung() {
    let Some(data) = data() else { return };
    let faults = data.join("../faults");
    for (variant, plain, share) in [
        ("table900.nii.gz", data.join("imlab_id001_ct.nii.gz"), 0.01),
        ("trach.nii.gz", data.join("imlab_id001_ct.nii.gz"), 0.01),
        ("roundfov.nii.gz", faults.join("squarefov.nii.gz"), 0.02),
    ] {
        let (found, expected) = (volumes_ml(&faults.join(variant)), volumes_ml(&plain));
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < share, "{variant}: {found:.0} ml, expected {expected:.0} ml");
        }
    }
}
