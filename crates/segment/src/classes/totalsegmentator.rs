//! TotalSegmentator's `lung_vessels`: two of its models, one after the other.
//!
//! The lobes' model (task 297) looks at the whole scan at 3 mm. Where it finds lobes, with 20 mm around them, the
//! vessels' model (task 117) looks at 0.703125 × 0.703125 × 1 mm. Both see the scan turned to RAS+ and resampled
//! linearly with its corners where they are, as integers; their labels come back by nearest voxels. The order of steps
//! and what is rounded when is that of TotalSegmentator 2.18.

use pulmoav_plan::ClassPlan;
use pulmoav_task::{Clock, Monitor, Warning};
use pulmoav_volume::crop::{View, VoxelBox, crop};
use pulmoav_volume::resample::corners::{corner_linear, corner_nearest};
use pulmoav_volume::voxels::{Voxel, Voxels};
use pulmoav_volume::{Affine, Grid, Orientation, Volume, with_voxels};

use super::memory::{ClassMemory, predict_classes};
use super::network::WindowNetwork;
use super::prepare::check_grid;
use super::run::{ClassOutcome, ClassRequest, nothing, segment_classes};
use crate::budget::F32;
use crate::error::SegmentError;
use crate::pipeline::Seconds;

/// Voxels that the lobes' model looks at, mm, `[z, y, x]`.
pub const LOBES_SPACING_MM: [f64; 3] = [3.0; 3];
/// Voxels that the vessels' model looks at, mm, `[z, y, x]`.
pub const VESSELS_SPACING_MM: [f64; 3] = [1.0, 0.703_125, 0.703_125];
/// Step of the lobes' windows.
pub const LOBES_STEP: f64 = 0.8;
/// Step of the vessels' windows.
pub const VESSELS_STEP: f64 = 0.5;
/// What the lobes' model calls the five lobes.
pub const LOBES: [u8; 5] = [10, 11, 12, 13, 14];
/// What is looked at around the lobes, mm.
pub const MARGIN_MM: f64 = 20.0;

/// A model, ready to run.
#[derive(Clone, Copy)]
pub struct ClassModel<'a> {
    /// Its plan.
    pub plan: &'a ClassPlan,
    /// Its networks, one a fold; TotalSegmentator has one.
    pub networks: &'a [Box<dyn WindowNetwork>],
}

/// The two models of `lung_vessels`, and the memory they may take.
#[derive(Clone, Copy)]
pub struct LungVessels<'a> {
    /// `Dataset297_TotalSegmentator_total_3mm_1559subj`.
    pub lobes: ClassModel<'a>,
    /// `Dataset117_lung_airways_arteries_veins_282subj`.
    pub vessels: ClassModel<'a>,
    /// What is held beside the models and the voxels handed over.
    pub memory: ClassMemory,
    /// The most memory that the process may use, bytes; looked at before each model's run.
    pub max_memory_bytes: Option<u64>,
}

/// What finding no lobe means.
const NO_LOBES: &str = "no lung lobe was found, so no vessel was looked for; check that this is a chest CT in \
                        Hounsfield units and that its orientation is right";

/// Segments a chest CT as `TotalSegmentator --task lung_vessels --ml` does: the labels of the vessels' model.
///
/// Without lobes the map is empty, with a warning. Progress is told as stage `lobes`, then as those of
/// [`segment_classes`].
///
/// # Shapes
/// `scan`: `[z, y, x]` in Hounsfield units, any orientation.
///
/// # Errors
/// As [`segment_classes`].
pub fn segment_lung_vessels(
    models: &LungVessels<'_>,
    scan: Volume<f32>,
    monitor: &dyn Monitor,
) -> Result<ClassOutcome, SegmentError> {
    let mut clock = Clock::start();
    check_grid(&scan.grid)?;
    let grid = scan.grid;
    let lobes = Stage::new(models.lobes, LOBES_STEP, &grid, LOBES_SPACING_MM)?;
    lobes.refuse_excess(models, grid.len() as u64)?;
    let found = lobes.run(&scan, &LobesMonitor(monitor))?;
    let lobes_s = clock.lap();
    let Some(part) = box_around_lobes(&narrow(found.labels), &grid) else {
        let request = models.vessels.request(VESSELS_STEP);
        let seconds = Seconds { prepare: lobes_s - found.seconds.network, ..found.seconds };
        let outcome = nothing(&request, &grid, Warning::new("EMPTY_RESULT", NO_LOBES));
        return Ok(ClassOutcome { windows: found.windows, seconds, ..outcome });
    };
    let stage = Stage::new(models.vessels, VESSELS_STEP, &part.grid(&grid), VESSELS_SPACING_MM)?;
    stage.refuse_excess(models, stage.original.len() as u64)?;
    let mut part_scan = crop(&scan, &part);
    drop(scan);
    // TotalSegmentator keeps the crop as integers.
    for value in &mut part_scan.data {
        *value = value.trunc();
    }
    let answer = stage.run(&part_scan, monitor)?;
    drop(part_scan);
    let labels = pasted(&narrow(answer.labels), &part, grid.shape);
    let network = found.seconds.network + answer.seconds.network;
    let restore = answer.seconds.restore;
    let prepare = lobes_s + clock.lap() - network - restore;
    Ok(ClassOutcome {
        labels: labels.into(),
        grid,
        probabilities: None,
        warnings: answer.warnings,
        windows: found.windows + answer.windows,
        card: answer.card.or(found.card),
        seconds: Seconds { prepare, network, restore, ..Seconds::default() },
    })
}

