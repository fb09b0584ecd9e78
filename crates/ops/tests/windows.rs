//! Windows on a card beside those on the host.

mod harness;

use candle_core::{DType, Device, Tensor};
use harness::{card, noise};
use pulmoav_ops::device::{Transfers, to_host};
use pulmoav_ops::resample::{Table, paint};
use pulmoav_ops::window::{Image, Map, Place, Rounding, Sums};

const GRID: [usize; 3] = [9, 11, 13];
const WINDOW: [usize; 3] = [6, 5, 8];

/// Inside, at every border, beyond them, mirrored along each axis.
fn places() -> Vec<Place> {
    let firsts = [[0, 0, 0], [3, 6, 5], [-2, 4, 3], [5, -1, -3], [1, 8, 9], [2, 3, 4]];
    let mirrored = |number: usize| [0, 1, 2].map(|axis| number % 4 == axis + 1);
    firsts.iter().enumerate().map(|(number, &first)| Place { first, mirrored: mirrored(number) }).collect()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn cut(image: &[f32], device: &Device) -> Vec<f32> {
    let image = Image::new(image, GRID, &[1], device).unwrap();
    to_host(&image.cut(&places(), WINDOW).unwrap()).unwrap()
}

#[test]
fn a_card_cuts_the_host_s_windows() {
    let Some(card) = card() else { return };
    let image = values(&noise(&[9, 11, 13, 3], 1));
    assert_eq!(cut(&image, card), cut(&image, &Device::Cpu));
}

/// The sums of all windows, given `at_once` at a time.
fn sums(dtype: DType, rounding: Rounding, maps: [Map; 2], at_once: usize, device: &Device) -> Vec<f32> {
    let [depth, height, width] = WINDOW;
    let answers = (noise(&[places().len(), depth, height, width, 3], 2) * 6.0).unwrap();
    // On the host the same values, of the other type.
    let answers = answers.to_dtype(dtype).unwrap();
    let answers = if device.is_cpu() { answers.to_dtype(DType::F32).unwrap() } else { answers };
    let answers = answers.to_device(device).unwrap();
    let weights = (noise(&WINDOW, 3) + 1.01).unwrap().to_device(device).unwrap();
    let mut sums = Sums::new(GRID, 3, rounding, device).unwrap();
    for (number, places) in places().chunks(at_once).enumerate() {
        let some = answers.narrow(0, number * at_once, places.len()).unwrap();
        sums.add(&some, &weights, places, maps[0]).unwrap();
    }
    let before = Transfers::so_far();
    let found = sums.finish(maps[1]).unwrap();
    assert_eq!(before.since().downloads, u64::from(!device.is_cpu()));
    found
}

#[test]
fn a_card_sums_as_the_host_does() {
    let Some(card) = card() else { return };
    for dtype in [DType::F32, DType::BF16] {
        for rounding in [Rounding::F32, Rounding::F16] {
            for maps in [[Map::Same, Map::Same], [Map::Same, Map::Logistic], [Map::Logistic, Map::Same]] {
                let host = sums(dtype, rounding, maps, 1, &Device::Cpu);
                let [one, all] = [1, 4].map(|at_once| sums(dtype, rounding, maps, at_once, card));
                assert_eq!(one, all);
                // Without exponentials to the bit; f16 may round the other way with them.
                let most = match (maps, rounding) {
                    ([Map::Same, Map::Same], _) => 0.0,
                    (_, Rounding::F32) => 1e-6,
                    (_, Rounding::F16) => 2e-3,
                };
                for (at, (a, b)) in one.iter().zip(&host).enumerate() {
                    assert!((a - b).abs() <= most * b.abs().max(1.0), "{dtype:?} {rounding:?} {maps:?} {at}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_card_paints_where_a_table_says() {
    let Some(card) = card() else { return };
    let painted = |marked: bool| {
        let places = [vec![Some(0)], vec![Some(0), None], vec![Some(1), Some(0), None]];
        let table = Table::new(vec![1, 3], [1, 1, 2], &places, card).unwrap();
        let values = Tensor::zeros((1, 2, 3), DType::F32, card).unwrap();
        to_host(&paint(values, &table, 2, marked, 7.0).unwrap()).unwrap()
    };
    assert_eq!(painted(true), [7.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(painted(false), [0.0, 7.0, 7.0, 7.0, 7.0, 7.0]);
}
