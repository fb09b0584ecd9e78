//! From probabilities on the plan's grid to labels on the scan's own grid.
//!
//! Probabilities travel, labels do not: a thin vessel survives the inverse transform only so (figures: docs/method.md,
//! Training and its schedule). Each plane of the scan is interpolated (or, along coarse axes, takes what is highest
//! inside its voxels), decided and forgotten, so probabilities never exist at the scan's size unless they are asked
//! for.

mod card;
mod decide;
mod planes;

use pulmoav_anatomy::lungs::Lungs;
use pulmoav_ops::device::is_out_of_memory;
use pulmoav_ops::labels::MOST_MAPS;
use pulmoav_plan::{BoundaryRefinement, Crop, Plan};
use pulmoav_volume::components::{Connectivity, remove_outside};
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Grid, Volume, Voxel};
use rayon::prelude::*;

use self::decide::Rules;
use self::planes::Planes;
use crate::boundary;
use crate::error::SegmentError;
use crate::prepare::{InverseTransform, Prepared, has_coarse_voxels, part_of};
use crate::tiles::{Found, Probabilities};

/// Interpolation stays below the threshold where all values do, by more than its rounding.
const SURELY_BELOW: f32 = 0.499;

/// Share of a group of touching vessel voxels that must lie in a lung; others were seen in bone or the chest wall.
const MIN_LUNG_SHARE: f64 = 0.02;

/// What [`restore`] gives back.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The plan's label values, `[z, y, x]` of the canonical part; [`undo`] brings them onto the scan's own grid.
    pub labels: Vec<u8>,
    /// `[p, z, y, x]` on the scan's own grid, when asked for; the network's, without boundary refinement.
    pub probabilities: Option<Vec<f32>>,
}