impl LungVessels<'_> {
    /// Peak of the process in bytes for a scan on `grid`, at most: what the vessels' model takes depends on the box
    /// around the lobes, and this is for the whole scan. Networks need not be there yet.
    ///
    /// # Errors
    /// `ERR_GEOMETRY` for a grid that no model can be shown.
    pub fn predict(&self, grid: &Grid) -> Result<u64, SegmentError> {
        check_grid(grid)?;
        let held = grid.len() as u64;
        let lobes = Stage::new(self.lobes, LOBES_STEP, grid, LOBES_SPACING_MM)?.predicted(&self.memory, held);
        let vessels = Stage::new(self.vessels, VESSELS_STEP, grid, VESSELS_SPACING_MM)?;
        Ok(lobes.max(vessels.predicted(&self.memory, held)))
    }
}

impl<'a> ClassModel<'a> {
    pub(super) fn request(self, step: f64) -> ClassRequest<'a> {
        ClassRequest { plan: self.plan, networks: self.networks, step, mirror: false, probabilities: false }
    }
}

/// One model's look at a scan.
pub(super) struct Stage<'a> {
    pub(super) model: ClassModel<'a>,
    step: f64,
    /// Moves to RAS+.
    orientation: Orientation,
    /// The scan's grid as it came, and in RAS+.
    original: Grid,
    canonical: Grid,
    /// What the model looks at.
    grid: Grid,
    /// Whether voxels have the size asked for, so that nothing is resampled.
    stays: bool,
}

impl<'a> Stage<'a> {
    /// A look at a scan on `original`, with voxels of `spacing_mm`.
    pub(super) fn new(
        model: ClassModel<'a>,
        step: f64,
        original: &Grid,
        spacing_mm: [f64; 3],
    ) -> Result<Self, SegmentError> {
        let orientation = Orientation::of(&original.affine)?;
        let canonical = orientation.orient_grid(original);
        // NIfTI headers keep lengths as f32, and these are what is divided.
        let lengths = header_lengths(&canonical.affine);
        let zoom: [f64; 3] = std::array::from_fn(|axis| lengths[axis] / spacing_mm[axis]);
        let stays = lengths == spacing_mm;
        let grid = if stays { Grid { spacing_mm, ..canonical } } else { zoomed(&canonical, zoom) };
        Ok(Self { model, step, orientation, original: *original, canonical, grid, stays })
    }

    /// Refuses a run that would take more memory than the process may use; `held` voxels stay beside it.
    fn refuse_excess(&self, models: &LungVessels<'_>, held: u64) -> Result<(), SegmentError> {
        let Some(budget_bytes) = models.max_memory_bytes else { return Ok(()) };
        let needed_bytes = self.predicted(&models.memory, held);
        if needed_bytes <= budget_bytes { Ok(()) } else { Err(SegmentError::Memory { needed_bytes, budget_bytes }) }
    }

    /// Peak of the process, bytes.
    pub(super) fn predicted(&self, memory: &ClassMemory, held: u64) -> u64 {
        let folds = self.model.networks.len();
        let held_bytes = memory.held_bytes + held * F32;
        predict_classes(self.model.plan, &self.grid, &ClassMemory { folds, held_bytes, ..*memory })
    }

    /// What the model sees.
    ///
    /// # Shapes
    /// `scan`: `[z, y, x]` of the original grid → of the model's.
    pub(super) fn input(&self, scan: &Volume<f32>) -> Volume<f32> {
        let view = View::new(&scan.data, self.original.shape);
        let view = view.reordered(self.orientation.source, self.orientation.flipped);
        let data =
            if self.stays { view.to_vec() } else { corner_linear(&view, self.grid.shape, |sum| sum.trunc() as f32) };
        Volume { data, grid: self.grid }
    }

