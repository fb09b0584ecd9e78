//! Tiles on the CPU: their inputs cut out of the scan, and the sum of what the network says of them.

use pulmoav_plan::{Blend, Channel, Plan};
use rayon::prelude::*;

use super::{Layout, Probabilities};
use crate::prepare::{Prepared, make_channels};

/// Cuts a tile's input out; beyond the grid windows hold their low end and the side channel its border value.
pub(super) fn cut(prepared: &Prepared, plan: &Plan, layout: &Layout, origin: [usize; 3]) -> Vec<f32> {
    let count = plan.channels.len();
    let [_, height, width] = layout.shape;
    let [(zs, to_z), (ys, to_y), (xs, to_x)] = std::array::from_fn(|axis| layout.covered(origin, axis));
    let [_, tile_y, tile_x] = layout.tile;
    let mut input = vec![0f32; layout.tile.iter().product::<usize>() * count];
    let planes = input.par_chunks_mut(tile_y * tile_x * count).skip(to_z).take(zs.len());
    planes.zip(zs).for_each(|(plane, z)| {
        for (j, y) in ys.clone().enumerate() {
            let hu = &prepared.hu[(z * height + y) * width..][xs.clone()];
            let row = &mut plane[((to_y + j) * tile_x + to_x) * count..][..xs.len() * count];
            make_channels(hu, &prepared.side[xs.clone()], &plan.channels, row);
        }
    });
    for (channel, _) in plan.channels.iter().enumerate().filter(|(_, c)| matches!(c, Channel::Side)) {
        // The side channel depends on x alone.
        let line: Vec<f32> = (0..tile_x)
            .map(|x| {
                let inside = (origin[2] + x).saturating_sub(layout.pad[2]).min(width - 1);
                prepared.side[inside]
            })
            .collect();
        for row in input.chunks_exact_mut(tile_x * count) {
            row.iter_mut().skip(channel).step_by(count).zip(&line).for_each(|(to, &value)| *to = value);
        }
    }
    input
}

/// Mirrors a tile's input left–right: the side channel says the other side then.
pub(super) fn mirror_input(input: &mut [f32], plan: &Plan, tile: [usize; 3]) {
    let count = plan.channels.len();
    mirror_rows(input, tile[2], count);
    for (channel, _) in plan.channels.iter().enumerate().filter(|(_, kind)| matches!(kind, Channel::Side)) {
        input.iter_mut().skip(channel).step_by(count).for_each(|side| *side = -*side);
    }
}

/// Turns rows of `width` voxels around, each of `count` values.
pub(super) fn mirror_rows(values: &mut [f32], width: usize, count: usize) {
    for row in values.chunks_exact_mut(width * count) {
        for x in 0..width / 2 {
            let (left, right) = row.split_at_mut((width - 1 - x) * count);
            left[x * count..][..count].swap_with_slice(&mut right[..count]);
        }
    }
}

pub(super) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// Weighted sums on the plan's grid, in the box of all tiles.
pub(super) struct HostSum {
    found: Probabilities,
    /// Of each plane that tiles still add to.
    weights: Vec<Vec<f32>>,
    /// Planes that no tile adds to any more.
    finished: usize,
    blend: Blend,
}

impl HostSum {
    pub(super) fn new(layout: &Layout, prompts: usize, blend: Blend) -> Self {
        let part = layout.part();
        let voxels = part.shape().iter().product::<usize>();
        let found = Probabilities { values: vec![0.0; voxels * prompts], part, shape: layout.shape, prompts };
        Self { found, weights: vec![Vec::new(); part.shape()[0]], finished: 0, blend }
    }

    /// Adds one tile. Tiles come in one order, along z the lowest first, and within a tile each voxel is added to once:
    /// the same bits for any number of threads.
    pub(super) fn add(&mut self, answer: &[f32], weights: &[f32], layout: &Layout, origin: [usize; 3]) {
        let (prompts, part) = (self.found.prompts, self.found.part);
        let [_, height, width] = part.shape();
        let [(zs, from_z), (ys, from_y), (xs, from_x)] = std::array::from_fn(|axis| {
            let (range, from) = layout.covered(origin, axis);
            (range.start - part.low[axis]..range.end - part.low[axis], from)
        });
        let [_, tile_y, tile_x] = layout.tile;
        let plane = height * width;
        self.finish_below(zs.start);
        let values = self.found.values.par_chunks_mut(plane * prompts);
        values.zip(&mut self.weights).skip(zs.start).take(zs.len()).enumerate().for_each(|(i, (values, sums))| {
            sums.resize(plane, 0.0);
            for (j, y) in ys.clone().enumerate() {
                let from = ((from_z + i) * tile_y + from_y + j) * tile_x + from_x;
                let to = y * width + xs.start;
                let line = &weights[from..from + xs.len()];
                sums[to..to + xs.len()].iter_mut().zip(line).for_each(|(sum, weight)| *sum += weight);
                let values = values[to * prompts..(to + xs.len()) * prompts].chunks_exact_mut(prompts);
                let answers = answer[from * prompts..].chunks_exact(prompts);
                for ((values, answers), &weight) in values.zip(answers).zip(line) {
                    values.iter_mut().zip(answers).for_each(|(to, value)| *to += weight * value);
                }
            }
        });
    }

    /// Divides the planes below one by their weights, which are let go.
    fn finish_below(&mut self, plane: usize) {
        let (prompts, blend, [_, height, width]) = (self.found.prompts, self.blend, self.found.part.shape());
        let planes = self.found.values.par_chunks_mut(height * width * prompts).zip(&mut self.weights);
        planes.take(plane).skip(self.finished).for_each(|(values, weights)| {
            for (values, weight) in values.chunks_exact_mut(prompts).zip(std::mem::take(weights)) {
                for value in values {
                    *value = match blend {
                        _ if weight == 0.0 => 0.0,
                        Blend::Probabilities => *value / weight,
                        Blend::Logits => sigmoid(*value / weight),
                    };
                }
            }
        });
        self.finished = plane;
    }

    pub(super) fn finish(mut self) -> Probabilities {
        self.finish_below(self.weights.len());
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_turned_around_voxel_by_voxel() {
        let mut rows = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        mirror_rows(&mut rows, 3, 2);
        assert_eq!(rows, [3.0, 30.0, 2.0, 20.0, 1.0, 10.0]);
    }
}
