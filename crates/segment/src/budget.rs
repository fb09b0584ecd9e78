//! How much memory a run will take, told before the network starts.
//!
//! The peak is the largest of the stages' sums over a table of what is alive in each. Constants were measured on whole
//! runs in fresh processes; `docs/performance.md` keeps the figures.

use pulmoav_plan::Plan;
use pulmoav_volume::Grid;

use crate::error::SegmentError;
use crate::prepare::Prepared;
use crate::request::Request;
use crate::tiles::{Layout, Needed, fitted, overlap_voxels};

pub(crate) const F32: u64 = 4;
/// Program, Node and pools before any voxel.
pub(crate) const BASE_BYTES: u64 = 90 << 20;
/// Bytes a coarse voxel of the lung search: labels, distances and tables; and what of them stays.
const LUNGS_BYTES: u64 = 40;
const LUNGS_KEPT_BYTES: u64 = 3;
/// Bytes a voxel of the scan while lungs and airways are written into the label map: they, what they are made of, and
/// they again in the scan's own orientation.
const KEEP_BYTES: u64 = 4;
/// Bytes a voxel of the part while labels are cleaned and tidied: labels, and tables that grow with the vessels.
const CLEAN_BYTES: u64 = 2;
/// A sixth on top: fragments, blocks kept for reuse, JavaScript's heap. Whole runs took 0.90 to 0.95 of the table's
/// sum, `la-caf` up to 1.10.
const SLACK_DIVISOR: u64 = 6;

/// The tile that fits, and the need it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tile, `[z, y, x]`.
    pub tile: [usize; 3],
    /// Peak foreseen, bytes.
    pub predicted_bytes: u64,
    /// The tile that there would be without a limit.
    pub wanted: [usize; 3],
}

/// Refuses a scan that the limit leaves no room to read, before a voxel of it is.
///
/// # Errors
/// `ERR_MEMORY`.
pub fn check_scan(grid: &Grid, request: &Request) -> Result<(), SegmentError> {
    let Some(budget_bytes) = request.max_memory_bytes else { return Ok(()) };
    let (always, coarse) = (always(grid, request), coarse_voxels(grid));
    let needed_bytes = with_slack(always + request.read_bytes.max(searching(grid, coarse)));
    if needed_bytes <= budget_bytes { Ok(()) } else { Err(SegmentError::Memory { needed_bytes, budget_bytes }) }
}

/// The plan's tile, or the largest smaller one that fits into the request's limit.
///
/// # Errors
/// `ERR_MEMORY` when not even the smallest fits.
pub fn choose(
    prepared: &Prepared,
    needed: &Needed,
    plan: &Plan,
    asked: usize,
    request: &Request,
) -> Result<Budget, SegmentError> {
    let need = |tile: [usize; 3]| predict(prepared, needed, plan, tile, asked, request);
    let tiles = tiles_to_try(needed.size(), plan);
    let Some(budget_bytes) = request.max_memory_bytes else {
        return Ok(Budget { tile: tiles[0], predicted_bytes: need(tiles[0]), wanted: tiles[0] });
    };
    let mut smallest = u64::MAX;
    for &tile in &tiles {
        let predicted_bytes = need(tile);
        if predicted_bytes <= budget_bytes {
            return Ok(Budget { tile, predicted_bytes, wanted: tiles[0] });
        }
        smallest = smallest.min(predicted_bytes);
    }
    Err(SegmentError::Memory { needed_bytes: smallest, budget_bytes })
}

/// The next smaller tile, where the device had no room for this one.
pub(crate) fn smaller(tile: [usize; 3], needed: &Needed, plan: &Plan) -> Option<[usize; 3]> {
    let tiles = tiles_to_try(needed.size(), plan);
    let at = tiles.iter().position(|&other| other == tile)?;
    tiles.get(at + 1).copied()
}

