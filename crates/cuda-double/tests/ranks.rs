//! Two processes, each on a double of its own, reduce together; one that dies is an error for the other.
#![allow(clippy::unwrap_used)]

mod double;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Instant;

use double::*;

const SUM: i32 = 0;
const MEAN: i32 = 4;
const F32: i32 = 7;
const REMOTE_ERROR: i32 = 6;
/// More than a piece of the shared file.
const COUNT: usize = 300_000;

fn join(rank: i32, id: UniqueId) -> u64 {
    let mut communicator = 0u64;
    let code = ncclCommInitRank(&raw mut communicator, 2, id, rank);
    assert_eq!(code, 0);
    communicator
}

fn reduce(from: u64, to: u64, count: usize, reduction: i32, communicator: u64) -> i32 {
    ncclAllReduce(from, to, count, F32, reduction, communicator, 0)
}

fn values(rank: i32) -> Vec<f32> {
    (0..COUNT).map(|at| (at as f32 * 0.37 + rank as f32).sin()).collect()
}

/// What a rank does; rank 1 ends without a word where it is told to.
fn rank(rank: i32, id: UniqueId, dies: bool) {
    assert_eq!(cuInit(0), 0);
    let communicator = join(rank, id);
    let (own, to) = (upload(&values(rank)), upload(&vec![0.0; COUNT]));
    assert_eq!(reduce(own, to, COUNT, SUM, communicator), 0);
    let want: Vec<f32> = values(0).iter().zip(values(1)).map(|(a, b)| a + b).collect();
    assert!(download(to, COUNT) == want, "sums");
    assert_eq!(reduce(own, own, COUNT, MEAN, communicator), 0);
    let want: Vec<f32> = want.iter().map(|sum| sum / 2.0).collect();
    assert!(download(own, COUNT) == want, "means");
    if dies {
        if rank == 1 {
            std::process::exit(7);
        }
        let start = Instant::now();
        assert_eq!(reduce(own, to, COUNT, SUM, communicator), REMOTE_ERROR);
        assert!(start.elapsed().as_secs() < 20);
        assert!(download(own, COUNT) == want, "what the device holds can still be read");
        assert_eq!(ncclCommAbort(communicator), 0);
        return;
    }
    let code = ncclBroadcast(own, to, 4, F32, 1, communicator, 0);
    assert_eq!(code, 0);
    assert_eq!(ncclCommDestroy(communicator), 0);
}

/// The part of rank 1, which reads the name of the room from its standard input.
#[test]
fn second() {
    if std::env::var("CASE").is_err() {
        return;
    }
    let mut line = String::new();
    BufReader::new(std::io::stdin()).read_line(&mut line).unwrap();
    let mut id = UniqueId([0; 128]);
    id.0[..line.trim().len()].copy_from_slice(line.trim().as_bytes());
    rank(1, id, std::env::var("DIES").is_ok());
}

fn both(dies: bool) -> Option<i32> {
    let mut id = UniqueId([0; 128]);
    assert_eq!(ncclGetUniqueId(&raw mut id), 0);
    let settings: &[(&str, &str)] = if dies { &[("DIES", "1")] } else { &[] };
    let mut other =
        process("second", settings).env("CASE", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let name = String::from_utf8_lossy(&id.0).trim_end_matches('\0').to_owned();
    writeln!(other.stdin.take().unwrap(), "{name}").unwrap();
    rank(0, id, dies);
    let output = other.wait_with_output().unwrap();
    if !dies {
        passed(&output);
    }
    output.status.code()
}

#[test]
fn two_ranks_reduce_together() {
    assert_eq!(both(false), Some(0));
}

#[test]
fn a_rank_that_dies_is_an_error_for_the_other() {
    assert_eq!(both(true), Some(7));
}
