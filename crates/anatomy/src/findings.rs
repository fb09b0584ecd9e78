//! What a user should know of the anatomy of a scan.

use pulmoav_volume::Warning;

use crate::air::Air;
use crate::airway::Airways;
use crate::coarse::Coarse;
use crate::lungs::{LEAST_LUNG_ML, Lungs};
use crate::situs::Votes;

/// `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`, `SIDES_UNCLEAR`, where they apply.
pub(crate) fn warnings(coarse: &Coarse, air: &Air, lungs: Option<&Lungs>, airways: &Airways) -> Vec<Warning> {
    let mut warnings = Vec::new();
    match lungs {
        None => warnings.push(Warning::new("NO_LUNGS", no_lungs(coarse))),
        Some(lungs) => {
            if let Some(missing) = lungs.volumes_ml.iter().position(|&ml| ml == 0.0) {
                let [there, missing] = if missing == 0 { ["right", "left"] } else { ["left", "right"] };
                let message =
                    format!("only the {there} lung was found; check that the {missing} one is not in the scan");
                warnings.push(Warning::new("ONE_LUNG", message));
            }
            if lungs.cut {
                let message = "a lung reaches the border of the scan, part of it is missing";
                warnings.push(Warning::new("CUT_LUNGS", message));
            }
            if Votes::count(coarse, lungs, airways).are_against() {
                let message = "heart, bronchi or diaphragm look like those of the other side; check that the file's \
                               orientation is right, unless the patient's organs are mirrored";
                warnings.push(Warning::new("SIDES_UNCLEAR", message));
            }
        }
    }
    if air.foam_ml >= LEAST_LUNG_ML {
        let message = format!(
            "{:.0} ml beside the body have the density of lungs and were taken for a table or cushion",
            air.foam_ml
        );
        warnings.push(Warning::new("TABLE_REMOVED", message));
    }
    warnings
}

fn no_lungs(coarse: &Coarse) -> String {
    let extent_mm = |axis: usize| coarse.shape[axis] as f64 * coarse.spacing_mm[axis];
    format!(
        "no lung of at least {LEAST_LUNG_ML} ml was found in {:.0} × {:.0} × {:.0} mm; check that this is a chest CT \
         in Hounsfield units",
        extent_mm(2),
        extent_mm(1),
        extent_mm(0)
    )
}
