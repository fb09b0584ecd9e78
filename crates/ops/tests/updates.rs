//! Updates in place, sums of losses, soft skeletons and labels on a card, beside the plain loops on the host.

mod harness;

use candle_core::{DType, Device, Tensor, Var};
use harness::{card, noise};
use pulmoav_ops::augment::any_without;
use pulmoav_ops::device::{Transfers, from_slice, to_host};
use pulmoav_ops::loss::{FULL, IGNORED, ON_LINE, Slopes, Targets, gradient, sums};
use pulmoav_ops::optimizer::{Rule, State, follow, norm, update};
use pulmoav_ops::pseudo::{CODES, Role, Sample, label};
use pulmoav_ops::skeleton::{SkeletonSlopes, Skeletons};

fn close(ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{at}: {a} {b}");
    }
}

/// Eight updates of a parameter: its norms, then the parameter, its moments and its mean.
fn updated(rule: fn(i32) -> Rule, has_second: bool, device: &Device) -> (Vec<f64>, Vec<Vec<f32>>) {
    let place = |tensor: Tensor| tensor.to_device(device).unwrap();
    let parameter = Var::from_tensor(&place(noise(&[70, 61], 1))).unwrap();
    let zeros = || State::zeros(parameter.elem_count(), device).unwrap();
    let (mut first, mut second, mut mean) = (zeros(), has_second.then(zeros), zeros());
    let mut norms = vec![];
    for t in 1..=8 {
        let gradient = place(noise(&[70, 61], 10 + t as u64));
        norms.push(norm([&gradient, parameter.as_tensor()].into_iter()).unwrap());
        update(&parameter, &gradient, 0.7, rule(t), &mut first, second.as_mut()).unwrap();
        follow(&mut mean, &parameter, 0.25).unwrap();
    }
    let copy = Var::zeros((70, 61), candle_core::DType::F32, device).unwrap();
    mean.copy_to(&copy).unwrap();
    let second = second.map(|second| second.to_host().unwrap()).unwrap_or_default();
    let values = vec![to_host(&parameter).unwrap(), first.to_host().unwrap(), second, to_host(&copy).unwrap()];
    (norms, values)
}

/// A rule with one step's numbers.
type OfStep = fn(i32) -> Rule;

#[test]
fn a_card_updates_as_the_host_does() {
    let Some(card) = card() else { return };
    let adamw = |t: i32| Rule::Adamw {
        keep: 0.99,
        beta1: 0.9,
        beta2: 0.95,
        step_size: 0.01 / (1.0 - 0.9f32.powi(t)),
        second_root: (1.0 - 0.95f32.powi(t)).sqrt(),
        epsilon: 1e-8,
    };
    let sgd = |_: i32| Rule::Sgd { rate: 0.05, momentum: 0.9, decay: 0.01 };
    let rules: [(OfStep, bool); 2] = [(adamw, true), (sgd, false)];
    for (rule, has_second) in rules {
        let ((norms, values), (host_norms, host_values)) =
            (updated(rule, has_second, card), updated(rule, has_second, &Device::Cpu));
        for (a, b) in norms.iter().zip(&host_norms) {
            assert!((a - b).abs() < 1e-6 * b, "{a} {b}");
        }
        values.iter().zip(&host_values).for_each(|(ours, theirs)| close(ours, theirs));
    }
}

