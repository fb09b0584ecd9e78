//! DICOM segmentations: what is written of a series and read back, and those of another program.

mod written;

use std::fs;
use std::path::{Path, PathBuf};

use pulmoav_task::Silent;
use pulmoav_volume::formats::{
    Code, Place, Segment, SourceSeries, check_output, list_series, read, read_header, source_series, write,
    write_labels,
};
use pulmoav_volume::{Grid, VolumeError, Voxels};
use written::{BIG_ENDIAN, COLUMNS, EXPLICIT, IMPLICIT, ROWS, Slice, folder, multi_frame};

const PLANE: usize = ROWS * COLUMNS;

fn segments() -> Vec<Segment> {
    let artery = Code { value: "81040000".into(), meaning: "Pulmonary artery".into(), side: None };
    let left = Some(("7771000".to_owned(), "Left".to_owned()));
    let vein = Code { value: "122972007".into(), meaning: "Pulmonary vein".into(), side: left };
    vec![
        Segment { value: 1, name: "artery".into(), colour: [70, 130, 255], code: Some(artery) },
        Segment { value: 10, name: "left\\vein\nof a user".into(), colour: [255, 0, 0], code: Some(vein) },
    ]
}

/// A series at these places, and what a segmentation takes over from it.
fn series(name: &str, places: &[f64], like: &Slice) -> (PathBuf, SourceSeries, Grid) {
    let folder = folder(name);
    for &z in places {
        Slice { has_names: true, position: Some([-10.0, -20.0, z]), ..like.clone() }.write(&folder, &format!("{z}"));
    }
    let source = source_series(&folder, None, &Silent).expect("a source");
    let grid = read_header(&folder).expect("read").grid;
    (folder, source, grid)
}

fn written(path: &Path, labels: &[u8], source: &SourceSeries, grid: &Grid) -> Result<(), VolumeError> {
    let segments = segments();
    let place = Place { segments: &segments, source: Some(source), ..Place::of(grid) };
    write_labels(path, labels, &place, &Silent)
}

/// Labels with both values, the outer slices empty.
fn labels(slices: usize) -> Vec<u8> {
    let value = |index: usize| match (index / PLANE, index % 5) {
        (slice, 0) if slice > 0 && slice + 1 < slices => 1,
        (2, 1) => 10,
        _ => 0,
    };
    (0..slices * PLANE).map(value).collect()
}

#[test]
fn labels_come_back_where_they_were() {
    let plain = Slice::at(0.0);
    let oblique = Slice { orientation: [0.8, 0.6, 0.0, -0.6, 0.8, 0.0], ..Slice::at(0.0) };
    let feet_first = Slice { orientation: [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0], ..Slice::at(0.0) };
    for (name, like) in [
        ("explicit", Slice { syntax: EXPLICIT, ..plain.clone() }),
        ("implicit", Slice { syntax: IMPLICIT, ..plain.clone() }),
        ("big", Slice { syntax: BIG_ENDIAN, ..plain }),
        ("oblique", oblique),
        ("feet-first", feet_first),
    ] {
        let (folder, source, grid) = series(name, &[0.0, 1.25, 2.5, 3.75, 5.0], &like);
        let path = folder.join("out.seg.dcm");
        let labels = labels(5);
        written(&path, &labels, &source, &grid).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = read(&path, None, &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.voxels == Voxels::U8(labels), "{name}");
        assert!(found.header.grid.corner_distance_mm(&grid) < 1e-9, "{name}");
        assert_eq!(found.header.warnings, [], "{name}");
        assert_eq!(list_series(&path, &Silent).expect("no series"), []);
        // Beside its series it is one of the files that are no CT.
        assert_eq!(read(&folder, None, &Silent).expect(name).header.warnings[0].code, "FILES_SKIPPED");
        fs::remove_dir_all(folder).expect("removed");
    }
}

#[test]
fn frames_of_one_file_and_missing_slices_are_referred_to() {
    let file = folder("seg-frames").join("frames.dcm");
    fs::write(&file, multi_frame(EXPLICIT, &[2.0, 0.0, 1.0, 3.0].map(Slice::at))).expect("written");
    let (source, grid) =
        (source_series(&file, None, &Silent).expect("a source"), read_header(&file).expect("read").grid);
    let path = file.with_file_name("out.dcm");
    written(&path, &labels(4), &source, &grid).expect("written");
    assert!(read(&path, None, &Silent).expect("read").voxels == Voxels::U8(labels(4)));
    // The frame that slice 1 was read from is the file's third.
    assert!(has(&fs::read(&path).expect("read"), &[&[8, 0, 0x60, 0x11], b"IS\x02\x003 ".as_slice()].concat()));

    let places: Vec<f64> = (0..12).filter(|&z| z != 5).map(f64::from).collect();
    let (folder, source, grid) = series("seg-gap", &places, &Slice::at(0.0));
    assert_eq!(grid.shape, [12, ROWS, COLUMNS]);
    let path = folder.join("out.dcm");
    written(&path, &labels(12), &source, &grid).expect("written");
    assert!(read(&path, None, &Silent).expect("read").voxels == Voxels::U8(labels(12)));
}

#[test]
fn a_tilted_series_is_segmented_on_its_straight_grid() {
    let folder = folder("seg-tilt");
    for z in 0..6 {
        let position = Some([-10.0, -20.0 + 0.3 * f64::from(z), f64::from(z)]);
        Slice { has_names: true, position, ..Slice::at(f64::from(z)) }.write(&folder, &format!("{z}"));
    }
    let source = source_series(&folder, None, &Silent).expect("a source");
    let image = read(&folder, None, &Silent).expect("read");
    let grid = image.header.grid;
    assert!(grid.shape[1] > ROWS);
    let labels: Vec<u8> = (0..grid.len()).map(|index| u8::from(index % 3 == 0)).collect();
    let path = folder.join("out.dcm");
    written(&path, &labels, &source, &grid).expect("written");
    let found = read(&path, None, &Silent).expect("read");
    assert!(found.voxels == Voxels::U8(labels));
    assert!(found.header.grid.corner_distance_mm(&grid) < 1e-6);
    assert!(has(&fs::read(&path).expect("read"), b"\x28\0\x5a\x13CS\x02\0NO"));
}

