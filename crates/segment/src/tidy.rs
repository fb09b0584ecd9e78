//! One class a branch: what [`pulmoav_tree::tidy`] does with what is known here of a scan and its labels.

use pulmoav_plan::{Plan, VesselClass};
use pulmoav_task::{Monitor, Warning};
use pulmoav_tree::tidy::{Report, Request, Weights, tidy as tidied};
use pulmoav_volume::crop::View;
use pulmoav_volume::{Volume, Voxel};

use crate::error::SegmentError;
use crate::prepare::Prepared;

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

/// Tidying needs both classes.
pub(crate) fn nothing_to_tidy() -> Warning {
    Warning::new(
        "NOT_TIDIED",
        "branches were not given one class each, since that takes arteries and veins of the same side; ask for both",
    )
}
