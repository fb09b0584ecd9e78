//! Parts of a lung that fluid, a consolidation or a tumour fills.

mod base;
mod mirror;
mod ribs;

use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::dilation::dilated;
use rayon::prelude::*;

use crate::air::Air;
use crate::coarse::Coarse;

/// Soft tissue; bone lies above.
const TISSUE_HU: std::ops::Range<f32> = -150.0..250.0;
/// From here to soft tissue a voxel is dense lung, or lies half in lung and half in tissue.
const DENSE_LUNG_HU: f32 = -500.0;
const BONE_ABOVE_HU: f32 = 250.0;
/// No bone of the chest holds a ball of this radius that is bright throughout.
const THICK_BONE_MM: f64 = 10.0;
/// Nearer to the plane between the lungs lies the spine with the mediastinum before it.
const MIN_FROM_MIDDLE_MM: f64 = 25.0;
/// By how much the mean around a voxel of fluid may be above that of all of it.
const HU_APART: f32 = 14.0;
/// A smaller part does not count.
const MIN_ML: f64 = 40.0;

/// Adds to each lung what is missing of it; `sides` holds 0 or the side of the lung, `[z, y, x]`.
pub(crate) fn complete(coarse: &Coarse, air: &Air, sides: &mut [u8], middle_mm: f64, half_width_mm: f64) {
    let bones = bones(coarse);
    let mirrored = mirror::additions(coarse, air, &bones, sides, middle_mm, half_width_mm);
    let before_ribs = ribs::additions(coarse, &bones, sides, middle_mm);
    for (index, side) in mirrored.into_iter().chain(before_ribs) {
        sides[index] = side;
    }
}

/// True in bone; blood with contrast medium is as bright, but thicker.
fn bones(coarse: &Coarse) -> Vec<bool> {
    let is_bright = |index: usize| coarse.hu[index] > BONE_ABOVE_HU;
    let thin = dilated(|index| !is_bright(index), coarse.shape, coarse.spacing_mm, THICK_BONE_MM);
    let thick = dilated(|index| !thin[index], coarse.shape, coarse.spacing_mm, THICK_BONE_MM + 3.0);
    (0..thick.len()).into_par_iter().map(|index| is_bright(index) && !thick[index]).collect()
}

/// The large parts of what `may_be` lung that hold a ball of `radius_mm`, grown back by `back_mm`.
fn opened(coarse: &Coarse, may_be: &[bool], radius_mm: f64, back_mm: f64) -> Vec<usize> {
    if !may_be.contains(&true) {
        return Vec::new();
    }
    let thin = dilated(|index| !may_be[index], coarse.shape, coarse.spacing_mm, radius_mm);
    if !thin.contains(&false) {
        return Vec::new();
    }
    let back = dilated(|index| !thin[index], coarse.shape, coarse.spacing_mm, back_mm);
    let opened: Vec<u8> = back.iter().zip(may_be).map(|(&back, &may_be)| u8::from(back && may_be)).collect();
    let found = components(&opened, coarse.shape, Connectivity::Faces);
    let least = (MIN_ML / coarse.voxel_ml()) as usize;
    let is_large = |label: u32| label > 0 && found.sizes[label as usize - 1] >= least;
    (0..opened.len()).filter(|&index| is_large(found.labels[index])).collect()
}

/// Mean of some voxels, HU.
fn mean_hu(coarse: &Coarse, voxels: &[usize]) -> f32 {
    (voxels.iter().map(|&index| f64::from(coarse.hu[index])).sum::<f64>() / voxels.len().max(1) as f64) as f32
}

/// Mean of the soft tissue among a voxel and its neighbours of 3 × 3 × 3, HU; not a number where it is none itself.
fn mean_around(coarse: &Coarse, index: usize) -> f32 {
    if !TISSUE_HU.contains(&coarse.hu[index]) {
        return f32::NAN;
    }
    let place = coarse.place(index);
    let around = |axis: usize| place[axis].saturating_sub(1)..(place[axis] + 2).min(coarse.shape[axis]);
    let (mut sum, mut count) = (0.0, 0.0);
    for z in around(0) {
        for y in around(1) {
            for x in around(2) {
                let hu = coarse.hu[(z * coarse.shape[1] + y) * coarse.shape[2] + x];
                if TISSUE_HU.contains(&hu) {
                    (sum, count) = (sum + hu, count + 1.0);
                }
            }
        }
    }
    sum / count
}

#[cfg(test)]
mod tests {
    use crate::fixture::{
        CENTRE_Y_MM, Chest, LUNG_MM, MIDDLE_MM, chest, distance_mm, left_lung_depth, right_lung_depth,
    };

