//! What a run of a network that answers with classes will take, told by the scan's header.

use pulmoav_volume::Grid;

use super::frame::Frame;
use super::memory::{ClassMemory, predict_classes};
use super::resampling::Sampling;
use super::run::ClassRequest;
use super::windows::Windows;
use crate::error::SegmentError;
use crate::forecast::{Forecast, SECONDS_A_VOXEL, seconds_of};

/// Foretells segmenting a scan on this grid, at most: where much of it is 0, the crop to the rest makes it less.
///
/// # Errors
/// `ERR_GEOMETRY` for a grid without three directions; what a network returns.
pub fn foretell_classes(
    grid: &Grid,
    request: &ClassRequest<'_>,
    memory: &ClassMemory,
) -> Result<Forecast, SegmentError> {
    let plan = request.plan;
    let frame = Frame::of(grid, plan)?;
    let seen = Sampling { shape: frame.shape, spacing_mm: frame.spacing_mm }.seen_by(plan);
    let windows = Windows::new(seen.shape, plan.patch, request.step).count();
    let mirrored = if request.mirror { 1 << plan.mirror_axes.len() } else { 1 };
    let tiles = windows * request.networks.len() * mirrored;
    let window_s = request.networks.first().map_or(Ok(0.0), |network| {
        let empty = vec![0.0; plan.patch.iter().product::<usize>() * network.channels()];
        seconds_of(|| network.logits(empty.clone(), plan.patch).map(drop))
    })?;
    let seconds = tiles as f64 * window_s + grid.len() as f64 * SECONDS_A_VOXEL;
    Ok(Forecast { tile: plan.patch, tiles, memory_bytes: predict_classes(plan, grid, memory), card: None, seconds })
}
