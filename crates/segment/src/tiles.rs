//! The sliding window: where tiles lie, how they are weighted, and the sum of what the network says of them.

#[cfg(all(test, feature = "cuda"))]
mod card;
mod layout;

use std::cmp::Reverse;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use candle_core::{Device, Tensor};
use pulmoav_model::{Mode, Network, prompt_embeddings};
use pulmoav_ops::device::{Pace, Repeated, from_host, to_host};
use pulmoav_ops::resample::Scan;
use pulmoav_ops::window::{self, Image, Map, Rounding, Sums};
use pulmoav_plan::{Blend, Channel, Crop, Plan};
use pulmoav_task::Monitor;
use pulmoav_volume::crop::{Lying, VoxelBox};
use rayon::prelude::*;

use crate::error::SegmentError;
use crate::on_card;
use crate::prepare::{Prepared, STEP_VOXELS, make_channels};
pub use layout::{Layout, Needed, Place};

/// Weights below this share of the centre's count as this.
const MIN_WEIGHT: f32 = 1e-3;
/// How far from a lung there is something to look at when the crop is not the lungs'.
const MARGIN_MM: f64 = 25.0;

/// What segmenting needs of a network: the logits of tiles.
pub trait TileNetwork: Sync {
    /// Where it computes: tiles come there, and logits are given there.
    fn device(&self) -> Device {
        Device::Cpu
    }

    /// Bytes of a value that it computes with.
    fn value_bytes(&self) -> u64 {
        4
    }

    /// Answers of a tile that it keeps beside the one it gives.
    fn more_maps(&self) -> u64 {
        0
    }

    /// Whether it answers tiles of one shape by the same launches on its device, so that these can be recorded.
    fn is_launches_alone(&self) -> bool {
        false
    }

    /// The logits of the targets `asked` (places in the plan).
    ///
    /// # Shapes
    /// `tiles`: `[n, z, y, x, c]` → `[n, z, y, x, p]`.
    fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError>;
}

/// A network with the embeddings of all of its plan's targets, on its device.
#[derive(Debug)]
pub struct PromptedNetwork<'a> {
    network: &'a Network,
    prompts: Tensor,
}

impl<'a> PromptedNetwork<'a> {
    /// Pairs a network with its plan's embeddings.
    pub fn new(network: &'a Network, plan: &Plan) -> Result<Self, SegmentError> {
        Ok(Self { network, prompts: prompt_embeddings(plan, network.device())? })
    }
}

impl TileNetwork for PromptedNetwork<'_> {
    fn device(&self) -> Device {
        self.network.device().clone()
    }

    fn value_bytes(&self) -> u64 {
        self.network.value_bytes() as u64
    }

    fn is_launches_alone(&self) -> bool {
        self.network.is_launches_alone()
    }

    fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
        let scales = self.network.forward_asked(&tiles, &self.prompts, asked, Mode::Infer)?;
        Ok(scales.into_iter().next().ok_or_else(|| candle_core::Error::Msg("no logits".to_owned()))?)
    }
}

/// What the network is shown at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Voxels of a tile, `[z, y, x]`.
    pub tile: [usize; 3],
    /// Tiles at a time; labels do not depend on it.
    pub batch: usize,
}

/// Probabilities on the plan's grid.
#[derive(Debug, Clone)]
pub struct Probabilities {
    /// `[z, y, x, p]` of `part`; 0 where no tile lay, and outside the part.
    pub values: Vec<f32>,
    /// The box of all tiles.
    pub part: VoxelBox,
    /// The plan's grid, `[z, y, x]`.
    pub shape: [usize; 3],
    /// Number of prompts p.
    pub prompts: usize,
}

impl Probabilities {
    /// The values of a row that lie in the part, `[x, p]`; none where the row does not.
    pub(crate) fn row(&self, z: usize, y: usize) -> Option<&[f32]> {
        let [_, height, width] = self.part.shape();
        let [z, y] = [(z, 0), (y, 1)].map(|(at, axis)| {
            (self.part.low[axis]..self.part.high[axis]).contains(&at).then(|| at - self.part.low[axis])
        });
        let size = width * self.prompts;
        Some(&self.values[(z? * height + y?) * size..][..size])
    }
}

