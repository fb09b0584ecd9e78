//! Files that were read wrongly once, with what they mean.

use std::path::{Path, PathBuf};

use pulmoav_task::Silent;
use pulmoav_volume::formats::{Place, info, read, read_header, write, write_voxels};
use pulmoav_volume::image::Header;
use pulmoav_volume::{Affine, Grid};

fn fault(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/faults").join(name)
}

fn header(name: &str) -> Header {
    read_header(&fault(name)).expect(name)
}

fn temporary(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pulmoav-faults-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    folder.join(name)
}

fn codes(header: &Header) -> Vec<&'static str> {
    header.warnings.iter().map(|warning| warning.code).collect()
}

#[test]
fn micrometres_are_millimetres_and_stay_so() {
    let image = read(&fault("um.nii"), None, &Silent).expect("read");
    assert_eq!(codes(&image.header), ["UNITS"]);
    let path = temporary("um.nii");
    let place = Place { like: Some(&image.header), ..Place::of(&image.header.grid) };
    write_voxels(&path, &image.voxels, &place, &Silent).expect("written");
    let back = read_header(&path).expect("read again");
    assert_eq!(codes(&back), [""; 0]);
    for header in [&image.header, &back] {
        for spacing in [header.grid.spacing_mm, header.grid.affine.spacing()] {
            for (got, want) in spacing.into_iter().zip([2.5, 0.7, 0.7]) {
                assert!((got - want).abs() < 1e-6, "{spacing:?}");
            }
        }
    }
}

#[test]
fn sform_and_qform_that_mirror_each_other_are_said() {
    let header = header("sqflip.nii");
    assert_eq!(codes(&header), ["FORMS_DIFFER"]);
    assert!(header.warnings[0].message.contains("mirror each other"), "{}", header.warnings[0].message);
}

#[test]
fn a_qform_stands_in_for_an_empty_sform() {
    let header = header("szero.nii");
    assert!(header.grid.affine.determinant().abs() > 0.1, "{:?}", header.grid.affine);
    assert!(header.oriented);
}

#[test]
fn a_rounded_quaternion_is_a_rotation() {
    let affine = header("quat.nii").grid.affine;
    let volume: f64 = affine.spacing().iter().product();
    assert!((affine.determinant().abs() / volume - 1.0).abs() < 1e-6, "{affine:?}");
}

#[test]
fn an_infinite_voxel_is_refused_or_told_by_the_affine() {
    match read_header(&fault("pixdim_inf.nii")) {
        Ok(header) => assert!(header.grid.spacing_mm.iter().all(|step| step.is_finite()), "{:?}", header.grid),
        Err(error) => assert_eq!(error.code(), "ERR_GEOMETRY", "{error}"),
    }
}

#[test]
fn words_of_nrrd_have_any_case() {
    let info = info(&fault("r28_case.nrrd")).expect("read");
    assert_eq!((info.shape, info.data_type), ([7, 6, 5], "int16"));
}

#[test]
fn a_list_of_files_is_refused_by_name() {
    let error = read(&fault("r10_list.nhdr"), None, &Silent).expect_err("refused").to_string();
    assert!(error.contains("`data file: LIST`; expected the name of one file"), "{error}");
}

#[test]
fn an_unknown_orientation_stays_unknown() {
    let grid = Grid { shape: [2, 3, 4], spacing_mm: [2.5, 0.7, 0.7], affine: Affine::from_spacing([2.5, 0.7, 0.7]) };
    for (oriented, want) in [(true, 1), (false, 0)] {
        let path = temporary(&format!("oriented-{oriented}.nii.gz"));
        write(&path, &[0_i16; 24], 1, &Place { oriented, ..Place::of(&grid) }, &Silent).expect("written");
        let header = read_header(&path).expect("read");
        assert_eq!((header.sform_code, header.qform_code, header.oriented), (Some(want), Some(want), oriented));
        assert_eq!(header.grid.spacing_mm.map(|mm| (mm * 1000.0).round()), [2500.0, 700.0, 700.0]);
    }
}

#[test]
fn a_sheared_voxel_has_the_volume_of_its_determinant() {
    let mut affine = Affine::from_spacing([2.5, 0.7, 0.7]);
    // A gantry tilted by 18.5°.
    affine.0[1][2] = 2.5 * 18.5_f64.to_radians().tan();
    let grid = Grid { shape: [1; 3], spacing_mm: affine.spacing(), affine };
    assert!((grid.voxel_ml() * 1000.0 - 2.5 * 0.7 * 0.7).abs() < 1e-9, "{} ml", grid.voxel_ml());
    grid.check("a scan").expect("consistent");
    let error = Grid { spacing_mm: [0.7, 0.7, 2.5], ..grid }.check("a scan").expect_err("turned round");
    assert_eq!(error.code(), "ERR_GEOMETRY");
}

#[test]
fn outputs_keep_the_mode_of_what_they_replace() {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = temporary("mode.nii");
        let grid = Grid { shape: [1, 1, 2], spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        let write = || write(&path, &[0_u8; 2], 1, &Place::of(&grid), &Silent).expect("written");
        write();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        write();
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_name_as_long_as_names_may_be_is_written() {
    let path = temporary(&format!("{}.nii.gz", "a".repeat(247)));
    let grid = Grid { shape: [1, 1, 2], spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
    write(&path, &[0_u8; 2], 1, &Place::of(&grid), &Silent).expect("written");
}
