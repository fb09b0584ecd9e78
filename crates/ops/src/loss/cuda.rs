//! The sweeps over voxels on a card. Partial sums are read back, and added on the host in f64.

use candle_core::{DType, Result, Tensor};

use super::{Slopes, Sums};
use crate::cuda::{COLUMN_THREADS, Kernel, Operand, Output, Size, column_blocks, embedded, span, whole};

/// Numbers of [`Sums`].
const NUMBERS: usize = 5;

/// See [`super::sums`].
pub(super) fn sums(logits: &Tensor, targets: &Tensor, groups: usize) -> Result<(Vec<Sums>, Tensor)> {
    let (logit_operand, target_operand) = (Operand::new(logits), Operand::new(targets));
    let (device, z, y) = (logit_operand.device()?, logit_operand.values()?, target_operand.bytes()?);
    let maps = logits.dims()[logits.rank() - 1];
    let rows = z.len() / (groups * maps);
    let [parts, pieces, _] = column_blocks(rows, maps);
    let mut partial = Output::new(device, DType::F32, groups * parts * maps * NUMBERS)?;
    let mut probabilities = Output::new(device, DType::F32, z.len())?;
    let (row_count, map_count, span) = (whole(rows)?, whole(maps)?, whole(span(rows))?);
    Kernel::of(device, &embedded::LOSS, "loss_sums")?
        .launch()
        .input(&z)
        .bytes(&y)
        .output(&mut partial)
        .output(&mut probabilities)
        .value(&row_count)
        .value(&map_count)
        .value(&span)
        .run(Size::of_blocks([parts, pieces, groups], COLUMN_THREADS))?;
    let partial = partial.into_tensor(device, (groups, parts, maps * NUMBERS)).to_vec3::<f32>()?;
    let total = |parts: &Vec<Vec<f32>>, map: usize| {
        let number = |i: usize| parts.iter().map(|part| f64::from(part[map * NUMBERS + i])).sum();
        Sums { both: number(0), predicted: number(1), reference: number(2), bce: number(3), voxels: number(4) }
    };
    let sums = partial.iter().flat_map(|parts| (0..maps).map(move |map| total(parts, map))).collect();
    Ok((sums, probabilities.into_tensor(device, logits.shape())))
}

/// See [`super::slopes`].
pub(super) fn slopes(probabilities: &Tensor, targets: &Tensor, slopes: &[Slopes]) -> Result<Tensor> {
    let (operand, target_operand) = (Operand::new(probabilities), Operand::new(targets));
    let (device, p, y) = (operand.device()?, operand.values()?, target_operand.bytes()?);
    let maps = probabilities.dims()[probabilities.rank() - 1];
    let numbers: Vec<f32> = slopes.iter().flat_map(|slope| [slope.dice, slope.dice_reference, slope.bce]).collect();
    let numbers = Tensor::from_vec(numbers, slopes.len() * 3, probabilities.device())?;
    let numbers = Operand::new(&numbers);
    let numbers = numbers.values()?;
    let mut gradient = Output::new(device, DType::F32, p.len())?;
    let (count, of_group, map_count) = (p.len() as i64, (p.len() / (slopes.len() / maps)) as i64, whole(maps)?);
    Kernel::of(device, &embedded::LOSS, "loss_slopes")?
        .launch()
        .input(&p)
        .bytes(&y)
        .input(&numbers)
        .output(&mut gradient)
        .value(&count)
        .value(&of_group)
        .value(&map_count)
        .run(Size::of_items(p.len()))?;
    Ok(gradient.into_tensor(device, probabilities.shape()))
}
