//! Where the windows lie.

/// The windows of a sliding window; where the image is smaller than one, it lies amid zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// Voxels of a window, `[z, y, x]`.
    pub(super) patch: [usize; 3],
    /// Voxels of the image.
    pub(super) shape: [usize; 3],
    /// Zeros before the image along each axis.
    pub(super) pad: [usize; 3],
    /// Where windows start along each axis, zeros counted.
    pub(super) starts: [Vec<usize>; 3],
}

impl Windows {
    /// Windows over an image, each moved by at most `step` of its edge.
    pub(super) fn new(shape: [usize; 3], patch: [usize; 3], step: f64) -> Self {
        let padded: [usize; 3] = [0, 1, 2].map(|axis| shape[axis].max(patch[axis]));
        Self {
            patch,
            shape,
            pad: [0, 1, 2].map(|axis| (padded[axis] - shape[axis]) / 2),
            starts: [0, 1, 2].map(|axis| starts(padded[axis], patch[axis], step)),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.starts.iter().map(Vec::len).product()
    }

    /// Their starts in nnunetv2's order, z slowest.
    pub(super) fn places(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let [zs, ys, xs] = &self.starts;
        zs.iter().flat_map(move |&z| ys.iter().flat_map(move |&y| xs.iter().map(move |&x| [z, y, x])))
    }

    /// A window's input.
    ///
    /// # Shapes
    /// `image`: `[z, y, x, c]` of the image → of the window, zeros around the image.
    pub(super) fn cut(&self, image: &[f32], channels: usize, start: [usize; 3]) -> Vec<f32> {
        let mut window = vec![0f32; self.patch.iter().product::<usize>() * channels];
        let [zs, ys, xs] = [0, 1, 2].map(|axis| self.overlap(start, axis));
        for (from_z, to_z) in zs.from().zip(zs.to()) {
            for (from_y, to_y) in ys.from().zip(ys.to()) {
                let from = ((from_z * self.shape[1] + from_y) * self.shape[2] + xs.image) * channels;
                let to = ((to_z * self.patch[1] + to_y) * self.patch[2] + xs.window) * channels;
                let len = xs.len * channels;
                window[to..to + len].copy_from_slice(&image[from..from + len]);
            }
        }
        window
    }

    /// What a window and the image have in common along an axis.
    pub(super) fn overlap(&self, start: [usize; 3], axis: usize) -> Overlap {
        let (start, pad) = (start[axis], self.pad[axis]);
        let (image, window) = (start.saturating_sub(pad), pad.saturating_sub(start));
        let len = (self.patch[axis] - window).min(self.shape[axis] - image);
        Overlap { image, window, len }
    }
}

/// Voxels that a window and the image have in common along an axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overlap {
    /// The first in the image.
    pub(super) image: usize,
    /// The first in the window.
    pub(super) window: usize,
    /// How many.
    pub(super) len: usize,
}

impl Overlap {
    fn from(&self) -> std::ops::Range<usize> {
        self.image..self.image + self.len
    }

    fn to(&self) -> std::ops::Range<usize> {
        self.window..self.window + self.len
    }
}

/// Where windows start along an axis: nnunetv2's `compute_steps_for_sliding_window`.
fn starts(size: usize, patch: usize, step: f64) -> Vec<usize> {
    let most = (size - patch) as f64;
    let count = (most / (patch as f64 * step)).ceil() as usize + 1;
    let actual = if count > 1 { most / (count - 1) as f64 } else { 0.0 };
    (0..count).map(|index| (actual * index as f64).round_ties_even() as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::fixture::golden;

    /// Expected values: nnunetv2, made by `crates/testing/goldens/classes.py`.
    #[test]
    fn starts_are_nnunets() {
        for case in golden()["steps"].as_array().unwrap() {
            let of = |name: &str| serde_json::from_value(case[name].clone()).unwrap();
            let (shape, patch): ([usize; 3], [usize; 3]) = (of("shape"), of("patch"));
            let step: f64 = serde_json::from_value(case["step"].clone()).unwrap();
            let expected: [Vec<usize>; 3] = serde_json::from_value(case["starts"].clone()).unwrap();
            let windows = Windows::new(shape, patch, step);
            assert_eq!(windows.starts, expected, "{shape:?} {patch:?} {step}");
            assert_eq!(windows.places().count(), windows.count());
        }
    }

    #[test]
    fn small_images_lie_amid_zeros() {
        let windows = Windows::new([2, 5, 3], [5, 4, 4], 0.5);
        assert_eq!(windows.pad, [1, 0, 0]);
        let image: Vec<f32> = (1..=60).map(|value| value as f32).collect();
        let window = windows.cut(&image, 2, [0, 1, 0]);
        let at = |z: usize, y: usize, x: usize, c: usize| window[((z * 4 + y) * 4 + x) * 2 + c];
        assert_eq!((at(0, 0, 0, 0), at(3, 3, 2, 1), at(1, 0, 3, 0)), (0.0, 0.0, 0.0));
        // Row y = 1 of plane z = 0, its second channel at x = 2.
        assert_eq!(at(1, 0, 2, 1), image[((3 + 2) * 2) + 1]);
        assert_eq!(at(2, 3, 0, 0), image[(5 + 4) * 3 * 2]);
    }
}
