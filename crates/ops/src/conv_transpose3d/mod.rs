//! Transposed 3-D convolution: the input gradient of a convolution, run forward. Its passes are those of
//! [`mod@crate::conv3d`].

use candle_core::{Result, Tensor};

use crate::conv3d::geometry::{Geometry, WeightOrder};
use crate::conv3d::{Convolution, Direction};

/// Transposed 3-D convolution without padding, with gradients for all inputs.
///
/// # Shapes
/// `x` `[n, d, h, w, ci]`, `weight` `[kd, kh, kw, ci, co]`, `bias` `[co]` → `[n, d', h', w', co]` with
/// `d' = (d − 1)·stride + kd`. `stride` is `[z, y, x]`; a kernel as large as its stride is the fast case (each result
/// has one tap).
///
/// # Errors
/// Shapes that do not fit each other; types other than f32.
pub fn conv_transpose3d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, stride: [usize; 3]) -> Result<Tensor> {
    let geometry = Geometry::transposed(x, weight, stride)?;
    Convolution { geometry, order: WeightOrder::CoarseFine, direction: Direction::ToFine }.apply(x, weight, bias)
}
