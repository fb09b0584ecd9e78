//! Soft skeletons on a card.

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{DType, Result, Tensor, bail};

use super::{Extent, SkeletonSums};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, kernel_parameter, new_bytes, whole, with_bytes};
use crate::device::to_host;
use crate::loss::Targets;

/// As in `kernels.cu`.
const THREADS: usize = 256;
const SPAN: usize = 4096;
const NUMBERS: usize = 2;
const ROUNDS: usize = 6;

kernel_parameter! {
    /// Maps that lie side by side, as in `kernels.cu`.
    struct Maps {
        size: [i32; 3],
        channels: i32,
    }
}

/// What the gradient needs: 64 bytes a value.
pub(super) struct Kept {
    device: CudaDevice,
    extent: Extent,
    count: usize,
    probabilities: Output,
    rounds: Vec<Round>,
    /// δ of every round, `[rounds, ..]`.
    deltas: Output,
    /// 1 − S.
    left: Output,
}

/// Which neighbour each value of a round was taken from.
struct Round {
    eroded: CudaSlice<u8>,
    opened: CudaSlice<u8>,
}

impl Kept {
    pub(super) fn of(logits: &Tensor, extent: Extent) -> Result<Self> {
        if extent.maps > THREADS {
            bail!("skeleton: {} maps, but at most {THREADS} are summed on a card", extent.maps);
        }
        let operand = Operand::new(logits);
        let (values, device) = (operand.values()?, operand.device()?.clone());
        let (count, length) = (values.len(), values.len() as i64);
        let new = |count| Output::new(&device, DType::F32, count);
        let mut probabilities = new(count)?;
        let start = Kernel::of(&device, &embedded::SKELETON, &values.kernel("skeleton_start"))?;
        start.launch().input(&values).output(&mut probabilities).value(&length).run(Size::of_items(count))?;
        let (mut map, mut left, mut deltas) = (None::<Output>, new(count)?, new(ROUNDS * count)?);
        let mut rounds = Vec::with_capacity(ROUNDS);
        let maps = Maps::of(extent)?;
        for round in 0..ROUNDS {
            let before = map.as_ref().unwrap_or(&probabilities).values();
            let mut eroded = new(count)?;
            let mut from = Round { eroded: new_bytes(&device, count)?, opened: new_bytes(&device, count)? };
            let kernel = Kernel::of(&device, &embedded::SKELETON, "skeleton_erode")?;
            let launch = kernel.launch().input(&before).output(&mut eroded).new_bytes(&mut from.eroded);
            launch.value(&maps).value(&length).run(Size::of_items(count))?;
            let mut delta = deltas.f32_mut()?.slice_mut(round * count..(round + 1) * count);
            let is_first = i32::from(round == 0);
            let values = eroded.values();
            let kernel = Kernel::of(&device, &embedded::SKELETON, "skeleton_open")?;
            let launch = kernel.launch().input(&before).input(&values).new_bytes(&mut from.opened);
            let launch = launch.in_place(&mut delta).output(&mut left).value(&is_first);
            launch.value(&maps).value(&length).run(Size::of_items(count))?;
            drop((before, values));
            map = Some(eroded);
            rounds.push(from);
        }
        Ok(Self { device, extent, count, probabilities, rounds, deltas, left })
    }

