//! Every format that is read, against nibabel and `SimpleITK`, and the way out and back.
//! The files and `expected.json` were made by `crates/testing/goldens/volume.py`.

use std::fs;
use std::path::{Path, PathBuf};

use pulmoav_task::{Monitor, Silent};
use pulmoav_volume::formats::{Place, info, read, read_header, refuse_same_file, write, write_voxels};
use pulmoav_volume::image::Header;
use pulmoav_volume::{Affine, Grid, Voxel, Voxels, with_voxels};
use serde_json::Value;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/volume");

fn golden(name: &str) -> PathBuf {
    Path::new(GOLDENS).join(name)
}

fn expected() -> serde_json::Map<String, Value> {
    let text = fs::read_to_string(golden("expected.json")).expect("goldens are committed");
    let Value::Object(cases) = serde_json::from_str(&text).expect("JSON") else {
        panic!("expected.json is no object");
    };
    cases
}

/// A fresh folder for one test.
fn like(header: &Header) -> Place<'_> {
    Place { oriented: header.oriented, like: Some(header), ..Place::of(&header.grid) }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pulmoav-volume-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("folder");
    folder
}

fn strings(voxels: &Voxels) -> Vec<String> {
    with_voxels!(voxels, values => values.iter().map(ToString::to_string).collect())
}

fn reals(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("array").iter();
    numbers.map(|number| number.as_f64().expect("number")).collect()
}

