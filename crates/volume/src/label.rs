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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_any_type_are_labels() {
        assert_eq!(labels(&vec![0.0f64, 1.0, 255.0].into()).unwrap(), [0, 1, 255]);
        assert_eq!(labels(&vec![2i16, 0].into()).unwrap(), [2, 0]);
        for wrong in [vec![0.5f64], vec![-1.0], vec![256.0], vec![f64::NAN]] {
            assert_eq!(labels(&wrong.into()).unwrap_err().code(), "ERR_GEOMETRY");
        }
    }
}
