//! Hounsfield units from whatever a file holds, and a suspicion where the numbers cannot be such.

use pulmoav_task::Warning;
use rayon::prelude::*;

use crate::voxels::{Voxel, Voxels, map};
use crate::with_voxels;

/// Stands in for voxels that are no number: air.
pub const AIR_HU: f32 = -1024.0;
/// Every CT of a body has air, lung or fat below this.
const HIGHEST_MINIMUM_HU: f32 = -60.0;
/// Every CT of a body has soft tissue above this.
const LOWEST_MAXIMUM_HU: f32 = -100.0;
/// Air and fat lie between this and [`HIGHEST_MINIMUM_HU`]; what is below is padding or the ringing of a filter.
const PADDING_BELOW_HU: f32 = -1100.0;
/// A CT of a body holds at least this share of them.
const MIN_LIGHT_SHARE: f64 = 1e-3;
/// Interpolation and padding go below −1024 HU, but not so far.
const LOWEST_HU: f32 = -20_000.0;
/// Metal and 16-bit storage end below this.
const HIGHEST_HU: f32 = 70_000.0;
/// Values whose extremes one task finds.
const BLOCK: usize = 1 << 16;

/// Voxels as f32 HU, and `NOT_HU` when their range is not that of a CT in HU.
///
/// Voxels that are not finite become [`AIR_HU`] and are part of the warning.
pub fn hounsfield(voxels: &Voxels) -> (Vec<f32>, Option<Warning>) {
    let values = with_voxels!(voxels, values => map(values, |value| {
        let value = value.to_f32();
        if value.is_finite() { value } else { AIR_HU }
    }));
    let strays = match voxels {
        Voxels::F32(values) => values.par_iter().filter(|value| !value.is_finite()).count(),
        Voxels::F64(values) => values.par_iter().filter(|&&value| !value.to_f32().is_finite()).count(),
        _ => 0,
    };
    let warning = suspicion(&values, strays).map(|problem| Warning::new("NOT_HU", problem));
    (values, warning)
}

fn suspicion(values: &[f32], strays: usize) -> Option<String> {
    let is_light = |value: f32| (PADDING_BELOW_HU..=HIGHEST_MINIMUM_HU).contains(&value);
    let nothing = (f32::INFINITY, f32::NEG_INFINITY, 0usize);
    let (least, most, light) = values
        .par_chunks(BLOCK)
        .map(|block| {
            // Without a NaN among them comparisons do, and they become vector instructions.
            let [mut least, mut most] = [block[0]; 2];
            let mut light = 0u32;
            for &value in block {
                least = if value < least { value } else { least };
                most = if value > most { value } else { most };
                light += u32::from(is_light(value));
            }
            (least, most, light as usize)
        })
        .reduce(|| nothing, |a, b| (a.0.min(b.0), a.1.max(b.1), a.2 + b.2));
    let range = format!("voxels range from {least} to {most}");
    if strays > 0 {
        return Some(format!("{strays} voxel(s) are not numbers and were taken for air; is this a CT in HU?"));
    }
    if least > HIGHEST_MINIMUM_HU || (light as f64) < MIN_LIGHT_SHARE * values.len() as f64 {
        return Some(format!(
            "{range}, without air or fat; a CT in HU has both, so check that the rescale intercept (often -1024) was applied"
        ));
    }
    if most < LOWEST_MAXIMUM_HU || least < LOWEST_HU || most > HIGHEST_HU {
        return Some(format!("{range}, which is not that of a CT in HU; check its rescale slope and intercept"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_ct_from_what_is_none() {
        let cases: [(&str, Voxels, bool); 8] = [
            ("chest", Voxels::I16(vec![-1024, -870, 40, 1200]), true),
            ("spline ringing", Voxels::F32(vec![-3600.0, -850.0, 60.0]), true),
            ("stored without intercept, padded", Voxels::I16(vec![-2000, 9, 86, 942, 1501]), false),
            ("stored without intercept", Voxels::U16(vec![0, 154, 1064, 2200]), false),
            ("a picture", Voxels::U8(vec![0, 255]), false),
            ("normalised", Voxels::F32(vec![-1.0, 1.0]), false),
            ("not a number", Voxels::F64(vec![f64::NAN, -900.0, 100.0]), false),
            ("nothing but air", Voxels::I16(vec![-1000; 4]), false),
        ];
        for (name, voxels, is_ct) in cases {
            let (values, warning) = hounsfield(&voxels);
            assert!(values.iter().all(|value| value.is_finite()), "{name}");
            assert_eq!(warning.is_none(), is_ct, "{name}: {warning:?}");
        }
    }
}
