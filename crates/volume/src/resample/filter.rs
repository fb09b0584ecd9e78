//! The filter that makes a spline's coefficients of voxels, as scipy's `spline_filter(mode = "reflect")` runs it.

use pulmoav_simd::combine;

use super::line::Real;

/// Powers of a pole below this change nothing.
const NOTHING: f64 = 1e-18;
/// Rows below this width are not worth a vector.
const NARROW: usize = 8;

/// Two recursions, forward and back, of one pole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filter {
    pole: f64,
    gain: f64,
}

impl Filter {
    /// Of order 2: √8 − 3.
    pub(super) const QUADRATIC: Self = Self { pole: -0.171_572_875_253_809_9, gain: 8.0 };
    /// Of order 3: √3 − 2.
    pub(super) const CUBIC: Self = Self { pole: -0.267_949_192_431_122_7, gain: 6.0 };
    /// Values that a part of a line needs on each side so that its coefficients are those of the whole: the larger
    /// pole's 28th power is below the rounding of f64.
    pub(super) const REACH: usize = 28;

    /// Makes coefficients of rows, along the first axis, in place. Where the rows do not begin at the line's
    /// `start`, the first [`Filter::REACH`] of them are spoilt, and the last where they do not reach its end.
    ///
    /// # Shapes
    /// `rows`: `[n, width]`.
    pub(super) fn run<T: Real>(&self, rows: &mut [T], width: usize, is_start: bool) {
        if rows.len() < width || width == 0 {
            return;
        }
        let (pole, gain) = (T::of(self.pole), T::of(self.gain));
        for value in rows.iter_mut() {
            *value = *value * gain;
        }
        if is_start {
            self.begin(rows, width);
        }
        let last = rows.len() - width;
        if width < NARROW {
            for at in width..rows.len() {
                rows[at] = rows[at] + pole * rows[at - width];
            }
        } else {
            for at in (width..rows.len()).step_by(width) {
                let (before, row) = rows.split_at_mut(at);
                combine([&before[at - width..]], &mut row[..width], |[before], value| value + pole * before);
            }
        }
        let end = T::of(self.pole / (self.pole - 1.0));
        for value in &mut rows[last..] {
            *value = *value * end;
        }
        if width < NARROW {
            for at in (0..last).rev() {
                rows[at] = pole * (rows[at + width] - rows[at]);
            }
        } else {
            for at in (0..last).step_by(width).rev() {
                let (row, behind) = rows[at..].split_at_mut(width);
                combine([&behind[..width]], row, |[behind], value| pole * (behind - value));
            }
        }
    }

    /// The first coefficients of the recursion forward: before its first voxel the line is its own mirror image, again
    /// and again.
    fn begin<T: Real>(&self, rows: &mut [T], width: usize) {
        let count = rows.len() / width;
        let whole = self.pole.powi(count.min(1 << 16) as i32);
        let scale = T::of(self.pole / (1.0 - whole * whole));
        let whole = T::of(whole);
        for at in 0..width {
            let first = rows[at];
            let mut sum = first + whole * rows[(count - 1) * width + at];
            let mut power = self.pole;
            for row in 1..count {
                let mirrored = rows[(count - 1 - row) * width + at];
                sum = sum + T::of(power) * (rows[row * width + at] + whole * mirrored);
                power *= self.pole;
                if power.abs() < NOTHING {
                    break;
                }
            }
            rows[at] = sum * scale + first;
        }
    }
}
