//! Sliding windows over a grid: cutting them out of it, and the weighted sums of what a network says of them. Both stay
//! on the device, so that of a whole scan only the sums come back.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

use std::ops::Range;

use candle_core::{Device, Result, Tensor, bail};

use crate::dense::values;
use crate::device::from_slice;

/// Where a window lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first voxel in the grid, `[z, y, x]`; below 0 where it begins before the grid.
    pub first: [i32; 3],
    /// Axes along which it is turned around.
    pub mirrored: [bool; 3],
}

impl Place {
    /// A window that is not mirrored.
    pub fn at(first: [i32; 3]) -> Self {
        Self { first, mirrored: [false; 3] }
    }
}

/// What is made of each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// The value itself.
    Same,
    /// 1 / (1 + e^-x).
    Logistic,
}

/// How sums are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// In f32.
    F32,
    /// Rounded to f16 after each addition and division, as nnU-Net keeps them.
    F16,
}

/// Writes values of a part of a row, `[x, c]`: `(z, y, which x, to)`.
pub type Rows<'a> = dyn Fn(usize, usize, Range<usize>, &mut [f32]) + Sync + 'a;

/// A grid of which windows are cut, where they are wanted.
pub struct Image<'a> {
    source: Source<'a>,
    shape: [usize; 3],
    channels: usize,
    /// See [`Image::new`].
    sided: Vec<usize>,
}

enum Source<'a> {
    Host(&'a [f32]),
    Rows(&'a Rows<'a>),
    /// `[z, y, x, c]`
    Card(Tensor),
}

impl<'a> Image<'a> {
    /// A grid's values; they cross to the device once. Channels that are `sided` depend on x alone, go on beyond the grid
    /// as at its border, and change their sign where a window is mirrored along x.
    ///
    /// # Shapes
    /// `values`: `[z, y, x, c]` of `shape`.
    ///
    /// # Errors
    /// Another number of values; a device without room.
    pub fn new(values: &'a [f32], shape: [usize; 3], sided: &[usize], device: &Device) -> Result<Self> {
        let voxels: usize = shape.iter().product();
        let channels = values.len().checked_div(voxels).unwrap_or(0);
        if channels == 0 || channels * voxels != values.len() || channels > 32 {
            bail!("window: {} values for a grid of {shape:?}", values.len());
        }
        let source = match device {
            Device::Cpu => Source::Host(values),
            device => {
                let [depth, height, width] = shape;
                Source::Card(from_slice(values, (depth, height, width, channels), device)?)
            }
        };
        Ok(Self { source, shape, channels, sided: sided.to_vec() })
    }

    /// A grid on the host whose values are made when they are asked for. `sided`
    /// as in [`Image::new`].
    ///
    /// # Errors
    /// Channels that are none, or too many.
    pub fn of_rows(rows: &'a Rows<'a>, shape: [usize; 3], channels: usize, sided: &[usize]) -> Result<Self> {
        if channels == 0 || channels > 32 {
            bail!("window: a grid of {channels} channels");
        }
        Ok(Self { source: Source::Rows(rows), shape, channels, sided: sided.to_vec() })
    }

    /// A grid that is on its device already. `sided` as in [`Image::new`].
    ///
    /// # Shapes
    /// `values`: f32 `[z, y, x, c]`.
    ///
    /// # Errors
    /// Another shape; a tensor on the CPU.
    pub fn on_card(values: Tensor, sided: &[usize]) -> Result<Self> {
        let (depth, height, width, channels) = values.dims4()?;
        if values.device().is_cpu() || channels == 0 || channels > 32 {
            bail!("window: a grid of {channels} channels on {:?}", values.device().location());
        }
        Ok(Self { source: Source::Card(values), shape: [depth, height, width], channels, sided: sided.to_vec() })
    }

    /// Windows of the grid; beyond it they are 0.
    ///
    /// # Shapes
    /// → `[n, z, y, x, c]` of `window`, n the number of `places`.
    ///
    /// # Errors
    /// A device without room.
    pub fn cut(&self, places: &[Place], window: [usize; 3]) -> Result<Tensor> {
        let [depth, height, width] = window;
        let shape = (places.len(), depth, height, width, self.channels);
        match &self.source {
            Source::Host(values) => {
                let (channels, [_, height, width]) = (self.channels, self.shape);
                let rows = |z: usize, y: usize, xs: Range<usize>, to: &mut [f32]| {
                    let row = (z * height + y) * width;
                    to.copy_from_slice(&values[(row + xs.start) * channels..(row + xs.end) * channels]);
                };
                Tensor::from_vec(self.cut_here(&rows, places, window), shape, &Device::Cpu)
            }
            Source::Rows(rows) => Tensor::from_vec(self.cut_here(*rows, places, window), shape, &Device::Cpu),
            #[cfg(feature = "cuda")]
            Source::Card(values) => cuda::cut(values, &self.sided, places, window),
            #[cfg(not(feature = "cuda"))]
            Source::Card(values) => bail!("window: there is no code for {:?}", values.device().location()),
        }
    }
}

