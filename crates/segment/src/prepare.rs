//! From a scan to what the network sees, and the inverse transform.
//!
//! Orient (exact index moves, nothing is copied), find the lungs, choose the crop, resample it to the plan's spacing.
//! Channels are made of that tile by tile: they are several times as large.
//! Training and use share this file, so they cannot drift apart.

use pulmoav_anatomy::lungs::Lungs;
use pulmoav_anatomy::{self as anatomy, Anatomy};
use pulmoav_plan::{Channel, Crop, Plan};
use pulmoav_task::{Monitor, Warning};
use pulmoav_volume::crop::{Extent, View, VoxelBox};
use pulmoav_volume::resample::{new_size, resize_labels, resize_within};
use pulmoav_volume::{Grid, Orientation, Volume, Voxel};
use rayon::prelude::*;

use crate::error::SegmentError;

/// Slices thicker than this deserve a word.
pub(crate) const COARSE_MM: f64 = 3.0;

/// The plan's grid around the lungs begins and ends whole steps of so many voxels away from their anchor.
pub(crate) const STEP_VOXELS: usize = 8;
/// The plane between the lungs and half their width are rounded, so that a voxel more or less mostly changes nothing,
/// mm.
const MIDDLE_STEP_MM: f64 = 2.0;
const WIDTH_STEP_MM: f64 = 5.0;
/// Muscle and fat of a chest wall, together.
pub(crate) const WALL_HU: f32 = 0.0;
/// Air.
pub(crate) const AIR_HU: f32 = -1000.0;
/// Spacings that differ by a smaller share are one.
const SAME_SPACING: f64 = 1e-3;

/// More voxels on the plan's grid than any body has: 2 m × 0.6 m × 0.6 m at 1 mm, and some.
const MAX_VOXELS: usize = 1 << 30;

/// A scan as the network sees it: plain arrays.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Hounsfield units that the network's windows look at, `[z, y, x]` of `shape`; none where a card resamples the scan.
    pub hu: Vec<f32>,
    /// The side channel, which depends on x alone, `[x]`.
    pub side: Vec<f32>,
    /// Voxels on the plan's grid, `[z, y, x]`.
    pub shape: [usize; 3],
    /// The plan's grid: canonical, cropped, resampled. Its spacing is the plan's up to rounding to whole voxels.
    pub grid: Grid,
    /// Body, lungs and airways, on the scan's canonical grid.
    pub anatomy: Anatomy,
    /// How to return to the scan's own grid.
    pub inverse: InverseTransform,
    /// Those of the anatomy, and `COARSE_SPACING` (`NOT_HU` is told where voxels become HU).
    pub warnings: Vec<Warning>,
}

impl Prepared {
    /// The lungs; `None` when none was found.
    pub fn lungs(&self) -> Option<&Lungs> {
        self.anatomy.lungs.as_ref()
    }

    /// 0 outside the lungs, 1 in the left lung, 2 in the right one; `None` without lungs.
    ///
    /// # Shapes
    /// → `[z, y, x]` of `self.shape`.
    pub fn sides(&self) -> Option<Vec<u8>> {
        self.lungs().map(|lungs| lungs.sides_in(self.inverse.extent, self.shape))
    }

    /// 1 where the left lung is nearer in mm, 2 where the right one is; `None` without lungs.
    ///
    /// # Shapes
    /// → `[z, y, x]` of `self.shape`.
    pub fn nearest_sides(&self) -> Option<Vec<u8>> {
        self.lungs().map(|lungs| lungs.nearest_in(self.inverse.extent, self.shape))
    }
}

/// What leads from the plan's grid back to the scan's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InverseTransform {
    /// The scan's grid as it came.
    pub original: Grid,
    /// Moves between it and the canonical frame.
    pub orientation: Orientation,
    /// The scan's grid in the canonical frame.
    pub canonical: Grid,
    /// What the plan's grid fills, in voxels of `canonical`; it may reach beyond the scan.
    pub extent: Extent,
    /// The voxels of `canonical` that it touches.
    pub part: VoxelBox,
    /// Voxels of the plan's grid, `[z, y, x]`.
    pub shape: [usize; 3],
}

