//! A patch of a training run on a card, and what augmentations do to its voxels there. What happens to a patch, and how
//! strongly, is drawn on the host; `train`'s `augment` holds the host's own way, which is the reference: tests of `train`
//! hold one against the other to the bit.

#[cfg(feature = "cuda")]
mod cuda;

use candle_core::{Device, Result, Tensor, bail};

use crate::device::{from_slice, to_host_bytes};
pub use crate::resample::Channel;

/// A patch whose voxels lie on a card.
#[derive(Debug, Clone)]
pub struct CardPatch {
    /// f32 `[z, y, x]`.
    hu: Tensor,
    /// f32 `[z, y, x]`.
    side: Tensor,
    /// u8 `[z, y, x]`, of the bits that [`pseudo`](crate::pseudo) names.
    codes: Tensor,
}

/// Where the voxels of each axial slice come from: voxel `(y, x)` takes value `origin + y · steps[0] + x · steps[1]` of
/// the slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// What voxel (0, 0) takes.
    pub origin: usize,
    /// How far on the next one along y, and along x, is taken from.
    pub steps: [isize; 2],
    /// Left becomes right: sides change their sign, codes their side.
    pub swaps_sides: bool,
}

/// Where voxels come from that leave their grid: with p a voxel's place in mm from the patch's middle and d the field's
/// shift there, what lay at `linear` (p + d).
#[derive(Debug, Clone, PartialEq)]
pub struct Warp<'a> {
    /// Voxels that come out, `[z, y, x]`.
    pub shape: [usize; 3],
    /// Of a voxel.
    pub spacing_mm: [f32; 3],
    /// Rows of the matrix.
    pub linear: [[f32; 3]; 3],
    /// Shifts, where there are any.
    pub field: Option<Field<'a>>,
}

/// Cubic B-splines through the shifts of a grid's points; the first voxel lies in the first cell that has a point before
/// it.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Points along each axis, at least 4.
    pub points: [usize; 3],
    /// Their distance.
    pub grid_mm: f32,
    /// Of every point, `[z, y, x]`, mm along each axis.
    pub shifts: &'a [[f32; 3]],
}

/// A curve that is straight between places at equal distances; values beyond its ends stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve<'a> {
    /// The first value that it changes, and the last one.
    pub ends: [f32; 2],
    /// Its values: one more than pieces, and one beyond, so that the last place has a line too.
    pub places: &'a [f32],
    /// Whether it is applied to values turned around between the ends, and what comes out turned back.
    pub inverted: bool,
}

/// Noise: the normal numbers of a stream, smoothed and scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grain<'a> {
    /// Standard deviation that comes out.
    pub sd: f32,
    /// Half of the kernel that smooths, centre first; empty: none does.
    pub kernel: &'a [f32],
    /// Of Philox.
    pub key: [u32; 2],
    /// Of Philox, for the first eight numbers; its low 64 bits count on.
    pub counter: [u32; 4],
}

/// What a plane becomes: the sum of planes from `first` on, each with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    /// The first plane that counts.
    pub first: usize,
    /// Of the planes that count.
    pub weights: Vec<f32>,
}

/// Parts of 2¹⁶ that normal numbers are quantiles of.
pub const QUANTILES: usize = 1 << 16;