impl Image<'_> {
    fn cut_here(&self, rows: &Rows<'_>, places: &[Place], window: [usize; 3]) -> Vec<f32> {
        let size = window.iter().product::<usize>() * self.channels;
        let mut windows = vec![0f32; size * places.len()];
        let source = cpu::Source { rows, shape: self.shape, channels: self.channels };
        for (to, place) in windows.chunks_exact_mut(size.max(1)).zip(places) {
            cpu::cut(&source, &self.sided, *place, window, to);
        }
        windows
    }
}

/// Weighted sums over a grid of what was said of windows, and the sums of the weights.
pub struct Sums {
    memory: Memory,
    shape: [usize; 3],
    channels: usize,
    rounding: Rounding,
}

enum Memory {
    Host(cpu::Planes),
    #[cfg(feature = "cuda")]
    Card(cuda::Sums),
}

impl Sums {
    /// Nothing yet.
    ///
    /// # Errors
    /// A device without room, or without code.
    pub fn new(shape: [usize; 3], channels: usize, rounding: Rounding, device: &Device) -> Result<Self> {
        let memory = match device {
            Device::Cpu => Memory::Host(cpu::Planes::new(shape, channels)),
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => Memory::Card(cuda::Sums::new(device, shape.iter().product(), channels)?),
            other => bail!("window: there is no code for {:?}", other.location()),
        };
        Ok(Self { memory, shape, channels, rounding })
    }

    /// Adds what was said of windows, in their order; mirrored ones are turned back, and weighted then. Each voxel of a
    /// window is added to once: the same bits for any number of threads, and for any number of windows at a time.
    ///
    /// # Shapes
    /// `answers`: `[n, z, y, x, c]`, `weights`: f32 `[z, y, x]` of a window, `places`: n.
    ///
    /// # Errors
    /// Other shapes; tensors on another device.
    pub fn add(&mut self, answers: &Tensor, weights: &Tensor, places: &[Place], map: Map) -> Result<()> {
        let &[windows, depth, height, width, channels] = answers.dims() else {
            bail!("window: answers have shape {:?}, expected [n, z, y, x, c]", answers.dims());
        };
        let window = [depth, height, width];
        if windows != places.len() || channels != self.channels || weights.dims() != window {
            bail!(
                "window: {} places, {} channels and weights of {:?} for answers of shape {:?}",
                places.len(),
                self.channels,
                weights.dims(),
                answers.dims()
            );
        }
        let answers = answers.contiguous()?;
        match &mut self.memory {
            Memory::Host(sums) => {
                let (storage, layout) = answers.storage_and_layout();
                let (weight_storage, weight_layout) = weights.storage_and_layout();
                let (answers, weights) = (values(&storage, layout)?, values(&weight_storage, weight_layout)?);
                let grid = cpu::Grid { shape: self.shape, channels, window, rounding: self.rounding };
                for (answer, place) in answers.chunks_exact((weights.len() * channels).max(1)).zip(places) {
                    if !sums.add(&grid, answer, weights, *place, map) {
                        bail!("window: {place:?} begins in a plane that was finished");
                    }
                }
                Ok(())
            }
            #[cfg(feature = "cuda")]
            Memory::Card(sums) => sums.add((self.shape, self.rounding), (&answers, weights), places, map),
        }
    }

    /// No window will begin below this plane any more: on the host the planes below are finished now, as [`Sums::finish`]
    /// would with the same `map`, and the memory of their weights is given back.
    pub fn settle(&mut self, below: usize, map: Map) {
        match &mut self.memory {
            Memory::Host(sums) => sums.settle(below, self.rounding, map),
            #[cfg(feature = "cuda")]
            Memory::Card(_) => {}
        }
    }

    /// The sums of several devices as one, on the host where there are several.
    ///
    /// # Errors
    /// None, or others of another grid; what reading a device returned.
    pub fn joined(all: Vec<Self>) -> Result<Self> {
        let is_alone = all.len() == 1;
        let mut all = all.into_iter();
        let Some(first) = all.next() else { bail!("window: there are no sums to join") };
        if is_alone {
            return Ok(first);
        }
        let Self { shape, channels, rounding, .. } = first;
        let (mut values, mut weights) = first.into_host()?;
        for other in all {
            if (other.shape, other.channels) != (shape, channels) {
                bail!("window: sums over {shape:?} met those over {:?}", other.shape);
            }
            let (more, more_weights) = other.into_host()?;
            values.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            weights.iter_mut().zip(more_weights).for_each(|(sum, more)| *sum += more);
        }
        Ok(Self { memory: Memory::Host(cpu::Planes::of(values, &weights, shape[0])), shape, channels, rounding })
    }

    /// The sums and their weights.
    fn into_host(self) -> Result<(Vec<f32>, Vec<f32>)> {
        match self.memory {
            Memory::Host(sums) => {
                let sums = sums.into_sums(self.shape[1] * self.shape[2]);
                sums.ok_or_else(|| candle_core::Error::msg("window: planes of the sums are finished already"))
            }
            #[cfg(feature = "cuda")]
            Memory::Card(sums) => sums.into_host(),
        }
    }

