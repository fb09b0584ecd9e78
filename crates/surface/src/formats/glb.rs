//! Binary glTF 2.0 (<https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html>): JSON, then one buffer.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Part;

/// From RAS mm to metres with y up and z forward, column by column.
const TO_GLTF: [f64; 16] = [1e-3, 0.0, 0.0, 0.0, 0.0, 0.0, -1e-3, 0.0, 0.0, 1e-3, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
const FLOAT: u32 = 5126;
const UNSIGNED_INT: u32 = 5125;
const VERTICES: u32 = 34962;
const INDICES: u32 = 34963;

pub(super) fn write(out: &mut dyn Write, parts: &[Part]) -> io::Result<()> {
    let mut buffer = Buffer::default();
    let (mut meshes, mut materials) = (Vec::new(), Vec::new());
    for (number, Part { name, colour, mesh }) in parts.iter().filter(|part| !part.mesh.triangles.is_empty()).enumerate()
    {
        let positions = buffer.vectors(&mesh.corners, true);
        let normals = buffer.vectors(&mesh.normals(), false);
        let indices = buffer.indices(&mesh.triangles);
        let attributes = json!({ "POSITION": positions, "NORMAL": normals });
        let primitive = json!({ "attributes": attributes, "indices": indices, "material": number });
        meshes.push(json!({ "name": name, "primitives": [primitive] }));
        let [red, green, blue] = colour.map(linear);
        let look = json!({ "baseColorFactor": [red, green, blue, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.6 });
        materials.push(json!({ "name": name, "pbrMetallicRoughness": look }));
    }
    let children: Vec<usize> = (1..=meshes.len()).collect();
    let mut nodes = vec![json!({ "name": "RAS mm", "matrix": TO_GLTF, "children": children })];
    nodes.extend(meshes.iter().enumerate().map(|(number, mesh)| json!({ "name": mesh["name"], "mesh": number })));
    let mut scene = json!({
        "asset": { "version": "2.0", "generator": "pulmoav" },
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": nodes,
    });
    // glTF has no empty lists.
    if meshes.is_empty() {
        scene["nodes"] = json!([{ "name": "nothing" }]);
    } else {
        scene["meshes"] = Value::Array(meshes);
        scene["materials"] = Value::Array(materials);
        scene["accessors"] = Value::Array(buffer.accessors);
        scene["bufferViews"] = Value::Array(buffer.views);
        scene["buffers"] = json!([{ "byteLength": buffer.bytes.len() }]);
    }
    let mut text = serde_json::to_vec(&scene)?;
    text.resize(text.len().next_multiple_of(4), b' ');
    let has_buffer = !buffer.bytes.is_empty();
    let total = 20 + text.len() + if has_buffer { 8 + buffer.bytes.len() } else { 0 };
    out.write_all(b"glTF")?;
    for number in [2, total as u32, text.len() as u32] {
        out.write_all(&number.to_le_bytes())?;
    }
    out.write_all(b"JSON")?;
    out.write_all(&text)?;
    if has_buffer {
        out.write_all(&(buffer.bytes.len() as u32).to_le_bytes())?;
        out.write_all(b"BIN\0")?;
        out.write_all(&buffer.bytes)?;
    }
    Ok(())
}

/// The buffer and what of it is what; everything in it is a multiple of four bytes long.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    views: Vec<Value>,
    accessors: Vec<Value>,
}

impl Buffer {
    fn vectors(&mut self, vectors: &[[f32; 3]], with_range: bool) -> usize {
        let start = self.bytes.len();
        self.bytes.extend(vectors.iter().flatten().flat_map(|value| value.to_le_bytes()));
        let mut accessor = json!({ "componentType": FLOAT, "count": vectors.len(), "type": "VEC3" });
        if with_range {
            let fold = |of: fn(f32, f32) -> f32, from: f32| {
                vectors
                    .iter()
                    .fold([from; 3], |range, vector| std::array::from_fn(|axis| of(range[axis], vector[axis])))
            };
            accessor["min"] = json!(fold(f32::min, f32::INFINITY));
            accessor["max"] = json!(fold(f32::max, f32::NEG_INFINITY));
        }
        self.finish(start, VERTICES, accessor)
    }

    fn indices(&mut self, triangles: &[[u32; 3]]) -> usize {
        let start = self.bytes.len();
        self.bytes.extend(triangles.iter().flatten().flat_map(|corner| corner.to_le_bytes()));
        let accessor = json!({ "componentType": UNSIGNED_INT, "count": 3 * triangles.len(), "type": "SCALAR" });
        self.finish(start, INDICES, accessor)
    }

    fn finish(&mut self, start: usize, target: u32, mut accessor: Value) -> usize {
        accessor["bufferView"] = json!(self.views.len());
        let length = self.bytes.len() - start;
        self.views.push(json!({ "buffer": 0, "byteOffset": start, "byteLength": length, "target": target }));
        self.accessors.push(accessor);
        self.accessors.len() - 1
    }
}

/// An sRGB level as glTF counts colours (IEC 61966-2-1).
fn linear(level: u8) -> f64 {
    let level = f64::from(level) / 255.0;
    if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
}