/// Prepares a scan in Hounsfield units for the plan's network.
///
/// # Shapes
/// `ct`: `[z, y, x]`, any orientation → [`Prepared`].
///
/// # Errors
/// `ERR_GEOMETRY` for an empty scan or an affine without three directions, `CANCELLED`.
pub fn prepare(ct: &Volume<impl Voxel>, plan: &Plan, monitor: &dyn Monitor) -> Result<Prepared, SegmentError> {
    let mut prepared = survey(ct, plan, monitor)?;
    see(ct, plan, &mut prepared);
    Ok(prepared)
}

/// [`prepare`] without the Hounsfield units on the plan's grid: see [`see`].
pub(crate) fn survey(ct: &Volume<impl Voxel>, plan: &Plan, monitor: &dyn Monitor) -> Result<Prepared, SegmentError> {
    let shape = ct.grid.shape;
    if ct.grid.is_empty() || ct.data.len() != ct.grid.len() {
        return Err(SegmentError::Shape { shape, values: ct.data.len() });
    }
    let orientation = Orientation::of(&ct.grid.affine)?;
    let canonical = orientation.orient_grid(&ct.grid);
    let hu = View::new(&ct.data, shape).reordered(orientation.source, orientation.flipped);
    stage(monitor, 0)?;
    let anatomy = anatomy::find(&hu, &canonical, monitor)?;
    let lungs = anatomy.lungs.as_ref();
    stage(monitor, 1)?;
    let (extent, plan_shape) = extent_to_see(&hu, &canonical, lungs, plan);
    refuse_giants(&canonical, plan_shape)?;
    let part = extent.voxels(canonical.shape);
    stage(monitor, 2)?;
    let inverse = InverseTransform { original: ct.grid, orientation, canonical, extent, part, shape: plan_shape };
    let side = side_line(lungs, &inverse);
    stage(monitor, 3)?;
    let warnings = anatomy.warnings.iter().cloned().chain(coarse_spacing(&canonical)).collect();
    let grid = extent.grid(&canonical, plan_shape);
    Ok(Prepared { hu: Vec::new(), side, shape: plan_shape, grid, anatomy, inverse, warnings })
}

/// The part of a scan that a plan looks at, in the canonical frame.
pub(crate) fn part_of<'a, T: Voxel>(ct: &'a Volume<T>, inverse: &InverseTransform) -> View<'a, T> {
    let moves = inverse.orientation;
    View::new(&ct.data, ct.grid.shape).reordered(moves.source, moves.flipped).part(&inverse.part)
}

/// Resamples a surveyed scan to the plan's grid.
pub(crate) fn see(ct: &Volume<impl Voxel>, plan: &Plan, prepared: &mut Prepared) {
    let (inverse, shape) = (&prepared.inverse, prepared.shape);
    let mut seen = resize_within(&part_of(ct, inverse), &inverse.extent.seen_from(&inverse.part), shape);
    if shows_body_only(plan) {
        clear_outside_body(&mut seen, &prepared.anatomy.body_in(inverse.extent, shape));
    }
    fill_chest_wall(&mut seen, prepared.lungs(), &inverse.extent, shape, plan);
    prepared.hu = seen;
}

/// Whether what is outside the body is shown as air.
pub(crate) fn shows_body_only(plan: &Plan) -> bool {
    matches!(plan.crop, Crop::Lungs { body_only: true, .. })
}

