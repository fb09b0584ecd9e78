//! Work that a card is given as one launch, beside the same work launch by launch.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)]

mod harness;

use std::env;
use std::fs;

use candle_core::{DType, Device, Error, Result, Tensor};
use harness::{card, is_child, noise};
use pulmoav_ops::device::{Choice, Repeated, choose, room, to_host};
use pulmoav_ops::{Activation, Input, concat_channels, conv3d, instance_norm, linear};

const SHAPE: [usize; 5] = [2, 4, 5, 6, 3];

/// As a run opens it: nothing orders streams but what the program says.
fn device() -> Option<Device> {
    card().map(|_| choose(Choice::Cuda(0)).unwrap().device)
}

fn inputs(shape: &[usize], device: &Device) -> Vec<Tensor> {
    (0..5).map(|seed| noise(shape, seed).to_device(device).unwrap()).collect()
}

/// Answers of the work itself, and those of it repeated; why it was not recorded.
fn both(inputs: &[Tensor], work: impl Fn(Tensor) -> Result<Tensor>) -> ([Vec<Vec<f32>>; 2], Option<String>) {
    let plain = inputs.iter().map(|input| to_host(&work(input.clone()).unwrap()).unwrap()).collect();
    let mut repeated = Repeated::new(inputs[0].device(), inputs.len());
    let answers = inputs.iter().map(|input| to_host(&repeated.run(input.clone(), &work).unwrap()).unwrap());
    let answers = answers.collect();
    ([plain, answers], repeated.refused().map(str::to_owned))
}

#[test]
fn a_card_repeats_what_was_recorded() {
    let Some(device) = device() else { return };
    let ([plain, answers], refused) = both(&inputs(&SHAPE, &device), |input| (input.sqr()? + 1.0)?.sqrt());
    assert_eq!(refused, None);
    assert!(plain == answers);
}

/// Ours and candle's operators, with tables of shapes and strides; in f32 and bf16.
#[test]
fn operators_can_be_recorded() {
    let Some(device) = device() else { return };
    let on = |tensor: Tensor| tensor.to_device(&device).unwrap();
    let (weight, last) = (on(noise(&[3, 3, 3, 3, 8], 7)), on(noise(&[11, 4], 8)));
    let line = on(noise(&[4], 9));
    for dtype in [DType::F32, DType::BF16] {
        let work = |input: Tensor| {
            let y = conv3d(&input, &weight.to_dtype(dtype)?, None, [1; 3], [1; 3])?;
            let y = instance_norm(Input::Spent(y), None, None, 1e-5, Activation::LeakyRelu(0.01))?;
            let y = linear(&concat_channels(&input, &y)?, &last.to_dtype(dtype)?, None)?;
            let turned = y.transpose(1, 3)?.contiguous()?.transpose(1, 3)?.contiguous()?;
            Tensor::cat(&[turned.broadcast_mul(&line.to_dtype(dtype)?)?, y], 4)
        };
        let inputs: Vec<Tensor> =
            inputs(&SHAPE, &device).into_iter().map(|input| input.to_dtype(dtype).unwrap()).collect();
        let ([plain, answers], refused) = both(&inputs, work);
        assert_eq!(refused, None);
        assert!(plain == answers, "{dtype:?}");
    }
}

#[test]
fn what_comes_back_to_the_host_is_not_recorded() {
    let Some(device) = device() else { return };
    let inputs = inputs(&SHAPE, &device);
    let reading = |input: Tensor| {
        let doubled = (input * 2.0)?;
        let first = to_host(&doubled)?[0];
        doubled + f64::from(first)
    };
    let ([plain, answers], refused) = both(&inputs, reading);
    assert!(refused.is_some());
    assert!(plain == answers);
    // What the host hands over is too much to be kept, and differs.
    let large = noise(&SHAPE, 3).repeat((9, 1, 1, 1, 1)).unwrap();
    let handing = |input: Tensor| input + large.to_device(&device)?.narrow(0, 0, 2)?;
    let ([plain, answers], refused) = both(&inputs, handing);
    assert!(plain == answers && refused.is_some());
    // The device works as before.
    let ([plain, answers], refused) = both(&inputs, |input| input * 3.0);
    assert!(plain == answers && refused.is_none());
}

