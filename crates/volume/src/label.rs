//! Label maps: voxels that are small whole numbers.

use rayon::prelude::*;

use crate::error::VolumeError;
use crate::voxels::{Voxel, Voxels};
use crate::with_voxels;

/// The voxels as labels 0 to 255, whatever type a file stores them in.
///
/// # Errors
/// `ERR_GEOMETRY` naming the first value that is not a whole number from 0 to 255.
pub fn labels(voxels: &Voxels) -> Result<Vec<u8>, VolumeError> {
    with_voxels!(voxels, values => of(values))
}

fn of<T: Voxel>(values: &[T]) -> Result<Vec<u8>, VolumeError> {
    values
        .par_iter()
        .map(|&value| {
            let number = value.to_f64();
            let label = number as u8;
            if f64::from(label) == number {
                return Ok(label);
            }
            Err(VolumeError::geometry("the label map", format!("holds {number}; expected whole numbers from 0 to 255")))
        })
        .collect()
}

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
    fn whole_numbers_of_any_type_are_labels() {
        assert_eq!(labels(&vec![0.0f64, 1.0, 255.0].into()).unwrap(), [0, 1, 255]);
        assert_eq!(labels(&vec![2i16, 0].into()).unwrap(), [2, 0]);
        for wrong in [vec![0.5f64], vec![-1.0], vec![256.0], vec![f64::NAN]] {
            assert_eq!(labels(&wrong.into()).unwrap_err().code(), "ERR_GEOMETRY");
        }
    }
}