/// A reference label map on the grid of a prepared scan: each label linearly, then the one of at least one half.
///
/// # Shapes
/// `labels`: `[z, y, x]` on the scan's own grid → `[z, y, x]` of `inverse.shape`.
///
/// # Errors
/// `ERR_GEOMETRY` when the label map is not on the scan's grid.
pub fn prepare_labels(labels: &Volume<u8>, inverse: &InverseTransform) -> Result<Vec<u8>, SegmentError> {
    if !labels.grid.is_at(&inverse.original) || labels.data.len() != labels.grid.len() {
        return Err(SegmentError::Volume(pulmoav_volume::VolumeError::Geometry {
            subject: "label map".to_owned(),
            problem: format!(
                "is not on its scan's grid: shape {:?}, scan {:?}, corners up to {:.2} mm apart; resample it first",
                labels.grid.shape,
                inverse.original.shape,
                labels.grid.corner_distance_mm(&inverse.original)
            ),
        }));
    }
    let moves = inverse.orientation;
    let view = View::new(&labels.data, labels.grid.shape).reordered(moves.source, moves.flipped);
    Ok(resize_labels(&view.part(&inverse.part), &inverse.extent.seen_from(&inverse.part), inverse.shape))
}

fn stage(monitor: &dyn Monitor, done: u64) -> Result<(), SegmentError> {
    monitor.report("prepare", done, 3);
    Ok(monitor.proceed()?)
}

fn shape_at(grid: &Grid, spacing_mm: [f64; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| new_size(grid.shape[axis], grid.spacing_mm[axis], spacing_mm[axis]))
}

/// Refuses what cannot be a body on the plan's grid, before memory is asked for: a wrong unit in the header, mostly.
fn refuse_giants(grid: &Grid, plan_shape: [usize; 3]) -> Result<(), SegmentError> {
    let voxels = plan_shape.iter().try_fold(1usize, |product, &edge| product.checked_mul(edge));
    if voxels.is_some_and(|voxels| voxels <= MAX_VOXELS) {
        return Ok(());
    }
    Err(SegmentError::Giant { shape: grid.shape, spacing_mm: grid.spacing_mm })
}

/// What the plan asks to see and the number of its voxels. An axis that is at the plan's spacing and fits into one tile
/// stays whole, so such a volume passes unchanged.
fn extent_to_see(
    hu: &View<'_, impl Voxel>,
    canonical: &Grid,
    lungs: Option<&Lungs>,
    plan: &Plan,
) -> (Extent, [usize; 3]) {
    let whole = VoxelBox::whole(canonical.shape);
    let found = match plan.crop {
        Crop::Lungs { margin_mm, .. } => return around_lungs(canonical, lungs, margin_mm, plan),
        Crop::None => None,
        Crop::Foreground { above_hu } => foreground(hu, above_hu as f32),
    };
    let mut part = found.unwrap_or(whole);
    let size = shape_at(canonical, plan.spacing_mm);
    for axis in (0..3).filter(|&axis| size[axis] <= plan.tiles.tile[axis]) {
        (part.low[axis], part.high[axis]) = (0, canonical.shape[axis]);
    }
    (Extent::from(&part), shape_at(&part.grid(canonical), plan.spacing_mm))
}

/// The lungs' box with a margin, on a grid of exactly the plan's spacing that passes through the lungs' anchor: another
/// crop of the same scan gets the same grid, and so the same labels. Its faces are whole steps of [`STEP_VOXELS`] away
/// from the anchor, so that a box that is a little larger mostly is the same one.
fn around_lungs(canonical: &Grid, lungs: Option<&Lungs>, margin_mm: f64, plan: &Plan) -> (Extent, [usize; 3]) {
    let mut extent = Extent::from(&VoxelBox::whole(canonical.shape));
    let mut shape = shape_at(canonical, plan.spacing_mm);
    let Some(lungs) = lungs else { return (extent, shape) };
    for axis in 0..3 {
        let voxel = plan.spacing_mm[axis] / canonical.spacing_mm[axis];
        if (voxel - 1.0).abs() < SAME_SPACING && shape[axis] <= plan.tiles.tile[axis] {
            continue;
        }
        let margin = margin_mm / canonical.spacing_mm[axis];
        let first = lungs.anchor[axis] as f64 + 0.5 - voxel / 2.0;
        let step = voxel * STEP_VOXELS as f64;
        let low = ((lungs.bounds.low[axis] as f64 - margin - first) / step).floor();
        let high = ((lungs.bounds.high[axis] as f64 + margin - first) / step).ceil();
        (extent.low[axis], extent.high[axis]) = (first + low * step, first + high * step);
        shape[axis] = (high - low) as usize * STEP_VOXELS;
    }
    (extent, shape)
}

