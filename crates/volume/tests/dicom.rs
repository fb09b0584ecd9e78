//! DICOM that the tests write themselves: the rules of `docs/dicom.md`, a table each.

mod written;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pulmoav_task::{Cancelled, Monitor, Silent};
use pulmoav_volume::formats::{list_series, read, read_series, read_series_header};
use pulmoav_volume::image::Format;
use pulmoav_volume::{Image, VolumeError, Voxels};
use written::{BIG_ENDIAN, COLUMNS, DEFLATED, EXPLICIT, IMPLICIT, RLE, ROWS, Slice, archive, folder, multi_frame};

fn whole(values: &Voxels) -> &[i16] {
    match values {
        Voxels::I16(values) => values,
        other => panic!("{:?}", other.data_type()),
    }
}

fn codes(image: &Image) -> Vec<&'static str> {
    image.header.warnings.iter().map(|warning| warning.code).collect()
}

fn refused(path: &Path) -> VolumeError {
    read(path, None, &Silent).expect_err("refused")
}

/// HU of the slices at these places.
fn hu(places: &[f64]) -> Vec<i16> {
    places.iter().flat_map(|&z| Slice::at(z).values.into_iter().map(|value| value - 1024)).collect()
}

#[test]
fn slices_are_sorted_by_place_whatever_their_names() {
    let folder = folder("sorted");
    for (name, z) in [("c", 2.0), ("a.dcm", 0.0), ("sub/b.ima", 3.0), ("d", 1.0)] {
        let file = folder.join(name);
        Slice::at(z).write(file.parent().expect("folder"), file.file_name().expect("name").to_str().expect("name"));
    }
    let image = read(&folder, None, &Silent).expect("read");
    assert_eq!(image.header.format, Format::Dicom);
    assert_eq!(image.header.grid.shape, [4, ROWS, COLUMNS]);
    assert_eq!(image.header.grid.spacing_mm, [1.0, 0.5, 0.75]);
    let affine = [[-0.75, 0.0, 0.0, 10.0], [0.0, -0.5, 0.0, 20.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
    assert_eq!(image.header.grid.affine.0, affine);
    assert_eq!(whole(&image.voxels), hu(&[0.0, 1.0, 2.0, 3.0]));
    assert_eq!(codes(&image), [""; 0]);
}

#[test]
fn every_way_of_writing_gives_the_same_voxels() {
    for syntax in [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN] {
        let folder = folder(&format!("syntax-{syntax}"));
        for z in [0.0, 1.0, 2.0] {
            Slice { syntax, ..Slice::at(z) }.write(&folder, &format!("{z}"));
        }
        let image = read(&folder, None, &Silent).expect(syntax);
        assert_eq!(whole(&image.voxels), hu(&[0.0, 1.0, 2.0]), "{syntax}");
    }
    let frames = [2.0, 0.0, 1.0].map(Slice::at);
    for syntax in [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, RLE] {
        let file = folder("frames").join("frames.dcm");
        fs::write(&file, multi_frame(syntax, &frames)).expect("written");
        let image = read(&file, None, &Silent).expect(syntax);
        assert_eq!(image.header.grid.shape, [3, ROWS, COLUMNS], "{syntax}");
        assert_eq!(whole(&image.voxels), hu(&[0.0, 1.0, 2.0]), "{syntax}");
    }
}

#[test]
fn each_slice_has_its_own_slope_and_padding_becomes_air() {
    let folder = folder("slopes");
    Slice { slope: 2.0, intercept: -1000.0, ..Slice::at(0.0) }.write(&folder, "a");
    Slice { padding: Some(105), ..Slice::at(1.0) }.write(&folder, "b");
    let image = read(&folder, None, &Silent).expect("read");
    let mut want: Vec<i16> = Slice::at(0.0).values.iter().map(|value| value * 2 - 1000).collect();
    want.extend(Slice::at(1.0).values.iter().map(|&value| if value == 105 { -1024 } else { value - 1024 }));
    assert_eq!(whole(&image.voxels), want);
    Slice { slope: 0.5, ..Slice::at(0.0) }.write(&folder, "a");
    let Voxels::F32(values) = read(&folder, None, &Silent).expect("read").voxels else { panic!("not f32") };
    assert_eq!(values[..3], [-1024.0, -1023.5, -1023.0]);
    Slice { values: vec![i16::MIN; ROWS * COLUMNS], ..Slice::at(0.0) }.write(&folder, "a");
    let image = read(&folder, None, &Silent).expect("read");
    assert_eq!((whole(&image.voxels)[0], codes(&image)), (i16::MIN, vec!["HU_CLIPPED"]));
}

#[test]
fn what_is_no_slice_of_a_ct_is_left_out_and_said() {
    let folder = folder("left-out");
    for z in [0.0, 1.0, 2.0] {
        Slice::at(z).write(&folder, &format!("{z}"));
    }
    Slice { image_type: "ORIGINAL\\PRIMARY\\LOCALIZER", ..Slice::at(9.0) }.write(&folder, "scout");
    Slice { modality: "MR", ..Slice::at(9.0) }.write(&folder, "mr");
    Slice { samples: 3, ..Slice::at(9.0) }.write(&folder, "colours");
    Slice { position: None, ..Slice::at(9.0) }.write(&folder, "unplaced");
    fs::write(folder.join("notes.txt"), "not a slice").expect("written");
    fs::write(folder.join("empty"), "").expect("written");
    let cut = Slice::at(9.0).bytes();
    fs::write(folder.join("cut"), &cut[..cut.len() - 5]).expect("written");
    fs::write(folder.join("cut-head"), &cut[..300]).expect("written");
    let image = read(&folder, None, &Silent).expect("read");
    assert_eq!(whole(&image.voxels), hu(&[0.0, 1.0, 2.0]));
    let [warning] = image.header.warnings.as_slice() else { panic!("{:?}", image.header.warnings) };
    assert_eq!(warning.code, "FILES_SKIPPED");
    let words = "files that were not read: no DICOM (2), damaged (1: it ends too early), damaged (1: it has 43 bytes of \
                 pixels, but needs 48), modality MR (1), localizer (1), colours, or values that are no CT's (1), no \
                 place of its slices (1)";
    assert_eq!(warning.message, words);
}

#[test]
fn nothing_to_read_is_one_sentence() {
    let folder = folder("nothing");
    let error = refused(&folder);
    assert_eq!(error.code(), "ERR_FORMAT");
    assert!(error.to_string().contains("holds no DICOM file"), "{error}");
    Slice { modality: "MR", ..Slice::at(0.0) }.write(&folder, "mr");
    let error = refused(&folder);
    assert!(error.to_string().contains("holds no CT, but files of other kinds: modality MR (1)"), "{error}");
    let error = read_series(&folder.join("mr"), Some("1"), None, &Silent).expect_err("refused");
    assert_eq!(error.code(), "ERR_FORMAT");
}

/// Two series, and which of them the rule picks: slices, distance, and what differs.
type Choice = (&'static str, (usize, f64, Slice), (usize, f64, Slice), Option<&'static str>);

#[test]
fn the_rule_picks_a_series_and_others_are_named() {
    let plain = || Slice { series: "1.1", series_number: 1, description: "A", ..Slice::at(0.0) };
    let other = || Slice { series: "1.2", series_number: 2, description: "B", ..Slice::at(0.0) };
    let coronal = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
    let cases: [Choice; 6] = [
        ("more slices", (3, 1.0, plain()), (5, 2.0, other()), Some("1.2")),
        ("thinner", (3, 1.0, plain()), (3, 2.0, other()), Some("1.1")),
        ("a chest", (5, 1.0, plain()), (3, 1.0, Slice { description: "Thorax 1.0 I70f", ..other() }), Some("1.2")),
        ("axial", (3, 1.0, plain()), (5, 1.0, Slice { orientation: coronal, ..other() }), Some("1.1")),
        ("original", (3, 1.0, plain()), (5, 1.0, Slice { image_type: "DERIVED\\PRIMARY", ..other() }), Some("1.1")),
        ("not clear", (3, 1.0, plain()), (3, 1.0, other()), None),
    ];
    for (name, first, second, want) in cases {
        let folder = folder("rule");
        for (part, (count, step, slice)) in [("a", first), ("b", second)] {
            for index in 0..count {
                // Each a step along its own normal.
                let along = index as f64 * step;
                let position = if slice.orientation == coronal { [0.0, along, 0.0] } else { [0.0, 0.0, along] };
                Slice { position: Some(position), ..slice.clone() }.write(&folder.join(part), &format!("{index}"));
            }
        }
        let listed = list_series(&folder, &Silent).expect(name);
        let chosen = listed.iter().find(|one| one.is_chosen).map(|one| one.uid.as_str());
        assert_eq!(chosen, want, "{name}");
        match read(&folder, None, &Silent) {
            Ok(image) => assert_eq!(codes(&image), ["SERIES_CHOSEN"], "{name}"),
            Err(error) => {
                assert_eq!((want, error.code()), (None, "ERR_GEOMETRY"), "{name}: {error}");
                let words = "1: A (series 1), 3 slices of 1.00 mm; 2: B (series 2), 3 slices of 1.00 mm";
                assert!(error.to_string().ends_with(words), "{name}: {error}");
            }
        }
        for (wanted, uid) in [("1", "1.1"), ("2", "1.2"), ("1.1", "1.1"), ("1.2", "1.2")] {
            let header = read_series_header(&folder, Some(wanted), &Silent).expect(name);
            let slices = listed.iter().find(|one| one.uid == uid).map(|one| one.slices);
            assert_eq!(Some(header.grid.shape[0]), slices, "{name} {wanted}");
            assert!(header.warnings.is_empty(), "{name} {wanted}");
        }
        let error = read_series(&folder, Some("9"), None, &Silent).expect_err("no such series");
        assert_eq!(error.code(), "ERR_GEOMETRY", "{error}");
    }
}

#[test]
fn series_of_several_patients_are_not_chosen_from() {
    let folder = folder("patients");
    for (patient, series, count) in [("P1", "1.1", 2), ("P2", "1.2", 4)] {
        for index in 0..count {
            Slice { series, patient, ..Slice::at(f64::from(index)) }.write(&folder.join(patient), &format!("{index}"));
        }
    }
    let error = refused(&folder);
    assert!(error.to_string().contains("of several patients"), "{error}");
    assert_eq!(read_series_header(&folder, Some("1.2"), &Silent).expect("named").grid.shape[0], 4);
}

/// Places of slices, mm, and what becomes of them: slices and warnings, or words of the refusal.
/// Where slices lie, and how many are read with which warnings, or the refusal.
type Spacing = (&'static str, Vec<f64>, Result<(usize, Vec<&'static str>), &'static str>);

#[test]
fn gaps_duplicates_and_uneven_steps_are_told() {
    let many: Vec<f64> = (0..40).map(f64::from).collect();
    let without = |left_out: &[usize]| -> Vec<f64> {
        (0..40).filter(|index| !left_out.contains(index)).map(|index| index as f64).collect()
    };
    let wavy: Vec<f64> = many.iter().map(|z| z + if *z as i32 % 2 == 0 { 0.03 } else { 0.0 }).collect();
    let half: Vec<f64> = (0..20).map(f64::from).chain((0..10).map(|z| 19.0 + 2.5 * f64::from(z + 1))).collect();
    let twice: Vec<f64> = [many.clone(), vec![7.0, 8.0]].concat();
    let cases: [Spacing; 8] = [
        ("even", many.clone(), Ok((40, vec![]))),
        ("two are missing", without(&[5, 30]), Ok((40, vec!["MISSING_SLICES"]))),
        ("four in a row", without(&[5, 6, 7, 8]), Err("lacks 4 slices in a row")),
        ("many", without(&[3, 6, 9, 12, 15, 18]), Err("lacks 6 of 40 slices")),
        ("wavy", wavy, Ok((40, vec!["UNEVEN_SPACING"]))),
        ("steps of two lengths", half, Err("has slices 1.00 to 2.50 mm apart")),
        ("twice", twice, Ok((40, vec!["DUPLICATE_SLICES"]))),
        ("one", vec![3.0], Ok((1, vec!["SINGLE_SLICE"]))),
    ];
    for (name, places, want) in cases {
        let folder = folder("steps");
        for (index, &z) in places.iter().enumerate() {
            // All of one picture, so that a missing one can be told from its neighbours.
            Slice { values: Slice::at(z.round()).values, ..Slice::at(z) }.write(&folder, &format!("{index}"));
        }
        match (read(&folder, None, &Silent), want) {
            (Ok(image), Ok((slices, warnings))) => {
                assert_eq!((image.header.grid.shape[0], codes(&image)), (slices, warnings), "{name}");
                let first = if name == "one" { 3.0 } else { 0.0 };
                let all: Vec<f64> = (0..slices).map(|index| index as f64 + first).collect();
                assert_eq!(whole(&image.voxels), hu(&all), "{name}");
            }
            (Err(error), Err(words)) => {
                assert_eq!(error.code(), "ERR_GEOMETRY", "{name}");
                assert!(error.to_string().contains(words), "{name}: {error}");
            }
            (got, want) => panic!("{name}: {:?}, but expected {want:?}", got.map(|image| codes(&image))),
        }
    }
    let folder = folder("two-times");
    for (name, z) in [("a", 0.0), ("b", 1.0), ("c", 2.0)] {
        Slice::at(z).write(&folder, name);
    }
    Slice { values: vec![0; ROWS * COLUMNS], ..Slice::at(1.0) }.write(&folder, "d");
    let error = refused(&folder);
    assert!(error.to_string().contains("two different slices at one place (b and d)"), "{error}");
}

#[test]
fn slices_of_another_direction_are_a_stack_of_their_own() {
    let folder = folder("directions");
    for z in [0.0, 1.0, 2.0] {
        Slice::at(z).write(&folder, &format!("{z}"));
    }
    let turned = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    Slice { orientation: turned, ..Slice::at(0.0) }.write(&folder, "turned");
    let image = read(&folder, None, &Silent).expect("read");
    assert_eq!((image.header.grid.shape[0], codes(&image)), (3, vec!["SERIES_CHOSEN"]));
    let image = read_series(&folder, Some("2"), None, &Silent).expect("read");
    assert_eq!(image.header.grid.affine.axcodes(), "PIR");
}

/// A gantry tilted by `atan(rows · 0.5 mm)` a slice: what was below each other before is so again.
#[test]
fn a_tilted_gantry_is_resampled_aloud() {
    let folder = folder("tilt");
    // A rod along the scanner's axis: row 2 of the first slice, and two rows further up in the next slices.
    for index in 0..3_usize {
        let mut values = vec![0; ROWS * COLUMNS];
        let row = 3 - index;
        values[row * COLUMNS + 1] = 1000;
        let position = Some([0.0, index as f64 * 0.5, index as f64]);
        Slice { position, values, ..Slice::at(0.0) }.write(&folder, &format!("{index}"));
    }
    let image = read(&folder, None, &Silent).expect("read");
    assert_eq!(codes(&image), ["TILT_RESAMPLED"]);
    assert!(image.header.warnings[0].message.contains("26.6°"), "{:?}", image.header.warnings);
    assert_eq!(image.header.grid.shape, [3, ROWS + 2, COLUMNS]);
    let values = whole(&image.voxels);
    for slice in 0..3 {
        let at = |row: usize| values[(slice * (ROWS + 2) + row) * COLUMNS + 1];
        assert_eq!(at(3), -24, "the rod is straight in slice {slice}");
        // Rows that the slice does not reach are air.
        assert_eq!((at(0) == -1024, at(5) == -1024), (true, true));
    }
    // Slices that lean along their rows, or by too much, are refused.
    for (step, words) in [([0.5, 0.0], "beside each other"), ([0.0, 1.0], "lean by 45°")] {
        for index in 0..3 {
            let z = f64::from(index);
            let position = Some([z * step[0] * 2.0, z * step[1], z]);
            Slice { position, ..Slice::at(0.0) }.write(&folder, &format!("{index}"));
        }
        let error = refused(&folder);
        assert_eq!(error.code(), "ERR_GEOMETRY");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn archives_are_read_in_place_and_hostile_ones_refused() {
    let folder = folder("archives");
    let file = folder.join("scan.zip");
    let slice = |z: f64| Slice::at(z).bytes();
    let entries = [
        ("study/b/1", slice(1.0), None),
        ("study/a/2.dcm", slice(0.0), None),
        ("study/", Vec::new(), None),
        ("study/c", slice(2.0), None),
        ("readme.txt", b"text".to_vec(), None),
    ];
    fs::write(&file, archive(&entries)).expect("written");
    let image = read(&file, None, &Silent).expect("read");
    assert_eq!(whole(&image.voxels), hu(&[0.0, 1.0, 2.0]));
    let frames = multi_frame(EXPLICIT, &[0.0, 1.0, 2.0].map(Slice::at));
    fs::write(&file, archive(&[("frames", frames, None)])).expect("written");
    assert_eq!(whole(&read(&file, None, &Silent).expect("read").voxels), hu(&[0.0, 1.0, 2.0]));
    let bombs = ["a", "b", "c"].map(|name| (name, vec![0; 1000], Some(u32::MAX - 1)));
    let cases = [
        (archive(&[("../slice", slice(0.0), None)]), "leads out of the archive"),
        (archive(&[("/etc/slice", slice(0.0), None)]), "leads out of the archive"),
        (archive(&bombs), "no scan does"),
        (archive(&[("text", b"text".to_vec(), None)]), "holds no DICOM file"),
        (archive(&entries)[..300].to_vec(), "damaged zip archive"),
    ];
    for (bytes, words) in cases {
        fs::write(&file, bytes).expect("written");
        let error = refused(&file);
        assert_eq!(error.code(), "ERR_FORMAT");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn packings_that_are_not_read_are_named() {
    let folder = folder("foreign");
    Slice { syntax: "1.2.840.10008.1.2.4.110", ..Slice::at(0.0) }.write(&folder, "a");
    Slice { syntax: "1.2.840.10008.1.2.4.110", ..Slice::at(1.0) }.write(&folder, "b");
    let error = refused(&folder);
    assert_eq!(error.code(), "ERR_FORMAT");
    assert!(error.to_string().contains("JPEG XL (1.2.840.10008.1.2.4.110), which is not read"), "{error}");
}

/// Series that pydicom wrote and packed, and what `SimpleITK` made of them before (`goldens/dicom.py`).
#[test]
fn series_of_pydicom_are_what_simpleitk_reads() {
    #[derive(serde::Deserialize)]
    struct Expected {
        shape: [usize; 3],
        affine: [f64; 16],
        crc32: u32,
    }
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/dicom");
    let expected = fs::read(goldens.join("expected.json")).expect("read");
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&expected).expect("expected.json");
    assert_eq!(expected.len(), 9);
    for (name, want) in expected {
        let image = read(&goldens.join(&name), None, &Silent).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(image.header.grid.shape, want.shape, "{name}");
        assert_eq!(codes(&image), [""; 0], "{name}");
        for (got, want) in image.header.grid.affine.to_array().into_iter().zip(want.affine) {
            // SimpleITK makes directions out of rounded ones, which are orthonormal to a few digits.
            assert!((got - want).abs() < 1e-5, "{name}: {got}, not {want}");
        }
        let bytes: Vec<u8> = whole(&image.voxels).iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(crc32fast::hash(&bytes), want.crc32, "{name}");
    }
}

/// Stops after so many looks.
struct Impatient(std::sync::atomic::AtomicI64);

impl Monitor for Impatient {
    fn report(&self, _stage: &'static str, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) <= 0
    }
}

#[test]
fn reading_can_be_cancelled() {
    let folder = folder("cancel");
    for z in 0..10 {
        Slice::at(f64::from(z)).write(&folder, &format!("{z}"));
    }
    for looks in [0, 3, 8] {
        let error = read(&folder, None, &Impatient(looks.into())).expect_err("cancelled");
        assert!(matches!(error, VolumeError::Cancelled), "{looks}: {error}");
    }
    let _: VolumeError = Cancelled.into();
}

/// Damaged files end in an answer or an error, never in a panic, whatever was flipped or cut.
#[test]
fn damage_is_an_error_and_never_a_panic() {
    let folder = folder("fuzz");
    let file = folder.join("file");
    let frames = [0.0, 1.0, 2.0].map(Slice::at);
    let sources = [
        Slice::at(0.0).bytes(),
        Slice { syntax: IMPLICIT, ..Slice::at(0.0) }.bytes(),
        Slice { syntax: DEFLATED, ..Slice::at(0.0) }.bytes(),
        Slice { syntax: BIG_ENDIAN, ..Slice::at(0.0) }.bytes(),
        multi_frame(EXPLICIT, &frames),
        multi_frame(RLE, &frames),
        archive(&[("a", Slice::at(0.0).bytes(), None), ("b", Slice::at(1.0).bytes(), None)]),
    ];
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for source in &sources {
        for _ in 0..300 {
            let mut bytes = source.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if random(3) == 0 {
                bytes.truncate(random(bytes.len()));
            }
            fs::write(&file, &bytes).expect("written");
            if let Err(error) = read(&file, None, &Silent) {
                assert!(["ERR_FORMAT", "ERR_GEOMETRY", "ERR_IO", "ERR_MEMORY"].contains(&error.code()), "{error}");
            }
        }
    }
}