    /// The weighted means, mapped; 0 where no window lay.
    ///
    /// # Shapes
    /// → `[z, y, x, c]`, on the device.
    ///
    /// # Errors
    /// What an operator on the device returned.
    pub fn mean(self, map: Map) -> Result<Tensor> {
        let [depth, height, width] = self.shape;
        let shape = (depth, height, width, self.channels);
        match self.memory {
            Memory::Host(sums) => Tensor::from_vec(sums.finish(self.rounding, map), shape, &Device::Cpu),
            #[cfg(feature = "cuda")]
            Memory::Card(sums) => sums.mean(self.rounding, map, shape),
        }
    }

    /// As [`Sums::mean`], read back to the host: the one thing that crosses.
    ///
    /// # Errors
    /// As [`Sums::mean`].
    pub fn finish(self, map: Map) -> Result<Vec<f32>> {
        match self.memory {
            Memory::Host(sums) => Ok(sums.finish(self.rounding, map)),
            #[cfg(feature = "cuda")]
            Memory::Card(sums) => {
                let voxels: usize = self.shape.iter().product();
                crate::device::to_host(&sums.mean(self.rounding, map, voxels * self.channels)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn windows_reach_beyond_the_grid_and_are_mirrored() -> Result<()> {
        // One row of three voxels: a value, and the side.
        let image = Image::new(&[1.0, -1.0, 2.0, 0.0, 3.0, 1.0], [1, 1, 3], &[1], &Device::Cpu)?;
        let mirrored = Place { mirrored: [false, false, true], ..Place::at([0, 0, 1]) };
        let windows = image.cut(&[Place::at([0, 0, -1]), mirrored], [1, 1, 4])?;
        let rows = windows.reshape((2, 8))?.to_vec2::<f32>()?;
        assert_eq!(rows[0], [0.0, -1.0, 1.0, -1.0, 2.0, 0.0, 3.0, 1.0]);
        assert_eq!(rows[1], [0.0, -1.0, 0.0, -1.0, 3.0, -1.0, 2.0, -0.0]);
        Ok(())
    }

    #[test]
    fn sums_are_weighted_means_and_turn_windows_back() -> Result<()> {
        let mut sums = Sums::new([1, 1, 4], 1, Rounding::F32, &Device::Cpu)?;
        let weights = tensor(&[1.0, 3.0], &[1, 1, 2]);
        let mirrored = Place { mirrored: [false, false, true], ..Place::at([0, 0, 1]) };
        let answers = tensor(&[5.0, 7.0, 2.0, 4.0], &[2, 1, 1, 2, 1]);
        sums.add(&answers, &weights, &[Place::at([0, 0, 0]), mirrored], Map::Same)?;
        // The second, turned back, is 4 and 2 at voxels 1 and 2.
        assert_eq!(sums.finish(Map::Same)?, [5.0, (3.0 * 7.0 + 4.0) / 4.0, 2.0, 0.0]);
        Ok(())
    }

    #[test]
    fn planes_that_are_finished_stay_as_they_are() -> Result<()> {
        let weights = tensor(&[1.0, 3.0], &[2, 1, 1]);
        let answers = tensor(&[5.0, 7.0, 2.0, 4.0], &[2, 2, 1, 1, 1]);
        let places = [0, 1].map(|z| Place::at([z, 0, 0]));
        let sums = |settled: bool| -> Result<Sums> {
            let mut sums = Sums::new([3, 1, 1], 1, Rounding::F32, &Device::Cpu)?;
            for (number, place) in places.iter().enumerate() {
                sums.add(&answers.narrow(0, number, 1)?, &weights, &[*place], Map::Same)?;
                if settled {
                    sums.settle(number + 1, Map::Logistic);
                }
            }
            Ok(sums)
        };
        assert_eq!(sums(true)?.finish(Map::Logistic)?, sums(false)?.finish(Map::Logistic)?);
        assert!(sums(true)?.add(&answers, &weights, &places, Map::Same).is_err());
        assert!(Sums::joined(vec![sums(true)?, sums(true)?]).is_err());
        assert!(Sums::joined(vec![sums(false)?, sums(false)?]).is_ok());
        Ok(())
    }

    #[test]
    fn sums_round_as_asked() -> Result<()> {
        let mut sums = Sums::new([1, 1, 1], 1, Rounding::F16, &Device::Cpu)?;
        let (one, weight) = (tensor(&[2049.0], &[1, 1, 1, 1, 1]), tensor(&[1.0], &[1, 1, 1]));
        sums.add(&one, &weight, &[Place::at([0; 3])], Map::Same)?;
        // f16 has no 2049.
        assert_eq!(sums.finish(Map::Same)?, [2048.0]);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Image::new(&[1.0; 5], [1, 1, 3], &[], &Device::Cpu).is_err());
        let mut sums = Sums::new([1, 1, 4], 1, Rounding::F32, &Device::Cpu).unwrap();
        let (answers, weights) = (tensor(&[0.0; 4], &[1, 1, 1, 2, 2]), tensor(&[1.0; 2], &[1, 1, 2]));
        assert!(sums.add(&answers, &weights, &[Place::at([0; 3])], Map::Same).is_err());
    }
}
