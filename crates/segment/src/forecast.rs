//! What a run will take, told by the scan's header before a voxel is read: memory as the budget has it, time by showing
//! the network one empty tile. Where the lungs are is not known then, so an adult's are taken.

use std::time::Instant;

use pulmoav_ops::device::from_host;
use pulmoav_plan::{Crop, Plan};
use pulmoav_volume::{Grid, Orientation};

use crate::budget::{Sizes, covered, peak, tiles_to_try};
use crate::card::{CardMemory, ScanLoad};
use crate::error::SegmentError;
use crate::prompt::{maps, resolve};
use crate::request::Request;
use crate::room::{Scene, smallest_room};
use crate::tiles::{Mirror, Needed, Shown, TileNetwork, layout};

/// Both lungs of a large adult, with what lies between them, mm along `[z, y, x]`.
const LUNGS_MM: [f64; 3] = [320.0, 230.0, 310.0];
/// Reading, finding the lungs, resampling and writing take about so long a voxel of the scan, s (2 threads).
pub(crate) const SECONDS_A_VOXEL: f64 = 35e-9;
/// A first tile that was faster than this was mostly waking up, s.
const SHORT_SECONDS: f64 = 1.0;

/// What a run will take, at most about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// What the network will see at once, voxels `[z, y, x]`.
    pub tile: [usize; 3],
    /// How many times it will look.
    pub tiles: usize,
    /// The process's peak, bytes.
    pub memory_bytes: u64,
    /// The card's, where one works: what it has free, and what the scan will take of it beside the weights.
    pub card: Option<CardMemory>,
    /// Wall time, s.
    pub seconds: f64,
}

/// Foretells segmenting a scan on this grid.
///
/// # Errors
/// `ERR_PROMPT`, `ERR_GEOMETRY`; `ERR_MEMORY` where the limit leaves no room; what the network returns.
pub fn foretell(
    grid: &Grid,
    plan: &Plan,
    networks: &[&dyn TileNetwork],
    request: &Request,
) -> Result<Forecast, SegmentError> {
    let plan = &request.applied(plan);
    let asked = resolve(&request.targets, plan, request.oriented)?;
    let canonical = Orientation::of(&grid.affine)?.orient_grid(grid);
    let (sizes, needed) = looked_at(canonical, plan);
    // Tiles at a time take main memory on the CPU alone.
    let is_here = networks.iter().any(|network| network.device().is_cpu());
    let here = Request { batch: request.batch.filter(|_| is_here), ..request.clone() };
    let need = |&tile: &[usize; 3]| {
        let sizes = Sizes { covered: covered(&needed, plan, tile), ..sizes };
        (tile, peak(&sizes, plan, tile, asked.len(), &here))
    };
    let choices: Vec<([usize; 3], u64)> = tiles_to_try(needed.size(), plan).iter().map(need).collect();
    let budget_bytes = request.max_memory_bytes.unwrap_or(u64::MAX);
    let fits = choices.iter().find(|(_, bytes)| *bytes <= budget_bytes);
    let &(tile, memory_bytes) = fits.ok_or_else(|| {
        let needed_bytes = choices.iter().map(|&(_, bytes)| bytes).min().unwrap_or(u64::MAX);
        SegmentError::Memory { needed_bytes, budget_bytes }
    })?;
    // An adult's lungs are taken, so they tell sides.
    let asked = if plan.postprocesses() { maps(plan, &asked) } else { asked };
    let (maps, batch, mirror) = (asked.len(), request.batch, Mirror::of(plan, request.mirror, &asked));
    let room = smallest_room(networks);
    let mut scene = Scene { scan: None, seen: sizes.seen, needed: &needed, plan, networks, maps, mirror, batch };
    scene.scan = room.and_then(|room| {
        let (bytes, part) = (grid.len() as u64 * request.voxel_bytes, sizes.part.iter().product::<usize>() as u64);
        let scan = Some(ScanLoad { bytes, part, walls: plan.walls.is_some() });
        Scene { scan, ..scene }.fits(tile, room).then_some(scan?)
    });
    let network = networks.first().ok_or_else(|| candle_core::Error::Msg("no network".to_owned()))?;
    let (device, channels) = (network.device(), plan.channels.len());
    let shown = scene.foreseen(tile, room);
    let card = room.map(|room| scene.card(shown, shown.batch, room));
    let Shown { tile, batch } = shown;
    let tiles = layout(&needed, tile, plan, mirror).places.len();
    let [depth, height, width] = tile;
    let empty = vec![0f32; batch * tile.iter().product::<usize>() * channels];
    let empty = from_host(empty, (batch, depth, height, width, channels), &device)?;
    let batch_s = seconds_of(|| {
        network.logits(empty.clone(), &asked)?;
        Ok(device.synchronize()?)
    })?;
    let seconds = tiles.div_ceil(batch * networks.len()) as f64 * batch_s + grid.len() as f64 * SECONDS_A_VOXEL;
    Ok(Forecast { tile, tiles, memory_bytes, card, seconds })
}

