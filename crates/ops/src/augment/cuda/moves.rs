//! What moves voxels and their codes.

use candle_core::cuda_backend::CudaDevice;
use candle_core::{DType, Result};

use super::{MOVES, WARP, sizes};
use crate::augment::{CardPatch, Field, Move, Warp};
use crate::cuda::{Kernel, Operand, Output, Size, kernel_parameter, whole};
use crate::device::from_host;
use crate::pseudo::{RIGHT_BIT, SUPERVISED_BIT};

kernel_parameter! {
    /// As in `kernels.cu`.
    struct Moved {
        width: i32,
        plane: i32,
        origin: i32,
        along_y: i32,
        along_x: i32,
        sign: f32,
        swapped: i32,
    }
}

kernel_parameter! {
    /// As in `kernels.cu`.
    struct Splines {
        points: [i32; 3],
        grid_mm: f32,
    }
}

kernel_parameter! {
    /// As in `kernels.cu`.
    struct Warped {
        size: [i32; 3],
        source: [i32; 3],
        spacing_mm: [f32; 3],
        linear: [[f32; 3]; 3],
        points: [i32; 3],
        grid_mm: f32,
        bent: i32,
        supervised: i32,
    }
}

kernel_parameter! {
    /// As in `kernels.cu`.
    struct Cubes {
        size: [i32; 3],
        count: [i32; 3],
    }
}

/// New HU, sides and codes, before a kernel has written them.
struct Fresh {
    hu: Output,
    side: Output,
    codes: Output,
}

impl Fresh {
    fn new(device: &CudaDevice, count: usize) -> Result<Self> {
        let new = |dtype| Output::new(device, dtype, count);
        Ok(Self { hu: new(DType::F32)?, side: new(DType::F32)?, codes: new(DType::U8)? })
    }

    fn into_patch(self, device: &CudaDevice, shape: [usize; 3]) -> CardPatch {
        let of = |output: Output| output.into_tensor(device, &shape);
        CardPatch { hu: of(self.hu), side: of(self.side), codes: of(self.codes) }
    }
}

/// See [`CardPatch::shuffle`], which has checked the move.
pub(crate) fn shuffle(patch: &mut CardPatch, by: Move) -> Result<()> {
    let (shape, count) = (patch.shape(), patch.voxels());
    let (device, mut fresh) = (patch.card()?.clone(), Fresh::new(patch.card()?, count)?);
    let step = |along: isize| whole(along.unsigned_abs()).map(|step| if along < 0 { -step } else { step });
    let moved = Moved {
        width: whole(shape[2])?,
        plane: whole(shape[1] * shape[2])?,
        origin: whole(by.origin)?,
        along_y: step(by.steps[0])?,
        along_x: step(by.steps[1])?,
        sign: if by.swaps_sides { -1.0 } else { 1.0 },
        swapped: if by.swaps_sides { RIGHT_BIT.into() } else { 0 },
    };
    {
        let [hu, side, codes] = [&patch.hu, &patch.side, &patch.codes].map(Operand::new);
        let (hu, side, codes, number) = (hu.values()?, side.values()?, codes.of_any()?, count as i64);
        let kernel = Kernel::of(&device, MOVES, "augment_move")?;
        let launch = kernel.launch().input(&hu).input(&side).input(&codes);
        let launch = launch.output(&mut fresh.hu).output(&mut fresh.side).output(&mut fresh.codes);
        launch.value(&moved).value(&number).run(Size::of_items(count))?;
    }
    *patch = fresh.into_patch(&device, shape);
    Ok(())
}

