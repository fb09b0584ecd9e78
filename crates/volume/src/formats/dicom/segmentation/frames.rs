//! Which slices of which segments are written, and their pixels: one bit a voxel, frame after frame without a gap.

use std::io::{self, Write};

use pulmoav_task::Monitor;

/// A slice of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Which of the segments, from 0.
    pub(super) segment: usize,
    /// Which slice of the grid.
    pub(super) slice: usize,
}

/// The frames of a label map, segment by segment: slices without a voxel are left out, but for the first and last slice
/// of the first segment, by which whoever reads the file alone knows how far the scan goes.
///
/// # Shapes
/// `labels`: slices of `plane` voxels; `values`: what each segment has in them.
pub(super) fn frames(labels: &[u8], plane: usize, values: &[u8]) -> Vec<Frame> {
    let there: Vec<[bool; 256]> = labels.chunks_exact(plane).map(values_of).collect();
    let last = there.len().saturating_sub(1);
    let mut frames = Vec::new();
    for (segment, &value) in values.iter().enumerate() {
        let is_kept = |slice: usize| segment == 0 && (slice == 0 || slice == last);
        let slices = (0..there.len()).filter(|&slice| there[slice][usize::from(value)] || is_kept(slice));
        frames.extend(slices.map(|slice| Frame { segment, slice }));
    }
    frames
}

fn values_of(labels: &[u8]) -> [bool; 256] {
    let mut there = [false; 256];
    for &label in labels {
        there[usize::from(label)] = true;
    }
    there
}

/// The values that a label map has, without 0.
pub(super) fn values_in(labels: &[u8]) -> Vec<u8> {
    let there = values_of(labels);
    (1..=u8::MAX).filter(|&value| there[usize::from(value)]).collect()
}

/// Bytes of so many frames; an even number, as all elements have.
pub(super) fn packed_bytes(frames: usize, plane: usize) -> u64 {
    (frames as u64 * plane as u64).div_ceil(8).next_multiple_of(2)
}

/// Writes the frames' bits, the first voxel lowest; `false` where the caller asked to stop.
pub(super) fn write_bits(
    out: &mut dyn Write,
    labels: &[u8],
    plane: usize,
    frames: &[Frame],
    values: &[u8],
    monitor: &dyn Monitor,
) -> io::Result<bool> {
    let mut bytes = Vec::with_capacity(plane / 8 + 1);
    let (mut byte, mut filled) = (0_u8, 0_u32);
    let mut written = 0_u64;
    for (done, &Frame { segment, slice }) in frames.iter().enumerate() {
        if monitor.cancelled() {
            return Ok(false);
        }
        let value = values[segment];
        for &label in &labels[slice * plane..][..plane] {
            byte |= u8::from(label == value) << filled;
            filled += 1;
            if filled == 8 {
                bytes.push(byte);
                (byte, filled) = (0, 0);
            }
        }
        out.write_all(&bytes)?;
        written += bytes.len() as u64;
        bytes.clear();
        monitor.report("write", done as u64 + 1, frames.len() as u64);
    }
    if filled > 0 {
        bytes.push(byte);
    }
    let missing = packed_bytes(frames.len(), plane) - written;
    bytes.resize(missing as usize, 0);
    out.write_all(&bytes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_task::Silent;

    #[test]
    fn empty_slices_are_left_out_but_for_the_ends() {
        let labels = [0, 0, 0, 1, 2, 0, 0, 0, 0, 0];
        let found = frames(&labels, 2, &[1, 2, 3]);
        let pairs: Vec<(usize, usize)> = found.iter().map(|frame| (frame.segment, frame.slice)).collect();
        assert_eq!(pairs, [(0, 0), (0, 1), (0, 4), (1, 2)]);
        assert_eq!(values_in(&labels), [1, 2]);
    }

    #[test]
    fn bits_follow_each_other_across_frames() {
        let labels = [1, 0, 1, 1, 0, 1];
        let found = frames(&labels, 3, &[1]);
        let mut out = Vec::new();
        assert!(write_bits(&mut out, &labels, 3, &found, &[1], &Silent).unwrap());
        assert_eq!(out, [0b0010_1101, 0]);
        assert_eq!(packed_bytes(3, 3), 2);
    }
}
