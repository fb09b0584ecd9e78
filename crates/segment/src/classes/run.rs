//! The walk from scans to the label map of a network that answers with classes.

use pulmoav_plan::{ClassPlan, Output};
use pulmoav_task::{Clock, Monitor, Warning};
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Grid, Volume};

use super::export::{Export, is_wide};
use super::network::WindowNetwork;
use super::prepare::{check, prepare};
use super::slide;
use super::windows::Windows;
use crate::card::CardMemory;
use crate::error::SegmentError;
use crate::pipeline::Seconds;
use crate::room::wrong_kernels;

/// A model and what is asked of it.
pub struct ClassRequest<'a> {
    /// The model's plan.
    pub plan: &'a ClassPlan,
    /// Its networks, one a fold, whose mean counts.
    pub networks: &'a [Box<dyn WindowNetwork>],
    /// Share of a window that it moves by, above 0 up to 1; the plan's is the model's own.
    pub step: f64,
    /// Whether windows are also shown mirrored along the plan's axes.
    pub mirror: bool,
    /// Whether the probabilities are wanted too; the labels follow from them then.
    pub probabilities: bool,
}

/// A label map and what is known of it.
#[derive(Debug, Clone)]
pub struct ClassOutcome {
    /// The values of the plan's classes, `[z, y, x]` on the scan's own grid: u8, or u16 where one is above 255.
    pub labels: Voxels,
    /// The scan's grid, of the first channel.
    pub grid: Grid,
    /// `[o, z, y, x]` on the scan's own grid, when asked for; with the background first where the plan's output is
    /// `Softmax`.
    pub probabilities: Option<Vec<f32>>,
    /// What should be known: `EMPTY_RESULT`.
    pub warnings: Vec<Warning>,
    /// Windows shown to the networks, mirrored ones not counted.
    pub windows: usize,
    /// What a card had and took, where one summed the windows.
    pub card: Option<CardMemory>,
    /// Wall time of each stage.
    pub seconds: Seconds,
}

/// Segments scans, one a channel of the model, as nnunetv2 does on a CPU.
///
/// Scans of zeros alone give an empty map and a warning.
///
/// # Shapes
/// `channels`: `[z, y, x]`, any orientation, all on one grid; given up as soon as the image is made of them.
///
/// # Errors
/// [`ClassError`](super::ClassError) for scans that cannot be shown to the model, and for answers that cannot be used;
/// `ERR_GEOMETRY`, what a network returns, `CANCELLED`.
pub fn segment_classes(
    request: &ClassRequest<'_>,
    channels: Vec<Volume<f32>>,
    monitor: &dyn Monitor,
) -> Result<ClassOutcome, SegmentError> {
    let mut clock = Clock::start();
    let grid = check(request.plan, &channels)?;
    let prepared = prepare(request.plan, &grid, &channels, monitor)?;
    drop(channels);
    let prepare_s = clock.lap();
    let Some(mut prepared) = prepared else {
        let warning = Warning::new("EMPTY_RESULT", "every voxel of the scan is 0, so there is nothing to label");
        let seconds = Seconds { prepare: prepare_s, ..Seconds::default() };
        return Ok(ClassOutcome { seconds, ..nothing(request, &grid, warning) });
    };
    let windows = Windows::new(prepared.shape, request.plan.patch, request.step);
    let (logits, card) = slide::logits(request, &prepared, &windows, monitor)?;
    prepared.image = Vec::new();
    let network_s = clock.lap();
    let outputs = request.networks.first().map_or(0, |network| network.outputs());
    let export = Export { plan: request.plan, prepared: &prepared, logits: &logits, outputs };
    let (labels, probabilities) = if request.probabilities {
        let (labels, probabilities) = export.probabilities(monitor)?;
        (labels, Some(probabilities))
    } else {
        (export.labels(monitor)?, None)
    };
    monitor.report("restore", 1, 1);
    let seconds = Seconds { prepare: prepare_s, network: network_s, restore: clock.lap(), ..Seconds::default() };
    let windows = windows.count() * request.networks.len();
    let warnings = wrong_kernels();
    Ok(ClassOutcome { labels, grid, probabilities, warnings, windows, card, seconds })
}

