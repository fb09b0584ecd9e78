//! The sliding window: every network over every window, one mean.

use half::f16;
use pulmoav_task::Monitor;

use super::error::ClassError;
use super::gaussian::gaussian;
use super::network::mirrored_logits;
use super::prepare::Prepared;
use super::run::ClassRequest;
use super::sums::{Sums, add_fold, divide_folds};
use super::windows::Windows;
use crate::error::SegmentError;

/// The logits of a prepared scan, the mean over the request's networks.
///
/// # Shapes
/// `prepared.image` `[z, y, x, c]` → `[z, y, x, o]`.
///
/// # Errors
/// What a network returns; [`ClassError::Overflow`], [`ClassError::Answer`]; `CANCELLED`, looked at before each window.
pub(super) fn logits(
    request: &ClassRequest<'_>,
    prepared: &Prepared,
    windows: &Windows,
    monitor: &dyn Monitor,
) -> Result<Vec<f16>, SegmentError> {
    let axes = if request.mirror { request.plan.mirror_axes.as_slice() } else { &[] };
    let gaussian = gaussian(windows.patch);
    let total = (windows.count() * request.networks.len()) as u64;
    let mut done = 0;
    let mut mean: Option<Vec<f16>> = None;
    for network in request.networks {
        let (channels, outputs) = (network.channels(), network.outputs());
        let mut sums = Sums::new(windows, &gaussian, outputs);
        for start in windows.places() {
            if monitor.cancelled() {
                return Err(SegmentError::Cancelled);
            }
            monitor.report("network", done, total);
            let window = windows.cut(&prepared.image, channels, start);
            sums.add(&mirrored_logits(network.as_ref(), window, windows.patch, axes)?, start);
            done += 1;
        }
        let fold = sums.finish()?;
        match &mut mean {
            None => mean = Some(fold),
            Some(mean) => add_fold(mean, &fold),
        }
    }
    monitor.report("network", total, total);
    let mut mean = mean.ok_or(ClassError::Answer { expected: 1, found: 0 })?;
    if request.networks.len() > 1 {
        divide_folds(&mut mean, request.networks.len());
    }
    Ok(mean)
}

#[cfg(test)]
mod tests {
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::VoxelBox;
    use pulmoav_volume::{Affine, Grid};

    use super::*;
    use crate::classes::fixture::{FakeNetwork, golden, plan};
    use crate::classes::frame::Frame;
    use crate::classes::network::WindowNetwork;

    /// An image as if it were prepared.
    fn prepared(image: Vec<f32>, shape: [usize; 3]) -> Prepared {
        let grid = Grid { shape, spacing_mm: [2.0; 3], affine: Affine::from_spacing([2.0; 3]) };
        let frame = Frame::of(&grid, &plan()).unwrap();
        Prepared { image, shape, part: VoxelBox::whole(shape), frame }
    }

    fn fakes(offsets: &[f32]) -> Vec<Box<dyn WindowNetwork>> {
        let fake = |&offset: &f32| Box::new(FakeNetwork { channels: 2, outputs: 3, offset }) as Box<dyn WindowNetwork>;
        offsets.iter().map(fake).collect()
    }

    /// Expected values: nnunetv2's predictor, made by `crates/testing/goldens/classes.py`.
    #[test]
    fn sums_and_folds_round_as_nnunets() {
        for case in golden()["slides"].as_array().unwrap() {
            let numbers = |name: &str| -> Vec<f32> { serde_json::from_value(case[name].clone()).unwrap() };
            let shape: [usize; 3] = serde_json::from_value(case["shape"].clone()).unwrap();
            let mirror_axes: Vec<usize> = serde_json::from_value(case["mirror"].clone()).unwrap();
            let bits: Vec<u16> = serde_json::from_value(case["bits"].clone()).unwrap();
            let plan = pulmoav_plan::ClassPlan { mirror_axes, ..plan() };
            let step = case["step"].as_f64().unwrap();
            let networks = fakes(&numbers("offsets"));
            let request = ClassRequest { plan: &plan, networks: &networks, step, mirror: true, probabilities: false };
            let windows = Windows::new(shape, plan.patch, step);
            let prepared = prepared(numbers("image"), shape);
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found = pool.install(|| logits(&request, &prepared, &windows, &Silent).unwrap());
                let found: Vec<u16> = found.into_iter().map(f16::to_bits).collect();
                assert_eq!(found, bits, "{shape:?}, mirrored along {:?}", plan.mirror_axes);
            }
        }
    }

    #[test]
    fn sums_beyond_f16_are_an_error() {
        let plan = plan();
        let networks = fakes(&[60_000.0]);
        let request = ClassRequest { plan: &plan, networks: &networks, step: 0.5, mirror: false, probabilities: false };
        let shape = [12, 8, 8];
        let prepared = prepared(vec![0.0; 768 * 2], shape);
        let error = logits(&request, &prepared, &Windows::new(shape, [8; 3], 0.5), &Silent).unwrap_err();
        assert_eq!(error.code(), "ERR_MODEL");
        assert!(error.to_string().contains("infinite"), "{error}");
    }
}
