//! Labels on a card.

use candle_core::{DType, Result, Tensor};

use super::{Rule, Walls};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, kernel_parameter, whole};
use crate::device::from_host;
use crate::resample::{Lines, Scan, Table, lines_of, table_of};

kernel_parameter! {
    /// As in `kernels.cu`.
    struct Found {
        low: [i32; 3],
        size: [i32; 3],
        maps: i32,
    }
}

kernel_parameter! {
    /// `Walls` as in `kernels.cu`.
    struct WallSizes {
        above: f32,
        darkest: f32,
        dim: f32,
        bright: f32,
        near_steps: i32,
        peak_steps: i32,
        mask: i32,
    }
}

/// See [`super::decide`], which has checked the shapes.
pub(super) fn decide(found: &Tensor, low: [usize; 3], lines: &Lines, table: &Table, rules: &[Rule]) -> Result<Tensor> {
    let (depth, height, width, maps) = found.dims4()?;
    let numbers = rules.iter().flat_map(|rule| {
        [i32::from(rule.value), rule.narrower.cast_signed(), i32::from(rule.mask), i32::from(rule.code)]
    });
    let numbers = from_host(numbers.collect::<Vec<i32>>(), (rules.len(), 4), found.device())?;
    let [found, ends, weights, bytes, places, numbers] =
        [found, &lines.ends, &lines.weights, &table.values, &table.places, &numbers].map(Operand::new);
    let device = found.device()?;
    let (found, ends, weights) = (found.values()?, ends.of_any()?, weights.of_any()?);
    let (bytes, places, numbers) = (bytes.of_any()?, places.of_any()?, numbers.of_any()?);
    let count = lines.size.iter().product::<usize>();
    let mut labels = Output::new(device, DType::U8, count)?;
    let box_of_values = Found {
        low: [whole(low[0])?, whole(low[1])?, whole(low[2])?],
        size: [whole(depth)?, whole(height)?, whole(width)?],
        maps: whole(maps)?,
    };
    let (line_sizes, table_sizes, number) = (lines_of(lines)?, table_of(table)?, count as i64);
    let kernel = Kernel::of(device, &embedded::LABELS, "decide")?;
    let launch = kernel.launch().input(&found).input(&ends).input(&weights).input(&bytes).input(&places);
    let launch = launch.input(&numbers).output(&mut labels).value(&line_sizes).value(&table_sizes);
    launch.value(&box_of_values).value(&number).run(Size::of_items(count))?;
    let [depth, height, width] = lines.size;
    Ok(labels.into_tensor(device, (depth, height, width)))
}

/// See [`super::refine`], which has checked the shapes.
pub(super) fn refine(labels: &Tensor, scan: &Scan, table: &Table, walls: &Walls) -> Result<Tensor> {
    let steps: Vec<i32> = walls.near.iter().chain(&walls.peak).flatten().copied().collect();
    let steps = from_host(steps, (walls.near.len() + walls.peak.len(), 4), labels.device())?;
    let [labels_before, voxels, bytes, places, steps] =
        [labels, scan.values(), &table.values, &table.places, &steps].map(Operand::new);
    let device = labels_before.device()?;
    let (before, voxels, bytes) = (labels_before.of_any()?, voxels.of_any()?, bytes.of_any()?);
    let (places, steps) = (places.of_any()?, steps.of_any()?);
    let count = before.len();
    let mut refined = Output::new(device, DType::U8, count)?;
    let sizes = WallSizes {
        above: walls.above,
        darkest: walls.darkest,
        dim: walls.dim,
        bright: walls.bright,
        near_steps: whole(walls.near.len())?,
        peak_steps: whole(walls.peak.len())?,
        mask: i32::from(walls.mask),
    };
    let (strides, table_sizes, number) = (scan.strides()?, table_of(table)?, count as i64);
    let kernel = Kernel::of(device, &embedded::LABELS, &voxels.kernel("refine"))?;
    let launch = kernel.launch().input(&voxels).input(&before).input(&bytes).input(&places).input(&steps);
    let launch = launch.output(&mut refined).value(&strides).value(&table_sizes).value(&sizes).value(&number);
    launch.run(Size::of_items(count))?;
    Ok(refined.into_tensor(device, labels.shape()))
}