/// Probabilities that are still on the card that found them.
pub(crate) struct OnCard {
    /// f32 `[z, y, x, p]` of `part`.
    pub(crate) values: Tensor,
    /// As in [`Probabilities`].
    pub(crate) part: VoxelBox,
    pub(crate) shape: [usize; 3],
    /// The canonical part of the scan, where it is still needed.
    pub(crate) scan: Option<Scan>,
}

impl OnCard {
    /// Reads them.
    pub(crate) fn into_host(self) -> Result<Probabilities, SegmentError> {
        let (.., prompts) = self.values.dims4()?;
        Ok(Probabilities { values: to_host(&self.values)?, part: self.part, shape: self.shape, prompts })
    }
}

/// Where probabilities are.
pub(crate) enum Found {
    OnHost(Probabilities),
    OnCard(OnCard),
}

impl Found {
    pub(crate) fn into_host(self) -> Result<Probabilities, SegmentError> {
        match self {
            Self::OnHost(found) => Ok(found),
            Self::OnCard(found) => found.into_host(),
        }
    }
}

/// What a walk came to.
pub(crate) struct Walked {
    pub(crate) found: Found,
    /// Why a card's launches were to be recorded, but could not be.
    pub(crate) refused: Option<String>,
}

/// Which tiles the network sees mirrored left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mirror {
    Never,
    /// Every second one.
    InTurn,
    /// Each, and as it is too: the mean answers.
    Both,
}

impl Mirror {
    /// As asked for, else as the plan says; never where a target with a side is among the `asked` places.
    pub(crate) fn of(plan: &Plan, wish: Option<bool>, asked: &[usize]) -> Self {
        if asked.iter().any(|&place| plan.targets[place].side.is_some()) {
            return Self::Never;
        }
        match wish {
            Some(true) => Self::Both,
            None if plan.tiles.mirror => Self::InTurn,
            _ => Self::Never,
        }
    }
}

/// The tiles that are looked at, each as often as it is seen.
pub(crate) fn layout(needed: &Needed, tile: [usize; 3], plan: &Plan, mirror: Mirror) -> Layout {
    let mut layout = Layout::new(needed, tile, overlap_voxels(plan, tile));
    if mirror == Mirror::Both {
        let both = |&place: &Place| [false, true].map(|odd| Place { odd, ..place });
        layout.places = layout.places.iter().flat_map(both).collect();
    }
    layout
}

/// What is looked for in a scan.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) prepared: &'a Prepared,
    /// The canonical part as it lies in memory, where cards resample it themselves.
    pub(crate) lying: Option<&'a Lying<'a>>,
    pub(crate) needed: &'a Needed,
    pub(crate) plan: &'a Plan,
    /// Places among the plan's targets.
    pub(crate) asked: &'a [usize],
    pub(crate) mirror: Mirror,
}

/// Runs the network over a prepared scan, some tiles at a time. A card gets the scan once and gives what was found once,
/// however many tiles there are. Several copies of the network, on a device each, share out the tiles; probabilities are
/// the same then but for the order of sums.
///
/// # Shapes
/// `prepared.hu` `[z, y, x]` → `[z, y, x, p]`, p as in `asked`, 0 where no tile lies since nothing is `needed`.
///
/// # Errors
/// What a network returns; `CANCELLED`, looked at before each batch of tiles.
pub fn run(
    prepared: &Prepared,
    needed: &Needed,
    plan: &Plan,
    shown: Shown,
    networks: &[&dyn TileNetwork],
    asked: &[usize],
    monitor: &dyn Monitor,
) -> Result<Probabilities, SegmentError> {
    let mirror = Mirror::of(plan, None, asked);
    find(Search { prepared, lying: None, needed, plan, asked, mirror }, shown, networks, monitor)?.found.into_host()
}