#[test]
fn a_card_sums_losses_as_the_host_does() {
    let Some(card) = card() else { return };
    for shape in [[2, 9, 11, 13, 3], [1, 20, 20, 20, 7], [3, 1, 1, 1, 1]] {
        let logits = (noise(&shape, 1) * 6.0).unwrap();
        let bytes: Vec<u8> =
            (0..logits.elem_count()).map(|i| [0, FULL, IGNORED, 64, 0, ON_LINE, 31][i * 7 / 3 % 7]).collect();
        let slopes: Vec<Slopes> = (0..shape[0] * shape[4])
            .map(|i| i as f32)
            .map(|i| Slopes { bce: 0.1 * i, dice: 0.3 + i, dice_reference: -0.5, line: 1.0 - i })
            .collect();
        let run = |device: &Device| {
            let logits = logits.to_device(device).unwrap();
            let targets = Targets::new(bytes.clone(), &shape, device).unwrap();
            let before = Transfers::so_far();
            let sums = sums(&logits, &targets).unwrap();
            assert!(device.is_cpu() || before.since() == Transfers { uploads: 0, downloads: 1 });
            (sums, to_host(&gradient(&logits, &targets, &slopes).unwrap()).unwrap())
        };
        let ((sums, slope), (host_sums, host_slope)) = (run(card), run(&Device::Cpu));
        for (a, b) in sums.iter().zip(&host_sums) {
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            assert!(near(a.both, b.both) && near(a.predicted, b.predicted) && near(a.bce, b.bce), "{a:?} {b:?}");
            assert!(near(a.line_found, b.line_found) && near(a.reference, b.reference), "{a:?} {b:?}");
            assert_eq!((a.voxels, a.line_voxels), (b.voxels, b.line_voxels));
        }
        close(&slope, &host_slope);
    }
}

const SHAPES: [[usize; 5]; 4] = [[2, 9, 11, 13, 3], [1, 20, 17, 19, 5], [3, 1, 1, 1, 1], [1, 1, 2, 7, 2]];

#[test]
fn a_card_thins_as_the_host_does() {
    let Some(card) = card() else { return };
    for shape in SHAPES {
        // Steps of 1/4, so that neighbours are equal often: the first of them counts.
        let logits = ((noise(&shape, 3) * 12.0).unwrap().round().unwrap() / 4.0).unwrap();
        let bytes: Vec<u8> =
            (0..logits.elem_count()).map(|i| [0, FULL, IGNORED, 64, 0, ON_LINE, 31][i * 7 / 3 % 7]).collect();
        let slopes: Vec<SkeletonSlopes> = (0..shape[0] * shape[4])
            .map(|i| i as f32)
            .map(|i| SkeletonSlopes { skeleton: 0.3 + i, right: 1.0 - 0.7 * i })
            .collect();
        let run = |device: &Device, dtype: DType| {
            let logits = logits.to_device(device).unwrap().to_dtype(dtype).unwrap();
            let targets = Targets::new(bytes.clone(), &shape, device).unwrap();
            let before = Transfers::so_far();
            let skeletons = Skeletons::of(&logits, &targets).unwrap();
            let sums = skeletons.sums().unwrap();
            let gradient = skeletons.gradient(&slopes).unwrap();
            assert!(device.is_cpu() || before.since() == Transfers { uploads: 1, downloads: 1 });
            (sums, to_host(&gradient).unwrap())
        };
        let (host_sums, host_slope) = run(&Device::Cpu, DType::F32);
        for (dtype, most) in [(DType::F32, 1e-5), (DType::BF16, 1e-2)] {
            let (sums, slope) = run(card, dtype);
            for (a, b) in sums.iter().zip(&host_sums) {
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
                assert!(near(a.skeleton, b.skeleton) && near(a.right, b.right), "{shape:?}: {a:?} {b:?}");
            }
            for (at, (a, b)) in slope.iter().zip(&host_slope).enumerate() {
                assert!((a - b).abs() <= most * b.abs().max(1.0), "{shape:?} in {dtype:?}, {at}: {a} {b}");
            }
        }
    }
}

