//! A separable linear map of space on the CPU, output row by output row.

use super::axis::Rows;
use crate::dense::collect_blocks;
use crate::multiversion::multiversion;

/// Applies one sparse matrix an axis to `x` `[n, from.., channels]`.
pub(super) fn map(x: &[f32], axes: [&Rows; 3], from: [usize; 3], channels: usize) -> Vec<f32> {
    let [along_z, along_y, along_x] = axes;
    let (planes, lines, line) = (along_z.len(), along_y.len(), along_x.len() * channels);
    let source_line = from[2] * channels;
    let samples = x.len() / (from[0] * from[1] * source_line);
    // One task an output plane: the source lines of neighbouring output lines stay in the cache.
    collect_blocks(samples * planes * lines * line, lines * line, lines * line, |plane, _, out| {
        let sample = plane / planes;
        let mut buffer = vec![0.0; source_line];
        for (y, out) in out.chunks_exact_mut(line).enumerate() {
            buffer.fill(0.0);
            for &(source_z, weight_z) in &along_z[plane % planes] {
                for &(source_y, weight_y) in &along_y[y] {
                    let row = (sample * from[0] + source_z) * from[1] + source_y;
                    add_scaled(&x[row * source_line..][..source_line], weight_z * weight_y, &mut buffer);
                }
            }
            map_line(&buffer, along_x, channels, out);
        }
    })
}

multiversion! {
    fn add_scaled(values: &[f32], weight: f32, sums: &mut [f32]) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * value;
        }
    }
}

multiversion! {
    fn map_line(line: &[f32], along_x: &Rows, channels: usize, out: &mut [f32]) {
        for (pairs, out) in along_x.iter().zip(out.chunks_exact_mut(channels)) {
            match pairs.as_slice() {
                [] => out.fill(0.0),
                &[(index, weight)] => {
                    for (out, value) in out.iter_mut().zip(&line[index * channels..][..channels]) {
                        *out = weight * value;
                    }
                }
                [(first, weight), rest @ ..] => {
                    for (out, value) in out.iter_mut().zip(&line[first * channels..][..channels]) {
                        *out = weight * value;
                    }
                    for (index, weight) in rest {
                        for (out, value) in out.iter_mut().zip(&line[index * channels..][..channels]) {
                            *out += weight * value;
                        }
                    }
                }
            }
        }
    }
}