/// As [`run`]; what one card found stays there where it also resampled the scan.
///
/// # Errors
/// As [`run`].
pub(crate) fn find(
    search: Search<'_>,
    shown: Shown,
    networks: &[&dyn TileNetwork],
    monitor: &dyn Monitor,
) -> Result<Walked, SegmentError> {
    let Search { prepared, lying, needed, plan, asked, mirror } = search;
    let layout = layout(needed, shown.tile, plan, mirror);
    let walk = Walk {
        prepared,
        lying,
        plan,
        shown,
        asked,
        part: layout.part(),
        layout: &layout,
        mirror,
        is_alone: networks.len() == 1,
        monitor,
        done: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        refused: OnceLock::new(),
    };
    let [_, map] = maps(plan);
    let (part, shape) = (walk.part, prepared.shape);
    let found = match networks {
        [network] if lying.is_some() => {
            let Share { sums, scan } = walk.on_one(*network, &layout.places)?;
            Found::OnCard(OnCard { values: sums.mean(map)?, part, shape, scan })
        }
        _ => {
            let sums = walk.on_all(networks)?.into_iter().map(|share| share.sums).collect();
            let values = Sums::joined(sums)?.finish(map)?;
            Found::OnHost(Probabilities { values, part, shape, prompts: asked.len() })
        }
    };
    let total = layout.places.len() as u64;
    monitor.report("network", total, total);
    Ok(Walked { found, refused: walk.refused.into_inner() })
}

/// What one device did.
struct Share {
    sums: Sums,
    /// The scan, where it is still needed.
    scan: Option<Scan>,
}

/// The tiles of a scan, and how far they are.
struct Walk<'a> {
    prepared: &'a Prepared,
    lying: Option<&'a Lying<'a>>,
    plan: &'a Plan,
    shown: Shown,
    asked: &'a [usize],
    layout: &'a Layout,
    /// The box of all tiles.
    part: VoxelBox,
    mirror: Mirror,
    /// Whether one device sees all tiles.
    is_alone: bool,
    monitor: &'a dyn Monitor,
    done: AtomicU64,
    /// Whether a device failed, so that the others need not go on.
    is_over: AtomicBool,
    /// See [`Walked`]; of the first device.
    refused: OnceLock<String>,
}