#[test]
fn a_card_labels_what_nobody_did_as_the_host_does() {
    let Some(card) = card() else { return };
    for shape in [[2, 9, 11, 13, 3], [1, 20, 17, 19, 5], [3, 1, 1, 1, 1]] {
        let [n, z, y, x, maps] = shape;
        let logits = (noise(&shape, 5) * 5.0).unwrap();
        let roles: Vec<Role> = [(1, None), (2, Some(4)), (0, None), (2, Some(0)), (1, Some(4))][..maps]
            .iter()
            .map(|&(class, side)| Role { class, side })
            .collect();
        let codes: Vec<u8> =
            (0..n * z * y * x).map(|i| ((i % (z * y * x) * 73 + i / (z * y * x) * 31) % 128) as u8).collect();
        let sample = |number: usize| Sample {
            knows: [[true, false], [false, false], [true, true]][number % 3],
            table: (0..maps)
                .map(|map| std::array::from_fn(|code| ((code * 3 + map * CODES + number) % 251) as u8))
                .collect(),
        };
        let samples: Vec<Sample> = (0..n).map(sample).collect();
        let run = |device: &Device| {
            let logits = logits.to_device(device).unwrap();
            let codes = from_slice(&codes, (n, z, y, x), device).unwrap();
            let before = Transfers::so_far();
            let (targets, counts) = label(&logits, &codes, &roles, &samples, [0.6, 0.5, 0.7]).unwrap();
            assert!(device.is_cpu() || before.since() == Transfers { uploads: 1, downloads: 1 });
            (targets.to_host().unwrap(), targets.halved().unwrap().to_host().unwrap(), counts)
        };
        let ((targets, halved, counts), (host_targets, host_halved, host_counts)) = (run(card), run(&Device::Cpu));
        assert!(targets == host_targets && halved == host_halved, "{shape:?}");
        for (a, b) in counts.iter().zip(&host_counts) {
            let whole = |c: &pulmoav_ops::pseudo::Counts| [c.voxels, c.accepted, c.referenced, c.predicted, c.agreed];
            assert_eq!(whole(a), whole(b), "{shape:?}");
            assert!((a.confidence - b.confidence).abs() <= 1e-5 * b.confidence.max(1.0), "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_card_looks_targets_up_as_the_host_does() {
    let Some(card) = card() else { return };
    for shape in SHAPES {
        let [n, z, y, x, maps] = shape;
        let codes: Vec<u8> = (0..n * z * y * x).map(|i| (i * 73 % 128) as u8).collect();
        let byte = |at: usize| [0, FULL, IGNORED, 64][at * 7 / 3 % 4];
        let table = |sample: usize| -> Vec<[u8; CODES]> {
            (0..maps).map(|map| std::array::from_fn(|code| byte(code + 11 * map + sample))).collect()
        };
        let tables: Vec<Vec<[u8; CODES]>> = (0..n).map(table).collect();
        let tables: Vec<&[[u8; CODES]]> = tables.iter().map(Vec::as_slice).collect();
        for line in [None, Some(32)] {
            let run = |device: &Device| {
                let codes = from_slice(&codes, (n, z, y, x), device).unwrap();
                Targets::look_up(&codes, &tables, line).unwrap().to_host()
            };
            let (found, expected) = (run(card).unwrap(), run(&Device::Cpu).unwrap());
            assert!(found == expected, "{shape:?}");
            assert!(line.is_some() == expected.contains(&ON_LINE) || expected.len() < 64, "{shape:?}");
        }
    }
}

#[test]
fn a_card_halves_targets_as_the_host_does() {
    let Some(card) = card() else { return };
    for shape in SHAPES {
        let bytes: Vec<u8> = (0..shape.iter().product::<usize>())
            .map(|i| [0, FULL, IGNORED, 64, IGNORED, ON_LINE, 31, IGNORED][i * 7 / 3 % 8])
            .collect();
        let run = |device: &Device| {
            let halved = Targets::new(bytes.clone(), &shape, device).unwrap().halved().unwrap();
            (halved.dims().to_vec(), halved.to_host().unwrap())
        };
        assert_eq!(run(card), run(&Device::Cpu), "{shape:?}");
    }
}

#[test]
fn a_card_finds_the_one_code_that_says_nothing() {
    let Some(card) = card() else { return };
    for (count, at) in [(1, 0), (31, 30), (2048, 1000), (2049, 2048), (20_000, 17)] {
        let mut codes: Vec<u8> = (0..count).map(|i| [8, 64, 72, 15][i % 4]).collect();
        for (code, expected) in [(codes[at], false), (7, true)] {
            codes[at] = code;
            for device in [card, &Device::Cpu] {
                let codes = from_slice(&codes, count, device).unwrap();
                assert_eq!(any_without(&codes, 72).unwrap(), expected, "{at} of {count}");
            }
        }
    }
}