    /// The model's labels on the original grid.
    fn run(&self, scan: &Volume<f32>, monitor: &dyn Monitor) -> Result<ClassOutcome, SegmentError> {
        let request = self.model.request(self.step);
        let outcome = segment_classes(&request, vec![self.input(scan)], monitor)?;
        let labels = self.back(&narrow(outcome.labels))?.into();
        Ok(ClassOutcome { labels, grid: self.original, ..outcome })
    }

    /// Labels on the original grid.
    ///
    /// # Shapes
    /// `labels`: `[z, y, x]` of the model's grid → of the original one.
    pub(super) fn back(&self, labels: &[u8]) -> Result<Vec<u8>, SegmentError> {
        let data = corner_nearest(&View::new(labels, self.grid.shape), self.canonical.shape);
        Ok(self.orientation.unorient(&Volume { data, grid: self.canonical }, &self.original)?.data)
    }
}

/// Lengths of voxels, mm, as a NIfTI header made for the affine holds them.
fn header_lengths(affine: &Affine) -> [f64; 3] {
    affine.spacing().map(|length| f64::from(length as f32))
}

/// The grid of `round(n · zoom)` voxels, halves to even, that a header would tell of: nominal lengths, though the
/// corners stay where they are.
fn zoomed(grid: &Grid, zoom: [f64; 3]) -> Grid {
    let mut affine = grid.affine;
    for row in affine.0.iter_mut().take(3) {
        for axis in 0..3 {
            // Column 0 of an affine is x, the last array axis.
            row[2 - axis] /= zoom[axis];
        }
    }
    let size = |axis: usize| ((grid.shape[axis] as f64 * zoom[axis]).round_ties_even() as usize).max(1);
    Grid { shape: [0, 1, 2].map(size), spacing_mm: header_lengths(&affine), affine }
}

/// The box of the lobes with what is looked at around them, cut at the border.
pub(super) fn box_around_lobes(labels: &[u8], grid: &Grid) -> Option<VoxelBox> {
    let part = VoxelBox::around(labels, grid.shape, |label| LOBES.contains(&label))?;
    let margin = header_lengths(&grid.affine).map(|length| (MARGIN_MM / length) as usize);
    Some(VoxelBox {
        low: std::array::from_fn(|axis| part.low[axis].saturating_sub(margin[axis])),
        high: std::array::from_fn(|axis| (part.high[axis] + margin[axis]).min(grid.shape[axis])),
    })
}

/// Labels of a box amid zeros.
///
/// # Shapes
/// `labels`: `[z, y, x]` of the box → of `shape`.
fn pasted(labels: &[u8], part: &VoxelBox, shape: [usize; 3]) -> Vec<u8> {
    let [_, height, width] = shape;
    let [_, part_height, part_width] = part.shape();
    let mut all = vec![0u8; shape.iter().product()];
    for (index, row) in labels.chunks_exact(part_width).enumerate() {
        let (z, y) = (part.low[0] + index / part_height, part.low[1] + index % part_height);
        all[(z * height + y) * width + part.low[2]..][..part_width].copy_from_slice(row);
    }
    all
}

/// Labels as bytes, as TotalSegmentator keeps them.
pub(super) fn narrow(labels: Voxels) -> Vec<u8> {
    match labels {
        Voxels::U8(labels) => labels,
        other => with_voxels!(other, values => values.into_iter().map(|value| value.to_f32() as u8).collect()),
    }
}

/// Tells the windows of the lobes' model as a stage of their own.
struct LobesMonitor<'a>(&'a dyn Monitor);

