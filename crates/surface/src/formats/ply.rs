//! Binary PLY (Turk, "The PLY polygon file format", 1994) with a colour a corner.

use std::io::{self, Write};

use super::Part;

pub(super) fn write(out: &mut dyn Write, parts: &[Part]) -> io::Result<()> {
    let corners: usize = parts.iter().map(|part| part.mesh.corners.len()).sum();
    let triangles: usize = parts.iter().map(|part| part.mesh.triangles.len()).sum();
    write!(
        out,
        "ply\nformat binary_little_endian 1.0\ncomment pulmoav, RAS, mm\nelement vertex {corners}\n\
         property float x\nproperty float y\nproperty float z\n\
         property uchar red\nproperty uchar green\nproperty uchar blue\n\
         element face {triangles}\nproperty list uchar int vertex_indices\nend_header\n"
    )?;
    for Part { mesh, colour, .. } in parts {
        for corner in &mesh.corners {
            for value in corner {
                out.write_all(&value.to_le_bytes())?;
            }
            out.write_all(colour)?;
        }
    }
    let mut first = 0;
    for Part { mesh, .. } in parts {
        for triangle in &mesh.triangles {
            out.write_all(&[3])?;
            for corner in triangle {
                out.write_all(&(corner + first).to_le_bytes())?;
            }
        }
        first += mesh.corners.len() as u32;
    }
    Ok(())
}
