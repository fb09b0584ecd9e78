//! Arrays that NumPy packed, as the fixtures hold them: deflated, in C order.

use std::io::Read;
use std::path::Path;

use flate2::read::DeflateDecoder;
use half::f16;

/// An array as f32.
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The array `name` of a file.
pub(super) fn read(path: &Path, name: &str) -> Array {
    let bytes = std::fs::read(path).expect("the file");
    let npy = entry(&bytes, &format!("{name}.npy"));
    let length = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let header = std::str::from_utf8(&npy[10..10 + length]).expect("a header");
    let data = &npy[10 + length..];
    let between = |from: &str, to: &str| {
        let start = header.find(from).expect(from) + from.len();
        &header[start..start + header[start..].find(to).expect(to)]
    };
    assert!(header.contains("'fortran_order': False"));
    let shape = between("'shape': (", ")").split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let values = match between("'descr': '", "'") {
        "<f2" => data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        "<f4" => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        "<i4" => data.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32).collect(),
        other => panic!("{other}"),
    };
    Array { shape, values }
}

/// Unpacks an entry of a zip file, found by the directory at its end.
fn entry(bytes: &[u8], name: &str) -> Vec<u8> {
    let short = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let word = |at: usize| short(at) + (short(at + 2) << 16);
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").expect("a directory");
    let mut at = word(end + 16);
    while &bytes[at..at + 4] == b"PK\x01\x02" {
        let (name_len, extra, comment) = (short(at + 28), short(at + 30), short(at + 32));
        if &bytes[at + 46..at + 46 + name_len] == name.as_bytes() {
            let (packed, local) = (word(at + 20), word(at + 42));
            let data = local + 30 + short(local + 26) + short(local + 28);
            let mut unpacked = Vec::new();
            let mut packed = DeflateDecoder::new(&bytes[data..data + packed]);
            packed.read_to_end(&mut unpacked).expect("deflated data");
            return unpacked;
        }
        at += 46 + name_len + extra + comment;
    }
    panic!("no {name}");
}
