//! Surfaces of label maps: triangles in RAS mm, smoothed without shrinking, as STL, PLY and glTF.

pub mod formats;
mod mesh;
mod nets;
mod smooth;

pub use mesh::Mesh;
pub use nets::surface;
pub use smooth::smooth;
