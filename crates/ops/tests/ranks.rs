//! Two processes, a card each, that add up and tell each other.
#![cfg(feature = "cuda")]

mod harness;

use std::env;
use std::process::{Child, Command};

use candle_core::{Device, Tensor, TensorId, Var};
use harness::card;
use pulmoav_ops::device::{Choice, choose};
use pulmoav_ops::{Ranks, linear, tape::Tape};

const RANK: &str = "PULMOAV_TEST_RANK";
const IDENTITY: &str = "PULMOAV_TEST_IDENTITY";

/// Runs `work` in two processes, which are both ranks of the same card's number; the test of that name calls this.
fn in_two_processes(test: &str, work: impl Fn(&Ranks, &Device)) {
    if let Ok(rank) = env::var(RANK) {
        let text = env::var(IDENTITY).unwrap();
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        let identity: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
        // As a run does: nothing orders streams but what the program says.
        let device = choose(Choice::Cuda(0)).unwrap().device;
        let ranks = Ranks::join(&device, &identity, rank.parse().unwrap(), 2).unwrap();
        return work(&ranks, &device);
    }
    if card().is_none() {
        return;
    }
    let identity: Vec<String> = Ranks::identity().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let start = |rank: usize| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(RANK, rank.to_string())
            .env(IDENTITY, identity.concat())
            .spawn()
            .unwrap()
    };
    let ranks: Vec<Child> = (0..2).map(start).collect();
    let ended: Vec<bool> = ranks.into_iter().map(|mut rank| rank.wait().unwrap().success()).collect();
    assert_eq!(ended, [true; 2]);
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

#[test]
fn two_processes_sum_and_share() {
    in_two_processes("two_processes_sum_and_share", |ranks, device| {
        let shapes: [&[usize]; 3] = [&[3, 5], &[1], &[7, 2, 2]];
        let of = |rank: usize, device: &Device| -> Vec<Tensor> {
            let noise = |(shape, seed): (&&[usize], u64)| harness::noise(shape, seed + 10 * rank as u64);
            shapes.iter().zip(1..).map(noise).map(|x| x.to_device(device).unwrap()).collect()
        };
        let sums = ranks.sum(&of(ranks.rank(), device)).unwrap();
        for (sum, (a, b)) in sums.iter().zip(of(0, &Device::Cpu).iter().zip(of(1, &Device::Cpu))) {
            assert_eq!(sum.dims(), a.dims());
            assert_eq!(flat(sum), flat(&(a + b).unwrap()));
        }
        let texts = ["", "what the second rank says"];
        let said = ranks.share(texts[ranks.rank()].as_bytes()).unwrap();
        assert_eq!(said, texts.map(|text| text.as_bytes().to_vec()));
    });
}

/// Layers of the small network below.
const LAYERS: u64 = 6;

/// The gradients of a rank's batch through a chain of layers, each handed to `take` when it is complete.
fn pass(rank: usize, device: &Device, mut take: impl FnMut(u64, Tensor)) {
    let on = |shape: &[usize], seed: u64| harness::noise(shape, seed).to_device(device).unwrap();
    let weights: Vec<Var> = (0..LAYERS).map(|seed| Var::from_tensor(&on(&[16, 16], seed)).unwrap()).collect();
    let x = on(&[64, 16], 100 + rank as u64);
    let (y, tape) = Tape::record(|| weights.iter().try_fold(x.clone(), |x, weight| linear(&x, weight, None))).unwrap();
    let number = |id: TensorId| weights.iter().position(|weight| weight.id() == id).unwrap() as u64;
    let mut hand_on = |id, gradient| {
        take(number(id), gradient);
        Ok(())
    };
    tape.backward_into(vec![(y, on(&[64, 16], 200))], &mut hand_on).unwrap();
}

#[test]
fn sums_begin_before_the_last_gradient_is_computed() {
    in_two_processes("sums_begin_before_the_last_gradient_is_computed", |ranks, device| {
        for _ in 0..2 {
            let mut exchange = ranks.exchange(LAYERS as usize * 16 * 16);
            let mut on_their_way = vec![];
            pass(ranks.rank(), device, |layer, gradient| {
                on_their_way.push(exchange.sent());
                exchange.add(layer, gradient).unwrap();
            });
            // When the last gradient came, the others had been sent.
            assert_eq!(on_their_way, [0, 1, 2, 3, 4, 5]);
            let sums = exchange.finish().unwrap();
            let gradients = |rank: usize| {
                let mut all = vec![];
                pass(rank, device, |layer, gradient| all.push((layer, gradient)));
                all
            };
            for ((layer, sum), ((_, a), (_, b))) in sums.iter().zip(gradients(0).iter().zip(&gradients(1))) {
                let expected: Vec<f32> = flat(a).iter().zip(flat(b)).map(|(a, b)| a + b).collect();
                assert_eq!(flat(sum), expected, "layer {layer}");
            }
        }
    });
}