/// See [`CardPatch::warp`], which has checked the field.
pub(crate) fn warp(patch: &mut CardPatch, by: &Warp<'_>) -> Result<()> {
    let (device, count) = (patch.card()?.clone(), by.shape.iter().product::<usize>());
    let rows = by.field.as_ref().map(|field| rows(patch, by, field)).transpose()?;
    let (points, grid_mm) = by.field.as_ref().map_or(([0; 3], 1.0), |field| (field.points, field.grid_mm));
    let warped = Warped {
        size: sizes(by.shape)?,
        source: sizes(patch.shape())?,
        spacing_mm: by.spacing_mm,
        linear: by.linear,
        points: sizes(points)?,
        grid_mm,
        bent: rows.is_some().into(),
        supervised: SUPERVISED_BIT.into(),
    };
    let mut fresh = Fresh::new(&device, count)?;
    {
        let [hu, side, codes] = [&patch.hu, &patch.side, &patch.codes].map(Operand::new);
        let (hu, side, codes, number) = (hu.values()?, side.values()?, codes.of_any()?, count as i64);
        let rows = rows.as_ref().map(Output::values);
        let kernel = Kernel::of(&device, MOVES, "augment_warp")?;
        let launch = kernel.launch().input(&hu).input(&side).input(&codes).optional(rows.as_ref());
        let launch = launch.output(&mut fresh.hu).output(&mut fresh.side).output(&mut fresh.codes);
        launch.value(&warped).value(&number).run(Size::of_items(count))?;
    }
    *patch = fresh.into_patch(&device, by.shape);
    Ok(())
}

/// The field along each row of voxels, as shifts of the points along x: `[z, y, points, 3]`.
fn rows(patch: &CardPatch, by: &Warp<'_>, field: &Field<'_>) -> Result<Output> {
    let flat: Vec<f32> = field.shifts.iter().flatten().copied().collect();
    let shifts = from_host(flat, (field.shifts.len(), 3), patch.device())?;
    let operand = Operand::new(&shifts);
    let (device, shifts) = (operand.device()?, operand.values()?);
    let [depth, height, _] = by.shape;
    let count = depth * height * field.points[2];
    let mut rows = Output::new(device, DType::F32, count * 3)?;
    let splines = Splines { points: sizes(field.points)?, grid_mm: field.grid_mm };
    let ([z_mm, y_mm, _], rows_high, number) = (by.spacing_mm, whole(height)?, count as i64);
    let kernel = Kernel::of(device, MOVES, "augment_rows")?;
    let launch = kernel.launch().input(&shifts).output(&mut rows).value(&splines).value(&rows_high);
    launch.value(&z_mm).value(&y_mm).value(&number).run(Size::of_items(count))?;
    Ok(rows)
}

/// See [`CardPatch::coarsen`], which has checked the cubes.
pub(crate) fn coarsen(patch: &mut CardPatch, cubes: &[Vec<usize>; 3], min_share: f32) -> Result<()> {
    let (device, shape, count) = (patch.card()?.clone(), patch.shape(), patch.voxels());
    let many = [0, 1, 2].map(|axis| cubes[axis].last().map_or(0, |last| last + 1));
    // The first voxel of each cube, and the end of the last.
    let mut firsts = Vec::new();
    for (cube_of, many) in cubes.iter().zip(many) {
        for cube in 0..=many {
            firsts.push(whole(cube_of.partition_point(|&of| of < cube))?);
        }
    }
    let cube_of = cubes.iter().flatten().map(|&cube| whole(cube)).collect::<Result<Vec<_>>>()?;
    let (first_count, voxel_count) = (firsts.len(), cube_of.len());
    let firsts = from_host(firsts, first_count, patch.device())?;
    let cube_of = from_host(cube_of, voxel_count, patch.device())?;
    let (total, cubes) = (many.iter().product::<usize>(), Cubes { size: sizes(shape)?, count: sizes(many)? });
    let (mut labels, mut coarse) = (Output::new(&device, DType::U8, total)?, Output::new(&device, DType::U8, count)?);
    {
        let [codes, firsts, cube_of] = [&patch.codes, &firsts, &cube_of].map(Operand::new);
        let (codes, firsts, cube_of) = (codes.of_any()?, firsts.of_any()?, cube_of.of_any()?);
        let (number, cube_count) = (count as i64, total as i64);
        let kernel = Kernel::of(&device, MOVES, "augment_label_cubes")?;
        let launch = kernel.launch().input(&codes).input(&firsts).output(&mut labels);
        launch.value(&cubes).value(&cube_count).value(&min_share).run(Size::of_items(total * WARP))?;
        let labels = labels.values();
        let kernel = Kernel::of(&device, MOVES, "augment_take_labels")?;
        let launch = kernel.launch().input(&codes).input(&cube_of).input(&labels).output(&mut coarse);
        launch.value(&cubes).value(&number).run(Size::of_items(count))?;
    }
    patch.codes = coarse.into_tensor(&device, &shape);
    Ok(())
}
