//! What can be said of arteries and veins without a reference: figures that follow the share of swapped voxels
//! (docs/checking.md has the measure), and plain plausibility. One figure a file, its formula first, and a line in
//! [`FIGURES`].

mod agreement;
mod calibre;
mod contact;
mod figure;
mod loose;
mod outside;
mod seen;
mod sides;
mod volumes;

use pulmoav_task::Monitor;

use crate::error::EvaluateError;

pub use figure::{Figure, Found, Kind, Light, Limits, Place};
pub use seen::{Request, Surroundings};

use seen::Seen;

/// Every figure, in the order of reports.
pub const FIGURES: &[Figure] = &[
    agreement::MIXED,
    agreement::AGAINST_TREE,
    contact::CONTACT,
    loose::LOOSE,
    calibre::CALIBRE,
    volumes::SHARE_OF_LUNGS,
    volumes::ARTERY_SHARE,
    outside::OUTSIDE,
    sides::WRONG_SIDE,
];

/// Checks a label map.
///
/// # Errors
/// `ERR_GEOMETRY` where the surroundings lie on another grid; `CANCELLED`.
pub fn check(request: &Request<'_>, monitor: &dyn Monitor) -> Result<Vec<Found>, EvaluateError> {
    let seen = Seen::find(request, monitor)?;
    FIGURES
        .iter()
        .map(|figure| {
            monitor.proceed()?;
            Ok(figure.found(&seen))
        })
        .collect()
}

#[cfg(test)]
mod tests;
