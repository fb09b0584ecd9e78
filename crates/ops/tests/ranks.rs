//! Two processes, a card each, that add up and tell each other.
#![cfg(feature = "cuda")]

mod harness;

use std::env;
use std::process::{Child, Command};

use candle_core::{Device, Tensor};
use harness::card;
use pulmoav_ops::Ranks;

const RANK: &str = "PULMOAV_TEST_RANK";
const IDENTITY: &str = "PULMOAV_TEST_IDENTITY";

#[test]
fn two_processes_sum_and_share() {
    if let Ok(rank) = env::var(RANK) {
        return as_rank(rank.parse().unwrap());
    }
    if card().is_none() {
        return;
    }
    let identity: Vec<String> = Ranks::identity().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let start = |rank: usize| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "two_processes_sum_and_share", "--nocapture"])
            .env(RANK, rank.to_string())
            .env(IDENTITY, identity.concat())
            .spawn()
            .unwrap()
    };
    let ranks: Vec<Child> = (0..2).map(start).collect();
    for mut rank in ranks {
        assert!(rank.wait().unwrap().success());
    }
}

fn as_rank(rank: usize) {
    let text = env::var(IDENTITY).unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let identity: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
    let device = Device::new_cuda_with_stream(0).unwrap();
    let ranks = Ranks::join(&device, &identity, rank, 2).unwrap();
    let shapes: [&[usize]; 3] = [&[3, 5], &[1], &[7, 2, 2]];
    let of = |rank: usize, device: &Device| -> Vec<Tensor> {
        let noise = |(shape, seed): (&&[usize], u64)| harness::noise(shape, seed + 10 * rank as u64);
        shapes.iter().zip(1..).map(noise).map(|x| x.to_device(device).unwrap()).collect()
    };
    let sums = ranks.sum(&of(rank, &device)).unwrap();
    for (sum, (a, b)) in sums.iter().zip(of(0, &Device::Cpu).iter().zip(of(1, &Device::Cpu))) {
        assert_eq!(sum.dims(), a.dims());
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(sum), flat(&(a + b).unwrap()));
    }
    let texts = ["", "what the second rank says"];
    let said = ranks.share(texts[rank].as_bytes()).unwrap();
    assert_eq!(said, texts.map(|text| text.as_bytes().to_vec()));
}
