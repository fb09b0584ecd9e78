//! Every NIfTI file of the shared collection against what nibabel makes of it.
//! `expected_nibabel.json` and `made/expected.json` were written by nibabel and lie beside the files.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pulmoav_task::Silent;
use pulmoav_volume::formats::{info, read};
use pulmoav_volume::{Image, VolumeError, Voxel, with_voxels};
use serde_json::Value;
use sha2::{Digest, Sha256};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

fn shared(relative: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(relative);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no ../shared/data");
    None
}

fn expected(relative: &str) -> Option<serde_json::Map<String, Value>> {
    let text = std::fs::read_to_string(shared(relative)?).expect("readable");
    // Python writes NaN, which JSON does not know.
    let text = text.replace(": NaN", ": null");
    let Value::Object(cases) = serde_json::from_str(&text).expect("JSON") else {
        panic!("{relative} is no object");
    };
    Some(cases)
}

fn read_whole(path: &Path, index: Option<usize>) -> Result<Image, VolumeError> {
    let start = Instant::now();
    let result = read(path, index, &Silent);
    let seconds = start.elapsed().as_secs_f64();
    let name = path.display();
    assert!(seconds < 5.0, "{name} took {seconds} s");
    result
}

#[test]
fn files_read_as_nibabel_reads_them() {
    let Some(cases) = expected("nifti/expected_nibabel.json") else {
        return;
    };
    for (name, case) in &cases {
        let path = Path::new(SHARED).join(name);
        if case.get("error").is_some() {
            let error = read_whole(&path, None).expect_err(name);
            assert!(matches!(error.code(), "ERR_FORMAT" | "ERR_IO"), "{name}: {error}");
            continue;
        }
        check_info(name, &path, case);
        let dtype = case["dtype"].as_str().expect("dtype");
        if dtype.contains("complex") || dtype == "rgb" {
            let error = read_whole(&path, None).expect_err(name);
            assert_eq!(error.code(), "ERR_FORMAT", "{name}: {error}");
            continue;
        }
        check_voxels(name, &path, case);
    }
}

fn check_info(name: &str, path: &Path, case: &Value) {
    let info = info(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut shape = numbers(&case["shape"]);
    shape.resize(shape.len().max(3), 1.0);
    let stored = info.shape.map(|length| length as f64);
    assert_eq!([shape[2], shape[1], shape[0]], stored, "{name}");
    let rows: Vec<f64> = case["affine"].as_array().expect("rows").iter().flat_map(numbers).collect();
    for (got, want) in info.affine.iter().zip(&rows) {
        let size = want.abs().max(1e-6);
        assert!((got - want).abs() <= 4e-16 * size, "{name}: {:?} is not {rows:?}", info.affine);
    }
    assert_eq!(info.axcodes, case["axcodes"].as_str().expect("axcodes"), "{name}");
    assert_eq!(info.sform_code.map(i64::from), case["sform_code"].as_i64(), "{name}");
    assert_eq!(info.qform_code.map(i64::from), case["qform_code"].as_i64(), "{name}");
    assert_eq!(info.little_endian, case["endian"] == "little", "{name}");
    let unnamed = info.sform_code == Some(0) && info.qform_code == Some(0);
    assert_eq!(unnamed, info.warnings.iter().any(|warning| warning.code == "NO_ORIENTATION"), "{name}");
    let mut zooms = numbers(&case["zooms"]);
    zooms.resize(zooms.len().max(3), 1.0);
    for axis in 0..3 {
        assert!((info.spacing_mm[axis] - zooms[2 - axis]).abs() < 1e-4, "{name}: spacing {:?}", info.spacing_mm);
    }
}

fn check_voxels(name: &str, path: &Path, case: &Value) {
    let volumes: f64 = numbers(&case["shape"]).iter().skip(3).product();
    let volumes = volumes as usize;
    if volumes > 1 {
        let error = read_whole(path, None).expect_err(name);
        assert_eq!(error.code(), "ERR_GEOMETRY", "{name}: {error}");
        let error = read_whole(path, Some(volumes)).expect_err(name);
        assert_eq!(error.code(), "ERR_GEOMETRY", "{name}: {error}");
    }
    let mut hash = Sha256::new();
    let (mut least, mut most, mut sum, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0);
    let mut is_scaled = false;
    for index in 0..volumes {
        let image = read_whole(path, (volumes > 1).then_some(index)).unwrap_or_else(|error| panic!("{name}: {error}"));
        is_scaled = image.header.scaling.is_some();
        with_voxels!(&image.voxels, values => {
            hash.update(bytemuck_bytes(values));
            for value in values {
                let value = value.to_f64();
                least = least.min(value);
                most = most.max(value);
                sum += value;
            }
            count += values.len();
        });
    }
    if !is_scaled {
        let digest: String = hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        assert_eq!(digest, case["sha256_raw_le_fortran"].as_str().expect("hash"), "{name}");
    }
    if let (Some(min), Some(max), Some(mean)) = (case["min"].as_f64(), case["max"].as_f64(), case["mean"].as_f64()) {
        let tolerance = 1e-6 * (max - min).max(1e-9);
        assert!((least - min).abs() <= tolerance, "{name}: least {least} is not {min}");
        assert!((most - max).abs() <= tolerance, "{name}: most {most} is not {max}");
        assert!((sum / count as f64 - mean).abs() <= tolerance, "{name}: mean");
    }
}

#[test]
fn odd_and_hostile_files_read_right_or_fail_clearly() {
    let Some(cases) = expected("nifti/made/expected.json") else {
        return;
    };
    for (name, case) in &cases {
        let path = Path::new(SHARED).join("nifti").join(name);
        let start = Instant::now();
        let result = read(&path, None, &Silent);
        assert!(start.elapsed().as_secs_f64() < 1.0, "{name} is slow");
        let why = case["why"].as_str().expect("why");
        match result {
            Ok(image) => {
                println!("{name} ({why}): read, {:?}", image.header.warnings);
                if case["sum"].is_number() {
                    check_made(name, &image, case);
                }
            }
            Err(error) => {
                println!("{name} ({why}): {} {error}", error.code());
                assert!(name.contains("hostile"), "{name}: {error}");
                assert!(matches!(error.code(), "ERR_FORMAT" | "ERR_GEOMETRY" | "ERR_IO"), "{name}");
            }
        }
    }
}

fn check_made(name: &str, image: &Image, case: &Value) {
    let values: Vec<f64> = with_voxels!(&image.voxels, values => values.iter().map(|value| value.to_f64()).collect());
    assert_eq!(values.iter().sum::<f64>(), case["sum"].as_f64().expect("sum"), "{name}");
    assert_eq!(values[..4], numbers(&case["first"])[..], "{name}");
    let rows: Vec<f64> = case["affine"].as_array().expect("rows").iter().flat_map(numbers).collect();
    // nibabel leaves other units as they are; a factor of the first step tells them.
    let found = image.header.grid.affine.to_array();
    let unit_mm =
        if image.header.warnings.iter().any(|warning| warning.code == "UNITS") { found[0] / rows[0] } else { 1.0 };
    assert!([0.001, 1.0, 1000.0].iter().any(|unit: &f64| (unit_mm / unit - 1.0).abs() < 1e-12), "{name}: {unit_mm}");
    for (at, (found, row)) in found.iter().zip(rows).enumerate() {
        let want = if at < 12 { row * unit_mm } else { row };
        assert!((found - want).abs() <= 1e-12 * want.abs(), "{name}: {found} is not {want}");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(|number| number.as_f64().expect("number")).collect()
}

fn bytemuck_bytes<T: Voxel>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}