#[test]
fn an_error_of_the_work_stays_one() {
    let Some(device) = device() else { return };
    let mut repeated = Repeated::new(&device, 3);
    let failing = |_: Tensor| Err(Error::msg("it failed"));
    for input in inputs(&SHAPE, &device).into_iter().take(3) {
        let error = repeated.run(input, failing).unwrap_err();
        assert!(error.to_string().contains("it failed"), "{error}");
    }
}

/// The last group of several is smaller, mostly.
#[test]
fn inputs_of_another_shape_are_answered_too() {
    let Some(device) = device() else { return };
    let mut inputs = inputs(&SHAPE, &device);
    inputs.push(noise(&[1, 4, 5, 6, 3], 9).to_device(&device).unwrap());
    inputs.push(inputs[0].clone());
    let ([plain, answers], refused) = both(&inputs, |input| input.affine(2.0, -1.0)?.relu());
    assert_eq!(refused, None);
    assert!(plain == answers);
}

/// Counters of the driver double (`crates/cuda-double/src/counts.rs`) after `work`: launches, those of graphs, and what
/// these ran. `None` on a card.
fn counted(work: impl FnOnce()) -> Option<[u64; 3]> {
    let file = env::var_os("EMU_COUNTS")?;
    let read = || -> Option<Vec<u64>> {
        let bytes = fs::read(&file).ok()?;
        Some(bytes.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap())).collect())
    };
    let before = read();
    work();
    let (before, after) = (before?, read()?);
    Some([6, 8, 9].map(|at| after[at] - before[at]))
}

/// Two kernels.
fn two(input: Tensor) -> Result<Tensor> {
    input.sqr()?.sqrt()
}

fn repeat(count: usize, shape: &[usize], device: &Device) -> Option<String> {
    let mut repeated = Repeated::new(device, count);
    let input = noise(shape, 1).to_device(device).unwrap();
    for _ in 0..count {
        repeated.run(input.clone(), two).unwrap();
    }
    to_host(&repeated.run(input, two).unwrap()).unwrap();
    repeated.refused().map(str::to_owned)
}

#[test]
fn the_driver_sees_one_launch_an_input() {
    if !is_child("the_driver_sees_one_launch_an_input", &[]) {
        return;
    }
    let device = device().unwrap();
    // The first is launched by itself, the others as one each.
    if let Some(counts) = counted(|| assert_eq!(repeat(9, &SHAPE, &device), None)) {
        assert_eq!(counts, [2, 9, 18]);
    }
    // Too few to be worth it.
    if let Some(counts) = counted(|| assert_eq!(repeat(2, &SHAPE, &device), None)) {
        assert_eq!(counts, [6, 0, 0]);
    }
}

#[test]
fn a_variable_turns_it_off() {
    if !is_child("a_variable_turns_it_off", &[("PULMOAV_CUDA_GRAPHS", "0")]) {
        return;
    }
    let device = device().unwrap();
    if let Some(counts) = counted(|| assert_eq!(repeat(9, &SHAPE, &device), None)) {
        assert_eq!(counts, [20, 0, 0]);
    }
}

