//! The 3-D operators that candle lacks, forward and backward. Tensors in, tensors out; channels innermost (`[n, d, h,
//! w, c]`), f32; on cards bf16 too, where weights follow the type of their input.
//!
//! One folder an operator: `mod.rs` holds the contract, the shape checks and the backward pass, `cpu.rs` the CPU
//! kernels, `cuda.rs` and `kernels.cu` those of NVIDIA cards (feature `cuda`).

pub mod activation;
pub mod attention;
pub mod augment;
pub mod block_cache;
mod cast;
mod channelwise;
pub mod concat;
pub mod conv3d;
pub mod conv_transpose3d;
#[cfg(feature = "cuda")]
mod cuda;
mod dense;
pub mod device;
mod elementary;
pub mod labels;
pub mod layer_norm;
pub mod linear;
pub mod loss;
mod memory;
mod multiversion;
pub mod norm;
pub mod optimizer;
pub mod pool3d;
mod products;
pub mod pseudo;
pub mod ranks;
pub mod resample;
pub mod skeleton;
pub mod tape;
pub mod upsample3d;
pub mod window;

pub use activation::{Activation, activate, add_activate, gelu_erf, quick_gelu, sigmoid};
pub use attention::{AttentionMask, attention};
pub use cast::cast;
pub use concat::concat_channels;
pub use conv_transpose3d::conv_transpose3d;
pub use conv3d::{conv3d, conv3d_joined};
pub use layer_norm::layer_norm;
pub use linear::{PackedLinear, linear, linear_per_sample};
pub use norm::{Input, batch_norm, group_norm, instance_norm};
pub use pool3d::{avg_pool3d, max_pool3d};
pub use products::Products;
pub use pulmoav_simd as simd;
pub use ranks::{Exchange, Ranks};
pub use upsample3d::{upsample_nearest3d, upsample_trilinear3d};
