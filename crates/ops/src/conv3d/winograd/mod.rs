//! Convolutions of 3 × 3 × 3 taps and stride 1 with 64 products for 8 results instead of 216.
//!
//! Winograd's minimal filtering F(2, 3) gives two neighbouring results of a three-tap filter from four products. Applied along all three axes,
//! a *tile* of 2³ results comes from 4³ inputs: `Y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A`, each matrix meant along every axis, with
//!
//! ```text
//!      1  0 −1  0          1   0   0
//! Bᵀ = 0  1  1  0     G =  ½   ½   ½      Aᵀ = 1  1  1  0
//!      0 −1  1  0          ½  −½   ½           0  1 −1 −1
//!      0  1  0 −1          0   0   1
//! ```
//!
//! The product ⊙ over many tiles and channels is 64 matrix products, one a *point* of the 4³: tiles × input channels times input × output
//! channels. The input gradient is the same with flipped and transposed weights; the weight's gradient is its adjoint,
//! `dw = Gᵀ[Σ over tiles (Bᵀ x B) ⊙ (A dy Aᵀ)]G`.
//!
//! Sources: S. Winograd, *Arithmetic Complexity of Computations*, SIAM 1980; A. Lavin and S. Gray, *Fast Algorithms for Convolutional Neural
//! Networks*, CVPR 2016, from which the matrices are.
//!
//! `forward.rs` drives both directions with the products of `product.rs`, `gradient.rs` the weight's gradient with those of `outer.rs`;
//! `transform.rs` applies the matrices, `tiling.rs` says where everything lies.
//! The plain reference is [`super::reference`], as for the direct kernel.

mod forward;
mod gradient;
mod outer;
mod product;
mod tiling;
mod transform;

use super::geometry::{Geometry, WeightOrder};
use super::pass::Pass;
use tiling::Tiling;

/// Channels on both grids are a multiple of this.
const CHANNELS: usize = 16;
/// With fewer tiles than this, transforming the weights costs more than the products saved: measured from 16 to 320 channels, where these
/// kernels are 2 to 3 times as fast from 16 tiles on and as fast as the direct ones at 8.
const LEAST_TILES: usize = 8;
/// The same for the weight's gradient: 1.3 to 2 times as fast from 27 tiles on, as fast as the direct kernel at 16.
const LEAST_GRADIENT_TILES: usize = 24;

/// Whether these kernels can compute a convolution: 3 × 3 × 3 taps, stride 1, channels in sixteens, any padding.
pub fn fits(g: &Geometry) -> bool {
    g.kernel == [3; 3] && g.stride == [1; 3] && [g.fine_channels, g.coarse_channels].iter().all(|c| c % CHANNELS == 0)
}

/// Whether they are the quicker ones for its forward pass and input gradient.
pub fn pays(g: &Geometry) -> bool {
    fits(g) && Tiling::new(g.batch, g.coarse).count() >= LEAST_TILES
}

/// Whether they are the quicker ones for its weight's gradient.
pub fn gradient_pays(g: &Geometry) -> bool {
    fits(g) && Tiling::new(g.batch, g.coarse).count() >= LEAST_GRADIENT_TILES
}

/// See [`super::reference::to_coarse`].
///
/// # Panics
/// If the convolution does not [fit][fits].
pub fn to_coarse(g: &Geometry, fine: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    assert!(fits(g), "{g:?} is not for these kernels");
    forward::run(&Pass::to_coarse(g, order), &[fine], weight, bias)
}

/// [`to_coarse`] of the channels of `first` and then those of `second`, each in sixteens, without laying them side by side.
///
/// # Panics
/// If the convolution does not [fit][fits].
pub fn to_coarse_joined(
    g: &Geometry,
    [first, second]: [&[f32]; 2],
    weight: &[f32],
    order: WeightOrder,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let voxels = g.batch * g.fine.iter().product::<usize>();
    assert!(fits(g) && (first.len() / voxels).is_multiple_of(CHANNELS), "{g:?} is not for these kernels");
    forward::run(&Pass::to_coarse(g, order), &[first, second], weight, bias)
}

/// Whether [`to_coarse_joined`] is the quicker way for a first input of so many channels.
pub fn joining_pays(g: &Geometry, first_channels: usize) -> bool {
    first_channels.is_multiple_of(CHANNELS) && pays(g)
}

/// See [`super::reference::to_fine`].
///
/// # Panics
/// If the convolution does not [fit][fits].
pub fn to_fine(g: &Geometry, coarse: &[f32], weight: &[f32], order: WeightOrder, bias: Option<&[f32]>) -> Vec<f32> {
    assert!(fits(g), "{g:?} is not for these kernels");
    forward::run(&Pass::to_fine(g, order), &[coarse], weight, bias)
}

/// See [`super::reference::weight_gradient`].
///
/// # Panics
/// If the convolution does not [fit][fits].
pub fn weight_gradient(g: &Geometry, fine: &[f32], coarse: &[f32], order: WeightOrder) -> Vec<f32> {
    assert!(fits(g), "{g:?} is not for these kernels");
    gradient::weight_gradient(g, fine, coarse, order)
}
