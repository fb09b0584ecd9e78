//! Convolutions of 3 × 3 × 3 taps with fewer products: with stride 1 216 for 64 results instead of 1728, or 64 for 8
//! instead of 216; with stride 2 125 for 8. Those of 1 × 3 × 3 taps with 36 for 16 results instead of 144, or 16 for 4
//! instead of 36; of 3 × 3 × 3 taps with strides of 1, 2 and 2 with 100 for 8.
//!
//! Winograd's minimal filtering F(R, 3) gives R neighbouring results of a three-tap filter from P = R + 2 products.
//! Applied along all three axes, a *tile* of R³ results comes from P³ inputs: `Y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A`, each
//! matrix meant along every axis. For R = 2
//!
//! ```text
//!      1  0 −1  0          1   0   0
//! Bᵀ = 0  1  1  0     G =  ½   ½   ½      Aᵀ = 1  1  1  0
//!      0 −1  1  0          ½  −½   ½           0  1 −1 −1
//!      0  1  0 −1          0   0   1
//! ```
//!
//! For R = 4 the filter and the results are polynomials evaluated at 0, ±a, ±b and ∞ with a = ¾ and b = 1½: row `p` of
//! `Aᵀ`'s transpose is `(1, p, p², p³)`, of `G` `(1, p, p²)` over the product of p's distances from the other points,
//! of `Bᵀ` the coefficients of the product of `x − q` over the other points q. Relative errors against f64 sums are 1
//! to 2e-6, four times those of R = 2 and a third of what the usual points 0, ±1, ±2, ∞ give.
//!
//! With stride 2 the outer taps meet only every second input, the middle one only those between. So two results are
//! F(2, 2) of the one, which takes three products instead of four, plus the two products of the other: five points, and
//! sums without factors,
//!
//! ```text
//!      1  0 −1  0  0         1  0  0
//!      0  0  1  0  0         1  0  1
//! Bᵀ = 0  0 −1  0  1     G = 0  0  1      Aᵀ = 1  1  0  1  0
//!      0  1  0  0  0         0  1  0           0  1  1  0  1
//!      0  0  0  1  0         0  1  0
//! ```
//!
//! From coarse to fine the outer taps, turned around, give every second result and the middle one those between: five
//! points of three inputs for four results.
//!
//! *Flat* tiles, for kernels of one tap along z, have the matrices along y and x alone; half-strided ones have F(2, 3)
//! along z and the strided filter along y and x.
//!
//! The product ⊙ over many tiles and channels is P³ matrix products, one a *point*: tiles × input channels times input
//! × output channels. The input gradient is the same with flipped and transposed weights; the weight's gradient is its
//! adjoint, `dw = Gᵀ[Σ over tiles (Bᵀ x B) ⊙ (A dy Aᵀ)]G`.
//!
//! Sources: S. Winograd, *Arithmetic Complexity of Computations*, SIAM 1980; A. Lavin and S. Gray, *Fast Algorithms for
//! Convolutional Neural Networks*, CVPR 2016, from which the matrices for R = 2 are; that other points err less: B.
//! Barabasz et al., *Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks*, ACM
//! TOMS 2020.
//!
//! `forward.rs` drives both directions with the products of `product.rs`, `gradient.rs` the weight's gradient with
//! those of `outer.rs`; `filter.rs` has the matrices, `transform.rs` and `transform_weights.rs` apply them,
//! `tiling.rs` says where everything lies. The plain reference is [`super::reference`], as for the direct kernel.

mod filter;
mod forward;
mod gradient;
mod outer;
mod product;
mod tiling;
mod transform;
mod transform_weights;

use super::direct;
use super::geometry::{Geometry, WeightOrder};
use super::pass::Pass;
use tiling::Tiling;

