//! Formats that are written: what comes back, and what other programs are told.

use std::fs;
use std::path::PathBuf;

use pulmoav_task::Silent;
use pulmoav_volume::formats::{Code, Place, Segment, read, read_header, write, write_labels};
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Affine, Grid};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pulmoav-written-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A grid turned by 20 degrees around z, flipped along x, with an origin of its own.
fn oblique() -> Grid {
    let (sin, cos) = 20f64.to_radians().sin_cos();
    let affine = Affine([
        [-0.7 * cos, -0.8 * sin, 0.0, 101.25],
        [-0.7 * sin, 0.8 * cos, 0.0, -52.5],
        [0.0, 0.0, 2.5, -310.0],
        [0.0, 0.0, 0.0, 1.0],
    ]);
    Grid { shape: [3, 4, 5], spacing_mm: [2.5, 0.8, 0.7], affine }
}

fn segments() -> [Segment; 2] {
    let artery = Code { value: "81040000".into(), meaning: "Pulmonary artery".into(), side: None };
    let left = Some(("7771000".to_owned(), "Left".to_owned()));
    let vein = Code { value: "122972007".into(), meaning: "Pulmonary vein".into(), side: left };
    [
        Segment { value: 1, name: "artery".into(), colour: [70, 130, 255], code: Some(artery) },
        Segment { value: 5, name: "left vein\nof a user".into(), colour: [255, 0, 0], code: Some(vein) },
    ]
}

#[test]
fn every_format_gives_back_labels_and_their_place() {
    let (folder, grid) = (folder("back"), oblique());
    let labels: Vec<u8> = (0..60).map(|i| if i % 7 == 0 { 5 } else { u8::from(i % 3 == 0) }).collect();
    for name in ["a.nii", "a.nii.gz", "a.nrrd", "a.seg.nrrd", "a.mha", "A.SEG.NRRD"] {
        for oriented in [true, false] {
            let path = folder.join(name);
            let segments = segments();
            let place = Place { oriented, segments: &segments, ..Place::of(&grid) };
            write_labels(&path, &labels, &place, &Silent).expect(name);
            let found = read(&path, None, &Silent).expect(name);
            assert!(found.voxels == Voxels::U8(labels.clone()), "{name}");
            if oriented {
                assert!(found.header.oriented, "{name}");
                assert!(found.header.grid.corner_distance_mm(&grid) < 1e-4, "{name}");
            } else if !name.ends_with("mha") {
                assert!(!found.header.oriented, "{name}");
            }
        }
    }
    fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn scans_of_any_type_are_written() {
    let (folder, grid) = (folder("types"), oblique());
    for name in ["a.nrrd", "a.mha"] {
        let path = folder.join(name);
        let values: Vec<i16> = (0..60).map(|i| i * 40 - 1024).collect();
        write(&path, &values, 1, &Place::of(&grid), &Silent).expect(name);
        assert!(read(&path, None, &Silent).expect(name).voxels == Voxels::I16(values), "{name}");
        let values: Vec<f32> = (0..60).map(|i| i as f32 / 7.0).collect();
        write(&path, &values, 1, &Place::of(&grid), &Silent).expect(name);
        assert!(read(&path, None, &Silent).expect(name).voxels == Voxels::F32(values), "{name}");
        let error = write(&path, &[0u8; 120], 2, &Place::of(&grid), &Silent).expect_err(name);
        assert_eq!(error.code(), "ERR_USAGE", "{name}");
    }
    fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn a_segmentation_names_its_segments() {
    let (folder, grid) = (folder("segments"), oblique());
    let path = folder.join("a.seg.nrrd");
    let mut labels = vec![0u8; 60];
    (labels[7], labels[28], labels[59]) = (1, 1, 5);
    let segments = segments();
    write_labels(&path, &labels, &Place { segments: &segments, ..Place::of(&grid) }, &Silent).expect("written");
    let bytes = fs::read(&path).expect("the file");
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").expect("the header's end");
    let text = String::from_utf8(bytes[..end].to_vec()).expect("text");
    for line in [
        "space: left-posterior-superior",
        "Segment0_Name:=artery",
        "Segment0_LabelValue:=1",
        "Segment0_Extent:=2 3 1 1 0 1",
        "Segment1_Name:=left vein of a user",
        "Segment1_Extent:=4 4 3 3 2 2",
        "Segment1_Color:=1.000000 0.000000 0.000000",
        "Segmentation_MasterRepresentation:=Binary labelmap",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("~SCT^122972007^Pulmonary vein~SCT^7771000^Left~"), "{text}");
    assert!(read_header(&path).is_ok());
    fs::remove_dir_all(folder).expect("removed");
}
