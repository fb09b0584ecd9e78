//! What losses over masked targets need of every voxel: sums a map, and the gradient that follows from slopes a map.
//! Few numbers leave the device; the formulas between the two stand with the losses.
//!
//! For a logit z, p = σ(z); the target's byte is the share y of the voxel in 1/128, [`ON_LINE`] (y = 1, on a centreline)
//! or [`IGNORED`], which has no part in anything.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::device::{from_host, to_host_bytes, with_host};

pub use cpu::halved;

/// The byte of a voxel that is all target.
pub const FULL: u8 = 128;
/// The byte of such a voxel on a centreline.
pub const ON_LINE: u8 = 129;
/// The byte of a voxel that nobody knows.
pub const IGNORED: u8 = 255;

/// Codes that a table of [`Targets::look_up`] tells apart: the lowest six bits.
pub const CODES: usize = 64;

/// Targets beside their logits.
#[derive(Debug, Clone)]
pub struct Targets(Tensor);

impl Targets {
    /// The host's bytes on a device.
    ///
    /// # Shapes
    /// `[n, .., maps]`.
    ///
    /// # Errors
    /// Another number of bytes than the shape has; a device without room.
    pub fn new(bytes: Vec<u8>, shape: &[usize], device: &Device) -> Result<Self> {
        Ok(Self(from_host(bytes, shape, device)?))
    }

    /// Looks up the byte of every voxel and map: `codes` has a byte a voxel, and each sample a table of [`CODES`] bytes a
    /// map. Where a code has the bit `line`, what is [`FULL`] becomes [`ON_LINE`].
    ///
    /// # Shapes
    /// `codes`: u8 `[n, z, y, x]` →
    /// `[n, z, y, x, maps]`.
    ///
    /// # Errors
    /// Another number of tables than samples, or tables that differ in their maps; a device without room.
    pub fn look_up(codes: &Tensor, tables: &[&[[u8; CODES]]], line: Option<u8>) -> Result<Self> {
        let ((n, z, y, x), maps) = (codes.dims4()?, tables.first().map_or(0, |table| table.len()));
        if tables.len() != n || tables.iter().any(|table| table.len() != maps) {
            bail!(
                "loss: {} tables for {n} samples, of {:?} maps",
                tables.len(),
                tables.iter().map(|table| table.len())
            );
        }
        let shape = [n, z, y, x, maps];
        let line = line.unwrap_or(0);
        #[cfg(feature = "cuda")]
        if codes.device().is_cuda() {
            let flat: Vec<u8> = tables.iter().flat_map(|table| table.iter().flatten().copied()).collect();
            let length = flat.len();
            let tables = from_host(flat, length, codes.device())?;
            return cuda::look_up(codes, &tables, shape, line).map(Self);
        }
        Self::new(cpu::look_up(&to_host_bytes(codes)?, tables, z * y * x, line), &shape, codes.device())
    }

    /// Bytes that a kernel made.
    pub(crate) fn of(bytes: Tensor) -> Self {
        Self(bytes)
    }

    /// The same at half the resolution, sizes rounded up; see [`halved`].
    ///
    /// # Shapes
    /// `[n, z, y, x, maps]`
    ///
    /// # Errors
    /// Another rank; a device without room.
    pub fn halved(&self) -> Result<Self> {
        let &[n, z, y, x, maps] = self.0.dims() else { bail!("loss: targets have shape {:?}", self.0.dims()) };
        #[cfg(feature = "cuda")]
        if self.0.device().is_cuda() {
            return cuda::halved(&self.0, [n, z, y, x, maps]).map(Self);
        }
        let (bytes, shape) = halved(&self.to_host()?, [n, z, y, x, maps]);
        Self::new(bytes, &shape, self.0.device())
    }

    /// The bytes, row-major.
    ///
    /// # Errors
    /// What reading the device gives.
    pub fn to_host(&self) -> Result<Vec<u8>> {
        self.0.flatten_all()?.to_vec1()
    }

    /// `[n, .., maps]`.
    pub fn dims(&self) -> &[usize] {
        self.0.dims()
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn tensor(&self) -> &Tensor {
        &self.0
    }
}

/// Sums over the known voxels of one sample and map.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Σ p y.
    pub both: f64,
    /// Σ p.
    pub predicted: f64,
    /// Σ y.
    pub reference: f64,
    /// Σ of the cross-entropy, softplus(z) − y z.
    pub bce: f64,
    /// How many are known.
    pub voxels: f64,
    /// Σ p on centrelines.
    pub line_found: f64,
    /// How many lie on centrelines.
    pub line_voxels: f64,
}

/// How many numbers [`Sums`] has.
const NUMBERS: usize = 7;

impl Sums {
    fn add(&mut self, part: [f64; NUMBERS]) {
        let [both, predicted, reference, bce, voxels, line_found, line_voxels] = part;
        self.both += both;
        self.predicted += predicted;
        self.reference += reference;
        self.bce += bce;
        self.voxels += voxels;
        self.line_found += line_found;
        self.line_voxels += line_voxels;
    }
}

/// The gradient by the logit of a known voxel of one sample and map:
/// `bce · (p − y) + (dice + dice_reference · y + line on centrelines) · p (1 − p)`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slopes {
    /// By the logit, a difference of p and y.
    pub bce: f32,
    /// By the probability.
    pub dice: f32,
    /// By the probability, a share of the target.
    pub dice_reference: f32,
    /// By the probability, on centrelines.
    pub line: f32,
}

/// `[samples, voxels, maps]` of logits.
#[derive(Debug, Clone, Copy)]
struct Extent {
    samples: usize,
    voxels: usize,
    maps: usize,
}