impl Monitor for LobesMonitor<'_> {
    fn report(&self, stage: &'static str, done: u64, total: u64) {
        if stage == "network" {
            self.0.report("lobes", done, total);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_plan::{Class, Normalisation};
    use pulmoav_task::Silent;

    use super::*;
    use crate::classes::fixture::plan;

    /// Says `label` above a value, else the background.
    struct Threshold {
        above: f32,
        label: usize,
        outputs: usize,
    }

    impl WindowNetwork for Threshold {
        fn channels(&self) -> usize {
            1
        }

        fn outputs(&self) -> usize {
            self.outputs
        }

        fn logits(&self, window: Vec<f32>, _: [usize; 3]) -> Result<Vec<f32>, SegmentError> {
            let mut logits = vec![0f32; window.len() * self.outputs];
            for (voxel, value) in logits.chunks_exact_mut(self.outputs).zip(window) {
                voxel[self.label] = (value - self.above).clamp(-1.0, 1.0);
            }
            Ok(logits)
        }
    }

    fn model(
        spacing_mm: [f64; 3],
        above: f32,
        label: usize,
        outputs: usize,
    ) -> (ClassPlan, Vec<Box<dyn WindowNetwork>>) {
        let mut plan = ClassPlan { spacing_mm, patch: [24; 3], ..plan() };
        plan.channels[0].normalisation = Normalisation::None;
        plan.classes = (1..outputs as u16).map(|value| Class { name: value.to_string(), value }).collect();
        (plan, vec![Box::new(Threshold { above, label, outputs })])
    }

    /// A bright ball with a brighter core amid −1000.
    fn scan() -> Volume<f32> {
        let (shape, spacing_mm) = ([22, 24, 26], [2.5, 1.9, 2.1]);
        let grid = Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        let value = |at: usize| {
            let place = [at / (24 * 26), at / 26 % 24, at % 26];
            let away = |axis: usize| (place[axis] as f64 - [9.0, 11.0, 14.0][axis]) * spacing_mm[axis];
            match (0..3).map(|axis| away(axis) * away(axis)).sum::<f64>().sqrt() {
                mm if mm < 4.0 => 300.7,
                mm if mm < 9.0 => 100.2,
                _ => -1000.0,
            }
        };
        Volume { data: (0..grid.len()).map(value).collect(), grid }
    }

    fn run(scan: Volume<f32>, lobes_above: f32) -> ClassOutcome {
        let lobes = model(LOBES_SPACING_MM, lobes_above, 12, 16);
        let vessels = model(VESSELS_SPACING_MM, 200.0, 3, 5);
        let models = LungVessels {
            lobes: ClassModel { plan: &lobes.0, networks: &lobes.1 },
            vessels: ClassModel { plan: &vessels.0, networks: &vessels.1 },
            memory: ClassMemory::default(),
            max_memory_bytes: None,
        };
        let tight = LungVessels { max_memory_bytes: Some(1 << 20), ..models };
        assert_eq!(segment_lung_vessels(&tight, scan.clone(), &Silent).unwrap_err().code(), "ERR_MEMORY");
        segment_lung_vessels(&models, scan, &Silent).unwrap()
    }

    #[test]
    fn every_orientation_gets_the_same_labels() {
        let scan = scan();
        let found = run(scan.clone(), 50.0);
        let expected = Volume { data: narrow(found.labels), grid: scan.grid };
        let core = scan.data.iter().filter(|&&value| value > 200.0).count();
        let labelled = expected.data.iter().filter(|&&label| label > 0).count();
        assert!(labelled.abs_diff(core) <= core / 3, "{labelled} of {core}");
        assert!(expected.data.iter().all(|&label| label == 0 || label == 3));
        for (source, flipped) in [([2, 1, 0], [true, false, true]), ([1, 2, 0], [false, true, true])] {
            let moves = Orientation { source, flipped };
            let turned = moves.orient(&scan);
            let found = run(turned.clone(), 50.0);
            assert_eq!(found.grid, turned.grid);
            assert!(narrow(found.labels) == moves.orient(&expected).data, "{moves:?}");
        }
    }

    #[test]
    fn without_lobes_the_map_is_empty() {
        let found = run(scan(), 5000.0);
        assert_eq!(found.warnings[0].code, "EMPTY_RESULT");
        assert!(found.warnings[0].message.contains("lobe"));
        assert!(narrow(found.labels).iter().all(|&label| label == 0));
    }

    #[test]
    fn the_margin_is_cut_off_to_whole_voxels() {
        let grid = scan().grid;
        let mut labels = vec![0u8; grid.len()];
        labels[(11 * 24 + 12) * 26 + 13] = LOBES[4];
        // 20 mm are 8, 10.5 and 9.5 voxels.
        let part = box_around_lobes(&labels, &grid).unwrap();
        assert_eq!(part, VoxelBox { low: [3, 2, 4], high: [20, 23, 23] });
        labels[0] = LOBES[0];
        assert_eq!(box_around_lobes(&labels, &grid).unwrap().low, [0; 3]);
        assert_eq!(box_around_lobes(&vec![9u8; grid.len()], &grid), None);
    }

    #[test]
    fn sizes_follow_the_headers_f32() {
        let (lobes, _) = model(LOBES_SPACING_MM, 0.0, 12, 16);
        let model = ClassModel { plan: &lobes, networks: &[] };
        let stage = Stage::new(model, LOBES_STEP, &scan().grid, LOBES_SPACING_MM).unwrap();
        // 22 · 2.5 / 3, 24 · 1.9 / 3, 26 · 2.1 / 3.
        assert_eq!(stage.grid.shape, [18, 15, 18]);
        assert!(stage.grid.spacing_mm.iter().all(|length| (length - 3.0).abs() < 1e-6));
        let exact = Grid { affine: Affine::from_spacing([3.0; 3]), spacing_mm: [3.0; 3], ..scan().grid };
        let stage = Stage::new(model, LOBES_STEP, &exact, LOBES_SPACING_MM).unwrap();
        let fractions = Volume { data: vec![0.5; exact.len()], grid: exact };
        assert_eq!(stage.input(&fractions), fractions, "voxels of that size are not even cut to integers");
    }
}
