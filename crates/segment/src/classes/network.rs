//! What the sliding window needs of a network, and the mean over mirrored copies of a window.

use candle_core::{Device, Tensor};

use super::error::ClassError;
use crate::error::SegmentError;

/// A network that answers with the logits of its classes.
pub trait WindowNetwork: Send + Sync {
    /// Input channels.
    fn channels(&self) -> usize;

    /// Output channels: with the background before the plan's classes where the plan's output is `Softmax`.
    fn outputs(&self) -> usize;

    /// The logits of one window.
    ///
    /// # Shapes
    /// `window`: `[z, y, x, c]` of `shape` → `[z, y, x, o]`.
    fn logits(&self, window: Vec<f32>, shape: [usize; 3]) -> Result<Vec<f32>, SegmentError>;

    /// The same network where it works on a card, which can keep windows and logits there.
    fn on_card(&self) -> Option<&dyn CardNetwork> {
        None
    }
}

/// A network on a card.
pub trait CardNetwork {
    /// The card.
    fn device(&self) -> &Device;

    /// Bytes of a value that it computes with.
    fn value_bytes(&self) -> usize;

    /// The logits of windows.
    ///
    /// # Shapes
    /// `windows`: `[n, z, y, x, c]` on the card → `[n, z, y, x, o]`.
    fn logits(&self, windows: &Tensor) -> Result<Tensor, SegmentError>;
}

/// The mean logits of a window and of its mirror images, these turned back: first those mirrored along one of the
/// axes, then along two, then along three, summed in f32.
///
/// # Shapes
/// `window`: `[z, y, x, c]` of `shape` → `[z, y, x, o]`.
///
/// # Errors
/// What the network returns; [`ClassError::Answer`] for one of another size.
pub(super) fn mirrored_logits(
    network: &dyn WindowNetwork,
    window: Vec<f32>,
    shape: [usize; 3],
    axes: &[usize],
) -> Result<Vec<f32>, SegmentError> {
    let expected = shape.iter().product::<usize>() * network.outputs();
    let ask = |window: Vec<f32>| {
        let logits = network.logits(window, shape)?;
        let found = logits.len();
        if found == expected { Ok(logits) } else { Err(SegmentError::from(ClassError::Answer { expected, found })) }
    };
    let turns = combinations(axes);
    if turns.is_empty() {
        return ask(window);
    }
    let mut sum = ask(window.clone())?;
    for &turned in &turns {
        let answer = ask(mirrored(&window, shape, network.channels(), turned))?;
        let answer = mirrored(&answer, shape, network.outputs(), turned);
        sum.iter_mut().zip(&answer).for_each(|(sum, value)| *sum += value);
    }
    let count = (turns.len() + 1) as f32;
    for sum in &mut sum {
        *sum /= count;
    }
    Ok(sum)
}

/// Which axes to mirror along, in the order of Python's `itertools.combinations` of one, two and three of them.
pub(super) fn combinations(axes: &[usize]) -> Vec<[bool; 3]> {
    let of = |chosen: &[usize]| [0, 1, 2].map(|axis| chosen.contains(&axis));
    let ones = axes.iter().map(|&axis| of(&[axis]));
    let pairs = axes.iter().enumerate().flat_map(|(at, &first)| axes[at + 1..].iter().map(move |&b| of(&[first, b])));
    let three = (axes.len() == 3).then(|| of(axes));
    ones.chain(pairs).chain(three).collect()
}

/// A window turned around along axes.
///
/// # Shapes
/// `values`: `[z, y, x, c]` of `shape` → the same.
fn mirrored(values: &[f32], [depth, height, width]: [usize; 3], channels: usize, turned: [bool; 3]) -> Vec<f32> {
    let mut result = vec![0f32; values.len()];
    let at = |index: usize, size: usize, axis: usize| if turned[axis] { size - 1 - index } else { index };
    for (index, row) in result.chunks_exact_mut((width * channels).max(1)).enumerate() {
        let (z, y) = (at(index / height, depth, 0), at(index % height, height, 1));
        let from = &values[(z * height + y) * width * channels..][..width * channels];
        if turned[2] {
            let voxels = row.chunks_exact_mut(channels).zip(from.chunks_exact(channels).rev());
            voxels.for_each(|(to, from)| to.copy_from_slice(from));
        } else {
            row.copy_from_slice(from);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_in_pythons_order() {
        let [z, y, x] = [[true, false, false], [false, true, false], [false, false, true]];
        assert_eq!(combinations(&[]), Vec::<[bool; 3]>::new());
        assert_eq!(combinations(&[0, 2]), [z, x, [true, false, true]]);
        let pairs = [[true, true, false], [true, false, true], [false, true, true]];
        assert_eq!(combinations(&[0, 1, 2]), [z, y, x, pairs[0], pairs[1], pairs[2], [true; 3]]);
    }

    #[test]
    fn turning_twice_is_nothing() {
        let shape = [2, 3, 4];
        let values: Vec<f32> = (0..48).map(|value| value as f32).collect();
        for turned in combinations(&[0, 1, 2]) {
            let once = mirrored(&values, shape, 2, turned);
            assert_ne!(once, values);
            assert_eq!(mirrored(&once, shape, 2, turned), values);
        }
        let along_x = mirrored(&values, shape, 2, [false, false, true]);
        assert_eq!(along_x[..4], [6.0, 7.0, 4.0, 5.0]);
    }
}