impl Walk<'_> {
    /// The sums of each device: one works on this thread, several on threads of their own.
    fn on_all(&self, networks: &[&dyn TileNetwork]) -> Result<Vec<Share>, SegmentError> {
        let [first, others @ ..] = networks else {
            return Err(candle_core::Error::Msg("no network".to_owned()).into());
        };
        let places = &self.layout.places;
        let share = places.len().div_ceil(networks.len()).max(1);
        let (own, rest) = places.split_at(share.min(places.len()));
        if others.is_empty() {
            return Ok(vec![self.on_one(*first, own)?]);
        }
        thread::scope(|scope| {
            let shares = std::iter::once((first, own)).chain(others.iter().zip(rest.chunks(share)));
            let mut devices = Vec::with_capacity(networks.len());
            for (&network, places) in shares {
                devices.push(scope.spawn(move || {
                    let found = self.on_one(network, places);
                    self.is_over.fetch_or(found.is_err(), Ordering::Relaxed);
                    found
                }));
            }
            let ends = devices.into_iter().map(|device| device.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let (found, failed): (Vec<_>, Vec<_>) = ends.partition(Result::is_ok);
            // The others were only stopped.
            let cause = |error: &SegmentError| !matches!(error, SegmentError::Cancelled);
            let mut failed: Vec<SegmentError> = failed.into_iter().filter_map(Result::err).collect();
            let at = failed.iter().position(cause).unwrap_or(0);
            if failed.is_empty() { found.into_iter().collect() } else { Err(failed.swap_remove(at)) }
        })
    }

    fn is_mirrored(&self, place: Place) -> bool {
        self.mirror != Mirror::Never && place.odd
    }

    /// Where a tile lies in the box of all tiles.
    fn in_part(&self, place: Place) -> window::Place {
        let first = std::array::from_fn(|axis| {
            place.origin[axis] as i32 - self.layout.pad[axis] as i32 - self.part.low[axis] as i32
        });
        window::Place { first, mirrored: [false, false, self.is_mirrored(place)] }
    }

    /// Channels of a part of a row of the box of all tiles, `[x, c]`.
    fn row(&self, z: usize, y: usize, xs: Range<usize>, to: &mut [f32]) {
        let ([_, height, width], [low_z, low_y, low_x]) = (self.prepared.shape, self.part.low);
        let (row, xs) = (((low_z + z) * height + low_y + y) * width, low_x + xs.start..low_x + xs.end);
        let hu = &self.prepared.hu[row + xs.start..row + xs.end];
        make_channels(hu, &self.prepared.side[xs], &self.plan.channels, to);
    }

    /// All channels of the box of all tiles, `[z, y, x, c]`.
    fn channels(&self) -> Vec<f32> {
        let ([depth, rows, columns], count) = (self.part.shape(), self.plan.channels.len());
        let mut channels = vec![0f32; depth * rows * columns * count];
        let lines = channels.par_chunks_mut(columns * count).enumerate();
        lines.for_each(|(line, to)| self.row(line / rows, line % rows, 0..columns, to));
        channels
    }

    /// Says how far it is, and whether to go on.
    fn proceed(&self) -> Result<(), SegmentError> {
        self.monitor.proceed()?;
        if self.is_over.load(Ordering::Relaxed) {
            return Err(SegmentError::Cancelled);
        }
        self.monitor.report("network", self.done.load(Ordering::Relaxed), self.layout.places.len() as u64);
        Ok(())
    }

    /// The sums of some tiles, which stay on the network's device. On the CPU channels are made for a tile when it is its
    /// turn, and where no other device sums a plane is finished when the last tile has added to it: a scan's memory is
    /// what counts there.
    fn on_one(&self, network: &dyn TileNetwork, places: &[Place]) -> Result<Share, SegmentError> {
        let Shown { tile, batch } = self.shown;
        let device = network.device();
        let (shape, sided) = (self.part.shape(), sided(self.plan));
        let channels;
        let rows = |z: usize, y: usize, xs: Range<usize>, to: &mut [f32]| self.row(z, y, xs, to);
        let (image, scan) = match self.lying {
            None if device.is_cpu() => (Image::of_rows(&rows, shape, self.plan.channels.len(), &sided)?, None),
            Some(lying) => {
                let scan = on_card::take(lying, &device)?;
                let channels = on_card::channels(&scan, self.prepared, self.plan, &self.part)?;
                (Image::on_card(channels, &sided)?, Some(scan).filter(|_| self.plan.walls.is_some()))
            }
            None => {
                channels = self.channels();
                (Image::new(&channels, shape, &sided, &device)?, None)
            }
        };
        let weights = from_host(gaussian(tile), tile.to_vec(), &device)?;
        let mut sums = Sums::new(shape, self.asked.len(), Rounding::F32, &device)?;
        let [map, mean] = maps(self.plan);
        let mut pace = Pace::new(&device);
        let whole = if network.is_launches_alone() { places.len() / batch.max(1) } else { 0 };
        let mut answers = Repeated::new(&device, whole);
        for places in places.chunks(batch.max(1)) {
            self.proceed()?;
            let places: Vec<window::Place> = places.iter().map(|&place| self.in_part(place)).collect();
            if let ([first, ..], true) = (places.as_slice(), self.is_alone) {
                sums.settle(first.first[0].max(0) as usize, mean);
            }
            let answer = answers.run(image.cut(&places, tile)?, |tiles| network.logits(tiles, self.asked))?;
            sums.add(&answer, &weights, &places, map)?;
            pace.step()?;
            self.done.fetch_add(places.len() as u64, Ordering::Relaxed);
        }
        if let Some(why) = answers.refused() {
            let _ = self.refused.set(why.to_owned());
        }
        Ok(Share { sums, scan })
    }
}

/// What is made of each answer before it is summed, and of the means.
fn maps(plan: &Plan) -> [Map; 2] {
    match plan.tiles.blend {
        Blend::Probabilities => [Map::Logistic, Map::Same],
        Blend::Logits => [Map::Same, Map::Logistic],
    }
}

/// Channels that hold the side.
fn sided(plan: &Plan) -> Vec<usize> {
    let channels = plan.channels.iter().enumerate();
    channels.filter(|(_, kind)| matches!(kind, Channel::Side)).map(|(channel, _)| channel).collect()
}

/// The plan's overlap of a tile in voxels.
pub(crate) fn overlap_voxels(plan: &Plan, tile: [usize; 3]) -> [usize; 3] {
    tile.map(|edge| edge - ((edge as f64 * (1.0 - plan.tiles.overlap)).floor() as usize).max(1))
}