/// The box of voxels above a threshold.
fn foreground(hu: &View<'_, impl Voxel>, above_hu: f32) -> Option<VoxelBox> {
    let [depth, height, width] = hu.shape();
    let of_plane = |row: &mut Vec<f32>, z: usize| {
        let mut found: Option<VoxelBox> = None;
        for y in 0..height {
            hu.copy_values(z, y, row);
            let Some(first) = row.iter().position(|&v| v > above_hu) else { continue };
            let last = row.iter().rposition(|&v| v > above_hu).unwrap_or(first);
            let here = VoxelBox { low: [z, y, first], high: [z + 1, y + 1, last + 1] };
            found = Some(found.map_or(here, |before| before.joined(&here)));
        }
        found
    };
    (0..depth).into_par_iter().map_init(|| vec![0.0; width], of_plane).flatten().reduce_with(|a, b| a.joined(&b))
}

/// Shows as air what is outside the body: tables, clothes and arms differ from scanner to scanner and hold no vessel.
fn clear_outside_body(hu: &mut [f32], body: &[u8]) {
    let voxels = hu.par_iter_mut().zip(body).with_min_len(1 << 14);
    voxels.filter(|(_, body)| **body == 0).for_each(|(hu, _)| *hu = AIR_HU);
}

/// Puts tissue where a field of view cut the chest wall away, for plans that look at lungs: a network that never saw a
/// lung without its wall takes its edge for something else.
///
/// # Shapes
/// `hu`: `[z, y, x]` of `shape`, which fills `extent`.
fn fill_chest_wall(hu: &mut [f32], lungs: Option<&Lungs>, extent: &Extent, shape: [usize; 3], plan: &Plan) {
    let Some(wall) =
        lungs.filter(|_| matches!(plan.crop, Crop::Lungs { .. })).and_then(|l| l.unseen_wall_in(*extent, shape))
    else {
        return;
    };
    hu.par_iter_mut()
        .zip(&wall)
        .with_min_len(1 << 14)
        .filter(|(_, wall)| **wall != 0)
        .for_each(|(hu, _)| *hu = WALL_HU);
}

/// Makes the channels of a row.
///
/// # Shapes
/// `hu` and `side`: `[x]` → `row` `[x, c]`, channels in the plan's order.
pub fn make_channels(hu: &[f32], side: &[f32], channels: &[Channel], row: &mut [f32]) {
    for ((voxel, &hu), &side) in row.chunks_exact_mut(channels.len()).zip(hu).zip(side) {
        for (to, channel) in voxel.iter_mut().zip(channels) {
            *to = match channel {
                Channel::Window { window_hu } => windowed(hu, *window_hu),
                Channel::Side => side,
            };
        }
    }
}

/// HU clipped to the window and mapped to `[0, 1]`; NaN is the low end.
pub fn windowed(hu: f32, [low, high]: [f64; 2]) -> f32 {
    let share = (hu - low as f32) / (high - low) as f32;
    if share > 0.0 { share.min(1.0) } else { 0.0 }
}

fn rounded(mm: f64, step_mm: f64) -> f64 {
    (mm / step_mm).round() * step_mm
}

/// The side channel of each x: distance to the plane between the lungs over half their box's width.
/// Without lungs the scan's own middle and width serve.
fn side_line(lungs: Option<&Lungs>, inverse: &InverseTransform) -> Vec<f32> {
    let spacing_mm = inverse.canonical.spacing_mm[2];
    let half_scan_mm = inverse.canonical.shape[2] as f64 * spacing_mm / 2.0;
    let of = |lungs: &Lungs| {
        let anchor_mm = (lungs.anchor[2] as f64 + 0.5) * spacing_mm;
        let middle_mm = anchor_mm + rounded(lungs.middle_mm - anchor_mm, MIDDLE_STEP_MM);
        (middle_mm, rounded(lungs.half_width_mm, WIDTH_STEP_MM).max(WIDTH_STEP_MM))
    };
    let (middle_mm, half_mm) = lungs.map_or((half_scan_mm, half_scan_mm), of);
    let step = (inverse.extent.high[2] - inverse.extent.low[2]) / inverse.shape[2] as f64;
    (0..inverse.shape[2])
        .map(|x| {
            let at_mm = (inverse.extent.low[2] + (x as f64 + 0.5) * step) * spacing_mm;
            ((at_mm - middle_mm) / half_mm) as f32
        })
        .collect()
}

