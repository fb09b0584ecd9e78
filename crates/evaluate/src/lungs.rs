//! Maps of the lungs as people have them, as a map of sides.

use pulmoav_volume::Mask;
use rayon::prelude::*;

use crate::error::EvaluateError;

/// The lungs in label maps of `pulmoav anatomy`, left and right.
const ANATOMY: [u8; 2] = [3, 4];

/// A map of sides (1 the patient's left lung, 2 the right one, 0 neither) of such a map, or of a label map of `pulmoav
/// anatomy` (3 and 4).
///
/// # Errors
/// `ERR_GEOMETRY` where the map is neither.
pub fn lung_sides(mut map: Mask) -> Result<Mask, EvaluateError> {
    if map.data.par_iter().any(|label| ANATOMY.contains(label)) {
        let side = |label: u8| ANATOMY.iter().position(|&lung| lung == label).map_or(0, |side| side as u8 + 1);
        map.data.par_iter_mut().for_each(|label| *label = side(*label));
        return Ok(map);
    }
    match map.data.par_iter().find_first(|label| **label > 2) {
        Some(&label) => Err(EvaluateError::Label {
            what: "the map of lungs",
            label,
            expected: "1 (left lung) and 2 (right lung), or a label map of `pulmoav anatomy`".to_owned(),
        }),
        None => Ok(map),
    }
}
