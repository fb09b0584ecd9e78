//! A scan on a card: as it is stored, on another grid, and what a network sees of it. What the host does instead is
//! `volume`'s resampling, which is the reference: tests of `segment` hold one against the other to the bit.

#[cfg(feature = "cuda")]
mod cuda;
mod lines;

use candle_core::{Device, Result, Tensor, bail};

#[cfg(feature = "cuda")]
pub(crate) use cuda::{lines_of, table_of};
pub use lines::{Line, Lines, Table};

use crate::device::from_slice;

/// Voxels as a scan stores them.
#[derive(Debug, Clone, Copy)]
pub enum Voxels<'a> {
    /// Whole numbers of 16 bits.
    I16(&'a [i16]),
    /// All others.
    F32(&'a [f32]),
}

/// A part of a scan on a device, as it lies in memory.
#[derive(Debug)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub struct Scan {
    values: Tensor,
    origin: i32,
    steps: [i32; 3],
    size: [usize; 3],
}

impl Scan {
    /// Takes voxels to a device, once. Voxel `[z, y, x]` of `size` is value `origin + z · steps[0] + y · steps[1] + x ·
    /// steps[2]`.
    ///
    /// # Errors
    /// A voxel that is none of the values; more values than a kernel counts; a device without room.
    pub fn new(
        voxels: Voxels<'_>,
        origin: usize,
        steps: [isize; 3],
        size: [usize; 3],
        device: &Device,
    ) -> Result<Self> {
        let count = match voxels {
            Voxels::I16(values) => values.len(),
            Voxels::F32(values) => values.len(),
        };
        let ends = [0, 1, 2].map(|axis| (size[axis] as isize - 1) * steps[axis]);
        let low = origin as isize + ends.iter().filter(|&&end| end < 0).sum::<isize>();
        let high = origin as isize + ends.iter().filter(|&&end| end > 0).sum::<isize>();
        if size.contains(&0) || low < 0 || high >= count as isize {
            bail!("resample: {count} values do not hold {size:?} voxels from {origin} on in steps of {steps:?}");
        }
        let small =
            |number: isize| i32::try_from(number).map_err(|_| candle_core::Error::msg("resample: a scan is too large"));
        small(count as isize)?;
        let values = match voxels {
            Voxels::I16(values) => from_slice(values, count, device)?,
            Voxels::F32(values) => from_slice(values, count, device)?,
        };
        let steps = [small(steps[0])?, small(steps[1])?, small(steps[2])?];
        Ok(Self { values, origin: small(origin as isize)?, steps, size })
    }

    /// Voxels, `[z, y, x]`.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Where it is.
    pub fn device(&self) -> &Device {
        self.values.device()
    }

    /// The voxels on another grid: along z first, then y, then x, products rounded before they are added.
    ///
    /// # Shapes
    /// → f32 `[z, y, x]` of `lines.size()`.
    ///
    /// # Errors
    /// Lines that reach beyond the scan; a device without room or code.
    pub fn resampled(&self, lines: &Lines) -> Result<Tensor> {
        if (0..3).any(|axis| lines.reach[axis] > self.size[axis]) {
            bail!("resample: lines reach {:?} of {:?} voxels", lines.reach, self.size);
        }
        #[cfg(feature = "cuda")]
        return cuda::resample(self, lines);
        #[cfg(not(feature = "cuda"))]
        no_code(&self.values)
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn values(&self) -> &Tensor {
        &self.values
    }
}

/// Sets values where the table has a bit of `mask`, or, unless `marked`, where it has none.
///
/// # Shapes
/// `values`: f32 `[z, y, x]`, the voxels that see the table.
///
/// # Errors
/// Another number of values; a device without code.
#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
#[allow(clippy::needless_pass_by_value)] // They are changed where they lie: nobody else is to hold them.
pub fn paint(values: Tensor, table: &Table, mask: u8, marked: bool, value: f32) -> Result<Tensor> {
    if values.dims() != table.size {
        bail!("resample: {:?} values for a table seen from {:?} voxels", values.dims(), table.size);
    }
    #[cfg(feature = "cuda")]
    return cuda::paint(values, table, mask, marked, value);
    #[cfg(not(feature = "cuda"))]
    no_code(&values)
}

/// What a network sees of each voxel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Channel {
    /// Values from a low end on, over a width, clipped to 0..1; NaN is 0.
    Window {
        /// The value that becomes 0.
        low: f32,
        /// How far above it that is which becomes 1.
        width: f32,
    },
    /// What the line along x says.
    Line,
}

/// Makes the channels of each voxel.
///
/// # Shapes
/// `values`: f32 `[z, y, x]`; `line`: `[x]` → `[z, y, x, c]`.
///
/// # Errors
/// Other shapes; more than 32 channels; a device without room or code.
pub fn channels(values: &Tensor, line: &[f32], channels: &[Channel]) -> Result<Tensor> {
    let (_, _, width) = values.dims3()?;
    if line.len() != width || channels.is_empty() || channels.len() > 32 {
        bail!("resample: {} channels and a line of {} values for rows of {width}", channels.len(), line.len());
    }
    #[cfg(feature = "cuda")]
    return cuda::channels(values, line, channels);
    #[cfg(not(feature = "cuda"))]
    no_code(values)
}

#[cfg(not(feature = "cuda"))]
fn no_code(values: &Tensor) -> Result<Tensor> {
    bail!("resample: there is no code for {:?}", values.device().location())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voxels_beyond_the_values_are_refused() {
        let scan =
            |origin: usize, steps: [isize; 3]| Scan::new(Voxels::I16(&[0; 24]), origin, steps, [2, 3, 4], &Device::Cpu);
        assert!(scan(0, [12, 4, 1]).is_ok() && scan(23, [-12, -4, -1]).is_ok());
        assert!(scan(1, [12, 4, 1]).is_err() && scan(22, [-12, -4, -1]).is_err());
    }
}
