//! What others computed, made by `crates/testing/goldens/resize.py`.

use std::convert::Infallible;

use pulmoav_simd::{Level, with_level};

use super::corners::{corner_linear, corner_nearest};
use super::skimage::{self, Resize};
use super::torch;
use crate::crop::View;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    method: String,
    shape: [usize; 3],
    new_shape: [usize; 3],
    order: Option<u8>,
    apart: Option<u8>,
    voxels: Vec<f64>,
    result: Vec<f64>,
}

fn cases(method: &str) -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/resample/resize.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.method == method).collect();
    assert!(!cases.is_empty());
    cases
}

impl Case {
    fn how(&self, channels: usize) -> Resize {
        let (shape, new_shape) = (self.shape, self.new_shape);
        Resize { shape, new_shape, channels, order: self.order.unwrap_or(1), apart: self.apart }
    }

    /// The voxels as channel `channel` of `channels`, whose others are something else.
    fn with_channels(&self, channels: usize, channel: usize) -> Vec<f64> {
        let other = |at: usize, of: usize| self.voxels[(at * 7 + of) % self.voxels.len()] * 3.0;
        let values = |(at, &value): (usize, &f64)| {
            (0..channels).map(move |of| if of == channel { value } else { other(at, of) }).collect::<Vec<_>>()
        };
        self.voxels.iter().enumerate().flat_map(values).collect()
    }

    fn check(&self, found: impl Iterator<Item = f64>, tolerance: f64) {
        let found: Vec<f64> = found.collect();
        assert_eq!(found.len(), self.result.len());
        for (index, (a, b)) in found.iter().zip(&self.result).enumerate() {
            assert!(
                (a - b).abs() <= tolerance,
                "{} {:?} → {:?} order {:?} apart {:?} value {index}: {a} is not {b}",
                self.method,
                self.shape,
                self.new_shape,
                self.order,
                self.apart
            );
        }
    }
}

fn collected<T: Copy>(run: impl FnOnce(&mut dyn FnMut(usize, &[T]))) -> Vec<T> {
    let mut all = Vec::new();
    run(&mut |_, slab| all.extend_from_slice(slab));
    all
}

fn by_skimage(how: &Resize, values: &[f64]) -> Vec<f64> {
    let width = how.shape[2] * how.channels;
    collected(|take| {
        let read = |z: usize, y: usize, row: &mut [f64]| {
            row.copy_from_slice(&values[(z * how.shape[1] + y) * width..][..width]);
        };
        let sink = |first: usize, slab: &[f64]| {
            take(first, slab);
            Ok::<(), Infallible>(())
        };
        skimage::resize(how, read, sink).unwrap();
    })
}

#[test]
fn equals_scikit_image() {
    let cases = cases("skimage");
    for level in Level::present() {
        with_level(level, || {
            for case in &cases {
                case.check(by_skimage(&case.how(1), &case.voxels).into_iter(), 1e-9);
            }
        });
    }
}

#[test]
fn channels_are_resized_each_alone() {
    for case in cases("skimage") {
        for (channels, channel) in [(2, 0), (3, 2), (11, 5)] {
            let found = by_skimage(&case.how(channels), &case.with_channels(channels, channel));
            case.check(found.into_iter().skip(channel).step_by(channels), 1e-9);
        }
    }
}

#[test]
fn equals_pytorch() {
    for case in cases("torch") {
        let voxels: Vec<f32> = case.voxels.iter().map(|&value| value as f32).collect();
        let [_, height, width] = case.shape;
        let found = collected(|take| {
            let read = |z: usize, y: usize, row: &mut [f32]| {
                row.copy_from_slice(&voxels[(z * height + y) * width..][..width]);
            };
            let sink = |first: usize, slab: &[f32]| {
                take(first, slab);
                Ok::<(), Infallible>(())
            };
            torch::interpolate(&case.how(1), read, sink).unwrap();
        });
        case.check(found.into_iter().map(f64::from), 1e-6);
    }
}

#[test]
fn equals_scipys_corners_to_the_last_integer() {
    for case in cases("corners") {
        let voxels: Vec<f32> = case.voxels.iter().map(|&value| value as f32).collect();
        let view = View::new(&voxels, case.shape);
        let found = match case.order {
            Some(0) => corner_nearest(&view, case.new_shape),
            _ => corner_linear(&view, case.new_shape, |value| value.trunc() as f32),
        };
        case.check(found.into_iter().map(f64::from), 0.0);
    }
}

#[test]
fn threads_change_no_bit() {
    let (shape, new_shape) = ([60, 17, 19], [83, 11, 30]);
    let values: Vec<f64> = (0..shape.iter().product()).map(|i: usize| ((i * 7919) % 2003) as f64).collect();
    for (order, apart) in [(3, None), (1, None), (3, Some(0)), (2, Some(3))] {
        let how = Resize { shape, new_shape, channels: 1, order, apart };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| by_skimage(&how, &values))
        };
        assert_eq!(run(1), run(3), "order {order}, apart {apart:?}");
    }
}

#[test]
fn a_sink_that_refuses_ends_it() {
    let how = Resize { shape: [40, 2, 2], new_shape: [60, 3, 3], channels: 1, order: 1, apart: None };
    let mut slabs = 0;
    let refused = skimage::resize(
        &how,
        |_, _, row| row.fill(1.0),
        |_, _| {
            slabs += 1;
            if slabs == 2 { Err("enough") } else { Ok(()) }
        },
    );
    assert_eq!((refused, slabs), (Err("enough"), 2));
}
