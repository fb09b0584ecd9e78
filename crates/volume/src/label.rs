//! Label maps: voxels that are small whole numbers.

use std::fmt::Display;

use rayon::prelude::*;

use crate::error::VolumeError;
use crate::voxels::{Voxel, Voxels};
use crate::with_voxels;

/// The voxels as labels 0 to 255, whatever type a file stores them in; `name` is how they are called in errors.
///
/// # Errors
/// `ERR_GEOMETRY` naming the first value that is not a whole number from 0 to 255.
pub fn labels(voxels: &Voxels, name: impl Display) -> Result<Vec<u8>, VolumeError> {
    with_voxels!(voxels, values => of(values)).map_err(|number| {
        let problem = "expected a label map, with whole numbers from 0 to 255; is it a scan?";
        VolumeError::geometry(name, format!("holds {number}; {problem}"))
    })
}

/// The first value that is no label is the error.
fn of<T: Voxel>(values: &[T]) -> Result<Vec<u8>, f64> {
    values
        .par_iter()
        .map(|&value| {
            let number = value.to_f64();
            let label = number as u8;
            if f64::from(label) == number { Ok(label) } else { Err(number) }
        })
        .collect()
}

/// What `meaning` says of each voxel's value.
///
/// # Errors
/// A value of which it says nothing.
pub fn mapped(voxels: &Voxels, meaning: impl Fn(f64) -> Option<u8> + Sync) -> Result<Vec<u8>, f64> {
    with_voxels!(voxels, values => {
        let one = |value: f64| meaning(value).ok_or(value);
        values.par_iter().map(|&value| one(value.to_f64())).collect()
    })
}

/// The values that there are, in order, with their numbers of voxels; no more than [`MOST_DISTINCT`] of them.
pub fn distinct(voxels: &Voxels) -> Vec<(f64, u64)> {
    with_voxels!(voxels, values => distinct_of(values))
}

fn distinct_of<T: Voxel>(values: &[T]) -> Vec<(f64, u64)> {
    let of_chunk = |chunk: &[T]| {
        let mut found = Vec::new();
        for run in chunk.chunk_by(|a, b| a == b) {
            add(&mut found, run[0].to_f64(), run.len() as u64);
        }
        found
    };
    let joined = |mut a: Vec<(f64, u64)>, b: Vec<(f64, u64)>| {
        for (value, count) in b {
            add(&mut a, value, count);
        }
        a
    };
    values.par_chunks(CHUNK).map(of_chunk).reduce(Vec::new, joined)
}

fn add(found: &mut Vec<(f64, u64)>, value: f64, count: u64) {
    match found.binary_search_by(|(other, _)| other.total_cmp(&value)) {
        Ok(at) => found[at].1 += count,
        Err(at) if found.len() < MOST_DISTINCT => found.insert(at, (value, count)),
        Err(_) => {}
    }
}

/// A label map has fewer values.
pub const MOST_DISTINCT: usize = 300;

/// How many voxels hold each value.
pub fn counts(labels: &[u8]) -> [u64; 256] {
    let of_chunk = |chunk: &[u8]| {
        let mut counts = [0u64; 256];
        // Most of a label map is long stretches of one value.
        for run in chunk.chunks(RUN) {
            if run.iter().fold(0, |differs, label| differs | (label ^ run[0])) == 0 {
                counts[run[0] as usize] += run.len() as u64;
            } else {
                for &label in run {
                    counts[label as usize] += 1;
                }
            }
        }
        counts
    };
    let add = |a: [u64; 256], b: [u64; 256]| std::array::from_fn(|value| a[value] + b[value]);
    labels.par_chunks(CHUNK).map(of_chunk).reduce(|| [0; 256], add)
}

/// Voxels that are counted at once where they are alike, and that one thread takes at a time.
const RUN: usize = 64;
const CHUNK: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voxel_is_counted() {
        let labels: Vec<u8> =
            (0..3 * CHUNK + 77).map(|index| if index % 1000 < 700 { 3 } else { index as u8 }).collect();
        let found = counts(&labels);
        for value in [0u8, 3, 255] {
            let expected: u64 = labels.iter().map(|&label| u64::from(label == value)).sum();
            assert_eq!(found[value as usize], expected, "{value}");
        }
        assert_eq!(counts(&[]), [0; 256]);
    }

    #[test]
    fn values_are_mapped_or_told() {
        let voxels: Voxels = vec![-999i16, 0, 0, 2, 0, 2].into();
        assert_eq!(distinct(&voxels), [(-999.0, 1), (0.0, 3), (2.0, 2)]);
        assert_eq!(mapped(&voxels, |value| if value < 0.0 { None } else { Some(value as u8) }), Err(-999.0));
        assert_eq!(mapped(&voxels, |value| Some(u8::from(value > 0.0))).unwrap(), [0, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn whole_numbers_of_any_type_are_labels() {
        assert_eq!(labels(&vec![0.0f64, 1.0, 255.0].into(), "map").unwrap(), [0, 1, 255]);
        assert_eq!(labels(&vec![2i16, 0].into(), "map").unwrap(), [2, 0]);
        for wrong in [vec![0.5f64], vec![-1.0], vec![256.0], vec![f64::NAN]] {
            let error = labels(&wrong.into(), "scan.nii").unwrap_err();
            assert_eq!(error.code(), "ERR_GEOMETRY");
            assert!(error.to_string().starts_with("scan.nii: holds "), "{error}");
        }
    }
}
