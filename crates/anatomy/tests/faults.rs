//! Faults that other people's bug reports describe, made from a public scan. The scans are not part of the repository.

mod scans;

use scans::{codes, is_lung, labelled, left_and_right_ml, path};

const BASE: &str = "ct/imlab_id001_ct.nii.gz";

/// Asserts that each lung of two scans has the same volume within a share.
fn assert_same_lungs(scan: &str, base: &str, share: f64) {
    let (Some(scan), Some(base)) = (path(scan), path(base)) else { return };
    let (found, expected) = (left_and_right_ml(&labelled(&scan)), left_and_right_ml(&labelled(&base)));
    for (found_ml, expected_ml) in found.into_iter().zip(expected) {
        assert!(
            (found_ml / expected_ml - 1.0).abs() <= share,
            "{}: {found:?} ml, expected {expected:?}",
            scan.display()
        );
    }
}

#[test]
fn a_table_with_a_foam_core_is_no_lung() {
    assert_same_lungs("faults/table900.nii.gz", BASE, 0.01);
    let (Some(table), Some(base)) = (path("faults/table900.nii.gz"), path(BASE)) else { return };
    let (table, base) = (labelled(&table), labelled(&base));
    assert_eq!(codes(&table), codes(&base));
    // The scan with the table has more rows behind the patient, and is the same elsewhere.
    let ([_, height, width], rows) = (table.labels.grid.shape, base.labels.grid.shape[1]);
    let behind_mm = base.labels.grid.affine.0[1][3] - table.labels.grid.affine.0[1][3];
    let behind = (behind_mm / table.labels.grid.affine.0[1][1]).round() as usize;
    assert!(behind + rows <= height, "{behind} rows behind, {rows} of {height} rows");
    let mut differ = 0;
    for (line, found) in table.labels.data.chunks_exact(width).enumerate() {
        let (z, y) = (line / height, line % height);
        match y.checked_sub(behind).filter(|&y| y < rows) {
            None => assert!(!found.iter().any(|&label| is_lung(label)), "lung in the table, slice {z}, row {y}"),
            Some(y) => {
                let expected = &base.labels.data[(z * rows + y) * width..][..width];
                differ += found.iter().zip(expected).filter(|&(&f, &e)| is_lung(f) && f != e).count();
            }
        }
    }
    let lungs = base.labels.data.iter().filter(|&&label| is_lung(label)).count();
    assert!(differ * 1000 < lungs, "{differ} of {lungs} voxels have another side or are new");
}

#[test]
fn an_open_windpipe_changes_no_lung() {
    assert_same_lungs("faults/trach.nii.gz", BASE, 0.01);
}

#[test]
fn a_round_field_of_view_changes_no_lung() {
    assert_same_lungs("faults/roundfov.nii.gz", "faults/squarefov.nii.gz", 0.02);
}