/// As [`restore`], on the card that has what was found, where it has the room for that; on the host where probabilities
/// are kept.
///
/// # Errors
/// What the card returned.
pub(crate) fn restore_found(
    ct: &Volume<impl Voxel>,
    found: Found,
    prepared: &Prepared,
    plan: &Plan,
    asked: &[usize],
    keep_probabilities: bool,
) -> Result<Restored, SegmentError> {
    let found = match found {
        Found::OnHost(found) => found,
        Found::OnCard(found) if keep_probabilities || asked.len() > MOST_MAPS => found.into_host()?,
        Found::OnCard(found) => match card::labels(&found, prepared, plan, asked) {
            Ok(mut labels) => {
                remove_strays(&mut labels, prepared, plan);
                return Ok(Restored { labels, probabilities: None });
            }
            Err(error) if is_out_of_memory(&error) => found.into_host()?,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(restore(ct, &found, prepared, plan, asked, keep_probabilities))
}

/// Carries probabilities back and decides each voxel.
///
/// # Shapes
/// `found.values` `[z, y, x, p]` on the plan's grid, `asked`: the p places among the plan's targets, `ct` `[z, y, x]` →
/// labels of the canonical part.
pub fn restore(
    ct: &Volume<impl Voxel>,
    found: &Probabilities,
    prepared: &Prepared,
    plan: &Plan,
    asked: &[usize],
    keep_probabilities: bool,
) -> Restored {
    let inverse = &prepared.inverse;
    let rules = Rules::new(plan, asked);
    // Outside the lungs and the mediastinum beside the hila there is no pulmonary vessel to find.
    let limited = matches!(plan.crop, Crop::Lungs { .. });
    let least = if keep_probabilities { 0.0 } else { SURELY_BELOW };
    let planes = Planes::new(found, inverse, prepared.lungs(), limited, least);
    let part = inverse.part.shape();
    let plane = part[1] * part[2];
    let mut labels = vec![0u8; part[0] * plane];
    let mut kept = vec![0f32; if keep_probabilities { labels.len() * asked.len() } else { 0 }];
    let decide = |z: usize, labels: &mut [u8], mut kept: Option<&mut [f32]>| {
        planes.visit(z, &rules, |row, probabilities| {
            rules.decide(probabilities, &mut labels[row.clone()]);
            if let Some(kept) = &mut kept {
                let kept = &mut kept[row.start * asked.len()..row.end * asked.len()];
                interleave(probabilities, asked.len(), kept);
            }
        });
    };
    if keep_probabilities {
        let chunks = labels.par_chunks_mut(plane).zip(kept.par_chunks_mut(plane * asked.len()));
        chunks.enumerate().for_each(|(z, (labels, kept))| decide(z, labels, Some(kept)));
    } else {
        labels.par_chunks_mut(plane).enumerate().for_each(|(z, labels)| decide(z, labels, None));
    }
    if let Some(lungs) = prepared.lungs() {
        refine_boundary(&mut labels, ct, inverse, plan, lungs);
    }
    remove_strays(&mut labels, prepared, plan);
    let probabilities = keep_probabilities.then(|| {
        let of = |prompt: usize| -> Vec<f32> { kept.iter().skip(prompt).step_by(asked.len()).copied().collect() };
        (0..asked.len()).flat_map(|prompt| undo(of(prompt), inverse)).collect()
    });
    Restored { labels, probabilities }
}

/// Clears groups of labels that lie outside of the lungs, for plans that look at lungs.
fn remove_strays(labels: &mut [u8], prepared: &Prepared, plan: &Plan) {
    let part = prepared.inverse.part;
    if let Some(lungs) = prepared.lungs().filter(|_| matches!(plan.crop, Crop::Lungs { .. }) && plan.postprocesses()) {
        let side = lungs.side_of(&part, part.shape());
        remove_outside(labels, part.shape(), Connectivity::Corners, |voxel| side(voxel) != 0, MIN_LUNG_SHARE);
    }
}

/// How walls are refined, where the plan says so and the scan's voxels are small enough to be half filled by a vessel.
fn walls(plan: &Plan, canonical: &Grid) -> Option<BoundaryRefinement> {
    plan.walls.filter(|_| !has_coarse_voxels(canonical))
}

/// Refines the boundary of vessels, see [`walls`].
///
/// # Shapes
/// `labels`: `[z, y, x]` of the canonical part; `ct`: `[z, y, x]` of the original grid.
fn refine_boundary(labels: &mut [u8], ct: &Volume<impl Voxel>, inverse: &InverseTransform, plan: &Plan, lungs: &Lungs) {
    let spacing_mm = inverse.canonical.spacing_mm;
    if let Some(settings) = walls(plan, &inverse.canonical) {
        let hu = part_of(ct, inverse);
        let plane = [1, hu.shape()[1], hu.shape()[2]];
        boundary::refine(labels, &hu, |z| lungs.sides_in(&inverse.part.plane(z), plane), settings, spacing_mm);
    }
}

/// Puts the part back into the scan's own array order; 0 outside the part.
///
/// # Shapes
/// `part`: `[z, y, x]` of the canonical part → `[z, y, x]` of the original grid.
pub fn undo<T: Copy + Default + Send + Sync>(part: Vec<T>, inverse: &InverseTransform) -> Vec<T> {
    if inverse.orientation.is_identity() && inverse.part == VoxelBox::whole(inverse.original.shape) {
        return part;
    }
    let back = inverse.orientation.inverse();
    let view = View::new(&part, inverse.part.shape()).reordered(back.source, back.flipped);
    let shape = inverse.original.shape;
    let size = view.shape();
    let low: [usize; 3] = std::array::from_fn(|axis| {
        let canonical = back.source[axis];
        if back.flipped[axis] { shape[axis] - inverse.part.high[canonical] } else { inverse.part.low[canonical] }
    });
    let mut data = vec![T::default(); shape.iter().product()];
    let planes = data.par_chunks_mut(shape[1] * shape[2]).skip(low[0]).take(size[0]);
    planes.enumerate().for_each(|(z, plane)| {
        for y in 0..size[1] {
            let row = (low[1] + y) * shape[2] + low[2];
            view.copy_row(z, y, &mut plane[row..row + size[2]]);
        }
    });
    data
}

/// `[p, x]` → `[x, p]`.
fn interleave(rows: &[f32], prompts: usize, to: &mut [f32]) {
    let width = rows.len() / prompts;
    for (prompt, row) in rows.chunks_exact(width).enumerate() {
        to.iter_mut().skip(prompt).step_by(prompts).zip(row).for_each(|(to, &value)| *to = value);
    }
}
