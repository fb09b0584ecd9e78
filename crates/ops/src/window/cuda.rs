//! Windows on a card: a launch each, in their order.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Result, Shape, Tensor};

use super::{Map, Place, Rounding};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, kernel_parameter, whole};
use crate::device::to_host;

kernel_parameter! {
    /// A window on a grid, as in `kernels.cu`.
    struct Window {
        grid: [i32; 3],
        size: [i32; 3],
        first: [i32; 3],
        mirrored: [i32; 3],
        channels: i32,
    }
}

impl Window {
    fn new(grid: [usize; 3], size: [usize; 3], place: Place, channels: usize) -> Result<Self> {
        let all =
            |sizes: [usize; 3]| Ok::<_, candle_core::Error>([whole(sizes[0])?, whole(sizes[1])?, whole(sizes[2])?]);
        let Place { first, mirrored } = place;
        Ok(Self {
            grid: all(grid)?,
            size: all(size)?,
            first,
            mirrored: mirrored.map(i32::from),
            channels: whole(channels)?,
        })
    }
}

/// See [`Image::cut`](super::Image::cut); `image`: `[z, y, x, c]`.
pub(super) fn cut(image: &Tensor, sided: &[usize], places: &[Place], window: [usize; 3]) -> Result<Tensor> {
    let (depth, height, width, channels) = image.dims4()?;
    let operand = Operand::new(image);
    let (device, values) = (operand.device()?, operand.values()?);
    let size = window.iter().product::<usize>() * channels;
    let mut windows = Output::new(device, DType::F32, size * places.len())?;
    let (count, sided) = (size as i64, sided.iter().fold(0_i32, |bits, &channel| bits | 1 << channel));
    let kernel = Kernel::of(device, &embedded::WINDOW, "cut_window")?;
    for (number, &place) in places.iter().enumerate() {
        let (place, first) = (Window::new([depth, height, width], window, place, channels)?, (number * size) as i64);
        let launch = kernel.launch().input(&values).output(&mut windows).value(&place);
        launch.value(&count).value(&first).value(&sided).run(Size::of_items(size))?;
    }
    let [depth, height, width] = window;
    Ok(windows.into_tensor(device, (places.len(), depth, height, width, channels)))
}

/// Sums on a card.
pub(super) struct Sums {
    device: CudaDevice,
    /// `[z, y, x, c]`
    values: Output,
    /// `[z, y, x]`
    weights: Output,
    channels: usize,
}

impl Sums {
    pub(super) fn new(device: &CudaDevice, voxels: usize, channels: usize) -> Result<Self> {
        let zeros = |count: usize| Output::zeros(device, DType::F32, count);
        Ok(Self { device: device.clone(), values: zeros(voxels * channels)?, weights: zeros(voxels)?, channels })
    }

    /// See [`Sums::add`](super::Sums::add), whose shapes are checked.
    pub(super) fn add(
        &mut self,
        (grid, rounding): ([usize; 3], Rounding),
        (answers, weights): (&Tensor, &Tensor),
        places: &[Place],
        map: Map,
    ) -> Result<()> {
        let (depth, height, width) = weights.dims3()?;
        let (answers, weights) = (Operand::new(answers), Operand::new(weights));
        let (answers, weights) = (answers.values()?, weights.values()?);
        let size = weights.len() * self.channels;
        let (count, [logistic, half]) = (size as i64, numbers(map, rounding));
        let kernel = Kernel::of(&self.device, &embedded::WINDOW, &answers.kernel("add_window"))?;
        for (number, &place) in places.iter().enumerate() {
            let place = Window::new(grid, [depth, height, width], place, self.channels)?;
            let first = (number * size) as i64;
            let launch = kernel.launch().input(&answers).input(&weights);
            let launch = launch.output(&mut self.values).output(&mut self.weights).value(&place);
            launch.value(&count).value(&first).value(&logistic).value(&half).run(Size::of_items(size))?;
        }
        Ok(())
    }

    /// The sums and their weights.
    pub(super) fn into_host(self) -> Result<(Vec<f32>, Vec<f32>)> {
        let read = |sums: Output| {
            let count = sums.values().len();
            to_host(&sums.into_tensor(&self.device, count))
        };
        Ok((read(self.values)?, read(self.weights)?))
    }

    /// See [`Sums::mean`](super::Sums::mean).
    pub(super) fn mean(mut self, rounding: Rounding, map: Map, shape: impl Into<Shape>) -> Result<Tensor> {
        let values = self.values.values().len();
        let (count, channels, [logistic, half]) = (values as i64, whole(self.channels)?, numbers(map, rounding));
        let weights = self.weights.values();
        let kernel = Kernel::of(&self.device, &embedded::WINDOW, "finish_windows")?;
        let launch = kernel.launch().output(&mut self.values).input(&weights).value(&count).value(&channels);
        launch.value(&logistic).value(&half).run(Size::of_items(values))?;
        drop(weights);
        Ok(self.values.into_tensor(&self.device, shape))
    }
}

fn numbers(map: Map, rounding: Rounding) -> [i32; 2] {
    [(map == Map::Logistic).into(), (rounding == Rounding::F16).into()]
}
