//! Folders that go when the test ends, and checkpoints of any content.

// Each test file is a crate of its own and uses some of these.
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A directory that goes when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pulmoav-nnunet-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("made");
        Self(path)
    }

    /// A copy of a model folder with fold 0.
    pub(crate) fn copy(name: &str, from: &Path) -> Self {
        let folder = Self::new(name);
        for entry in std::fs::read_dir(from).expect("a golden") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                std::fs::write(folder.0.join(name), std::fs::read(&path).expect("read")).expect("written");
            }
        }
        std::fs::create_dir_all(folder.0.join("fold_0")).expect("made");
        let bytes = std::fs::read(from.join("fold_0/checkpoint_final.pth")).expect("a checkpoint");
        std::fs::write(folder.checkpoint(), bytes).expect("written");
        folder
    }

    /// Another fold with the checkpoint of fold 0.
    pub(crate) fn copy_fold(&self, name: &str) {
        let fold = self.0.join(format!("fold_{name}"));
        std::fs::create_dir_all(&fold).expect("made");
        std::fs::copy(self.checkpoint(), fold.join("checkpoint_final.pth")).expect("copied");
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.0.join("fold_0/checkpoint_final.pth")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opcodes of a string.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![b'X'];
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Opcodes of a number.
pub(crate) fn number(value: usize) -> Vec<u8> {
    let mut bytes = vec![b'J'];
    bytes.extend((value as i32).to_le_bytes());
    bytes
}

/// Opcodes of a tuple.
pub(crate) fn tuple(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![b'('];
    bytes.extend(members.concat());
    bytes.push(b't');
    bytes
}

/// Opcodes of a dictionary.
pub(crate) fn dictionary(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"}(".to_vec();
    for (name, value) in entries {
        bytes.extend(text(name));
        bytes.extend(value);
    }
    bytes.push(b'u');
    bytes
}

/// Opcodes of a call of a Python name with a string.
pub(crate) fn call(module: &str, name: &str, argument: &str) -> Vec<u8> {
    let mut bytes = format!("c{module}\n{name}\n").into_bytes();
    bytes.extend(tuple(&[text(argument)]));
    bytes.push(b'R');
    bytes
}

/// Opcodes of a float tensor over all of storage `key`.
pub(crate) fn tensor(key: &str, shape: &[usize]) -> Vec<u8> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let mut storage = tuple(&[
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text(key),
        text("cpu"),
        number(shape.iter().product()),
    ]);
    storage.push(b'Q');
    let sizes = |sizes: &[usize]| tuple(&sizes.iter().map(|&size| number(size)).collect::<Vec<_>>());
    let mut bytes = b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec();
    let hooks = b"ccollections\nOrderedDict\n)R".to_vec();
    bytes.extend(tuple(&[storage, number(0), sizes(shape), sizes(&strides), vec![0x89], hooks]));
    bytes.push(b'R');
    bytes
}

/// A checkpoint as PyTorch writes it: the opcodes of its object, and its storages by key.
pub(crate) fn write_checkpoint(path: &Path, object: &[u8], storages: &[(String, Vec<f32>)]) {
    let mut zip = ZipWriter::new(std::fs::File::create(path).expect("made"));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut entry = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), options).expect("an entry");
        zip.write_all(bytes).expect("written");
    };
    let mut pickle = vec![0x80, 2];
    pickle.extend(object);
    pickle.push(b'.');
    entry("data.pkl", &pickle);
    entry("byteorder", b"little");
    for (key, values) in storages {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        entry(&format!("data/{key}"), &bytes);
    }
    zip.finish().expect("finished");
}
