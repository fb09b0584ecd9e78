//! From layers to HU: contrast medium, blur and noise, for a whole volume or a patch of one.

use rayon::prelude::*;

use crate::config::{PhantomConfig, Phase, Style};
use crate::random::{Random, bell, philox};

/// A box of layers, `[z, y, x]`, on any grid.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    /// Voxels, `[z, y, x]`.
    pub shape: [usize; 3],
    /// Voxel size in mm, `[z, y, x]`.
    pub spacing_mm: [f32; 3],
    /// HU of everything but pulmonary and cardiac blood.
    pub background_hu: &'a [i16],
    /// Share of each voxel that is arterial blood, 255 = all.
    pub artery: &'a [u8],
    /// Share of each voxel that is venous blood, 255 = all.
    pub vein: &'a [u8],
}

/// How a scan looks: the contrast medium, the scanner and its reconstruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appearance {
    /// Where the contrast medium is.
    pub phase: Phase,
    /// Blood of the pulmonary arteries and the right heart.
    pub artery_hu: f32,
    /// Blood of the pulmonary veins and the left heart.
    pub vein_hu: f32,
    /// Relative change of the enhancement over 100 mm, `[z, y, x]`.
    pub gradient: [f32; 3],
    /// Standard deviation of the point spread in the slice.
    pub blur_mm: f32,
    /// Overshoot of a sharp kernel: 0 is none.
    pub sharpness: f32,
    /// Standard deviation of the noise in soft tissue.
    pub noise_hu: f32,
    /// Correlation of the noise: standard deviation of its blur.
    pub noise_grain_mm: f32,
}

impl Appearance {
    /// The look of a configuration. Of hospital phantoms 12 % have a lung kernel and 10 % a very soft one.
    pub fn of(config: &PhantomConfig) -> Self {
        let mut look = Self::draw(config.phase, config.seed);
        if config.style == Style::Plain {
            return look;
        }
        let mut random = Random::new(config.seed, 38);
        match random.unit() {
            l if l < 0.12 => {
                look.blur_mm = random.within(0.25, 0.4);
                look.sharpness = random.within(1.21, 2.2);
                look.noise_hu = random.within(40.0, 100.0);
                look.noise_grain_mm = random.within(0.2, 0.35);
            }
            l if l < 0.22 => {
                look.blur_mm = random.within(0.8, 1.2);
                look.sharpness = 0.0;
                look.noise_hu = random.within(5.0, 18.0);
                look.noise_grain_mm = random.within(0.6, 1.2);
            }
            _ => {}
        }
        look
    }

    /// Draws a look; the phase too unless it is given.
    pub fn draw(phase: Option<Phase>, seed: u64) -> Self {
        let mut random = Random::new(seed, 20);
        let lot = random.unit();
        let phase = phase.unwrap_or(match lot {
            l if l < 0.3 => Phase::Arterial,
            l if l < 0.5 => Phase::Venous,
            l if l < 0.7 => Phase::Equal,
            _ => Phase::None,
        });
        let (artery_hu, vein_hu) = match phase {
            Phase::Arterial => {
                let artery = random.within(230.0, 500.0);
                (artery, (artery - random.within(100.0, 300.0)).max(50.0))
            }
            Phase::Venous => {
                let vein = random.within(180.0, 420.0);
                ((vein - random.within(60.0, 200.0)).max(50.0), vein)
            }
            Phase::Equal => {
                let both = random.within(110.0, 400.0);
                (both, both + random.within(-30.0, 30.0))
            }
            Phase::None => {
                let both = random.within(35.0, 55.0);
                (both, both + random.within(-3.0, 3.0))
            }
        };
        let sharp = random.chance(0.35);
        Self {
            phase,
            artery_hu,
            vein_hu,
            gradient: [0, 1, 2].map(|_| random.normal(0.0, 0.05)),
            blur_mm: if sharp { random.within(0.25, 0.5) } else { random.within(0.4, 0.8) },
            sharpness: if sharp { random.within(0.3, 1.2) } else { 0.0 },
            noise_hu: if sharp { random.within(20.0, 60.0) } else { random.within(10.0, 45.0) },
            noise_grain_mm: if sharp { random.within(0.2, 0.4) } else { random.within(0.4, 0.9) },
        }
    }
}

/// Renders HU of a patch. The same patch, look and seed give the same voxels on any number of threads.
pub fn compose(patch: &Patch<'_>, look: &Appearance, seed: u64) -> Vec<i16> {
    let [nz, ny, nx] = patch.shape;
    let slice_len = ny * nx;
    if nz * slice_len == 0 {
        return vec![];
    }
    let mut blurred = vec![0.0_f32; nz * slice_len];
    let [_, sy, sx] = patch.spacing_mm;
    let kernels = [kernel(look.blur_mm / sy), kernel(look.blur_mm / sx)];
    blurred.par_chunks_mut(slice_len).enumerate().for_each(|(z, slice)| {
        enhance(patch, look, z, slice);
        blur_slice(slice, [ny, nx], &kernels);
        if look.sharpness > 0.0 {
            sharpen(slice, [ny, nx], look, [sy, sx]);
        }
    });
    let along = kernel(look.blur_mm / patch.spacing_mm[0]);
    let grain = [kernel(look.noise_grain_mm / sy), kernel(look.noise_grain_mm / sx)];
    let mut hu = vec![0_i16; nz * slice_len];
    hu.par_chunks_mut(slice_len).enumerate().for_each(|(z, slice)| {
        let noise = noise(z, [ny, nx], &grain, seed);
        let reach = along.len() / 2;
        for (i, out) in slice.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (k, w) in along.iter().enumerate() {
                let from = (z + k).saturating_sub(reach).min(nz - 1);
                sum += w * blurred[from * slice_len + i];
            }
            // Lungs let more photons through than soft tissue.
            let dose = 0.6 + 0.4 * ((sum + 1000.0) / 1000.0).clamp(0.0, 1.2);
            *out = (sum + noise[i] * look.noise_hu * dose).round().clamp(-1024.0, 3071.0) as i16;
        }
    });
    hu
}