/// The plan's tile, fitted to what is needed if it may be, then smaller ones down to half the training patch; some
/// networks know one size only.
pub(crate) fn tiles_to_try(needed: [usize; 3], plan: &Plan) -> Vec<[usize; 3]> {
    let mut sizes = vec![plan.tiles.tile];
    if !plan.network.takes_any_tile() {
        return sizes;
    }
    if plan.tiles.fit {
        sizes[0] = fitted(needed, plan);
    }
    let multiple = plan.edge_multiple();
    let least = plan.patch.map(|edge| (edge / 2).next_multiple_of(multiple).max(2 * multiple));
    loop {
        let last = sizes[sizes.len() - 1];
        let next: [usize; 3] =
            std::array::from_fn(|axis| last[axis].saturating_sub(2 * multiple).max(least[axis]).min(last[axis]));
        if next == last {
            return sizes;
        }
        sizes.push(next);
    }
}

/// Peak of the process in bytes.
pub fn predict(
    prepared: &Prepared,
    needed: &Needed,
    plan: &Plan,
    tile: [usize; 3],
    asked: usize,
    request: &Request,
) -> u64 {
    let inverse = &prepared.inverse;
    let (grid, part) = (inverse.canonical, inverse.part.shape());
    let sizes = Sizes { grid, part, seen: prepared.shape, covered: covered(needed, plan, tile) };
    peak(&sizes, plan, tile, asked, request)
}

/// Edges of the box of the plan's grid that tiles cover.
pub(crate) fn covered(needed: &Needed, plan: &Plan, tile: [usize; 3]) -> [usize; 3] {
    Layout::new(needed, tile, overlap_voxels(plan, tile)).part().shape()
}

/// The scan's grid in the canonical frame, the part of it that the network looks at, that on the plan's grid, and the
/// box there that tiles cover.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) grid: Grid,
    pub(crate) part: [usize; 3],
    pub(crate) seen: [usize; 3],
    pub(crate) covered: [usize; 3],
}

/// [`predict`] by sizes alone.
pub(crate) fn peak(sizes: &Sizes, plan: &Plan, tile: [usize; 3], asked: usize, request: &Request) -> u64 {
    let count = |shape: [usize; 3]| shape.iter().product::<usize>() as u64;
    let grid = &sizes.grid;
    let (scan, part) = (count(grid.shape), count(sizes.part));
    let (seen, prompts) = (count(sizes.seen), asked as u64);
    let covered = sizes.covered;
    let found = prompts * count(covered) * F32;
    let always = always(grid, request);
    let reading = request.read_bytes;
    let searching = searching(grid, coarse_voxels(grid));
    // Beside what is seen, masks of the body and of its unseen wall.
    let preparing = seen * (F32 + 2);
    let weights = count([tile[0].min(covered[0]), covered[1], covered[2]]) * F32;
    let at_once = request.batch.unwrap_or(1) as u64;
    let running = seen * F32 + found + weights + at_once * tile_bytes(plan, count(tile), prompts);
    let kept = if request.probabilities { prompts * (part + 2 * scan) * F32 } else { 0 };
    let restoring = found + part + kept;
    // Labels of the part, and what finding groups of them or their branches takes.
    let cleaning = part * CLEAN_BYTES + kept;
    let placing = part + scan + kept;
    let keeping = if request.keep.is_empty() { 0 } else { kept + (1 + KEEP_BYTES) * scan };
    let stages = [reading, searching, preparing, running, restoring, cleaning, placing, keeping];
    with_slack(always + stages.into_iter().max().unwrap_or(0))
}

/// What is there from the first voxel to the last, bytes.
fn always(grid: &Grid, request: &Request) -> u64 {
    BASE_BYTES + request.held_bytes + grid.len() as u64 * request.voxel_bytes + coarse_voxels(grid) * LUNGS_KEPT_BYTES
}

/// What finding lungs and airways takes, bytes: tables on the coarse grid, and a mark a voxel of the scan.
fn searching(grid: &Grid, coarse: u64) -> u64 {
    coarse * LUNGS_BYTES + grid.len() as u64
}