fn extent(logits: &Tensor, targets: &Targets) -> Result<Extent> {
    let (&[samples, .., maps], true) = (logits.dims(), logits.elem_count() > 0) else {
        bail!("loss: logits have shape {:?}, expected [n, .., maps] with at least one voxel", logits.dims());
    };
    if logits.dims() != targets.0.dims() {
        bail!("loss: logits are {:?}, targets {:?}", logits.dims(), targets.0.dims());
    }
    Ok(Extent { samples, voxels: logits.elem_count() / (samples * maps), maps })
}

/// Sums of each sample and map, maps fastest; one read of the device.
///
/// # Shapes
/// `logits` `[n, .., maps]`, targets the same → n · maps.
///
/// # Errors
/// Shapes that differ; tensors on different devices, or not contiguous.
pub fn sums(logits: &Tensor, targets: &Targets) -> Result<Vec<Sums>> {
    let extent = extent(logits, targets)?;
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        return cuda::sums(logits, &targets.0, extent);
    }
    let bytes = targets.0.flatten_all()?.to_vec1::<u8>()?;
    with_host(logits, |logits| cpu::sums(logits, &bytes, extent))
}

/// The gradient by the logits; `slopes` as [`sums`] gives its answers.
///
/// # Errors
/// As [`sums`]; another number of slopes.
pub fn gradient(logits: &Tensor, targets: &Targets, slopes: &[Slopes]) -> Result<Tensor> {
    let extent = extent(logits, targets)?;
    if slopes.len() != extent.samples * extent.maps {
        bail!("loss: {} slopes for logits of shape {:?}", slopes.len(), logits.dims());
    }
    let numbers: Vec<f32> = slopes.iter().flat_map(|s| [s.bce, s.dice, s.dice_reference, s.line]).collect();
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        let slopes = from_host(numbers, (slopes.len(), 4), logits.device())?;
        return cuda::gradient(logits, &targets.0, &slopes, extent);
    }
    let bytes = targets.0.flatten_all()?.to_vec1::<u8>()?;
    let gradient = with_host(logits, |logits| cpu::gradient(logits, &bytes, &numbers, extent))?;
    from_host(gradient, logits.shape(), logits.device())?.to_dtype(DType::F32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two samples of two voxels and two maps.
    fn example() -> Result<(Tensor, Targets)> {
        let logits = Tensor::new(&[[[0.0_f32, 2.0], [-1.0, 0.5]], [[3.0, -2.0], [1.0, 0.0]]], &Device::Cpu)?;
        let bytes = vec![FULL, 0, 0, IGNORED, ON_LINE, 64, IGNORED, ON_LINE];
        Ok((logits, Targets::new(bytes, &[2, 2, 2], &Device::Cpu)?))
    }

    fn sigmoid(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp())
    }

    #[test]
    fn sums_by_hand() -> Result<()> {
        let (logits, targets) = example()?;
        let found = sums(&logits, &targets)?;
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        close(found[0].both, 0.5);
        close(found[0].predicted, 0.5 + sigmoid(-1.0));
        close(found[0].bce, 2.0_f64.ln() + (1.0 + (-1.0_f64).exp()).ln());
        assert_eq!((found[0].voxels, found[1].voxels, found[2].voxels, found[3].voxels), (2.0, 1.0, 1.0, 2.0));
        close(found[2].line_found, sigmoid(3.0));
        assert_eq!((found[2].line_voxels, found[3].line_voxels), (1.0, 1.0));
        close(found[3].reference, 1.5);
        close(found[3].both, 0.5 * sigmoid(-2.0) + 0.5);
        Ok(())
    }

    /// The gradient of L = Σ a bce + b Σ p + c Σ p y + d Σ p on lines, against finite differences of the sums.
    #[test]
    fn the_gradient_is_that_of_the_sums() -> Result<()> {
        let (logits, targets) = example()?;
        let slopes: Vec<Slopes> = (0..4)
            .map(|i| i as f32)
            .map(|i| Slopes { bce: 0.3 + i, dice: 0.7 - i, dice_reference: 0.2 * i, line: -0.5 + i })
            .collect();
        let loss = |logits: &Tensor| -> Result<f64> {
            let terms = sums(logits, &targets)?;
            let weighted = terms.iter().zip(&slopes).map(|(sums, slopes)| {
                let by = |slope: f32, sum: f64| f64::from(slope) * sum;
                by(slopes.bce, sums.bce)
                    + by(slopes.dice, sums.predicted)
                    + by(slopes.dice_reference, sums.both)
                    + by(slopes.line, sums.line_found)
            });
            Ok(weighted.sum())
        };
        let found = gradient(&logits, &targets, &slopes)?.flatten_all()?.to_vec1::<f32>()?;
        let start = logits.flatten_all()?.to_vec1::<f32>()?;
        for (at, &slope) in found.iter().enumerate() {
            let moved = |by: f32| {
                let mut values = start.clone();
                values[at] += by;
                loss(&Tensor::from_vec(values, (2, 2, 2), &Device::Cpu)?)
            };
            let expected = (moved(1e-2)? - moved(-1e-2)?) / 2e-2;
            assert!((f64::from(slope) - expected).abs() < 2e-4, "{at}: {slope} {expected}");
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() -> Result<()> {
        let (logits, targets) = example()?;
        assert!(sums(&logits.narrow(0, 0, 1)?, &targets).is_err());
        assert!(gradient(&logits, &targets, &[Slopes::default()]).is_err());
        Ok(())
    }
}