    /// Partial sums of blocks are added on the host in their order.
    pub(super) fn sums(&self, targets: &Targets) -> Result<Vec<SkeletonSums>> {
        let Extent { samples, maps, .. } = self.extent;
        let (voxels, blocks) = (self.extent.voxels() as i64, self.extent.voxels().div_ceil(SPAN));
        let mut parts = Output::new(&self.device, DType::F32, samples * blocks * maps * NUMBERS)?;
        let (left, width) = (self.left.values(), whole(maps)?);
        with_bytes(targets.tensor(), |bytes| {
            let launch = self.kernel("skeleton_sums")?;
            let launch = launch.launch().input(&left).bytes(bytes).output(&mut parts).value(&voxels).value(&width);
            launch.run(Size::of_blocks([blocks, samples, 1], THREADS))
        })?;
        let parts = to_host(&parts.into_tensor(&self.device, samples * blocks * maps * NUMBERS))?;
        let mut sums = vec![SkeletonSums::default(); samples * maps];
        for (at, part) in parts.chunks_exact(NUMBERS).enumerate() {
            let sum = &mut sums[at / (blocks * maps) * maps + at % maps];
            sum.skeleton += f64::from(part[0]);
            sum.right += f64::from(part[1]);
        }
        Ok(sums)
    }

    /// `slopes` `[samples · maps, 2]`.
    pub(super) fn gradient(&self, logits: &Tensor, targets: &Targets, slopes: &Tensor) -> Result<Tensor> {
        let (count, length) = (self.count, self.count as i64);
        let maps = Maps::of(self.extent)?;
        // By the eroded map: of the last round nothing, of each other one what the round behind it says of its map.
        let mut by_eroded = Output::zeros(&self.device, DType::F32, count)?;
        for (round, from) in self.rounds.iter().enumerate().rev() {
            let by_delta = self.by_delta(slopes, targets, round)?;
            let by_delta = by_delta.values();
            let (eroded, opened) = (from.eroded.as_view(), from.opened.as_view());
            let kernel = self.kernel("skeleton_by_eroded")?;
            let launch = kernel.launch().input(&by_delta).bytes(&opened).output(&mut by_eroded);
            launch.value(&maps).value(&length).run(Size::of_items(count))?;
            let mut by_map = Output::new(&self.device, DType::F32, count)?;
            let (kernel, values) = (self.kernel("skeleton_by_map")?, by_eroded.values());
            let launch = kernel.launch().input(&by_delta).input(&values).bytes(&eroded).output(&mut by_map);
            launch.value(&maps).value(&length).run(Size::of_items(count))?;
            by_eroded = by_map;
        }
        let operand = Operand::new(logits);
        let values = operand.values()?;
        let mut gradient = Output::new(&self.device, values.dtype(), count)?;
        let (by_map, p) = (by_eroded.values(), self.probabilities.values());
        with_bytes(targets.tensor(), |bytes| {
            let kernel = self.kernel(&values.kernel("skeleton_gradient"))?;
            let launch = kernel.launch().input(&by_map).input(&p).bytes(bytes).output(&mut gradient);
            launch.value(&length).run(Size::of_items(count))
        })?;
        Ok(gradient.into_tensor(&self.device, logits.shape()))
    }

    fn by_delta(&self, slopes: &Tensor, targets: &Targets, round: usize) -> Result<Output> {
        let (length, voxels) = (self.count as i64, self.extent.voxels() as i64);
        let (round, maps) = (whole(round)?, whole(self.extent.maps)?);
        let mut by_delta = Output::new(&self.device, DType::F32, self.count)?;
        let (slopes, deltas) = (Operand::new(slopes), self.deltas.values());
        let slopes = slopes.values()?;
        with_bytes(targets.tensor(), |bytes| {
            let kernel = self.kernel("skeleton_by_delta")?;
            let launch = kernel.launch().input(&slopes).bytes(bytes).input(&deltas).output(&mut by_delta);
            let launch = launch.value(&round).value(&voxels).value(&maps).value(&length);
            launch.run(Size::of_items(self.count))
        })?;
        Ok(by_delta)
    }

    fn kernel(&self, name: &str) -> Result<std::sync::Arc<Kernel>> {
        Kernel::of(&self.device, &embedded::SKELETON, name)
    }
}

impl Maps {
    fn of(extent: Extent) -> Result<Self> {
        let [z, y, x] = extent.shape.map(whole);
        Ok(Self { size: [z?, y?, x?], channels: whole(extent.maps)? })
    }
}