/// The plan's tile with each edge shortened by up to a third, so that the tiles along the edges `size` of what is
/// needed have as few voxels together as possible; of equals, the largest tile.
pub fn fitted(size: [usize; 3], plan: &Plan) -> [usize; 3] {
    let multiple = plan.edge_multiple();
    std::array::from_fn(|axis| {
        let edge = plan.tiles.tile[axis];
        let edges = ((edge - edge / 3).next_multiple_of(multiple)..=edge).step_by(multiple);
        let voxels = |edge: usize| {
            edge * layout::starts(&(0..size[axis]), size[axis], edge, overlap_voxels(plan, [edge; 3])[axis]).len()
        };
        edges.min_by_key(|&edge| (voxels(edge), Reverse(edge))).unwrap_or(edge)
    })
}

/// The voxels that tiles must cover: where a plan that looks at lungs keeps vessels, all near a lung where it skips
/// what is empty, or all.
pub fn needed(prepared: &Prepared, plan: &Plan) -> Needed {
    let (shape, inverse) = (prepared.shape, &prepared.inverse);
    let Some(lungs) = prepared.lungs().filter(|_| plan.tiles.skip_empty) else { return Needed::all(shape) };
    let (mask, reach_mm) = match plan.crop {
        // The inverse transform looks at the neighbours of each of the scan's voxels.
        Crop::Lungs { .. } => (lungs.vessel_region_in(inverse.extent, shape), inverse.canonical.spacing_mm),
        _ => (lungs.sides_in(inverse.extent, shape), [MARGIN_MM; 3]),
    };
    let needed = Needed::of(&mask, shape)
        .grown(std::array::from_fn(|axis| 1 + (reach_mm[axis] / prepared.grid.spacing_mm[axis]).ceil() as usize));
    if matches!(plan.crop, Crop::Lungs { .. }) { needed.in_blocks(STEP_VOXELS) } else { needed }
}

