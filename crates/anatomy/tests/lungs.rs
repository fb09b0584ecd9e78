//! Lungs of real scans against reference masks. The scans are not part of the repository.

mod scans;

use pulmoav_task::Silent;
use pulmoav_volume::label::labels;
use pulmoav_volume::{Grid, formats};
use scans::{codes, is_lung, labelled, left_and_right_ml, path};
use std::path::Path;

/// The reference mask on the scan's grid; a mask of another size is looked up at the nearest voxel.
fn reference(path: &Path, grid: &Grid) -> Vec<u8> {
    let image = formats::read(path, None, &Silent).expect("a mask");
    let mask = labels(&image.voxels, "labels").expect("labels");
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
    for (scan, mask, least) in [
        ("ct/imlab_id001_ct.nii.gz", "ct/imlab_id001_lungmask.nii.gz", 0.97),
        ("ct/imlab_id003_ct.nii.gz", "ct/imlab_id003_lungmask.nii.gz", 0.97),
        ("ct/cip/ct-64.nrrd", "ct/cip/wholeLung-64.nrrd", 0.97),
        ("ct/elastix/3DCT_lung.mha", "ct/elastix/3DCT_lung_baseline_mask.mha", 0.97),
        // The mask is finer than this scan.
        ("ct/elastix/3DCT_lung_baseline_small.mha", "ct/elastix/3DCT_lung_baseline_mask.mha", 0.96),
    ] {
        let (Some(scan), Some(mask)) = (path(scan), path(mask)) else { continue };
        let found = labelled(&scan).labels;
        let expected = reference(&mask, &found.grid);
        let both = found.data.iter().zip(&expected).filter(|&(&f, &e)| is_lung(f) && e > 0).count();
        let sum = found.data.iter().filter(|&&f| is_lung(f)).count() + expected.iter().filter(|&&e| e > 0).count();
        let dice = 2.0 * both as f64 / sum as f64;
        println!("{}: Dice {dice:.4}", scan.display());
        assert!(dice >= least, "{}: Dice {dice}, expected at least {least}", scan.display());
    }
}

#[test]
fn sides_are_the_patients() {
    // The right lung is the larger one; the elastix scan holds a right lung alone.
    for scan in
        ["ct/imlab_id001_ct.nii.gz", "ct/imlab_id003_ct.nii.gz", "ct/cip/ct-64.nrrd", "ct/elastix/3DCT_lung.mha"]
    {
        let Some(scan) = path(scan) else { continue };
        let [left_ml, right_ml] = left_and_right_ml(&labelled(&scan));
        assert!(right_ml > left_ml, "{}: left {left_ml}, right {right_ml} ml", scan.display());
    }
}

#[test]
fn an_abdomen_has_no_lungs() {
    for scan in ["ct/ts_example_ct.nii.gz", "ct/ts_example_ct_sm.nii.gz"] {
        let Some(scan) = path(scan) else { continue };
        let found = labelled(&scan);
        assert_eq!(left_and_right_ml(&found), [0.0; 2], "{}", scan.display());
        assert_eq!(codes(&found), ["NO_LUNGS"], "{}", scan.display());
    }
}

#[test]
fn a_cut_scan_says_so() {
    let Some(scan) = path("ct/ts_aorta_ct_cropped.nii.gz") else { return };
    assert_eq!(codes(&labelled(&scan)), ["CUT_LUNGS"]);
}
