//! DICOM of others, where `../shared` has it: the same scan in another format, and packed slices beside the unpacked.

use std::path::{Path, PathBuf};

use pulmoav_task::Silent;
use pulmoav_volume::formats::{list_series, read};
use pulmoav_volume::voxels::DataType;
use pulmoav_volume::{Image, Voxels};

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
    }
    path.exists().then_some(path)
}

fn values(image: &Image) -> &[i16] {
    match &image.voxels {
        Voxels::I16(values) => values,
        other => panic!("{:?}", other.data_type()),
    }
}

/// Of the Chest Imaging Platform: made of the same scan, with its own program.
#[test]
fn a_series_is_the_nrrd_of_the_same_scan() {
    let (Some(folder), Some(nrrd)) = (shared("dicom/cip_ct64"), shared("ct/cip/ct-64.nrrd")) else { return };
    let (got, want) = (read(&folder, None, &Silent).expect("read"), read(&nrrd, None, &Silent).expect("read"));
    assert_eq!(got.header.warnings, []);
    assert_eq!(got.header.data_type, DataType::Int16);
    assert_eq!(got.header.grid.shape, want.header.grid.shape);
    // The series has its places with six digits.
    let far = got.header.grid.corner_distance_mm(&want.header.grid);
    assert!(far < 1e-3, "{far} mm");
    assert!(values(&got) == values(&want), "voxels differ");
}

/// Of DICOM's working group 4: each packed slice against the run lengths, which lose nothing. What pydicom 3.0 makes of
/// those that lose something lies 4 HU off at most and 2.15 on average (JPEG-LS), 402 and 25.9 (JPEG 2000); there our
/// padding, which is air, meets the picture with larger steps.
#[test]
fn packed_slices_are_the_unpacked_ones() {
    let Some(folder) = shared("dicom/testfiles/WG04") else { return };
    let slice = |kind: &str, name: &str| {
        let path = folder.join(kind).join(format!("{name}_{kind}"));
        read(&path, None, &Silent).unwrap_or_else(|error| panic!("{error}"))
    };
    let cases = [
        ("JPLL", "CT1", 0, 0.0),
        ("JPLL", "CT2", 0, 0.0),
        ("JLSL", "CT1", 0, 0.0),
        ("JLSL", "CT2", 0, 0.0),
        ("J2KR", "CT1", 0, 0.0),
        ("J2KR", "CT2", 0, 0.0),
        ("JLSN", "CT1", 4, 2.2),
        ("JLSN", "CT2", 4, 2.2),
        ("J2KI", "CT1", 1000, 26.0),
        ("J2KI", "CT2", 403, 17.7),
    ];
    for (kind, name, greatest, mean) in cases {
        let (got, want) = (slice(kind, name), slice("RLE", name));
        assert_eq!(got.header.grid.shape, want.header.grid.shape, "{kind} {name}");
        let differences: Vec<i32> =
            values(&got).iter().zip(values(&want)).map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs()).collect();
        let most = differences.iter().copied().max().unwrap_or(0);
        let average = differences.iter().map(|&one| f64::from(one)).sum::<f64>() / differences.len() as f64;
        eprintln!("{kind} {name}: {most} {average}");
        assert!(most <= greatest && average <= mean, "{kind} {name}: at most {most}, on average {average}");
    }
}

/// Of `dcm_qa_ct`: a tilted gantry, and steps of 4, 1 and 7 mm.
#[test]
fn uneven_tilted_slices_are_not_stacked() {
    let Some(folder) = shared("dicom/ge_tilt") else { return };
    let error = read(&folder, None, &Silent).expect_err("refused");
    assert_eq!(error.code(), "ERR_GEOMETRY");
    assert!(error.to_string().contains("has slices 1.08 to 7.00 mm apart"), "{error}");
    let [series] = list_series(&folder, &Silent).expect("listed").try_into().expect("one series");
    assert_eq!((series.slices, series.series_number), (10, Some(2)));
}

/// Of the Chest Imaging Platform: a chest scanned feet first, padded outside of the circle.
#[test]
fn padding_is_air() {
    let Some(folder) = shared("dicom/cip_simple") else { return };
    let image = read(&folder, None, &Silent).expect("read");
    assert_eq!(image.header.grid.shape, [2, 512, 512]);
    assert_eq!(values(&image)[0], -1024);
    assert!(values(&image).iter().all(|&value| value >= -1024));
}

/// Of pydicom: odd files, and what becomes of them.
#[test]
fn odd_files_are_read_or_refused_in_a_sentence() {
    let cases = [
        ("CT_small.dcm", Ok([1, 128, 128])),
        ("no_meta.dcm", Err("starts with bytes [20, 08")),
        ("explicit_VR-UN.dcm", Ok([1, 512, 512])),
        ("bad_sequence.dcm", Ok([1, 512, 512])),
        ("ExplVR_BigEnd.dcm", Err("modality US (1)")),
        ("JPEG2000.dcm", Err("modality NM (1)")),
        ("MR_truncated.dcm", Err("modality MR (1)")),
        ("emri_small.dcm", Err("modality MR (1)")),
        ("emri_small_jpeg_2k_lossless_too_short.dcm", Err("modality MR (1)")),
        // A segmentation of several slices, each of which has its place.
        ("liver.dcm", Ok([3, 512, 512])),
        ("rtstruct.dcm", Err("modality RTSTRUCT (1)")),
    ];
    for (name, want) in cases {
        let Some(file) = shared(&format!("dicom/testfiles/pydicom/{name}")) else { return };
        match (read(&file, None, &Silent), want) {
            (Ok(image), Ok(shape)) => assert_eq!(image.header.grid.shape, shape, "{name}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{name}: {error}"),
            (got, want) => panic!("{name}: {:?}, but expected {want:?}", got.map(|image| image.header.grid.shape)),
        }
    }
}