/// Gaussian weights of a tile, σ an eighth of each edge, 1 at the centre and never below `MIN_WEIGHT`.
///
/// # Shapes
/// → `[z, y, x]` of `tile`.
pub fn gaussian(tile: [usize; 3]) -> Vec<f32> {
    let line = |size: usize| -> Vec<f64> {
        let (centre, sigma) = ((size as f64 - 1.0) / 2.0, size as f64 / 8.0);
        (0..size).map(|i| (-0.5 * ((i as f64 - centre) / sigma).powi(2)).exp()).collect()
    };
    let [zs, ys, xs] = tile.map(line);
    let mut weights = Vec::with_capacity(tile.iter().product());
    for z in &zs {
        for y in &ys {
            weights.extend(xs.iter().map(|x| ((z * y * x) as f32).max(MIN_WEIGHT)));
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{FakeNetwork, answer, channels, chest, plan};
    use crate::prepare::prepare;
    use pulmoav_model::Parameters;
    use pulmoav_ops::device::to_host;
    use pulmoav_task::Silent;

    fn sigmoid(logit: f32) -> f32 {
        1.0 / (1.0 + (-logit).exp())
    }

    fn one(tile: [usize; 3]) -> Shown {
        Shown { tile, batch: 1 }
    }

    #[test]
    fn fitted_tiles_compute_fewer_voxels_and_keep_the_overlap() {
        let mut plan = plan();
        plan.tiles.tile = [96; 3];
        plan.tiles.overlap = 1.0 / 3.0;
        let size = [50, 287, 192];
        let tile = fitted(size, &plan);
        for axis in 0..3 {
            assert!(tile[axis].is_multiple_of(plan.edge_multiple()) && (64..=96).contains(&tile[axis]), "{tile:?}");
            let overlap = |edge: usize| overlap_voxels(&plan, [edge; 3])[axis];
            let starts = |edge: usize| layout::starts(&(0..size[axis]), size[axis], edge, overlap(edge));
            assert!(starts(tile[axis]).len() * tile[axis] <= starts(96).len() * 96, "{tile:?}");
            let least = overlap_voxels(&plan, tile)[axis];
            assert!(starts(tile[axis]).windows(2).all(|pair| pair[0] + tile[axis] >= pair[1] + least), "{tile:?}");
        }
        assert_eq!(overlap_voxels(&plan, [48; 3]), [16; 3]);
    }

    #[test]
    fn labels_do_not_depend_on_the_tiles_at_a_time() {
        let mut plan = plan();
        plan.tiles.mirror = true;
        let network = Network::build(&plan, &mut Parameters::new(7)).unwrap();
        let network = PromptedNetwork::new(&network, &plan).unwrap();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = needed(&prepared, &plan);
        let [one, five] = [1, 5].map(|batch| {
            let shown = Shown { tile: [16; 3], batch };
            run(&prepared, &needed, &plan, shown, &[&network], &[0, 1], &Silent).unwrap().values
        });
        assert!(one == five);
    }

    #[test]
    fn what_is_summed_on_a_device_is_what_is_summed_here() {
        let mut plan = plan();
        plan.tiles.mirror = true;
        let network = Network::build(&plan, &mut Parameters::new(7)).unwrap();
        let network = PromptedNetwork::new(&network, &plan).unwrap();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = needed(&prepared, &plan);
        // Copies of a network take the way of devices, here with the CPU for one.
        let run = |networks: &[&dyn TileNetwork]| {
            run(&prepared, &needed, &plan, one([16; 3]), networks, &[0, 1], &Silent).unwrap()
        };
        let (here, there) = (run(&[&network]), run(&[&network, &network]));
        assert_eq!((here.part, here.shape), (there.part, there.shape));
        assert!(here.values.iter().zip(&there.values).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn copies_of_a_network_share_out_the_tiles() {
        struct Broken;
        impl TileNetwork for Broken {
            fn logits(&self, _: Tensor, _: &[usize]) -> Result<Tensor, SegmentError> {
                Err(candle_core::Error::Msg("broken".to_owned()).into())
            }
        }
        let plan = plan();
        let network = Network::build(&plan, &mut Parameters::new(7)).unwrap();
        let network = PromptedNetwork::new(&network, &plan).unwrap();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = needed(&prepared, &plan);
        let run =
            |networks: &[&dyn TileNetwork]| run(&prepared, &needed, &plan, one([16; 3]), networks, &[0, 1], &Silent);
        let alone = run(&[&network]).unwrap().values;
        for copies in [2, 3, 1000] {
            let together = run(&vec![&network as &dyn TileNetwork; copies]).unwrap().values;
            assert!(alone.iter().zip(&together).all(|(a, b)| (a - b).abs() < 1e-6), "{copies} copies");
        }
        assert!(run(&[&network, &Broken]).unwrap_err().to_string().contains("broken"));
    }

    #[test]
    fn a_constant_answer_blends_to_itself() {
        struct Constant;
        impl TileNetwork for Constant {
            fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
                answer(&tiles, asked, |_, _| 1.25)
            }
        }
        let mut plan = plan();
        plan.tiles.skip_empty = false;
        for blend in [Blend::Logits, Blend::Probabilities] {
            plan.tiles.blend = blend;
            let prepared = prepare(&chest(), &plan, &Silent).unwrap();
            let found =
                run(&prepared, &needed(&prepared, &plan), &plan, one([16; 3]), &[&Constant], &[0, 1, 2], &Silent)
                    .unwrap();
            assert_eq!(found.values.len(), prepared.shape.iter().product::<usize>() * 3);
            assert!(found.values.iter().all(|p| (p - sigmoid(1.25)).abs() < 1e-5));
        }
    }

    #[test]
    fn padding_is_taken_off_again() {
        let mut plan = plan();
        plan.tiles.skip_empty = false;
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let tile = [64, 96, 112];
        let found =
            run(&prepared, &needed(&prepared, &plan), &plan, one(tile), &[&FakeNetwork], &[0], &Silent).unwrap();
        let [depth, height, width] = prepared.shape;
        let whole = from_host(channels(&prepared, &plan), (1, depth, height, width, 2), &Device::Cpu).unwrap();
        let direct = FakeNetwork.logits(whole, &[0]).unwrap();
        for (a, b) in found.values.iter().zip(to_host(&direct).unwrap()) {
            assert!((a - sigmoid(b)).abs() < 1e-6);
        }
    }

    #[test]
    fn mirrored_tiles_see_the_other_side_and_are_turned_back() {
        // A network that looks at each voxel alone, and not at the side, answers as it did.
        let mut plan = plan();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let plain =
            run(&prepared, &needed(&prepared, &plan), &plan, one([16; 3]), &[&FakeNetwork], &[0], &Silent).unwrap();
        plan.tiles.mirror = true;
        let mirrored =
            run(&prepared, &needed(&prepared, &plan), &plan, one([16; 3]), &[&FakeNetwork], &[0], &Silent).unwrap();
        assert!(plain.values == mirrored.values);
    }

    #[test]
    fn tiles_seen_both_ways_answer_with_the_mean() {
        /// It answers by the place within the tile, the same for each.
        struct Slope;
        impl TileNetwork for Slope {
            fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
                let (n, depth, height, width, _) = tiles.dims5()?;
                let row = (0..width).flat_map(|x| vec![x as f32 - (width as f32 - 1.0) / 2.0; asked.len()]);
                let logits = row.collect::<Vec<f32>>().repeat(n * depth * height);
                Ok(from_host(logits, (n, depth, height, width, asked.len()), tiles.device())?)
            }
        }
        let mut plan = plan();
        (plan.tiles.blend, plan.tiles.skip_empty) = (Blend::Logits, false);
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = needed(&prepared, &plan);
        let farthest = |wish: Option<bool>, asked: &[usize]| {
            let mirror = Mirror::of(&plan, wish, asked);
            let search = Search { prepared: &prepared, lying: None, needed: &needed, plan: &plan, asked, mirror };
            let found = find(search, one([16; 3]), &[&Slope], &Silent).unwrap().found.into_host().unwrap();
            found.values.iter().map(|p| (p - 0.5).abs()).fold(0.0, f32::max)
        };
        assert!(farthest(None, &[0]) > 0.4);
        assert!(farthest(Some(true), &[0]) < 1e-5);
        let sided = plan.targets.iter().position(|target| target.side.is_some()).expect("a target with a side");
        assert!(farthest(Some(true), &[0, sided]) > 0.4, "a side would be shown as the other");
        let tiles = |mirror| layout(&needed, [16; 3], &plan, mirror).places.len();
        assert_eq!(tiles(Mirror::Both), 2 * tiles(Mirror::Never));
    }

    #[test]
    fn a_plan_that_looks_at_lungs_runs_where_vessels_are_kept() {
        struct Counting(std::sync::atomic::AtomicUsize);
        impl TileNetwork for Counting {
            fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                FakeNetwork.logits(tiles, asked)
            }
        }
        let count = |crop: Crop, skip_empty: bool| {
            let (mut plan, network) = (plan(), Counting(0.into()));
            (plan.crop, plan.tiles.skip_empty) = (crop, skip_empty);
            let prepared = prepare(&chest(), &plan, &Silent).unwrap();
            let found =
                run(&prepared, &needed(&prepared, &plan), &plan, one([16; 3]), &[&network], &[0], &Silent).unwrap();
            (network.0.into_inner(), found, prepared)
        };
        let (few, found, prepared) = count(Crop::Lungs { margin_mm: 25.0, body_only: false }, true);
        let (all, everywhere, _) = count(Crop::Lungs { margin_mm: 25.0, body_only: false }, false);
        assert!(few < all, "{few} of {all} tiles");
        let region = prepared.lungs().unwrap().vessel_region_in(prepared.inverse.extent, prepared.shape);
        let [_, height, width] = prepared.shape;
        let value = |found: &Probabilities, voxel: usize| {
            let row = found.row(voxel / (height * width), voxel / width % height)?;
            row.get((voxel % width).checked_sub(found.part.low[2])?).copied()
        };
        for (voxel, _) in region.iter().enumerate().filter(|&(_, &inside)| inside > 0) {
            assert!((value(&found, voxel).unwrap() - value(&everywhere, voxel).unwrap()).abs() < 1e-5);
        }
        let (near, all) = (count(Crop::None, true).0, count(Crop::None, false).0);
        assert!(few < near && near <= all, "{few}, {near} of {all} tiles");
    }

    #[test]
    fn weights_peak_in_the_middle() {
        let weights = gaussian([5, 7, 9]);
        let peak = weights.iter().copied().fold(0.0, f32::max);
        assert_eq!(weights[(2 * 7 + 3) * 9 + 4], peak);
        assert_eq!(weights[0], MIN_WEIGHT);
    }
}
