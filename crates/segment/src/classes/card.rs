//! The sliding window on a card: windows are cut, turned, weighted and summed there, and only the scan's logits come back.

use half::f16;
use pulmoav_ops::device::{Pace, from_host, room, to_host_half};
use pulmoav_ops::window::{Image, Map, Place, Rounding, Sums};
use pulmoav_plan::Network;

use super::error::ClassError;
use super::network::{CardNetwork, combinations};
use super::windows::Windows;
use crate::card::{CardMemory, Load};
use crate::error::SegmentError;
use crate::tiles::Shown;

/// A network on a card and what it is shown.
pub(super) struct OnCard<'a> {
    pub(super) network: &'a dyn CardNetwork,
    /// The plan's.
    pub(super) of: &'a Network,
    pub(super) windows: &'a Windows,
    /// Weights of a window, `[z, y, x]`.
    pub(super) gaussian: &'a [f16],
    /// How a window is shown: as it is, then mirrored.
    pub(super) turns: Vec<[bool; 3]>,
    pub(super) outputs: usize,
}

/// A window as it is, then its mirror images along these axes.
pub(super) fn turns(axes: &[usize]) -> Vec<[bool; 3]> {
    std::iter::once([false; 3]).chain(combinations(axes)).collect()
}

impl OnCard<'_> {
    /// What the card has and is foreseen to take; a batch of 0 where not even one window at a time fits.
    pub(super) fn memory(&self, channels: usize) -> Option<CardMemory> {
        let room = room(self.network.device())?;
        let (turned, maps) = (self.turns.len() > 1, self.outputs as u64);
        let load = Load {
            network: self.of,
            value_bytes: self.network.value_bytes() as u64,
            seen: self.windows.shape.iter().product::<usize>() as u64,
            channels: channels as u64,
            maps,
            // The mean over a window's mirror images.
            more_maps: if turned { 2 * maps + 1 } else { 0 },
            scan: None,
        };
        let tile = self.windows.patch;
        let shown = if turned { self.turns.len() } else { self.windows.count() };
        let one = load.fits(Shown { tile, batch: 1 }, room);
        let batch = if one { load.batch(tile, shown, room) } else { 0 };
        let predicted_bytes = load.bytes(Shown { tile, batch: batch.max(1) });
        Some(CardMemory { free_bytes: room.free_bytes, predicted_bytes, batch, wanted_batch: batch, whole_scan: false })
    }

    /// The scan's logits. `proceed` is called before windows are shown, with their number.
    ///
    /// # Shapes
    /// `image`: `[z, y, x, c]` → `[z, y, x, o]`.
    ///
    /// # Errors
    /// What the network and `proceed` return; [`ClassError::Overflow`].
    pub(super) fn run(
        &self,
        image: &[f32],
        batch: usize,
        mut proceed: impl FnMut(u64) -> Result<(), SegmentError>,
    ) -> Result<Vec<f16>, SegmentError> {
        let (device, windows) = (self.network.device(), self.windows);
        let image = Image::new(image, windows.shape, &[], device)?;
        let weights = self.gaussian.iter().map(|weight| weight.to_f32()).collect();
        let weights = from_host(weights, windows.patch.to_vec(), device)?;
        let ones = weights.ones_like()?;
        let mut sums = Sums::new(windows.shape, self.outputs, Rounding::F16, device)?;
        let mut pace = Pace::new(device);
        let places: Vec<Place> = windows.places().map(|start| self.place(start)).collect();
        let at_once = if self.turns.len() > 1 { 1 } else { batch };
        for places in places.chunks(at_once) {
            proceed(places.len() as u64)?;
            if let ([place], true) = (places, self.turns.len() > 1) {
                let answer = self.mean_of_turns(&image, *place, &ones, batch)?;
                sums.add(&answer.unsqueeze(0)?, &weights, places, Map::Same)?;
            } else {
                let answers = self.network.logits(&image.cut(places, windows.patch)?)?;
                sums.add(&answers, &weights, places, Map::Same)?;
            }
            pace.step()?;
        }
        drop(image);
        let logits = to_host_half(&sums.mean(Map::Same)?)?;
        let count = logits.iter().filter(|value| value.is_infinite()).count();
        if count > 0 { Err(ClassError::Overflow { count }.into()) } else { Ok(logits) }
    }

    fn place(&self, start: [usize; 3]) -> Place {
        Place::at(std::array::from_fn(|axis| start[axis] as i32 - self.windows.pad[axis] as i32))
    }

    /// The mean logits of a window and its mirror images, turned back, summed in their order.
    ///
    /// # Shapes
    /// → `[z, y, x, o]`.
    fn mean_of_turns(
        &self,
        image: &Image<'_>,
        place: Place,
        ones: &candle_core::Tensor,
        batch: usize,
    ) -> Result<candle_core::Tensor, SegmentError> {
        let patch = self.windows.patch;
        let mut sums = Sums::new(patch, self.outputs, Rounding::F32, self.network.device())?;
        for turns in self.turns.chunks(batch) {
            let at =
                |first: [i32; 3]| -> Vec<Place> { turns.iter().map(|&mirrored| Place { first, mirrored }).collect() };
            let answers = self.network.logits(&image.cut(&at(place.first), patch)?)?;
            sums.add(&answers, ones, &at([0; 3]), Map::Same)?;
        }
        Ok(sums.mean(Map::Same)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use pulmoav_ops::device::to_host;

    use super::*;
    use crate::classes::fixture::{FakeNetwork, golden, plan};
    use crate::classes::gaussian::gaussian;
    use crate::classes::network::WindowNetwork;

    /// The fake as if it were on a card.
    struct Fake(FakeNetwork);

    impl CardNetwork for Fake {
        fn device(&self) -> &Device {
            &Device::Cpu
        }

        fn value_bytes(&self) -> usize {
            4
        }

        fn logits(&self, windows: &Tensor) -> Result<Tensor, SegmentError> {
            let &[n, depth, height, width, channels] = windows.dims() else { panic!("{:?}", windows.dims()) };
            let values = to_host(windows)?;
            let each = values.chunks_exact(depth * height * width * channels);
            let answers = each.map(|window| self.0.logits(window.to_vec(), [depth, height, width]));
            let answers = answers.collect::<Result<Vec<_>, _>>()?.concat();
            Ok(from_host(answers, (n, depth, height, width, self.0.outputs), &Device::Cpu)?)
        }
    }

    /// Expected values: nnunetv2's predictor, made by `crates/testing/goldens/classes.py`, as for the host's sums.
    #[test]
    fn sums_round_as_nnunets() {
        for case in golden()["slides"].as_array().unwrap() {
            let numbers = |name: &str| -> Vec<f32> { serde_json::from_value(case[name].clone()).unwrap() };
            let shape: [usize; 3] = serde_json::from_value(case["shape"].clone()).unwrap();
            let axes: Vec<usize> = serde_json::from_value(case["mirror"].clone()).unwrap();
            let bits: Vec<u16> = serde_json::from_value(case["bits"].clone()).unwrap();
            let offsets = numbers("offsets");
            let [offset] = offsets[..] else { continue };
            let plan = plan();
            let windows = Windows::new(shape, plan.patch, case["step"].as_f64().unwrap());
            let (gaussian, network) = (gaussian(plan.patch), Fake(FakeNetwork { channels: 2, outputs: 3, offset }));
            let (windows, turns) = (&windows, turns(&axes));
            let card = OnCard { network: &network, of: &plan.network, windows, gaussian: &gaussian, turns, outputs: 3 };
            for batch in [1, 3] {
                let found = card.run(&numbers("image"), batch, |_| Ok(())).unwrap();
                let found: Vec<u16> = found.into_iter().map(f16::to_bits).collect();
                assert_eq!(found, bits, "{shape:?}, mirrored along {axes:?}");
            }
        }
    }
}