#[test]
fn every_format_reads_as_its_oracle_reads_it() {
    let cases = expected();
    assert!(cases.len() > 80);
    for (name, case) in &cases {
        let index = case.get("index").and_then(Value::as_u64).map(|index| index as usize);
        let image = read(&golden(name), index, &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
        let told = info(&golden(name)).expect(name);
        assert_eq!(told.data_type, case["dataType"].as_str().expect("type"), "{name}");
        assert_eq!(image.voxels.data_type().name(), told.data_type, "{name}");
        let shape = told.shape.map(|length| length as f64);
        assert_eq!(shape[..], reals(&case["shape"])[..], "{name}");
        let voxels = case["voxels"].as_array().expect("voxels");
        if voxels[0].is_string() {
            let want: Vec<&str> = voxels.iter().filter_map(Value::as_str).collect();
            assert_eq!(strings(&image.voxels), want, "{name}");
        } else {
            let got: Vec<f64> =
                with_voxels!(&image.voxels, values => values.iter().map(|value| value.to_f64()).collect());
            assert_eq!(got, reals(&case["voxels"]), "{name}");
        }
        for (got, want) in told.affine.iter().zip(reals(&case["affine"])) {
            assert!((got - want).abs() <= 1e-13 * want.abs().max(1.0), "{name}: {got} is not {want}");
        }
        for (got, want) in told.spacing_mm.iter().zip(reals(&case["spacingMm"])) {
            assert!((got - want).abs() <= 1e-6 * want, "{name}: {got} is not {want}");
        }
        assert_eq!(told.axcodes, case["axcodes"].as_str().expect("axcodes"), "{name}");
        let codes: Vec<&str> = told.warnings.iter().map(|warning| warning.code).collect();
        let want: Vec<&str> = case["warnings"].as_array().expect("warnings").iter().filter_map(Value::as_str).collect();
        assert_eq!(codes, want, "{name}");
        if let Some(code) = case.get("sformCode") {
            assert_eq!(told.sform_code.map(i64::from), code.as_i64(), "{name}");
            assert_eq!(told.qform_code.map(i64::from), case["qformCode"].as_i64(), "{name}");
        }
    }
}

#[test]
fn lengths_in_other_units_are_millimetres_everywhere() {
    let folder = folder("units");
    let names: Vec<String> = expected().keys().filter(|name| name.starts_with("units_")).cloned().collect();
    assert_eq!(names.len(), 8);
    for name in &names {
        let image = read(&golden(name), None, &Silent).expect(name);
        let path = folder.join(format!("{name}.nii"));
        write_voxels(&path, &image.voxels, &like(&image.header), &Silent).expect(name);
        let header = fs::read(&path).expect(name);
        assert_eq!(header[123] & 7, 2, "{name}: xyzt_units says mm");
        let back = read(&path, None, &Silent).expect(name);
        assert!(back.header.warnings.iter().all(|warning| warning.code != "UNITS"), "{name}");
        let lengths = |image: &pulmoav_volume::Image| {
            let grid = image.header.grid;
            // A place that is a guess is guessed anew.
            let place = if image.header.oriented { grid.affine.to_array() } else { [0.0; 16] };
            [&place[..], &grid.spacing_mm].concat()
        };
        assert_eq!(back.header.oriented, image.header.oriented, "{name}");
        for (got, want) in lengths(&back).iter().zip(lengths(&image)) {
            assert!((got - want).abs() <= 1e-6 * want.abs().max(1.0), "{name}: {got} is not {want}");
        }
        assert!((image.header.grid.spacing_mm[2] - 0.7).abs() < 1e-9, "{name}: {:?}", image.header.grid.spacing_mm);
    }
}

#[test]
fn outputs_keep_the_input_header_but_for_what_must_change() {
    let folder = folder("like");
    // Bytes that may change: storage type and bits, voxel offset, scaling, display range, magic.
    let may_change = [70..74, 108..120, 124..132, 344..348];
    for (name, first_voxel) in
        [("nifti1_le_int32.nii", 352), ("nifti1_be_float32.nii", 352), ("extension.nii.gz", 384), ("pair.hdr", 352)]
    {
        let image = read(&golden(name), None, &Silent).expect(name);
        let labels: Vec<u8> = (0..image.header.grid.len()).map(|index| (index % 3) as u8).collect();
        for ending in ["nii", "nii.gz"] {
            let path = folder.join(format!("scan.v1.{ending}"));
            write(&path, &labels, 1, &like(&image.header), &Silent).expect(name);
            let back = read(&path, None, &Silent).expect(name);
            assert_eq!(back.voxels, Voxels::U8(labels.clone()), "{name}");
            assert_eq!(back.header.grid, image.header.grid, "{name}: geometry equal to the last bit");
            assert_eq!(back.header.little_endian, image.header.little_endian, "{name}");
            let (old, new) = (image.header.nifti.as_ref().expect(name), back.header.nifti.as_ref().expect(name));
            assert_eq!(old.extensions, new.extensions, "{name}");
            for (at, (a, b)) in old.header.iter().zip(&new.header).enumerate() {
                assert!(a == b || may_change.iter().any(|range| range.contains(&at)), "{name}: byte {at}");
            }
            if ending == "nii" {
                let length = fs::metadata(&path).expect(name).len();
                assert_eq!(length, first_voxel + labels.len() as u64, "{name}");
            }
        }
    }
    let frames = read(&golden("frames.nii.gz"), Some(0), &Silent).expect("frames");
    let path = folder.join("one.nii.gz");
    write_voxels(&path, &frames.voxels, &like(&frames.header), &Silent).expect("one of two");
    let back = read(&path, None, &Silent).expect("one of two");
    assert_eq!((back.voxels, back.header.grid), (frames.voxels, frames.header.grid));
}

#[test]
fn a_grid_from_elsewhere_gets_a_header_of_its_own() {
    let folder = folder("fresh");
    for name in ["sitk_int16_packed.nrrd", "big_endian.mha", "space_las.nrrd"] {
        let image = read(&golden(name), None, &Silent).expect(name);
        let path = folder.join("fresh.nii");
        let count = image.header.grid.len();
        let values: Vec<f32> = (0..count * 3).map(|index| index as f32).collect();
        write(&path, &values, 3, &like(&image.header), &Silent).expect(name);
        let back = read(&path, Some(2), &Silent).expect(name);
        assert_eq!(back.voxels, Voxels::F32(values[2 * count..].to_vec()));
        let rounded = image.header.grid.affine.to_array().map(|number| f64::from(number as f32));
        assert_eq!(back.header.grid.affine.to_array(), rounded, "{name}");
        // The qform alone has to say the same.
        let mut bytes = fs::read(&path).expect(name);
        assert_eq!(bytes[252..256], [1, 0, 1, 0]);
        bytes[254] = 0;
        fs::write(&path, bytes).expect(name);
        let by_quaternion = read_header(&path).expect(name).grid.affine;
        for (got, want) in by_quaternion.to_array().iter().zip(rounded) {
            // `space_las.nrrd` is sheared, which a quaternion cannot say.
            let tolerance = if name == "space_las.nrrd" { 0.3 } else { 1e-5 };
            assert!((got - want).abs() < tolerance, "{name}: {by_quaternion:?} is not {rounded:?}");
        }
    }
    let long = Grid { shape: [1, 1, 40_000], spacing_mm: [1.0; 3], affine: Affine::IDENTITY };
    let path = folder.join("long.nii.gz");
    write(&path, &vec![7_i64; 40_000], 1, &Place::of(&long), &Silent).expect("NIfTI-2");
    let back = read(&path, None, &Silent).expect("NIfTI-2");
    assert_eq!((back.voxels, back.header.grid), (Voxels::I64(vec![7; 40_000]), long));
}

#[test]
fn packed_blocks_are_one_member_and_the_same_for_any_number_of_threads() {
    let folder = folder("gzip");
    let grid = Grid { shape: [40, 300, 300], spacing_mm: [1.0; 3], affine: Affine::IDENTITY };
    let values: Vec<i16> = (0..grid.len()).map(|index| ((index * 7919) % 4000) as i16).collect();
    let mut files = Vec::new();
    for threads in [1, 3] {
        let path = folder.join(format!("{threads}.nii.gz"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        pool.install(|| write(&path, &values, 1, &Place::of(&grid), &Silent)).expect("written");
        files.push(fs::read(&path).expect("read"));
        assert_eq!(read(&path, None, &Silent).expect("read").voxels, Voxels::I16(values.clone()));
    }
    assert_eq!(files[0], files[1]);
    let mut member = flate2::read::GzDecoder::new(&files[0][..]);
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut member, &mut all).expect("one member");
    assert_eq!(all.len(), 352 + values.len() * 2);
}

/// Packed by others and large enough for a thread that only unpacks.
#[test]
fn a_stream_is_unpacked_beside_for_any_number_of_threads() {
    struct StopAt(u64, std::sync::atomic::AtomicU64);
    impl Monitor for StopAt {
        fn report(&self, _: &'static str, done: u64, _: u64) {
            self.1.store(done, std::sync::atomic::Ordering::Relaxed);
        }
        fn cancelled(&self) -> bool {
            self.1.load(std::sync::atomic::Ordering::Relaxed) >= self.0
        }
    }
    let folder = folder("beside");
    let grid = Grid { shape: [60, 256, 256], spacing_mm: [1.0; 3], affine: Affine::IDENTITY };
    let values: Vec<i16> = (0..grid.len() as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 22) as i16).collect();
    let plain = folder.join("plain.nii");
    write(&plain, &values, 1, &Place::of(&grid), &Silent).expect("plain");
    let plain = fs::read(&plain).expect("plain");
    let member = |bytes: &[u8]| {
        let mut out = Vec::new();
        let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
        std::io::Read::read_to_end(&mut encoder, &mut out).expect("packed");
        out
    };
    let whole = member(&plain);
    let mut wrong = whole.clone();
    let sum = whole.len() - 8;
    wrong[sum] ^= 1;
    let (first, second) = plain.split_at(5_000_001);
    let cases = [
        ("whole", whole.clone(), None),
        ("members", [member(first), member(second), vec![0; 9]].concat(), None),
        ("cut", whole[..whole.len() / 2].to_vec(), Some("ends within its voxels")),
        ("checksum", wrong, Some("damaged compressed data")),
        ("hole", [&whole[..500_000], &[0xff; 64], &whole[500_064..]].concat(), Some("damaged compressed data")),
    ];
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        for (name, bytes, error) in &cases {
            let path = folder.join(format!("{name}.nii.gz"));
            fs::write(&path, bytes).expect("file");
            match (pool.install(|| read(&path, None, &Silent)), error) {
                (Ok(image), None) => assert!(image.voxels == Voxels::I16(values.clone()), "{name}, {threads}"),
                (Err(got), Some(error)) => assert!(got.to_string().contains(error), "{name}, {threads}: {got}"),
                (got, _) => panic!("{name}, {threads}: {:?}", got.map(|_| ())),
            }
        }
        let stop = StopAt(1 << 20, std::sync::atomic::AtomicU64::new(u64::MAX * u64::from(threads == 1)));
        let stopped = pool.install(|| read(&folder.join("whole.nii.gz"), None, &stop));
        assert_eq!(stopped.expect_err("cancelled").code(), "CANCELLED", "{threads}");
    }
}

