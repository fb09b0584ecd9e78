//! Hounsfield units from whatever a file holds, and a suspicion where the numbers cannot be such.

use bytemuck::allocation::cast_vec;
use pulmoav_task::Warning;
use rayon::prelude::*;

use crate::voxels::{DataType, Voxel, Voxels, map};
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

/// Hounsfield units in the narrower of two types that holds them: most scans are whole numbers of 16 bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Hounsfield {
    /// Whole numbers from -32768 to 32767.
    I16(Vec<i16>),
    /// All others.
    F32(Vec<f32>),
}

/// Runs one generic expression on whichever array a [`Hounsfield`] holds.
#[macro_export]
macro_rules! with_hounsfield {
    ($hu:expr, $values:ident => $body:expr) => {
        match $hu {
            $crate::hounsfield::Hounsfield::I16($values) => $body,
            $crate::hounsfield::Hounsfield::F32($values) => $body,
        }
    };
}

impl Hounsfield {
    /// Takes voxels as a file stores them, in place where they can stay, with its slope and intercept; else as
    /// [`hounsfield`]. Slopes and intercepts that are whole numbers keep whole numbers whole.
    pub fn of(voxels: Voxels, scaling: Option<(f64, f64)>) -> (Self, Option<Warning>) {
        match narrowed(voxels, scaling) {
            Ok(values) => {
                let warning = not_hu(&values, 0);
                (Self::I16(values), warning)
            }
            Err(voxels) => {
                let (values, warning) = in_place(scaled(voxels, scaling));
                (Self::F32(values), warning)
            }
        }
    }

    /// Bytes of one voxel.
    pub fn voxel_bytes(&self) -> usize {
        with_hounsfield!(self, values => size_of_val(&values[..]) / values.len().max(1))
    }

    /// Bytes that voxels stored so will have here, told before they are read: fewer than they may, should 16 bits not
    /// hold what slope and intercept make of them.
    pub fn likely_voxel_bytes(stored: DataType, scaling: Option<(f64, f64)>) -> usize {
        if is_whole(scaling) && !matches!(stored, DataType::Float32 | DataType::Float64) { 2 } else { 4 }
    }

    /// Bytes of one voxel that are there beside those here while these are made.
    pub fn bytes_beside(stored: DataType, scaling: Option<(f64, f64)>, voxel_bytes: usize) -> usize {
        match stored {
            DataType::Int16 | DataType::Uint16 if voxel_bytes == 2 => 0,
            DataType::Float32 if scaling.is_none() => 0,
            // Scaled in f64 first.
            _ if scaling.is_some() && stored.bytes() >= 4 && voxel_bytes == 4 => stored.bytes() + size_of::<f64>(),
            _ => stored.bytes(),
        }
    }
}

fn is_whole(scaling: Option<(f64, f64)>) -> bool {
    scaling.is_none_or(|(slope, inter)| slope.fract() == 0.0 && inter.fract() == 0.0)
}

/// The voxels as whole numbers of 16 bits; as they were where they are not such.
fn narrowed(voxels: Voxels, scaling: Option<(f64, f64)>) -> Result<Vec<i16>, Voxels> {
    if let (Voxels::I16(_), None) | (Voxels::F32(_) | Voxels::F64(_), _) = (&voxels, scaling) {
        return if let Voxels::I16(values) = voxels { Ok(values) } else { Err(voxels) };
    }
    let (slope, inter) = scaling.unwrap_or((1.0, 0.0));
    let made = |value: f64| value * slope + inter;
    let fits = |value: f64| (f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&made(value));
    let ends = with_voxels!(&voxels, values => ends(values));
    if !is_whole(scaling) || !ends.into_iter().all(fits) {
        return Err(voxels);
    }
    Ok(match voxels {
        Voxels::I16(values) => changed(values, |value| made(f64::from(value)) as i16),
        Voxels::U16(values) => changed(cast_vec(values), |value: i16| made(f64::from(value as u16)) as i16),
        other => with_voxels!(&other, values => map(values, |value| made(value.to_f64()) as i16)),
    })
}

/// Each value changed where it lies.
fn changed(mut values: Vec<i16>, change: impl Fn(i16) -> i16 + Sync) -> Vec<i16> {
    values.par_chunks_mut(BLOCK).for_each(|block| block.iter_mut().for_each(|value| *value = change(*value)));
    values
}

/// Least and greatest value; 0 where there is none.
fn ends<T: Voxel>(values: &[T]) -> [f64; 2] {
    let of_block = |block: &[T]| {
        block.iter().fold([block[0]; 2], |[least, most], &value| {
            [if value < least { value } else { least }, if value > most { value } else { most }]
        })
    };
    let both = |a: [T; 2], b: [T; 2]| [if b[0] < a[0] { b[0] } else { a[0] }, if b[1] > a[1] { b[1] } else { a[1] }];
    values.par_chunks(BLOCK).map(of_block).reduce_with(both).map_or([0.0; 2], |ends| ends.map(Voxel::to_f64))
}