pub(crate) fn with_slack(peak: u64) -> u64 {
    peak + peak / SLACK_DIVISOR
}

/// Voxels of the lung search.
fn coarse_voxels(grid: &Grid) -> u64 {
    let size_mm3: f64 = (0..3).map(|axis| grid.shape[axis] as f64 * grid.spacing_mm[axis]).product();
    // About 2.8 mm, at times 2.4, never finer than the scan.
    let coarse_mm3 = grid.spacing_mm.map(|mm| mm.max(2.4)).iter().product::<f64>();
    (size_mm3 / coarse_mm3) as u64
}

/// The network's arena for one tile, with its input and answer.
fn tile_bytes(plan: &Plan, voxels: u64, prompts: u64) -> u64 {
    (plan.network.channels_alive() as u64 + plan.channels.len() as u64 + 2 * prompts) * voxels * F32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{chest, plan};
    use crate::prepare::prepare;
    use crate::tiles;
    use pulmoav_task::Silent;
    use pulmoav_volume::Affine;

    #[test]
    fn smaller_tiles_need_less_and_end_at_half_a_patch() {
        let mut plan = plan();
        plan.tiles.tile = [32; 3];
        let tiles = tiles_to_try([64; 3], &plan);
        assert_eq!(tiles[0], [32; 3]);
        assert_eq!(tiles[tiles.len() - 1], [8; 3]);
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = tiles::needed(&prepared, &plan);
        let need = |&tile: &[usize; 3]| predict(&prepared, &needed, &plan, tile, 2, &Request::default());
        let needs: Vec<u64> = tiles.iter().map(need).collect();
        assert!(needs.windows(2).all(|pair| pair[0] >= pair[1]));
        assert!(needs[0] > BASE_BYTES);
        plan.tiles.fit = true;
        assert_eq!(tiles_to_try([32, 30, 60], &plan)[0], [32, 30, 30]);
    }

    #[test]
    fn a_scan_without_room_is_refused_by_its_header() {
        let grid = Grid { shape: [1024; 3], spacing_mm: [0.5; 3], affine: Affine::from_spacing([0.5; 3]) };
        let limited = |bytes: u64| Request { max_memory_bytes: Some(bytes), read_bytes: 1 << 30, ..Request::default() };
        assert_eq!(check_scan(&grid, &limited(512 << 20)).unwrap_err().code(), "ERR_MEMORY");
        assert!(check_scan(&grid, &limited(16 << 30)).is_ok());
        assert!(check_scan(&grid, &Request::default()).is_ok());
        // Never stricter than the whole prediction.
        let (plan, ct) = (plan(), chest());
        let prepared = prepare(&ct, &plan, &Silent).unwrap();
        let whole = predict(&prepared, &tiles::needed(&prepared, &plan), &plan, [8; 3], 2, &Request::default());
        assert!(check_scan(&ct.grid, &Request { max_memory_bytes: Some(whole), ..Request::default() }).is_ok());
    }

    #[test]
    fn probabilities_and_prompts_cost_memory() {
        let plan = plan();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = tiles::needed(&prepared, &plan);
        let need = |asked, probabilities| {
            predict(&prepared, &needed, &plan, [96; 3], asked, &Request { probabilities, ..Request::default() })
        };
        assert!(need(4, false) > need(2, false));
        let [plain, kept] = [false, true]
            .map(|p| Request { probabilities: p, ..Request::default() })
            .map(|request| predict(&prepared, &needed, &plan, [16; 3], 4, &request));
        assert!(kept > plain);
        let batch = |batch: usize| Request { batch: Some(batch), ..Request::default() };
        let [one, four] = [1, 4].map(|tiles| predict(&prepared, &needed, &plan, [96; 3], 4, &batch(tiles)));
        assert!(one == need(4, false) && four > 2 * one, "{one} {four}");
    }
}
