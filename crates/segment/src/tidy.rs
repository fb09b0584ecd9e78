//! One class a branch: what [`pulmoav_tree::tidy`] does with what is known here of a scan and its labels.

use pulmoav_plan::{Plan, VesselClass};
use pulmoav_task::{Monitor, Warning};
use pulmoav_tree::tidy::{Report, Request, Weights, tidy as tidied};
use pulmoav_volume::crop::View;
use pulmoav_volume::{Grid, Volume, Voxel};

use crate::error::SegmentError;
use crate::prepare::{Prepared, has_coarse_voxels};

/// The values of arteries and veins that were asked for, in pairs of one side.
pub(crate) fn pairs(plan: &Plan, asked: &[usize]) -> Vec<[u8; 2]> {
    let of = |class: VesselClass| {
        asked.iter().map(|&place| &plan.targets[place]).filter(move |target| target.classes == [class])
    };
    let vein = |artery: &pulmoav_plan::Target| of(VesselClass::Vein).find(|vein| vein.side == artery.side);
    of(VesselClass::Artery).filter_map(|artery| Some([artery.value, vein(artery)?.value])).collect()
}

/// Gives each branch one class and says what was changed.
///
/// # Shapes
/// `labels` and `hu`: `[z, y, x]` of the canonical part.
///
/// # Errors
/// `CANCELLED`.
pub(crate) fn tidy(
    labels: &mut Vec<u8>,
    hu: View<'_, impl Voxel>,
    prepared: &Prepared,
    pairs: &[[u8; 2]],
    monitor: &dyn Monitor,
) -> Result<Report, SegmentError> {
    let (part, canonical) = (&prepared.inverse.part, &prepared.inverse.canonical);
    let airways = prepared.anatomy.airways.lumen_in(part, canonical.shape);
    let mut map = Volume { data: std::mem::take(labels), grid: part.grid(canonical) };
    let request = Request {
        pairs,
        airways: (!airways.is_empty()).then_some(&airways[..]),
        hu: Some(hu),
        weights: Weights::default(),
    };
    let report = tidied(&mut map, &request, monitor);
    *labels = map.data;
    Ok(report?)
}

/// Why labels were not tidied, where the plan asks for it, or would for smaller voxels and vessels of both classes.
pub(crate) fn not_done(plan: &Plan, has_both: bool, canonical: &Grid) -> Option<Warning> {
    let why = if plan.tidy == Some(true) {
        "since that takes arteries and veins of the same side; ask for both".to_owned()
    } else if plan.tidies(false) && has_both && has_coarse_voxels(canonical) {
        let [z, y, x] = canonical.spacing_mm;
        format!(
            "since in voxels of {x:.1} x {y:.1} x {z:.1} mm arteries and veins run into each other; --tidy (tidy: true) does \
             it all the same"
        )
    } else {
        return None;
    };
    Some(Warning::new("NOT_TIDIED", format!("branches were not given one class each, {why}")))
}

#[cfg(test)]
mod tests {
    use pulmoav_volume::Affine;

    use super::*;
    use crate::fixture::plan;

    #[test]
    fn coarse_voxels_are_said_to_be_why() {
        let grid = |spacing_mm| Grid { shape: [9; 3], spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        let (thick, coarse) = (grid([5.0, 0.8, 0.8]), grid([5.0, 3.0, 3.0]));
        let plan = Plan { postprocess: Some(true), tidy: None, ..plan() };
        assert!(not_done(&plan, true, &thick).is_none());
        assert!(not_done(&plan, false, &coarse).is_none());
        let told = not_done(&plan, true, &coarse).expect("a reason");
        assert_eq!(told.code, "NOT_TIDIED");
        assert!(told.message.contains("3.0 x 3.0 x 5.0 mm"), "{}", told.message);
        let refused = Plan { tidy: Some(false), ..plan.clone() };
        assert!(not_done(&refused, true, &coarse).is_none());
        let asked = Plan { tidy: Some(true), ..plan };
        assert!(not_done(&asked, false, &thick).expect("a reason").message.contains("ask for both"));
    }
}