fn scaled(voxels: Voxels, scaling: Option<(f64, f64)>) -> Voxels {
    match scaling {
        Some((slope, inter)) => voxels.scaled(slope, inter),
        None => voxels,
    }
}

/// As [`hounsfield`], in place where the voxels are f32.
fn in_place(voxels: Voxels) -> (Vec<f32>, Option<Warning>) {
    let Voxels::F32(mut values) = voxels else { return hounsfield(&voxels) };
    let stray = |block: &mut [f32]| {
        let strays = block.iter_mut().filter(|value| !value.is_finite());
        strays.map(|value| *value = AIR_HU).count()
    };
    let strays = values.par_chunks_mut(BLOCK).map(stray).sum();
    let warning = not_hu(&values, strays);
    (values, warning)
}

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
    let warning = not_hu(&values, strays);
    (values, warning)
}

fn not_hu<T: Voxel>(values: &[T], strays: usize) -> Option<Warning> {
    suspicion(values, strays).map(|problem| Warning::new("NOT_HU", problem))
}

fn suspicion<T: Voxel>(values: &[T], strays: usize) -> Option<String> {
    let is_light = |value: f32| (PADDING_BELOW_HU..=HIGHEST_MINIMUM_HU).contains(&value);
    let nothing = (f32::INFINITY, f32::NEG_INFINITY, 0usize);
    let (least, most, light) = values
        .par_chunks(BLOCK)
        .map(|block| {
            // Without a NaN among them comparisons do, and they become vector instructions.
            let [mut least, mut most] = [block[0].to_f32(); 2];
            let mut light = 0u32;
            for value in block.iter().map(|value| value.to_f32()) {
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
    fn whole_numbers_of_16_bits_stay_such_and_all_are_what_f32_holds() {
        let (whole, apart) = (Some((1.0, -1024.0)), Some((0.5, -1024.0)));
        let cases = [
            ("int16", Voxels::I16(vec![-1024, 3071, i16::MIN]), None, true),
            ("int16 with an intercept", Voxels::I16(vec![0, 24, 4095]), whole, true),
            ("int16 with an intercept that leads out", Voxels::I16(vec![0, i16::MIN]), whole, false),
            ("int16 with half a slope", Voxels::I16(vec![0, 25, 4095]), apart, false),
            ("uint16", Voxels::U16(vec![0, 32767]), None, true),
            ("uint16 that is large", Voxels::U16(vec![0, 32768]), None, false),
            ("uint16 with an intercept", Voxels::U16(vec![0, 33791]), whole, true),
            ("uint16 with half a slope", Voxels::U16(vec![0, 4095]), apart, false),
            ("uint8", Voxels::U8(vec![0, 255]), None, true),
            ("int32", Voxels::I32(vec![-1024, 3071]), None, true),
            ("int32 that is large", Voxels::I32(vec![-1024, 1 << 25 | 1]), None, false),
            ("int32 with an intercept", Voxels::I32(vec![0, 3071]), whole, true),
            ("float32", Voxels::F32(vec![f32::NAN, -900.25, f32::INFINITY]), None, false),
            ("float64 with half a slope", Voxels::F64(vec![0.1, -900.25]), apart, false),
        ];
        for (name, voxels, scaling, is_narrow) in cases {
            let (expected, warning) = hounsfield(&scaled(voxels.clone(), scaling));
            let (found, same_warning) = Hounsfield::of(voxels, scaling);
            assert_eq!((same_warning, found.voxel_bytes() == 2), (warning, is_narrow), "{name}");
            let found: Vec<f32> = with_hounsfield!(found, values => map(&values, Voxel::to_f32));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn bytes_are_foretold_by_type() {
        let told = |stored, scaling| {
            let bytes = Hounsfield::likely_voxel_bytes(stored, scaling);
            (bytes, Hounsfield::bytes_beside(stored, scaling, bytes))
        };
        assert_eq!(told(DataType::Int16, None), (2, 0));
        assert_eq!(told(DataType::Uint16, Some((1.0, -1024.0))), (2, 0));
        assert_eq!(told(DataType::Int16, Some((0.5, 0.0))), (4, 2));
        assert_eq!(told(DataType::Uint8, None), (2, 1));
        assert_eq!(told(DataType::Float32, None), (4, 0));
        assert_eq!(told(DataType::Float64, Some((2.0, 0.0))), (4, 16));
    }

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