/// Channels on both grids are a multiple of this.
const CHANNELS: usize = 16;
/// With fewer tiles than this, transforming the weights costs more than the products saved: measured from 16 to 320
/// channels, where tiles of 2³ are 2 to 3 times as fast as the direct kernels from 16 tiles on and as fast at 8, tiles
/// of 4³ faster than those of 2³ from 27 on.
const MIN_TILES: [usize; 2] = [8, 24];
/// The same for the weight's gradient: tiles of 2³ are 1.3 to 2 times as fast as the direct kernel from 27 tiles on and
/// as fast at 16.
const MIN_GRADIENT_TILES: [usize; 2] = [24, 128];
/// The same for all passes of stride 2: forward they are 1.4 to 1.6 times as fast as the direct kernel from 54 tiles
/// on, as fast at 27, half as fast at 16.
const MIN_STRIDED_TILES: usize = 27;

/// What a tile computes along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// F(2, 3), two results.
    Two,
    /// F(4, 3), four results.
    Four,
    /// Two coarse and four fine voxels of stride 2.
    Strided,
    /// One result along z, of one tap; F(2, 3) along y and x.
    FlatTwo,
    /// One result along z, of one tap; F(4, 3) along y and x.
    FlatFour,
    /// F(2, 3) along z, stride 2 along y and x.
    HalfStrided,
}

impl Tile {
    /// Whether these tiles can compute a convolution: taps and strides of the tile's, channels in sixteens, any padding
    /// with stride 1 and a padding of 1 with others, of sizes that [fit memory][Geometry::fits_memory].
    pub fn fits(self, g: &Geometry) -> bool {
        let (kernel, stride) = self.kernel_and_stride();
        g.fits_memory()
            && g.kernel == kernel
            && g.stride == stride
            && (stride == [1; 3] || g.padding == [1; 3])
            && [g.fine_channels, g.coarse_channels].iter().all(|c| c % CHANNELS == 0)
    }

    fn kernel_and_stride(self) -> ([usize; 3], [usize; 3]) {
        match self {
            Self::Two | Self::Four => ([3; 3], [1; 3]),
            Self::Strided => ([3; 3], [2; 3]),
            Self::FlatTwo | Self::FlatFour => ([1, 3, 3], [1; 3]),
            Self::HalfStrided => ([3; 3], [1, 2, 2]),
        }
    }
}

/// The quicker tile for the forward pass and the input gradient; none if the direct kernel is quicker still.
pub fn tile(g: &Geometry) -> Option<Tile> {
    quicker(g, MIN_TILES)
}

/// The quicker tile for the weight's gradient; none if the direct kernel is quicker still.
pub fn gradient_tile(g: &Geometry) -> Option<Tile> {
    quicker(g, MIN_GRADIENT_TILES)
}

fn quicker(g: &Geometry, least_tiles: [usize; 2]) -> Option<Tile> {
    let count = |tile: [usize; 3]| Tiling::new(g.batch, g.coarse, tile).count();
    for (tile, results) in [(Tile::Strided, [2; 3]), (Tile::HalfStrided, [2; 3])] {
        if tile.fits(g) {
            return (count(results) >= MIN_STRIDED_TILES).then_some(tile);
        }
    }
    let is_flat = Tile::FlatTwo.fits(g);
    if !is_flat && !Tile::Two.fits(g) {
        return None;
    }
    let (depths, axes) = if is_flat { ([1, 1], 2) } else { ([2, 4], 3) };
    let (two, four) = (count([depths[0], 2, 2]), count([depths[1], 4, 4]));
    if two < least_tiles[0] {
        return None;
    }
    // Sizes that are no multiples of 4 leave parts of the larger tiles unused.
    let saves_products = 4 * 6usize.pow(axes) * four < 3 * 4usize.pow(axes) * two;
    // Layers that widen are an encoder's first look at a scale, and all behind them pass their errors on: with the
    // larger tiles, probabilities of a network of published size were 1.4e-4 from PyTorch's instead of 6e-5.
    let widens = g.coarse_channels > g.fine_channels;
    let larger = saves_products && !widens && four >= least_tiles[1];
    Some(match (is_flat, larger) {
        (false, false) => Tile::Two,
        (false, true) => Tile::Four,
        (true, false) => Tile::FlatTwo,
        (true, true) => Tile::FlatFour,
    })
}