#[test]
fn a_file_says_what_its_segments_are() {
    let (folder, source, grid) = series("seg-words", &[0.0, 1.0, 2.0, 3.0], &Slice::at(0.0));
    let path = folder.join("out.dcm");
    written(&path, &labels(4), &source, &grid).expect("written");
    let bytes = fs::read(&path).expect("read");
    for words in ["81040000", "Pulmonary vein", "7771000", "left/vein of a user", "ISO_IR 192", "Phantom^Test"] {
        assert!(has(&bytes, words.as_bytes()), "{words}");
    }
    // Both ends and one slice of arteries, one of veins.
    assert!(has(&bytes, b"\x28\0\x08\0IS\x02\x005 "));
    // Nothing but labels: values without a name, and no value at all.
    let place = Place { source: Some(&source), ..Place::of(&grid) };
    let mut unnamed = labels(4);
    unnamed[0] = 7;
    write_labels(&path, &unnamed, &place, &Silent).expect("written");
    assert!(has(&fs::read(&path).expect("read"), b"label 7"));
    assert!(read(&path, None, &Silent).expect("read").voxels == Voxels::U8(unnamed));
    let error = write_labels(&path, &vec![0; grid.len()], &place, &Silent).expect_err("refused");
    assert!(error.to_string().contains("would hold no segment"), "{error}");
    written(&path, &vec![0; grid.len()], &source, &grid).expect("named, but nowhere");
    assert!(read(&path, None, &Silent).expect("read").voxels == Voxels::U8(vec![0; grid.len()]));
}

#[test]
fn what_cannot_be_referred_to_is_one_sentence() {
    let (folder, source, grid) = series("seg-refused", &[0.0, 1.0, 2.0], &Slice::at(0.0));
    let path = folder.join("out.dcm");
    let place = Place { source: Some(&source), ..Place::of(&grid) };
    let error = write(&path, &vec![0_i16; grid.len()], 1, &place, &Silent).expect_err("refused");
    assert!(error.to_string().contains("is for labels, not for scans"), "{error}");
    let error = write_labels(&path, &labels(3), &Place::of(&grid), &Silent).expect_err("refused");
    assert!(error.to_string().contains("refers to the series that it was made of"), "{error}");
    let moved = Grid { spacing_mm: [2.0, 0.5, 0.75], ..grid };
    let mut elsewhere = moved;
    elsewhere.affine.0[2][2] = 2.0;
    let error = written(&path, &labels(3), &source, &elsewhere).expect_err("refused");
    assert_eq!((error.code(), error.to_string().contains("lies elsewhere")), ("ERR_GEOMETRY", true));
    assert!(!path.exists());
    check_output(&path, &folder).expect("fine");

    let nrrd = folder.join("scan.nrrd");
    write(&nrrd, &vec![0_i16; grid.len()], 1, &Place::of(&grid), &Silent).expect("written");
    let error = source_series(&nrrd, None, &Silent).expect_err("refused");
    assert!(error.to_string().contains("is no DICOM, and a DICOM segmentation refers to"), "{error}");
    let nameless = written::folder("seg-nameless");
    for z in [0.0, 1.0] {
        Slice::at(z).write(&nameless, &format!("{z}"));
    }
    let error = source_series(&nameless, None, &Silent).expect_err("refused");
    assert!(error.to_string().contains("does not say its study instance UID"), "{error}");
}

/// Of highdicom (`goldens/dicom_seg.py`): its segments have no value of ours, and slices without a voxel are left out.
#[test]
fn a_segmentation_of_highdicom_is_its_label_map() {
    #[derive(serde::Deserialize)]
    struct Expected {
        shape: [usize; 3],
        labels: Vec<u8>,
    }
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/dicom");
    let expected: Expected =
        serde_json::from_slice(&fs::read(goldens.join("segmentation.json")).expect("read")).expect("JSON");
    let found = read(&goldens.join("segmentation.dcm"), None, &Silent).expect("read");
    assert_eq!(found.header.grid.shape, expected.shape);
    assert!(found.voxels == Voxels::U8(expected.labels));
    let series = read_header(&goldens.join("oblique")).expect("read").grid;
    assert!(found.header.grid.corner_distance_mm(&series) < 1e-6);
}

#[test]
fn damaged_segmentations_are_refused() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/dicom");
    let whole = fs::read(goldens.join("segmentation.dcm")).expect("read");
    let folder = folder("seg-damaged");
    let path = folder.join("a.dcm");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        read(&path, None, &Silent).expect_err("refused").to_string()
    };
    assert!(refused(&whole[..whole.len() - 4]).contains("bytes of pixels, but needs"));
    assert!(refused(&replaced(&whole, b"BINARY", b"FRACTI")).contains("expected a binary one"));
    // Every cut and every flipped byte ends in a sentence or in labels.
    for cut in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..cut]).expect("written");
        assert!(read(&path, None, &Silent).is_err(), "{cut}");
    }
    for at in (132..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&path, &bytes).expect("written");
        let _ = read(&path, None, &Silent);
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("is there");
    let mut changed = bytes.to_vec();
    changed[at..at + to.len()].copy_from_slice(to);
    changed
}
