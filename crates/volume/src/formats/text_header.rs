//! Headers of `key, value` lines, as NRRD and `MetaImage` have them, and the voxels that they point to.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::bytes::{Bytes, open_raw};
use super::check_size;
use crate::error::VolumeError;

/// Bytes of a header line, generously.
pub(super) const LONGEST_LINE: usize = 1 << 16;
/// Lines of a header, generously.
pub(super) const MAX_LINES: usize = 10_000;

/// The fields of a text header.
pub(super) struct TextHeader {
    /// The header's file.
    pub(super) path: PathBuf,
    /// What the file says of each key.
    pub(super) entries: BTreeMap<String, String>,
    /// What stands between a key and its value, for messages.
    pub(super) joint: &'static str,
}

impl TextHeader {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The error that a field is not what was expected.
    pub(super) fn wrong(&self, key: &str, expected: &str) -> VolumeError {
        let (value, joint) = (shortened(self.get(key).unwrap_or("nothing")), self.joint);
        VolumeError::format(&self.path, format!("has `{key}{joint}{value}`; expected {expected}"))
    }

    /// A whole number, where the field is there.
    pub(super) fn whole_number(&self, key: &str) -> Result<Option<i64>, VolumeError> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| self.wrong(key, "a whole number"))
    }

    /// The axes' lengths, the fastest first: as many as field `axes` says, at most `most`.
    ///
    /// # Errors
    /// `ERR_FORMAT` for fields that are no such numbers, `ERR_GEOMETRY` for an axis without voxels.
    pub(super) fn sizes(&self, axes: &str, most: usize, sizes: &str) -> Result<Vec<usize>, VolumeError> {
        let count = self
            .get(axes)
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|count| (1..=most).contains(count))
            .ok_or_else(|| self.wrong(axes, &format!("1 to {most}")))?;
        let lengths: Vec<usize> = self
            .get(sizes)
            .and_then(|text| text.split_ascii_whitespace().map(|size| size.parse().ok()).collect())
            .filter(|lengths: &Vec<usize>| lengths.len() == count)
            .ok_or_else(|| self.wrong(sizes, "one length an axis"))?;
        if lengths.contains(&0) {
            return Err(VolumeError::geometry(
                self.path.display(),
                format!("has no voxels ({sizes} {lengths:?}); expected at least one along each axis"),
            ));
        }
        check_size(&self.path, &lengths)?;
        Ok(lengths)
    }

    /// Opens the file beside the header that field `key` names.
    ///
    /// # Errors
    /// `ERR_FORMAT` where the field names none or several, `ERR_IO` where the file is not there.
    pub(super) fn open_beside(&self, key: &str) -> Result<Bytes, VolumeError> {
        let name = self.get(key).unwrap_or_default();
        if name.is_empty() || is_list(name) || name.contains('%') {
            return Err(self.wrong(key, "the name of one file, so save the volume with its voxels in one file"));
        }
        // A header may come from anywhere; what it names is read.
        let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(name).components().all(is_inside) {
            return Err(self.wrong(key, "a file in the header's own folder or below, so move it there"));
        }
        open_raw(&self.path.with_file_name(name))
    }

    /// Passes over what stands before the voxels: as many bytes as field `key` says, or where it says -1, all but the
    /// last `voxel_bytes`. Nothing without the field.
    ///
    /// # Errors
    /// `ERR_FORMAT` for a number that the file cannot hold, `ERR_IO`.
    pub(super) fn pass(&self, bytes: &mut Bytes, key: &str, voxel_bytes: u128) -> Result<(), VolumeError> {
        let count = match self.whole_number(key)?.unwrap_or(0) {
            -1 => u128::from(bytes.budget()).saturating_sub(voxel_bytes) as u64,
            count => u64::try_from(count)
                .ok()
                .filter(|&count| count <= bytes.budget())
                .ok_or_else(|| self.wrong(key, "no more bytes than the file has"))?,
        };
        bytes.skip(count)
    }
}

/// Whether a field for the voxels' file says that names of several follow.
pub(super) fn is_list(name: &str) -> bool {
    name.starts_with("LIST")
}

/// The start of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(entries: &[(&str, &str)]) -> TextHeader {
        let entries = entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        TextHeader { path: "scan.nhdr".into(), entries, joint: ": " }
    }

    #[test]
    fn sizes_are_as_many_as_axes() {
        let cases = [
            ("3", "5 4 3", Ok(vec![5, 4, 3])),
            ("2", "5 4", Ok(vec![5, 4])),
            ("0", "", Err("scan.nhdr: has `dimension: 0`; expected 1 to 4")),
            ("5", "1 1 1 1 1", Err("scan.nhdr: has `dimension: 5`; expected 1 to 4")),
            ("3", "5 4", Err("scan.nhdr: has `sizes: 5 4`; expected one length an axis")),
            ("3", "5 -4 3", Err("scan.nhdr: has `sizes: 5 -4 3`; expected one length an axis")),
            ("2", "5 0", Err("scan.nhdr: has no voxels (sizes [5, 0]); expected at least one along each axis")),
        ];
        for (axes, sizes, want) in cases {
            let header = header(&[("dimension", axes), ("sizes", sizes)]);
            let got = header.sizes("dimension", 4, "sizes").map_err(|error| error.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{axes} axes of {sizes}");
        }
    }

    #[test]
    fn voxels_stand_where_the_header_says() {
        let folder = std::env::temp_dir().join(format!("pulmoav-text-header-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        std::fs::write(folder.join("scan.raw"), b"beforeVOXEL").expect("written");
        // The number of bytes before, and what is read: 5 voxels of one byte.
        let cases = [(None, Some("befor")), (Some("6"), Some("VOXEL")), (Some("-1"), Some("VOXEL"))];
        let refused = [(Some("12"), None), (Some("-2"), None), (Some("x"), None)];
        for (before, want) in cases.into_iter().chain(refused) {
            let mut entries = vec![("data file", "scan.raw")];
            entries.extend(before.map(|before| ("byte skip", before)));
            let header = TextHeader { path: folder.join("scan.nhdr"), ..header(&entries) };
            let mut bytes = header.open_beside("data file").expect("opened");
            let got = header.pass(&mut bytes, "byte skip", 5).and_then(|()| bytes.take(5, "voxels"));
            assert_eq!(got.ok().as_deref(), want.map(str::as_bytes), "{before:?}");
        }
        for name in ["", "LIST", "slice%03d.raw", "../scan.raw", "/etc/passwd", "a/../../scan.raw"] {
            let error = header(&[("data file", name)]).open_beside("data file").err().expect("refused");
            assert_eq!(error.code(), "ERR_FORMAT", "{name}: {error}");
        }
    }
}
