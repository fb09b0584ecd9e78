//! Files of surfaces; one format a file, and a line in [`write()`].

mod glb;
mod ply;
mod stl;

use std::io;
use std::path::Path;

use crate::mesh::Mesh;

/// A surface as a file shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Red, green, blue.
    pub colour: [u8; 3],
    /// Its triangles.
    pub mesh: Mesh,
}

/// How surfaces are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Binary STL: triangles alone, in RAS mm.
    Stl,
    /// Binary PLY with a colour a corner, in RAS mm.
    Ply,
    /// Binary glTF 2.0: a named mesh a part, and a node that turns RAS mm into its metres with y up.
    Glb,
}

impl Format {
    /// The format of a name, by its ending.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "stl" => Some(Self::Stl),
            "ply" => Some(Self::Ply),
            "glb" => Some(Self::Glb),
            _ => None,
        }
    }
}

/// Writes parts into one file.
///
/// # Errors
/// What `out` refuses.
pub fn write(out: &mut dyn io::Write, parts: &[Part], format: Format) -> io::Result<()> {
    match format {
        Format::Stl => stl::write(out, parts),
        Format::Ply => ply::write(out, parts),
        Format::Glb => glb::write(out, parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part {
        let corners = vec![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let triangles = vec![[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]];
        Part { name: "a \"part\"".into(), colour: [255, 128, 0], mesh: Mesh { corners, triangles } }
    }

    fn written(format: Format, parts: &[Part]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, parts, format).expect("memory takes all");
        bytes
    }

    #[test]
    fn sizes_are_what_the_formats_say() {
        let parts = [part(), part()];
        let stl = written(Format::Stl, &parts);
        assert_eq!(stl.len(), 84 + 8 * 50);
        assert_eq!(stl[80..84], 8u32.to_le_bytes());
        let ply = written(Format::Ply, &parts);
        let end = ply.windows(11).position(|bytes| bytes == b"end_header\n").expect("a header") + 11;
        assert_eq!(ply.len() - end, 8 * 15 + 8 * 13);
        let glb = written(Format::Glb, &parts);
        assert_eq!(glb[8..12], (glb.len() as u32).to_le_bytes());
        let json = u32::from_le_bytes([glb[12], glb[13], glb[14], glb[15]]) as usize;
        let scene: serde_json::Value = serde_json::from_slice(&glb[20..20 + json]).expect("JSON");
        assert_eq!(scene["meshes"][1]["name"], "a \"part\"");
        assert_eq!(scene["accessors"][0]["max"], serde_json::json!([1.0, 1.0, 1.0]));
    }

    #[test]
    fn formats_are_told_by_the_ending() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!([of("a.STL"), of("b.ply"), of("c.glb")], [Some(Format::Stl), Some(Format::Ply), Some(Format::Glb)]);
        assert_eq!([of("a.obj"), of("stl")], [None; 2]);
    }
}