/// Kernels are raced in the first answer, before anything is recorded; what that left open is not raced later.
#[test]
fn races_are_over_when_work_is_recorded() {
    if !is_child("races_are_over_when_work_is_recorded", &[("PULMOAV_CUDA_CONV", "race")]) {
        return;
    }
    let device = device().unwrap();
    let shape = [1, 4, 5, 6, 16];
    let all = inputs(&shape, &device);
    let empty = Tensor::zeros(&shape, DType::F32, &device).unwrap();
    for (first, results) in [(&empty, 40), (&all[0], 48)] {
        let weight = noise(&[3, 3, 3, 16, results], 7).to_dtype(DType::BF16).unwrap().to_device(&device).unwrap();
        let work =
            |input: Tensor| conv3d(&input.to_dtype(DType::BF16)?, &weight, None, [1; 3], [1; 3])?.to_dtype(DType::F32);
        let inputs: Vec<&Tensor> = std::iter::once(first).chain(&all[1..]).collect();
        let mut repeated = Repeated::new(&device, inputs.len());
        let answer = |input: &&Tensor| to_host(&repeated.run((*input).clone(), work).unwrap()).unwrap();
        let mut answers = vec![];
        let counts = counted(|| answers = inputs.iter().map(answer).collect());
        assert_eq!(repeated.refused(), None);
        assert!(counts.is_none_or(|[_, graphs, _]| graphs == 4), "{counts:?}");
        let plain: Vec<_> = inputs.iter().map(|&input| to_host(&work(input.clone()).unwrap()).unwrap()).collect();
        assert_eq!(plain.len(), answers.len());
        // Kernels sum in orders of their own: on a card, one that won later may round otherwise.
        let most = |values: &[f32]| values.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        for (plain, answer) in plain.iter().zip(&answers) {
            let differences: Vec<f32> = plain.iter().zip(answer).map(|(a, b)| a - b).collect();
            assert!(most(&differences) <= most(plain) / 64.0);
        }
    }
}

/// Values of 4 MiB; the tests below have memory for a little more than 11 and 9 times as many.
const LARGE: usize = 1 << 20;

/// A sum that takes seven times its input, beside it.
fn wide(input: Tensor) -> Result<Tensor> {
    let [a, b, c, d] = [2.0, 3.0, 4.0, 5.0].map(|by| &input * by);
    let (a, b, c, d) = (a?, b?, c?, d?);
    let (ab, cd) = ((&a + &b)?, (&c + &d)?);
    ab + cd
}

/// Repeats it and gives launches of graphs, where they can be counted, and why there were none.
fn in_little_room() -> (Option<u64>, Option<String>) {
    let device = device().unwrap();
    let before = room(&device).unwrap();
    let mut refused = None;
    let counts = counted(|| {
        let inputs: Vec<Tensor> = (0..4).map(|seed| noise(&[LARGE], seed)).collect();
        let mut repeated = Repeated::new(&device, inputs.len());
        for input in inputs {
            let expected = wide(input.clone()).unwrap().to_vec1::<f32>().unwrap();
            let input = input.to_device(&device).unwrap();
            assert!(to_host(&repeated.run(input, wide).unwrap()).unwrap() == expected);
        }
        refused = repeated.refused().map(str::to_owned);
    });
    // All of it is given back, once what was to be freed is.
    device.synchronize().unwrap();
    let after = room(&device).unwrap();
    assert!(after.free_bytes + (1 << 20) > before.free_bytes, "{before:?} {after:?}");
    (counts.map(|[_, graphs, _]| graphs), refused)
}

/// The pool keeps what the first run took: it is given back for the graph's own memory.
#[test]
fn what_the_pool_keeps_is_given_back_for_a_graph() {
    // Input, two fixed ones and seven of the graph, but not as many of the pool.
    if !is_child("what_the_pool_keeps_is_given_back_for_a_graph", &[("EMU_MEMORY", "47185920")]) {
        return;
    }
    let (graphs, refused) = in_little_room();
    assert!(graphs.is_none_or(|graphs| graphs == 3), "{graphs:?} {refused:?}");
    assert!(graphs.is_none() || refused.is_none(), "{refused:?}");
}

#[test]
fn without_room_for_a_graph_launches_stay_single() {
    // Enough for the sum, not for fixed inputs and answers beside it.
    if !is_child("without_room_for_a_graph_launches_stay_single", &[("EMU_MEMORY", "38797312")]) {
        return;
    }
    let (graphs, refused) = in_little_room();
    if let Some(graphs) = graphs {
        assert_eq!(graphs, 0);
        assert!(refused.as_deref().is_some_and(|why| why.contains("OUT_OF_MEMORY")), "{refused:?}");
    }
}