/// Blood of the phase into one slice.
fn enhance(patch: &Patch<'_>, look: &Appearance, z: usize, slice: &mut [f32]) {
    let [nz, ny, nx] = patch.shape;
    let [sz, sy, sx] = patch.spacing_mm;
    let base = z * ny * nx;
    let from_middle = |i: usize, n: usize, s: f32| (i as f32 - 0.5 * n as f32) * s * 0.01;
    let rise_z = look.gradient[0] * from_middle(z, nz, sz);
    for y in 0..ny {
        let rise_zy = 1.0 + rise_z + look.gradient[1] * from_middle(y, ny, sy);
        for x in 0..nx {
            let i = y * nx + x;
            let ground = f32::from(patch.background_hu[base + i]);
            let artery = f32::from(patch.artery[base + i]) / 255.0;
            let vein = f32::from(patch.vein[base + i]) / 255.0;
            slice[i] = if artery + vein > 0.0 {
                let rise = (rise_zy + look.gradient[2] * from_middle(x, nx, sx)).clamp(0.6, 1.4);
                // Blood itself has 40 HU; only the medium on top of it thins out.
                let lit = |hu: f32| 40.0 + (hu - 40.0) * rise;
                ground * (1.0 - artery - vein) + artery * lit(look.artery_hu) + vein * lit(look.vein_hu)
            } else {
                ground
            };
        }
    }
}

/// Gaussian weights for a deviation in voxels; a single one where the blur is below a fifth of a voxel.
fn kernel(deviation: f32) -> Vec<f32> {
    if deviation < 0.2 {
        return vec![1.0];
    }
    let reach = (deviation * 2.5).ceil() as i32;
    let weights: Vec<f32> = (-reach..=reach).map(|k| (-0.5 * (k as f32 / deviation).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

fn blur_slice(slice: &mut [f32], [ny, nx]: [usize; 2], [along_y, along_x]: &[Vec<f32>; 2]) {
    let mut line = vec![0.0_f32; nx];
    if along_x.len() > 1 {
        let reach = along_x.len() / 2;
        for row in slice.chunks_mut(nx) {
            line.copy_from_slice(row);
            for x in 0..nx {
                row[x] = if x >= reach && x + reach < nx {
                    along_x.iter().zip(&line[x - reach..]).map(|(w, v)| w * v).sum()
                } else {
                    let at = |k: usize| line[(x + k).saturating_sub(reach).min(nx - 1)];
                    along_x.iter().enumerate().map(|(k, w)| w * at(k)).sum()
                };
            }
        }
    }
    if along_y.len() > 1 {
        let reach = along_y.len() / 2;
        let source = slice.to_vec();
        for y in 0..ny {
            let row = &mut slice[y * nx..(y + 1) * nx];
            row.fill(0.0);
            for (k, w) in along_y.iter().enumerate() {
                let from = (y + k).saturating_sub(reach).min(ny - 1) * nx;
                for (out, v) in row.iter_mut().zip(&source[from..from + nx]) {
                    *out += w * v;
                }
            }
        }
    }
}

/// Adds back what a wider blur takes away, as sharp kernels do.
fn sharpen(slice: &mut [f32], shape: [usize; 2], look: &Appearance, [sy, sx]: [f32; 2]) {
    let wide = look.blur_mm * 1.6 + 0.3;
    let mut soft = slice.to_vec();
    blur_slice(&mut soft, shape, &[kernel(wide / sy), kernel(wide / sx)]);
    for (v, s) in slice.iter_mut().zip(&soft) {
        *v += look.sharpness * (*v - s);
    }
}

/// A slice of noise of deviation 1, correlated in the slice.
fn noise(z: usize, shape: [usize; 2], grain: &[Vec<f32>; 2], seed: u64) -> Vec<f32> {
    let n = shape[0] * shape[1];
    let blocks = n.div_ceil(4) as u64;
    let first = z as u64 * blocks;
    let mut noise: Vec<f32> = (first..first + blocks).flat_map(|i| philox(seed, i, 21).map(bell)).collect();
    noise.truncate(n);
    blur_slice(&mut noise, shape, grain);
    let kept: f32 = grain.iter().map(|k| k.iter().map(|w| w * w).sum::<f32>()).product();
    let scale = 1.0 / kept.sqrt();
    for v in &mut noise {
        *v *= scale;
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_patch_keeps_its_value_and_gets_the_noise_asked_for() {
        let shape = [4, 40, 50];
        let n = 4 * 40 * 50;
        let (ground, none) = (vec![0_i16; n], vec![0_u8; n]);
        let patch = Patch { shape, spacing_mm: [1.0; 3], background_hu: &ground, artery: &none, vein: &none };
        let look = Appearance { noise_hu: 30.0, ..Appearance::draw(Some(Phase::Equal), 4) };
        let hu = compose(&patch, &look, 1);
        let mean = hu.iter().map(|&v| f32::from(v)).sum::<f32>() / n as f32;
        let deviation = (hu.iter().map(|&v| (f32::from(v) - mean).powi(2)).sum::<f32>() / n as f32).sqrt();
        assert!(mean.abs() < 3.0 && (deviation - 30.0).abs() < 3.0, "{mean} {deviation}");
    }
}