#[test]
fn a_failed_output_leaves_nothing_and_keeps_the_old_file() {
    struct Stop;
    impl Monitor for Stop {
        fn report(&self, _: &'static str, _: u64, _: u64) {}
        fn cancelled(&self) -> bool {
            true
        }
    }
    let folder = folder("atomic");
    let path = folder.join("labels.nii.gz");
    fs::write(&path, "old").expect("old");
    let grid = Grid { shape: [2, 2, 2], spacing_mm: [1.0; 3], affine: Affine::IDENTITY };
    let error = write(&path, &[0_u8; 8], 1, &Place::of(&grid), &Stop).expect_err("cancelled");
    assert_eq!(error.code(), "CANCELLED");
    assert_eq!(fs::read(&path).expect("kept"), b"old");
    assert_eq!(fs::read_dir(&folder).expect("folder").count(), 1);
    let cases: [(&str, usize, &str); 4] = [
        ("labels.txt", 8, "ERR_USAGE"),
        ("labels.nii", 7, "ERR_GEOMETRY"),
        ("missing/labels.nii", 8, "ERR_IO"),
        ("folder.nii", 8, "ERR_IO"),
    ];
    fs::create_dir(folder.join("folder.nii")).expect("folder");
    for (name, count, code) in cases {
        let error = write(&folder.join(name), &vec![0_u8; count], 1, &Place::of(&grid), &Silent).expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
    }
    assert_eq!(fs::read_dir(&folder).expect("folder").count(), 2);
}

#[cfg(unix)]
#[test]
fn the_input_is_refused_as_output_under_any_name() {
    let folder = folder("same");
    let input = folder.join("in.nii");
    fs::copy(golden("nifti1_le_int16.nii"), &input).expect("copy");
    std::os::unix::fs::symlink(&input, folder.join("link.nii")).expect("link");
    fs::hard_link(&input, folder.join("hard.nii")).expect("link");
    for name in ["in.nii", "./in.nii", "link.nii", "hard.nii"] {
        assert_eq!(refuse_same_file(&input, &folder.join(name)).expect_err(name).code(), "ERR_IO");
    }
    refuse_same_file(&input, &folder.join("out.nii")).expect("another file");
}

#[test]
fn damaged_files_fail_clearly_whatever_byte_is_hit() {
    let folder = folder("damaged");
    let names = [
        "nifti1_le_int16.nii",
        "nifti2_be_float64.nii",
        "extension.nii.gz",
        "sitk_int16_packed.nrrd",
        "text.nrrd",
        "big_endian_zlib.mha",
        "spacings.nrrd",
    ];
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for name in names {
        let whole = fs::read(golden(name)).expect(name);
        let path = folder.join(name);
        for round in 0..200 {
            let mut bytes = whole.clone();
            if round < 100 {
                bytes.truncate(next(whole.len()));
            } else {
                for _ in 0..=next(4) {
                    let at = next(whole.len());
                    bytes[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
                }
            }
            fs::write(&path, &bytes).expect(name);
            let start = std::time::Instant::now();
            if let Err(error) = read(&path, None, &Silent) {
                let code = error.code();
                assert!(matches!(code, "ERR_FORMAT" | "ERR_GEOMETRY" | "ERR_IO"), "{name}: {code} {error}");
            }
            assert!(start.elapsed().as_secs_f64() < 1.0, "{name} is slow");
        }
    }
}

#[test]
fn headers_that_promise_too_much_are_refused_before_anything_is_allocated() {
    let folder = folder("bombs");
    let placed = "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n";
    let cases = [
        ("huge.nrrd", format!("NRRD0004\ntype: short\ndimension: 3\nsizes: 60000 60000 60000\n{placed}endian: little\nencoding: raw\n\nxx")),
        ("huge_packed.nrrd", format!("NRRD0004\ntype: short\ndimension: 3\nsizes: 60000 60000 60000\n{placed}endian: little\nencoding: gzip\n\nxx")),
        ("colour.nrrd", format!("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 3 2 2\nkinds: RGB-color domain domain\n{placed}encoding: raw\n\nxxxxxxxxxxxx")),
        ("block.nrrd", format!("NRRD0004\ntype: block\ndimension: 3\nsizes: 1 1 1\n{placed}encoding: raw\n\nx")),
        ("bzip2.nrrd", format!("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1 1 1\n{placed}encoding: bzip2\n\nx")),
        ("axes.nrrd", "NRRD0004\ntype: uchar\ndimension: 99\nsizes: 1\nencoding: raw\n\nx".to_owned()),
        ("endless.nrrd", format!("NRRD0004\n{}", "x".repeat(1 << 20))),
        ("skip.nrrd", format!("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1 1 1\n{placed}encoding: raw\nbyte skip: 99999999999\n\nx")),
        ("missing.nhdr", format!("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1 1 1\n{placed}encoding: raw\ndata file: none.raw\n\n")),
        ("rgb.mha", "ObjectType = Image\nNDims = 3\nDimSize = 1 1 1\nElementNumberOfChannels = 3\nElementType = MET_UCHAR\nElementDataFile = LOCAL\nxxx".to_owned()),
        ("huge.mha", "ObjectType = Image\nNDims = 3\nDimSize = 90000 90000 90000\nElementType = MET_DOUBLE\nElementDataFile = LOCAL\nxxx".to_owned()),
        ("overflow.mha", "ObjectType = Image\nNDims = 3\nDimSize = 9999999999999 9999999999999 9\nElementType = MET_DOUBLE\nElementDataFile = LOCAL\nxxx".to_owned()),
        ("cut.mha", "ObjectType = Image\nNDims = 3\n".to_owned()),
        ("words.txt", "these are words\n".to_owned()),
    ];
    for (name, text) in cases {
        let path = folder.join(name);
        fs::write(&path, text).expect(name);
        let start = std::time::Instant::now();
        let error = read(&path, None, &Silent).expect_err(name);
        assert!(matches!(error.code(), "ERR_FORMAT" | "ERR_GEOMETRY" | "ERR_IO"), "{name}: {error}");
        assert!(start.elapsed().as_secs_f64() < 0.5, "{name} is slow");
        println!("{}", error.to_string().rsplit('/').next().unwrap_or_default());
    }
    let error = read(&folder, None, &Silent).expect_err("a folder without DICOM");
    assert_eq!(error.code(), "ERR_FORMAT");
    let error = read(&folder.join("none.nii"), None, &Silent).expect_err("no file");
    assert_eq!(error.code(), "ERR_IO");
}
