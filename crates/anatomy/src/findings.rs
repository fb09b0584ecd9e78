//! What a user should know of the anatomy of a scan.

use pulmoav_task::Warning;

use crate::air::Air;
use crate::airway::Airways;
use crate::coarse::Coarse;
use crate::lungs::{Lungs, MIN_LUNG_ML};
use crate::pose::Pose;
use crate::situs::Votes;

/// `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`, `SIDES_UNCLEAR`, `ORIENTATION_UNCLEAR`, where they apply.
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
            let Pose { head_below, back_in_front } = Pose::find(coarse, lungs, airways);
            if head_below {
                let message = "the lungs are wide above and narrow below, and no windpipe reaches their top: head and \
                               feet look exchanged; check the orientation in the file's header, sides depend on it";
                warnings.push(Warning::new("ORIENTATION_UNCLEAR", message));
            }
            if back_in_front {
                let message = "most bone lies in front of the lungs: front and back look exchanged; check the \
                               orientation in the file's header, sides depend on it";
                warnings.push(Warning::new("ORIENTATION_UNCLEAR", message));
            }
        }
    }
    if air.foam_ml >= MIN_LUNG_ML {
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
        "no lung of at least {MIN_LUNG_ML} ml was found in {:.0} × {:.0} × {:.0} mm; check that this is a chest CT \
         in Hounsfield units",
        extent_mm(2),
        extent_mm(1),
        extent_mm(0)
    )
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, MIDDLE_MM, chest};

    #[test]
    fn a_plain_chest_has_no_warnings() {
        assert!(chest().warnings().is_empty(), "{:?}", chest().warnings());
    }

    #[test]
    fn each_finding_is_said_once() {
        let without = |left: bool, right: bool| {
            chest().painted(|at, hu| {
                let is_gone = (left && at[2] < MIDDLE_MM || right && at[2] >= MIDDLE_MM) && hu > -980.0 && hu < -500.0;
                if is_gone { 40.0 } else { hu }
            })
        };
        assert_eq!(without(true, false).warnings(), ["ONE_LUNG"]);
        assert_eq!(without(false, true).warnings(), ["ONE_LUNG"]);
        assert_eq!(without(true, true).warnings(), ["NO_LUNGS"]);
        assert_eq!(chest().cropped([100.0, 0.0, 0.0], [300.0, 280.0, 350.0]).warnings(), ["CUT_LUNGS"]);
        assert_eq!(fixture::chest_with_wrong_sides().warnings(), ["SIDES_UNCLEAR"]);
        // A cushion that fills what is beside the patient's back looks enclosed where its lines meet no air.
        let foam = |at: [f64; 3], hu: f32| if at[1] < 130.0 && hu < -1010.0 { fixture::lung_hu(at) } else { hu };
        let narrow = chest().painted(foam).cropped([0.0, 0.0, 15.0], [300.0, 280.0, 335.0]);
        assert_eq!(narrow.warnings(), ["TABLE_REMOVED"]);
    }
}
