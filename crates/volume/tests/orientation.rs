//! The canonical orientation against nibabel's `io_orientation` and `as_closest_canonical`.
//! `orientations.json` was made by `crates/testing/goldens/volume.py`.

use std::path::Path;

use pulmoav_task::Silent;
use pulmoav_volume::formats::read;
use pulmoav_volume::{Affine, Grid, Orientation, Volume, Voxel, with_voxels};
use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/volume/orientations.json");
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/nifti/orient48");

fn reals(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("array").iter();
    numbers.map(|number| number.as_f64().expect("number")).collect()
}

fn affine(value: &Value) -> Affine {
    Affine::from_array(&reals(value).try_into().expect("16 numbers"))
}

fn volume(affine: Affine) -> Volume<i16> {
    Volume { data: (0..24).collect(), grid: Grid { shape: [2, 3, 4], spacing_mm: affine.spacing(), affine } }
}

#[test]
fn axes_are_named_and_turned_as_nibabel_does() {
    let text = std::fs::read_to_string(GOLDEN).expect("goldens are committed");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for case in &cases {
        let original = volume(affine(&case["affine"]));
        let codes = original.grid.affine.axcodes();
        let Some(canonical_affine) = case.get("canonicalAffine") else {
            let error = Orientation::of(&original.grid.affine).expect_err("two axes are parallel");
            assert_eq!(error.code(), "ERR_GEOMETRY");
            continue;
        };
        assert_eq!(codes, case["axcodes"].as_str().expect("axcodes"), "{case}");
        let orientation = Orientation::of(&original.grid.affine).expect("regular");
        let canonical = orientation.orient(&original);
        let shape: Vec<usize> = reals(&case["canonicalShape"]).iter().map(|&length| length as usize).collect();
        assert_eq!(canonical.grid.shape[..], shape[..]);
        let voxels: Vec<f64> = canonical.data.iter().map(|&value| f64::from(value)).collect();
        assert_eq!(voxels, reals(&case["canonicalVoxels"]));
        for (got, want) in canonical.grid.affine.to_array().iter().zip(reals(canonical_affine)) {
            assert!((got - want).abs() < 1e-12 * want.abs().max(1.0));
        }
        let back = orientation.unorient(&canonical, &original.grid).expect("the inverse transform");
        assert_eq!(back, original);
    }
}

#[test]
fn larger_volumes_move_as_small_ones_do() {
    let shape = [19, 33, 50];
    let count: usize = shape.iter().product();
    for (columns, signs) in [([2, 0, 1], [-1.0, 1.0, -1.0]), ([1, 2, 0], [1.0, -1.0, 1.0]), ([2, 1, 0], [-1.0; 3])] {
        let mut rows = Affine::IDENTITY;
        for axis in 0..3 {
            rows.0[axis] = [0.0, 0.0, 0.0, 5.0];
            rows.0[axis][columns[axis]] = signs[axis] * 1.5;
        }
        let original =
            Volume { data: (0..count as u32).collect(), grid: Grid { shape, spacing_mm: [1.5; 3], affine: rows } };
        let orientation = Orientation::of(&rows).expect("regular");
        let canonical = orientation.orient(&original);
        assert_eq!(canonical.grid.affine.axcodes(), "RAS");
        let [_, height, width] = canonical.grid.shape;
        let inverse = |world: [f64; 3]| {
            let mut index = [0.0; 3];
            for axis in 0..3 {
                index[columns[axis]] = (world[axis] - 5.0) * signs[axis] / 1.5;
            }
            index
        };
        for (at, &value) in canonical.data.iter().enumerate() {
            let (z, y, x) = (at / (height * width), at / width % height, at % width);
            let world = canonical.grid.affine.apply([x as f64, y as f64, z as f64]);
            let [x, y, z] = inverse(world).map(|index| index.round() as usize);
            assert_eq!(value as usize, (z * shape[1] + y) * shape[2] + x);
        }
        assert_eq!(orientation.unorient(&canonical, &original.grid).expect("the inverse transform"), original);
        let two: Vec<u32> = original.data.iter().flat_map(|&value| [value, value + 1]).collect();
        let moved = orientation.orient_data(&two, shape, 2);
        assert!(moved.chunks(2).zip(&canonical.data).all(|(pair, &value)| pair == [value, value + 1]));
    }
}

#[test]
fn the_48_orders_of_one_scan_are_one_scan() {
    if !Path::new(SHARED).exists() {
        println!("skipped: no ../shared/data");
        return;
    }
    let mut first: Option<(Grid, Vec<f32>)> = None;
    for entry in std::fs::read_dir(SHARED).expect("folder") {
        let path = entry.expect("entry").path();
        let image = read(&path, None, &Silent).expect("readable");
        let grid = image.header.grid;
        assert_eq!(path.file_name().and_then(|name| name.to_str()).expect("name")[..3], grid.affine.axcodes());
        let data: Vec<f32> = with_voxels!(&image.voxels, values => values.iter().map(|value| value.to_f32()).collect());
        let orientation = Orientation::of(&grid.affine).expect("regular");
        let canonical = orientation.orient(&Volume { data, grid });
        let (first_grid, first_data) = first.get_or_insert((canonical.grid, canonical.data.clone()));
        assert_eq!(first_grid.shape, canonical.grid.shape);
        assert_eq!(first_grid.spacing_mm, canonical.grid.spacing_mm);
        assert_eq!(*first_data, canonical.data, "{}", path.display());
    }
}