/// An empty map, and what should be known of it.
pub(super) fn nothing(request: &ClassRequest<'_>, grid: &Grid, warning: Warning) -> ClassOutcome {
    let softmax = request.plan.output == Output::Softmax;
    let outputs = request.plan.classes.len() + usize::from(softmax);
    let probabilities = request.probabilities.then(|| {
        let mut values = vec![0f32; grid.len() * outputs];
        values[..if softmax { grid.len() } else { 0 }].fill(1.0);
        values
    });
    let labels = if is_wide(request.plan) { vec![0u16; grid.len()].into() } else { vec![0u8; grid.len()].into() };
    let (warnings, seconds) = (vec![warning], Seconds::default());
    ClassOutcome { labels, grid: *grid, probabilities, warnings, windows: 0, card: None, seconds }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use pulmoav_plan::ClassPlan;
    use pulmoav_task::Silent;
    use pulmoav_volume::Affine;

    use super::*;
    use crate::classes::fixture::{FakeNetwork, plan};

    fn scan(shape: [usize; 3]) -> Volume<f32> {
        let spacing_mm = [1.5, 2.5, 2.0];
        let data = (0..shape.iter().product()).map(|at: usize| ((at * 7919) % 1777) as f32 - 1000.0).collect();
        Volume { data, grid: Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) } }
    }

    fn fake(channels: usize) -> Vec<Box<dyn WindowNetwork>> {
        vec![Box::new(FakeNetwork { channels, outputs: 3, offset: 0.0 })]
    }

    fn run(plan: &ClassPlan, channels: Vec<Volume<f32>>, monitor: &dyn Monitor) -> Result<ClassOutcome, SegmentError> {
        let networks = fake(plan.channels.len());
        let request = ClassRequest { plan, networks: &networks, step: 0.5, mirror: true, probabilities: false };
        segment_classes(&request, channels, monitor)
    }

    #[test]
    fn what_cannot_be_shown_is_refused_in_a_sentence() {
        let plan = plan();
        let code = |channels: Vec<Volume<f32>>| run(&plan, channels, &Silent).unwrap_err().code();
        let whole = scan([12, 9, 10]);
        assert_eq!(code(vec![]), "ERR_USAGE");
        assert_eq!(code(vec![whole.clone(), whole.clone()]), "ERR_USAGE");
        assert_eq!(code(vec![scan([1, 9, 10])]), "ERR_GEOMETRY");
        let mut broken = whole.clone();
        broken.data[7] = f32::NAN;
        broken.data[8] = f32::INFINITY;
        let error = run(&plan, vec![broken], &Silent).unwrap_err();
        assert_eq!(error.code(), "ERR_FORMAT");
        assert!(error.to_string().contains("CT has 2 voxel(s)"), "{error}");
        for bad in [0.0, f64::NAN, f64::INFINITY, -1.0] {
            let mut flat = whole.clone();
            flat.grid.spacing_mm[1] = bad;
            assert_eq!(code(vec![flat]), "ERR_GEOMETRY", "{bad}");
        }
        let mut singular = whole.clone();
        singular.grid.affine.0[0] = [0.0; 4];
        assert_eq!(code(vec![singular]), "ERR_GEOMETRY");
        let mut short = whole.clone();
        short.data.pop();
        assert_eq!(code(vec![short]), "ERR_GEOMETRY");
    }

    #[test]
    fn channels_lie_on_one_grid() {
        let mut plan = plan();
        plan.channels.push(plan.channels[0].clone());
        plan.channels[1].name = "PET".to_owned();
        let whole = scan([12, 9, 10]);
        assert!(run(&plan, vec![whole.clone(), whole.clone()], &Silent).is_ok());
        let mut moved = whole.clone();
        moved.grid.affine.0[1][3] += 4.0;
        let mut stretched = whole.clone();
        stretched.grid.spacing_mm[0] = 1.6;
        for (other, word) in [(scan([12, 9, 11]), "shape"), (moved, "4.00 mm"), (stretched, "1.6")] {
            let error = run(&plan, vec![whole.clone(), other], &Silent).unwrap_err().to_string();
            assert!(error.contains("PET") && error.contains(word), "{error}");
        }
    }

    #[test]
    fn zeros_alone_give_an_empty_map_and_a_warning() {
        let (plan, mut empty) = (plan(), scan([12, 9, 10]));
        empty.data.fill(0.0);
        let found = run(&plan, vec![empty.clone()], &Silent).unwrap();
        assert_eq!(found.labels, vec![0u8; 1080].into());
        assert_eq!((found.grid, found.windows), (empty.grid, 0));
        assert_eq!(found.warnings[0].code, "EMPTY_RESULT");
    }

    #[test]
    fn all_48_orientations_give_the_same_labels_where_the_plan_turns_scans() {
        let plan = ClassPlan { reorient: true, axes: [1, 0, 2], ..plan() };
        let whole = scan([12, 9, 10]);
        let Voxels::U8(expected) = run(&plan, vec![whole.clone()], &Silent).unwrap().labels else { panic!("bytes") };
        assert!((0..3).all(|label| expected.contains(&label)));
        let expected = Volume { data: expected, grid: whole.grid };
        for source in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for flips in 0..8 {
                let flipped = [0, 1, 2].map(|axis| flips >> axis & 1 == 1);
                let moves = pulmoav_volume::Orientation { source, flipped };
                let found = run(&plan, vec![moves.orient(&whole)], &Silent).unwrap();
                assert!(found.labels == moves.orient(&expected).data.into(), "{moves:?}");
            }
        }
    }

    /// Stops after some windows, and remembers the last number told.
    struct Stopper {
        after: u64,
        seen: AtomicU64,
        total: AtomicU64,
    }

    impl Monitor for Stopper {
        fn report(&self, stage: &'static str, done: u64, total: u64) {
            if stage == "network" {
                self.seen.store(done, Ordering::Relaxed);
                self.total.store(total, Ordering::Relaxed);
            }
        }

        fn cancelled(&self) -> bool {
            self.seen.load(Ordering::Relaxed) >= self.after
        }
    }

    #[test]
    fn windows_are_counted_and_can_be_stopped_between() {
        let stopper = |after| Stopper { after, seen: AtomicU64::new(0), total: AtomicU64::new(0) };
        let never = stopper(u64::MAX);
        let found = run(&plan(), vec![scan([20, 9, 10])], &never).unwrap();
        assert_eq!(never.total.load(Ordering::Relaxed), found.windows as u64);
        assert_eq!(never.seen.load(Ordering::Relaxed), found.windows as u64);
        assert!(found.windows > 8);
        let soon = stopper(3);
        let error = run(&plan(), vec![scan([20, 9, 10])], &soon).unwrap_err();
        assert_eq!((error.code(), soon.seen.load(Ordering::Relaxed)), ("CANCELLED", 3));
    }
}
