//! Normalisation of a channel before it is resampled, in f32 as nnunetv2 does it.

use pulmoav_plan::Normalisation;
use pulmoav_volume::crop::View;
use rayon::prelude::*;

use super::error::ClassError;

/// Divisors below this count as this.
const EPSILON: f32 = 1e-8;

/// A channel's normalisation with the numbers of one image: a value is held within a range, then
/// `(value − minus) / over`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normaliser {
    clip: [f32; 2],
    minus: f32,
    over: f32,
    /// Whether values outside the mask stay as they are.
    pub(super) masked: bool,
}

impl Normaliser {
    /// That of a channel.
    ///
    /// # Shapes
    /// `channel`: the crop, `[z, y, x]`; `mask`: 0 or 1, of the same shape, used where the z-score is masked.
    ///
    /// # Errors
    /// [`ClassError::Rgb`].
    pub(super) fn of(
        kind: Normalisation,
        channel: &View<'_, f32>,
        mask: &[u8],
        name: &str,
    ) -> Result<Self, ClassError> {
        let none = Self { clip: [f32::NEG_INFINITY, f32::INFINITY], minus: 0.0, over: 1.0, masked: false };
        Ok(match kind {
            Normalisation::Ct { clip_hu, mean, std } => {
                let over = std.max(f64::from(EPSILON)) as f32;
                Self { clip: clip_hu.map(|bound| bound as f32), minus: mean as f32, over, masked: false }
            }
            Normalisation::ZScore { masked } => {
                let (minus, deviation) = moments(channel, if masked { Some(mask) } else { None });
                Self { minus, over: deviation.max(EPSILON), masked, ..none }
            }
            Normalisation::None => none,
            Normalisation::ZeroOne => {
                let [least, greatest] = range(channel);
                Self { minus: least, over: (greatest - least).max(EPSILON), ..none }
            }
            Normalisation::Rgb => {
                let [least, greatest] = range(channel);
                if least < 0.0 || greatest > 255.0 {
                    return Err(ClassError::Rgb { name: name.to_owned(), least, greatest });
                }
                Self { over: 255.0, ..none }
            }
        })
    }

    /// A value's normalised one.
    #[inline]
    pub(super) fn apply(&self, value: f32) -> f32 {
        (value.max(self.clip[0]).min(self.clip[1]) - self.minus) / self.over
    }
}

/// Mean and standard deviation of what the mask holds, or of all; f64 sums a plane, added in order.
fn moments(channel: &View<'_, f32>, mask: Option<&[u8]>) -> (f32, f32) {
    let [depth, height, width] = channel.shape();
    let sum = |value: &(dyn Fn(f32) -> f32 + Sync)| -> (f64, f64) {
        let of_plane = |row: &mut Vec<f32>, z: usize| {
            let (mut sum, mut count) = (0.0, 0.0);
            for y in 0..height {
                channel.copy_row(z, y, row);
                let inside = mask.map(|mask| &mask[(z * height + y) * width..][..width]);
                for (x, &voxel) in row.iter().enumerate() {
                    if inside.is_none_or(|inside| inside[x] != 0) {
                        sum += f64::from(value(voxel));
                        count += 1.0;
                    }
                }
            }
            (sum, count)
        };
        let planes: Vec<(f64, f64)> = (0..depth).into_par_iter().map_init(|| vec![0.0; width], of_plane).collect();
        planes.into_iter().fold((0.0, 0.0), |all, plane| (all.0 + plane.0, all.1 + plane.1))
    };
    let (total, count) = sum(&|voxel| voxel);
    let mean = (total / count.max(1.0)) as f32;
    let (squares, _) = sum(&|voxel| (voxel - mean) * (voxel - mean));
    (mean, ((squares / count.max(1.0)) as f32).sqrt())
}

fn range(channel: &View<'_, f32>) -> [f32; 2] {
    let [depth, height, width] = channel.shape();
    let nothing = [f32::INFINITY, f32::NEG_INFINITY];
    let wider = |a: [f32; 2], b: [f32; 2]| [a[0].min(b[0]), a[1].max(b[1])];
    let of_plane = |row: &mut Vec<f32>, z: usize| {
        let mut found = nothing;
        for y in 0..height {
            channel.copy_row(z, y, row);
            found = row.iter().fold(found, |found, &value| wider(found, [value; 2]));
        }
        found
    };
    (0..depth).into_par_iter().map_init(|| vec![0.0; width], of_plane).reduce(|| nothing, wider)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: NumPy, by the formulas of nnunetv2's normalisation schemes.
    #[test]
    fn every_scheme_does_what_it_says() {
        let data = [0f32, 10.0, 20.0, 30.0, 250.0, 0.0];
        let (view, mask) = (View::new(&data, [1, 2, 3]), [0u8, 1, 1, 1, 1, 1]);
        let by = |kind| {
            let normaliser = Normaliser::of(kind, &view, &mask, "x").unwrap();
            (data.map(|value| normaliser.apply(value)), normaliser.masked)
        };
        let ct = Normalisation::Ct { clip_hu: [5.0, 100.0], mean: 15.0, std: 10.0 };
        assert_eq!(by(ct).0, [-1.0, -0.5, 0.5, 1.5, 8.5, -1.0]);
        let flat = Normalisation::Ct { clip_hu: [0.0, 1.0], mean: 0.0, std: 0.0 };
        assert_eq!(by(flat).0[1], 1.0 / 1e-8);
        assert_eq!(by(Normalisation::None), (data, false));
        assert_eq!(by(Normalisation::ZeroOne).0[4], 1.0);
        assert_eq!(by(Normalisation::Rgb).0[3], 30.0 / 255.0);
        let close = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        close(by(Normalisation::ZScore { masked: false }).0[4], 2.220_133_8);
        let (masked, is_masked) = by(Normalisation::ZScore { masked: true });
        assert!(is_masked);
        close(masked[4], 1.988_777_9);
        let low = [-1f32; 8];
        let refused = Normaliser::of(Normalisation::Rgb, &View::new(&low, [2; 3]), &[], "red").unwrap_err();
        assert!(refused.to_string().contains("red"), "{refused}");
    }
}