impl CardPatch {
    /// Takes a patch to a card.
    ///
    /// # Shapes
    /// `hu` and `codes`: `[z, y, x]` of `shape`; `side`: `[x]`, the same for all rows.
    ///
    /// # Errors
    /// Other numbers of values, or none; a device without room or code.
    pub fn new(hu: &[i16], side: &[f32], codes: &[u8], shape: [usize; 3], device: &Device) -> Result<Self> {
        let voxels = shape.iter().product::<usize>();
        if hu.len() != voxels || codes.len() != voxels || side.len() != shape[2] || voxels == 0 {
            bail!(
                "augment: {} values, {} codes and a row of {} sides for {shape:?} voxels",
                hu.len(),
                codes.len(),
                side.len()
            );
        }
        let (hu, side) = (from_slice(hu, &shape, device)?, from_slice(side, shape[2], device)?);
        let codes = from_slice(codes, &shape, device)?;
        #[cfg(feature = "cuda")]
        return cuda::begin(&hu, &side, codes);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&hu, &side, &codes])
    }

    /// Voxels, `[z, y, x]`.
    pub fn shape(&self) -> [usize; 3] {
        let dims = self.hu.dims();
        [dims[0], dims[1], dims[2]]
    }

    /// HU, f32 `[z, y, x]`.
    pub fn hu(&self) -> &Tensor {
        &self.hu
    }

    /// The side channel, f32 `[z, y, x]`.
    pub fn side(&self) -> &Tensor {
        &self.side
    }

    /// The codes, u8 `[z, y, x]`.
    pub fn codes(&self) -> &Tensor {
        &self.codes
    }

    /// Moves voxels within each axial slice.
    ///
    /// # Errors
    /// A voxel that would come from beyond its slice; a device without room or code.
    pub fn shuffle(&mut self, by: Move) -> Result<()> {
        let [_, height, width] = self.shape();
        let ends = [(height as isize - 1) * by.steps[0], (width as isize - 1) * by.steps[1]];
        let reach = |sign: fn(&&isize) -> bool| by.origin as isize + ends.iter().filter(sign).sum::<isize>();
        if reach(|end| **end < 0) < 0 || reach(|end| **end > 0) >= (height * width) as isize {
            bail!("augment: {by:?} takes voxels from beyond a slice of {height} × {width}");
        }
        #[cfg(feature = "cuda")]
        return cuda::shuffle(self, by);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Resamples: HU and side by linear interpolation, the code of the nearest voxel. Beyond the patch its border is
    /// repeated, without supervision.
    ///
    /// # Errors
    /// A field of fewer than 4 points along an axis, or with another number of shifts; a device without room or code.
    pub fn warp(&mut self, by: &Warp<'_>) -> Result<()> {
        let fits = |field: &Field| {
            field.points.iter().all(|&points| points >= 4)
                && field.shifts.len() == field.points.iter().product::<usize>()
        };
        if by.shape.contains(&0) || !by.field.as_ref().is_none_or(fits) {
            bail!("augment: a warp to {:?} voxels whose field does not fit its points", by.shape);
        }
        #[cfg(feature = "cuda")]
        return cuda::warp(self, by);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Sends HU through a curve.
    ///
    /// # Errors
    /// A curve of fewer than 3 places; a device without room or code.
    pub fn curve(&mut self, by: Curve<'_>) -> Result<()> {
        if by.places.len() < 3 {
            bail!("augment: a curve of {} places", by.places.len());
        }
        #[cfg(feature = "cuda")]
        return cuda::curve(self, by);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Multiplies the distance of HU to their mean.
    ///
    /// # Errors
    /// A device without room or code.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn stretch(&mut self, factor: f32) -> Result<()> {
        #[cfg(feature = "cuda")]
        return cuda::stretch(self, factor);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Adds to HU.
    ///
    /// # Errors
    /// A device without room or code.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn shift(&mut self, amount: f32) -> Result<()> {
        #[cfg(feature = "cuda")]
        return cuda::shift(self, amount);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Smooths HU along each axis by half of a kernel, centre first; edges repeat. An empty one does nothing.
    ///
    /// # Errors
    /// A device without room or code.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn smooth(&mut self, kernel: &[f32]) -> Result<()> {
        #[cfg(feature = "cuda")]
        return cuda::smooth(self, kernel);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Adds noise to HU.
    ///
    /// # Shapes
    /// `quantiles`: f32 `[QUANTILES]`, the middles of as many parts of the normal distribution.
    ///
    /// # Errors
    /// Another number of quantiles; a device without room or code.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn grain(&mut self, by: &Grain<'_>, quantiles: &Tensor) -> Result<()> {
        if quantiles.dims() != [QUANTILES] {
            bail!("augment: quantiles of shape {:?}, expected [{QUANTILES}]", quantiles.dims());
        }
        #[cfg(feature = "cuda")]
        return cuda::grain(self, by, quantiles);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Replaces each plane of HU across an axis by an average of planes.
    ///
    /// # Errors
    /// Another number of averages than planes, or planes that are none; a device without room or code.
    pub fn average(&mut self, axis: usize, averages: &[Average]) -> Result<()> {
        let planes = self.hu.dim(axis)?;
        let fits = |average: &Average| average.first + average.weights.len() <= planes;
        if averages.len() != planes || !averages.iter().all(fits) {
            bail!("augment: {} averages of {planes} planes across axis {axis}", averages.len());
        }
        #[cfg(feature = "cuda")]
        return cuda::average(self, axis, averages);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// Gives every voxel the label of its cube: of the labels 1 and 2 the commoner one where they fill at least this
    /// share of it, else 3 where that does, else 0.
    ///
    /// # Shapes
    /// `cubes`: the cube of each voxel along each axis, rising.
    ///
    /// # Errors
    /// Another number of voxels; cubes that fall; a device without room or code.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn coarsen(&mut self, cubes: &[Vec<usize>; 3], min_share: f32) -> Result<()> {
        let shape = self.shape();
        if (0..3).any(|axis| cubes[axis].len() != shape[axis] || !cubes[axis].is_sorted()) {
            bail!("augment: cubes that do not fit {shape:?} voxels");
        }
        #[cfg(feature = "cuda")]
        return cuda::coarsen(self, cubes, min_share);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }

    /// What a network is shown; [`Channel::Line`] is the side.
    ///
    /// # Shapes
    /// → f32 `[1, z, y, x, c]`.
    ///
    /// # Errors
    /// No channel, or more than 32; a device without room or code.
    pub fn channels(&self, channels: &[Channel]) -> Result<Tensor> {
        if channels.is_empty() || channels.len() > 32 {
            bail!("augment: {} channels, expected 1 to 32", channels.len());
        }
        #[cfg(feature = "cuda")]
        return cuda::channels(self, channels);
        #[cfg(not(feature = "cuda"))]
        no_code(&[&self.hu])
    }
}

/// Whether a code has none of these bits; the answer comes back to the host.
///
/// # Errors
/// Codes that are not bytes; a device without room or code.
#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
pub fn any_without(codes: &Tensor, bits: u8) -> Result<bool> {
    if codes.device().is_cpu() {
        return Ok(to_host_bytes(codes)?.iter().any(|code| code & bits == 0));
    }
    #[cfg(feature = "cuda")]
    return cuda::any_without(codes, bits);
    #[cfg(not(feature = "cuda"))]
    no_code(&[codes])
}

#[cfg(not(feature = "cuda"))]
fn no_code<T>(values: &[&Tensor]) -> Result<T> {
    bail!("augment: there is no code for {:?}", values.first().map(|values| values.device().location()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch() -> CardPatch {
        let zeros = |dtype| Tensor::zeros((2, 3, 4), dtype, &Device::Cpu).unwrap();
        let [hu, side] = [candle_core::DType::F32; 2].map(zeros);
        CardPatch { hu, side, codes: zeros(candle_core::DType::U8) }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let said = |result: Result<()>| result.unwrap_err().to_string();
        let beyond = Move { origin: 4, steps: [4, -1], swaps_sides: false };
        assert!(
            patch().shuffle(Move { origin: 3, ..beyond }).is_err_and(|error| !error.to_string().contains("beyond"))
        );
        for by in [beyond, Move { origin: 12, ..beyond }, Move { origin: 0, ..beyond }] {
            assert!(by.origin == 4 || said(patch().shuffle(by)).contains("beyond"), "{by:?}");
        }
        let field = Field { points: [4, 4, 3], grid_mm: 8.0, shifts: &[[0.0; 3]; 48] };
        let warp = Warp { shape: [2, 3, 4], spacing_mm: [1.0; 3], linear: [[0.0; 3]; 3], field: Some(field) };
        assert!(said(patch().warp(&warp)).contains("field"));
        let averages = [Average { first: 1, weights: vec![1.0; 2] }, Average { first: 0, weights: vec![] }];
        assert!(said(patch().average(0, &averages)).contains("planes"));
        assert!(said(patch().coarsen(&[vec![0, 0], vec![2, 1, 0], vec![0; 4]], 0.1)).contains("cubes"));
        assert!(CardPatch::new(&[0; 4], &[0.0; 2], &[0; 3], [1, 2, 2], &Device::Cpu).is_err());
    }
}