/// How long a piece of work takes, s; short ones are done twice.
pub(crate) fn seconds_of(work: impl Fn() -> Result<(), SegmentError>) -> Result<f64, SegmentError> {
    let timed = || {
        let clock = Instant::now();
        work().map(|()| clock.elapsed().as_secs_f64())
    };
    let first = timed()?;
    if first < SHORT_SECONDS { timed() } else { Ok(first) }
}

/// What of a scan the network will look at: all of it, or a large adult's lungs in its middle.
fn looked_at(canonical: Grid, plan: &Plan) -> (Sizes, Needed) {
    let margin_mm = match plan.crop {
        Crop::Lungs { margin_mm, .. } => Some(margin_mm),
        _ => None,
    };
    let extent_mm: [f64; 3] = std::array::from_fn(|axis| {
        let whole = canonical.shape[axis] as f64 * canonical.spacing_mm[axis];
        margin_mm.map_or(whole, |margin| whole.min(LUNGS_MM[axis] + 2.0 * margin))
    });
    let voxels = |spacing_mm: [f64; 3]| -> [usize; 3] {
        std::array::from_fn(|axis| ((extent_mm[axis] / spacing_mm[axis]).ceil() as usize).max(1))
    };
    let seen = voxels(plan.spacing_mm);
    let needed = match margin_mm {
        Some(margin) if plan.tiles.skip_empty => Needed::of(&ellipsoid(seen, margin, plan.spacing_mm), seen),
        _ => Needed::all(seen),
    };
    (Sizes { grid: canonical, part: voxels(canonical.spacing_mm), seen, covered: seen }, needed)
}

/// 1 in the ellipsoid that fills a grid but for its margin, about as lungs do.
fn ellipsoid(shape: [usize; 3], margin_mm: f64, spacing_mm: [f64; 3]) -> Vec<u8> {
    let [depth, height, width] = shape;
    let square = |at: usize, axis: usize| {
        let half = shape[axis] as f64 / 2.0;
        let radius = (half - margin_mm / spacing_mm[axis]).max(half / 2.0);
        ((at as f64 + 0.5 - half) / radius).powi(2)
    };
    let mut mask = Vec::with_capacity(depth * height * width);
    for z in 0..depth {
        for y in 0..height {
            let so_far = square(z, 0) + square(y, 1);
            mask.extend((0..width).map(|x| u8::from(so_far + square(x, 2) <= 1.0)));
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{FakeNetwork, chest, plan};

    #[test]
    fn more_work_takes_more() {
        let (plan, grid) = (plan(), chest().grid);
        let told = |request: &Request| foretell(&grid, &plan, &[&FakeNetwork], request).unwrap();
        let usual = told(&Request::default());
        assert!(usual.tiles > 0 && usual.memory_bytes > 0 && usual.seconds > 0.0);
        let dense = told(&Request { step: Some(0.25), ..Request::default() });
        assert!(dense.tiles > usual.tiles, "{dense:?} {usual:?}");
        // Lungs tell the side, so the network is not asked for it and may mirror.
        let sided = |mirror: bool| {
            let targets = vec!["left artery".to_owned()];
            told(&Request { targets, mirror: Some(mirror), ..Request::default() }).tiles
        };
        assert_eq!(sided(true), 2 * sided(false));
        let limited = Request { max_memory_bytes: Some(1 << 20), ..Request::default() };
        assert_eq!(foretell(&grid, &plan, &[&FakeNetwork], &limited).unwrap_err().code(), "ERR_MEMORY");
    }

    #[test]
    fn lungs_bound_what_is_looked_at() {
        let mut plan = plan();
        plan.crop = Crop::Lungs { margin_mm: 25.0, body_only: true };
        let whole_body = Grid { shape: [1500, 512, 512], spacing_mm: [1.0; 3], ..chest().grid };
        let (sizes, _) = looked_at(whole_body, &plan);
        assert_eq!(sizes.part, [370, 280, 360]);
    }
}