    #[test]
    fn an_effusion_is_given_back_to_its_lung() {
        let expected_ml = chest().lungs().volumes_ml;
        let ill = chest().painted(|at, hu| {
            let is_fluid = right_lung_depth(at) < 1.0 && at[1] < CENTRE_Y_MM - LUNG_MM[1] / 3.0;
            if is_fluid { 10.0 } else { hu }
        });
        // A quarter of the lung is fluid. What lies nearest to the midline may be spine or aorta and is not given back.
        let found_ml = ill.lungs().volumes_ml;
        assert!((found_ml[0] / expected_ml[0] - 1.0).abs() < 0.01, "{found_ml:?} ml, expected {expected_ml:?}");
        assert!((0.93..1.02).contains(&(found_ml[1] / expected_ml[1])), "{found_ml:?} ml, expected {expected_ml:?}");
    }

    #[test]
    fn an_effusion_of_a_single_lung_is_given_back_to_it() {
        let half = |chest: Chest| chest.cropped([0.0, 0.0, MIDDLE_MM], [300.0, 280.0, 400.0]).lungs().volumes_ml[1];
        let is_fluid = |at: [f64; 3]| right_lung_depth(at) < 1.0 && at[1] < CENTRE_Y_MM - LUNG_MM[1] / 3.0;
        let ill_ml = half(chest().painted(|at, hu| if is_fluid(at) { 10.0 } else { hu }));
        let expected_ml = half(chest());
        assert!((0.9..1.02).contains(&(ill_ml / expected_ml)), "{ill_ml} ml, expected {expected_ml}");
    }

    #[test]
    fn thin_layers_of_fluid_behind_both_lungs_are_given_back() {
        let expected_ml = chest().lungs().volumes_ml;
        let ill = chest().painted(|at, hu| {
            let in_lung = right_lung_depth(at).min(left_lung_depth(at)) < 1.0;
            // Voxels between fluid and air hold both.
            match at[1] - (CENTRE_Y_MM - LUNG_MM[1]) {
                mm if in_lung && mm < 30.0 => 10.0,
                mm if in_lung && mm < 32.5 => -350.0,
                _ => hu,
            }
        });
        for (found, expected) in ill.lungs().volumes_ml.into_iter().zip(expected_ml) {
            assert!((0.96..1.03).contains(&(found / expected)), "{found} ml, expected {expected}");
        }
    }

    #[test]
    fn fluid_goes_on_below_the_air_but_not_into_the_liver() {
        let in_front = |[z, y, x]: [f64; 3], mm: f64| right_lung_depth([z, y - mm, x]) < 1.0;
        let ill = chest().painted(|at, hu| match () {
            () if !in_front(at, 0.0) => hu,
            () if at[1] < CENTRE_Y_MM && !in_front(at, 25.0) => 10.0,
            () if at[0] < 78.0 => 60.0,
            () => hu,
        });
        let right = ill.lungs().right();
        let is_lung = |at: [f64; 3]| right.data[ill.index(at)] == 1;
        let x_mm = MIDDLE_MM + 75.0;
        assert!(is_lung([71.0, CENTRE_Y_MM - 50.0, x_mm]));
        assert!(!is_lung([71.0, CENTRE_Y_MM, x_mm]));
    }

    #[test]
    fn domes_that_lie_against_the_ribs_are_not_lung() {
        // Breathed out: no air is left behind the domes, which reach a quarter up.
        let low = chest().painted(|at, hu| {
            let in_lung = right_lung_depth(at).min(left_lung_depth(at)) < 1.0;
            match at[1] - CENTRE_Y_MM {
                mm if in_lung && at[0] < 104.0 && mm < 0.0 => 60.0,
                mm if in_lung && at[0] < 104.0 && mm < 2.5 => -350.0,
                _ => hu,
            }
        });
        let lungs = low.lungs();
        let masks = [lungs.left(), lungs.right()];
        for (mask, x_mm) in masks.iter().zip([MIDDLE_MM - 75.0, MIDDLE_MM + 75.0]) {
            assert_eq!(mask.data[low.index([96.0, CENTRE_Y_MM - 30.0, x_mm])], 0);
            assert_eq!(mask.data[low.index([96.0, CENTRE_Y_MM + 35.0, x_mm])], 1);
        }
    }

    #[test]
    fn a_raised_diaphragm_is_not_lung() {
        let raised = |at: [f64; 3], hu: f32| {
            let is_abdomen = right_lung_depth(at) < 1.05 && at[0] < 120.0;
            let is_gas = distance_mm(at, [90.0, CENTRE_Y_MM + 20.0, 250.0]) < 18.0;
            match (is_abdomen, is_gas) {
                (true, true) => -1000.0,
                (true, false) => 40.0,
                _ => hu,
            }
        };
        let [left_ml, right_ml] = chest().painted(raised).lungs().volumes_ml;
        let above = |at: [f64; 3], hu: f32| if at[0] < 120.0 { 40.0 } else { hu };
        let above_ml = chest().painted(above).lungs().volumes_ml;
        assert!(left_ml > above_ml[0], "{left_ml} ml");
        assert!((right_ml / above_ml[1] - 1.0).abs() < 0.03, "{right_ml} ml, expected {}", above_ml[1]);
    }
}