/// Whether voxels are so large that a small vessel does not half fill one; thick slices of fine pixels are not.
pub(crate) fn has_coarse_voxels(grid: &Grid) -> bool {
    grid.spacing_mm.iter().product::<f64>() > COARSE_MM.powi(3)
}

fn coarse_spacing(canonical: &Grid) -> Option<Warning> {
    let coarsest_mm = canonical.spacing_mm.iter().copied().fold(0.0, f64::max);
    (coarsest_mm > COARSE_MM).then(|| {
        let message = format!("voxels are up to {coarsest_mm:.2} mm long; small vessels are lost above {COARSE_MM} mm");
        Warning::new("COARSE_SPACING", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{channels, chest, plan};
    use pulmoav_task::Silent;
    use pulmoav_volume::Affine;

    #[test]
    fn one_patch_at_the_plans_spacing_passes_unchanged() {
        let plan = plan();
        let grid = Grid { shape: [16; 3], spacing_mm: [4.0; 3], affine: Affine::from_spacing([4.0; 3]) };
        let data: Vec<f32> = (0..4096).map(|i| ((i * 37) % 1800) as f32 - 1100.0).collect();
        let prepared = prepare(&Volume { data: data.clone(), grid }, &plan, &Silent).unwrap();
        assert_eq!((prepared.shape, prepared.grid), ([16; 3], grid));
        for (voxel, hu) in channels(&prepared, &plan).chunks_exact(2).zip(data) {
            assert_eq!(voxel[0], windowed(hu, [-1000.0, 400.0]));
        }
    }

    #[test]
    fn the_crop_holds_the_lungs_and_the_side_channel_runs_from_left_to_right() {
        let plan = plan();
        let ct = chest();
        let prepared = prepare(&ct, &plan, &Silent).unwrap();
        let lungs = prepared.lungs().unwrap();
        let part = prepared.inverse.part;
        assert!((0..3).all(|a| part.low[a] <= lungs.bounds.low[a] && part.high[a] >= lungs.bounds.high[a]));
        let side = &prepared.side;
        assert!(side.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(side[0] < -0.9 && side[side.len() - 1] > 0.9);
        let (sides, nearest) = (prepared.sides().unwrap(), prepared.nearest_sides().unwrap());
        assert!(sides.iter().zip(&nearest).all(|(&side, &near)| side == 0 || side == near));
        let codes: Vec<&str> = prepared.warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["COARSE_SPACING"]);
    }

    #[test]
    fn labels_follow_their_scan() {
        let plan = plan();
        let ct = chest();
        let prepared = prepare(&ct, &plan, &Silent).unwrap();
        let labels = Volume { data: ct.data.iter().map(|&hu| u8::from(hu < -500.0)).collect(), grid: ct.grid };
        let found = prepare_labels(&labels, &prepared.inverse).unwrap();
        let seen = channels(&prepared, &plan);
        let agree = found.iter().zip(seen.chunks_exact(2)).filter(|&(&l, v)| (l == 1) == (v[0] < 0.36));
        assert!(agree.count() as f64 > 0.97 * found.len() as f64);
        let other = Volume { data: vec![0; 8], grid: Grid { shape: [2; 3], ..ct.grid } };
        assert_eq!(prepare_labels(&other, &prepared.inverse).unwrap_err().code(), "ERR_GEOMETRY");
    }

    #[test]
    fn an_empty_scan_is_refused() {
        let grid = Grid { shape: [0, 4, 4], ..chest().grid };
        let error = prepare(&Volume { data: Vec::<f32>::new(), grid }, &plan(), &Silent).unwrap_err();
        assert_eq!(error.code(), "ERR_GEOMETRY");
    }
}
