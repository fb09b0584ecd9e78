//! Random numbers that depend on a key and a counter alone: the same whatever the order, the number of threads or the
//! machine.

mod normals;
mod philox;
mod stream;

pub use normals::{normals, stream_of};
pub use philox::{philox, philox4x32};
pub use stream::{Philox, Stream, normal_quantiles};
