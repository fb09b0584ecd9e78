//! The patient's body on the coarse grid: thick tissue that the lungs lie in, its skin, and the air that it encloses.

use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::dilation::dilated;
use rayon::prelude::*;

use crate::air::Air;
use crate::body::{Body, DEEP_ENCLOSURE};
use crate::coarse::Coarse;

/// Pieces of tissue this near to a lung are trunk, also where a narrow field of view cuts it into pieces.
const NEAR_LUNG_MM: f64 = 12.0;

/// 1 in the body, `[z, y, x]`; arms apart from the trunk, table, clothes and air around it are 0.
pub(crate) fn find(coarse: &Coarse, body: &Body, air: &Air, sides: Option<&[u8]>) -> Vec<u8> {
    let solid: Vec<u8> = body.solid.iter().map(|&v| u8::from(v)).collect();
    let found = components(&solid, coarse.shape, Connectivity::Faces);
    let mut is_trunk = vec![false; found.sizes.len() + 1];
    if let Some(largest) = found.largest() {
        is_trunk[largest as usize] = true;
    }
    if let Some(sides) = sides {
        let near = dilated(|i| sides[i] > 0, coarse.shape, coarse.spacing_mm, NEAR_LUNG_MM);
        let touching = found.labels.iter().zip(&near).filter(|(label, near)| **label > 0 && **near);
        for (&label, _) in touching {
            is_trunk[label as usize] = true;
        }
    }
    let in_lung = |index: usize| sides.is_some_and(|sides| sides[index] > 0);
    let deep = |index: usize| body.enclosure[index] >= DEEP_ENCLOSURE && !body.outside[index] && !coarse.unseen[index];
    let of = |index: usize| {
        let tissue = body.solid[index] && is_trunk[found.labels[index] as usize];
        // Foam and folds of clothes are not solid; thin walls between air and air are deep.
        u8::from(tissue || in_lung(index) || air.inside[index] || (!body.solid[index] && deep(index)))
    };
    let mut trunk: Vec<u8> = (0..solid.len()).into_par_iter().map(of).collect();
    keep_what_holds_the_trunk(coarse, &mut trunk);
    trunk
}

/// Keeps the largest connected part: enclosed air between separate pieces goes.
fn keep_what_holds_the_trunk(coarse: &Coarse, trunk: &mut [u8]) {
    let found = components(trunk, coarse.shape, Connectivity::Faces);
    let Some(largest) = found.largest() else { return };
    for (value, &label) in trunk.iter_mut().zip(&found.labels) {
        *value = u8::from(label == largest);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{CENTRE_Y_MM, LUNGS_Z_MM, MIDDLE_MM, chest, lung_hu};

    #[test]
    fn a_table_is_outside_the_body() {
        let expected_ml = chest().lungs().volumes_ml;
        let is_table = |[_, y, x]: [f64; 3], shell_mm: f64| {
            (15.0 + shell_mm..38.0 - shell_mm).contains(&y) && (x - MIDDLE_MM).abs() < 140.0 - shell_mm
        };
        let with_table = chest().painted(|at, hu| match (is_table(at, 0.0), is_table(at, 2.5)) {
            (true, true) => lung_hu(at),
            (true, false) => 40.0,
            _ => hu,
        });
        let found_ml = with_table.lungs().volumes_ml;
        for (found, expected) in found_ml.into_iter().zip(expected_ml) {
            assert!((found / expected - 1.0).abs() < 0.01, "{found_ml:?} ml, expected {expected_ml:?}");
        }
        let labels = with_table.label().labels.data;
        for x_mm in [60.0, MIDDLE_MM, 290.0] {
            assert_eq!(labels[with_table.index([LUNGS_Z_MM, 27.0, x_mm])], 0, "{x_mm} mm");
        }
        assert_ne!(labels[with_table.index([LUNGS_Z_MM, CENTRE_Y_MM - 100.0, MIDDLE_MM])], 0);
    }
}
