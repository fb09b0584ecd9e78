//! What is not 0 in a scan: nnU-Net looks at the box around it, and z-scores may count nothing else.

use pulmoav_volume::crop::{View, VoxelBox};

/// The smallest box in the scan's array that holds every voxel that is not 0 in one of the channels; `None` where all
/// are 0.
///
/// # Shapes
/// Each of `channels`: `[z, y, x]` of `shape`.
pub(super) fn nonzero_box<'a>(channels: impl Iterator<Item = &'a [f32]>, shape: [usize; 3]) -> Option<VoxelBox> {
    let boxes = channels.filter_map(|data| VoxelBox::around(data, shape, |value| value != 0.0));
    boxes.reduce(|a, b| a.joined(&b))
}

/// 1 where one of the channels is not 0, and in the holes of that: what no path over faces leads out of.
///
/// # Shapes
/// `channels`: views of one shape → `[z, y, x]` of it.
pub(super) fn filled_mask(channels: &[View<'_, f32>]) -> Vec<u8> {
    const OUTSIDE: u8 = 2;
    let shape = channels.first().map_or([0; 3], View::shape);
    let [depth, height, width] = shape;
    let mut mask = vec![0u8; depth * height * width];
    let mut row = vec![0f32; width];
    for (index, to) in mask.chunks_exact_mut(width.max(1)).enumerate() {
        for channel in channels {
            channel.copy_row(index / height, index % height, &mut row);
            to.iter_mut().zip(&row).for_each(|(to, &value)| *to |= u8::from(value != 0.0));
        }
    }
    let strides = [height * width, width, 1];
    let mut waiting: Vec<usize> = Vec::new();
    for z in 0..depth {
        for y in 0..height {
            let inner = z > 0 && y > 0 && z + 1 < depth && y + 1 < height;
            let step = if inner { (width - 1).max(1) } else { 1 };
            waiting.extend((0..width).step_by(step).map(|x| z * strides[0] + y * strides[1] + x));
        }
    }
    waiting.retain(|&at| mask[at] == 0);
    for &at in &waiting {
        mask[at] = OUTSIDE;
    }
    while let Some(at) = waiting.pop() {
        let place = [at / strides[0], at / strides[1] % height, at % width];
        for axis in 0..3 {
            let behind = (place[axis] + 1 < shape[axis]).then_some(at + strides[axis]);
            let before = (place[axis] > 0).then(|| at - strides[axis]);
            for next in [before, behind].into_iter().flatten() {
                if mask[next] == 0 {
                    mask[next] = OUTSIDE;
                    waiting.push(next);
                }
            }
        }
    }
    for value in &mut mask {
        *value = u8::from(*value != OUTSIDE);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_inside_and_bays_are_not() {
        // A shell of one voxel around a hole, and an open cup.
        let shape = [5, 5, 9];
        let mut data = vec![0f32; 225];
        let at = |z: usize, y: usize, x: usize| (z * 5 + y) * 9 + x;
        for z in 1..4 {
            for y in 1..4 {
                for x in 1..4 {
                    data[at(z, y, x)] = if (z, y, x) == (2, 2, 2) { 0.0 } else { -3.0 };
                    data[at(z, y, x + 4)] = if y == 2 && x == 2 && z > 1 { 0.0 } else { 1.0 };
                }
            }
        }
        assert_eq!(nonzero_box([data.as_slice()].into_iter(), shape).unwrap().high, [4, 4, 8]);
        let mask = filled_mask(&[View::new(&data, shape)]);
        let count = data.iter().filter(|&&value| value != 0.0).count();
        assert_eq!(mask.iter().map(|&value| usize::from(value)).sum::<usize>(), count + 1);
        assert_eq!(mask[at(2, 2, 2)], 1);
        assert_eq!(mask[at(2, 2, 6)], 0);
        let nothing = [0f32; 225];
        assert_eq!(nonzero_box([nothing.as_slice(); 2].into_iter(), shape), None);
        assert_eq!(nonzero_box([nothing.as_slice(), data.as_slice()].into_iter(), shape).unwrap().low, [1, 1, 1]);
    }
}