/// See [`super::reference::to_coarse`].
///
/// # Panics
/// If the convolution does not [fit][Tile::fits].
pub fn to_coarse(
    tile: Tile,
    g: &Geometry,
    fine: &[f32],
    weight: &[f32],
    order: WeightOrder,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    assert!(tile.fits(g), "{g:?} is not for these kernels");
    forward(tile, &Pass::to_coarse(g, order), &[fine], weight, bias)
}

/// [`to_coarse`] of the channels of `first` and then those of `second`, each in sixteens, without laying them side by
/// side.
///
/// # Panics
/// If the convolution does not [fit][Tile::fits].
pub fn to_coarse_joined(
    tile: Tile,
    g: &Geometry,
    [first, second]: [&[f32]; 2],
    weight: &[f32],
    order: WeightOrder,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    assert!(tile.fits(g), "{g:?} is not for these kernels");
    let sixteens = g.batch * g.fine.iter().product::<usize>() * CHANNELS;
    assert!(first.len().is_multiple_of(sixteens), "the first input's channels are not in sixteens");
    forward(tile, &Pass::to_coarse(g, order), &[first, second], weight, bias)
}

/// The tile with which [`to_coarse_joined`] is the quicker way for a first input of so many channels.
pub fn joined_tile(g: &Geometry, first_channels: usize) -> Option<Tile> {
    tile(g).filter(|_| first_channels.is_multiple_of(CHANNELS))
}

/// See [`super::reference::to_fine`].
///
/// # Panics
/// If the convolution does not [fit][Tile::fits].
pub fn to_fine(
    tile: Tile,
    g: &Geometry,
    coarse: &[f32],
    weight: &[f32],
    order: WeightOrder,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    assert!(tile.fits(g), "{g:?} is not for these kernels");
    forward(tile, &Pass::to_fine(g, order), &[coarse], weight, bias)
}

/// See [`super::reference::weight_gradient`]. Tiles that are no cubes leave it to the direct kernel.
///
/// # Panics
/// If the convolution does not [fit][Tile::fits].
pub fn weight_gradient(tile: Tile, g: &Geometry, fine: &[f32], coarse: &[f32], order: WeightOrder) -> Vec<f32> {
    assert!(tile.fits(g), "{g:?} is not for these kernels");
    match tile {
        Tile::Two => gradient::weight_gradient::<2, 4>(g, fine, coarse, order),
        Tile::Four => gradient::weight_gradient::<4, 6>(g, fine, coarse, order),
        Tile::Strided => gradient::weight_gradient::<2, 5>(g, fine, coarse, order),
        Tile::FlatTwo | Tile::FlatFour | Tile::HalfStrided => direct::weight_gradient(g, fine, coarse, order),
    }
}

fn forward(tile: Tile, pass: &Pass, inputs: &[&[f32]], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let is_to_coarse = pass.spread == [1; 3];
    match tile {
        Tile::Two => forward::run::<4, 2, 4, 4, 2, 4>(pass, inputs, weight, bias),
        Tile::Four => forward::run::<6, 4, 6, 6, 4, 6>(pass, inputs, weight, bias),
        Tile::Strided if is_to_coarse => forward::run::<5, 2, 5, 5, 2, 5>(pass, inputs, weight, bias),
        Tile::Strided => forward::run::<3, 4, 5, 3, 4, 5>(pass, inputs, weight, bias),
        Tile::FlatTwo => forward::run::<1, 1, 1, 4, 2, 4>(pass, inputs, weight, bias),
        Tile::FlatFour => forward::run::<1, 1, 1, 6, 4, 6>(pass, inputs, weight, bias),
        Tile::HalfStrided if is_to_coarse => forward::run::<4, 2, 4, 5, 2, 5>(pass, inputs, weight, bias),
        Tile::HalfStrided => forward::run::<4, 2, 4, 3, 4, 5>(pass, inputs, weight, bias),
    }
}
