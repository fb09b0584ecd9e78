//! Binary STL: 80 bytes of words, the number of triangles, and for each its normal, its corners and two bytes.

use std::io::{self, Write};

use super::Part;
use crate::mesh::unit;

pub(super) fn write(out: &mut dyn Write, parts: &[Part]) -> io::Result<()> {
    let mut head = [b' '; 80];
    // It must not start with "solid", by which readers know text.
    head[..22].copy_from_slice(b"pulmoav, RAS, mm, STL ");
    out.write_all(&head)?;
    let count: usize = parts.iter().map(|part| part.mesh.triangles.len()).sum();
    out.write_all(&(count as u32).to_le_bytes())?;
    for Part { mesh, .. } in parts {
        for triangle in &mesh.triangles {
            let corners = triangle.map(|corner| mesh.corners[corner as usize]);
            for vector in [unit(mesh.normal(triangle)), corners[0], corners[1], corners[2]] {
                for value in vector {
                    out.write_all(&value.to_le_bytes())?;
                }
            }
            out.write_all(&[0; 2])?;
        }
    }
    Ok(())
}
