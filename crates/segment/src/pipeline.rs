//! The walk from a scan to its label map.

use pulmoav_anatomy::Structure;
use pulmoav_model::{Network, Parameters};
use pulmoav_plan::{Crop, Plan};
use pulmoav_task::{Clock, Monitor, Warning};
use pulmoav_tree::tidy::Report;
use pulmoav_volume::label;
use pulmoav_volume::{Grid, Volume, Voxel};

use crate::budget::{self, Budget};
use crate::card::CardMemory;
use crate::doubt;
use crate::error::SegmentError;
use crate::folds::Folds;
use crate::forecast::{Forecast, foretell};
use crate::keep::{self, Kept, keep};
use crate::on_card;
use crate::postprocess::postprocess;
use crate::prepare::{Prepared, has_coarse_voxels, part_of, see, survey};
use crate::prompt::{maps, refuse_unclear_sides, resolve};
use crate::request::Request;
use crate::restore::{Restored, restore_found, undo};
use crate::room::{Ran, Work, full_device, plain_launches, wrong_kernels};
use crate::tidy;
use crate::tiles::{self, Mirror, PromptedNetwork, TileNetwork};

/// A label map and what is known of it.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// The plan's label values on the scan's own grid.
    pub labels: Volume<u8>,
    /// `[p, z, y, x]` on the scan's own grid, when asked for.
    pub probabilities: Option<Vec<f32>>,
    /// What was asked for and how much was found, in the order asked.
    pub targets: Vec<Found>,
    /// What was kept beside it, in the order of the values.
    pub structures: Vec<Kept>,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// Wall time of each stage.
    pub seconds: Seconds,
    /// Memory allowed and foreseen.
    pub memory: Memory,
    /// What the network saw at once, voxels `[z, y, x]`.
    pub tile: [usize; 3],
    /// Labelled voxels that were cleared since they are air.
    pub cleared_in_air: u64,
    /// How far the network doubts which class the vessels in the lungs are, 0 to 0.5; `None` where not both were asked
    /// for, or none was found.
    pub class_doubt: Option<f64>,
    /// What giving each branch one class changed; `None` where that was not done.
    pub tidied: Option<Report>,
}

/// One target in the label map.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Value in the label map.
    pub value: u8,
    /// The target's name.
    pub name: String,
    /// The plan's prompt for it.
    pub prompt: String,
    /// Voxels with this value.
    pub voxels: u64,
    /// Their volume, ml.
    pub volume_ml: f64,
}

/// Wall time of the stages, s.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Seconds {
    /// Orient, lungs, crop, resample, channels.
    pub prepare: f64,
    /// All tiles.
    pub network: f64,
    /// Back to the scan's grid, and post-processing.
    pub restore: f64,
    /// One class a branch.
    pub tidy: f64,
}

/// Memory of the process and of its card, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// What was allowed, if anything was said.
    pub budget_bytes: Option<u64>,
    /// The peak foreseen.
    pub predicted_bytes: u64,
    /// That of the card, where one works.
    pub card: Option<CardMemory>,
}

/// A plan with its network, or those of several folds, ready for scans.
#[derive(Debug)]
pub struct Segmenter {
    plan: Plan,
    networks: Vec<Network>,
    /// The same on further devices.
    copies: Vec<Vec<Network>>,
    /// Weights of the networks but the first, bytes.
    more_bytes: u64,
}

impl Segmenter {
    /// Builds the plan's network on its parameters.
    ///
    /// # Errors
    /// What [`Network::build`] refuses.
    pub fn new(plan: Plan, parameters: &mut Parameters) -> Result<Self, SegmentError> {
        let networks = vec![Network::build(&plan, parameters)?];
        Ok(Self { plan, networks, copies: vec![], more_bytes: 0 })
    }

    /// Adds the network of another fold: from then on the mean of the probabilities counts.
    ///
    /// # Errors
    /// [`SegmentError::Folds`] for another plan; what [`Network::build`] refuses.
    pub fn add_fold(&mut self, plan: &Plan, parameters: &mut Parameters) -> Result<(), SegmentError> {
        if *plan != self.plan {
            return Err(SegmentError::Folds { number: self.networks.len() });
        }
        self.networks.push(Network::build(plan, parameters)?);
        self.more_bytes += (parameters.element_count() * size_of::<f32>()) as u64;
        Ok(())
    }

    /// How many networks answer together.
    pub fn folds(&self) -> usize {
        self.networks.len()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Adds a copy of the networks on another device; tiles are shared out from then on.
    ///
    /// # Errors
    /// [`SegmentError::Folds`] for another plan or number of folds.
    pub fn add_device(&mut self, copy: Self) -> Result<(), SegmentError> {
        if copy.plan != self.plan || copy.networks.len() != self.networks.len() {
            return Err(SegmentError::Folds { number: 0 });
        }
        self.copies.push(copy.networks);
        Ok(())
    }

    /// What segmenting a scan on this grid will take; see [`foretell`].
    ///
    /// # Errors
    /// As [`foretell`].
    pub fn foretell(&self, grid: &Grid, request: &Request) -> Result<Forecast, SegmentError> {
        let request = Request { held_bytes: request.held_bytes + self.more_bytes, ..request.clone() };
        self.with_networks(|networks| foretell(grid, &self.plan, networks, &request))
    }

    /// Segments one scan; see [`segment`].
    ///
    /// # Errors
    /// As [`segment`].
    pub fn segment(
        &self,
        ct: &Volume<impl Voxel>,
        request: &Request,
        monitor: &dyn Monitor,
    ) -> Result<Segmentation, SegmentError> {
        let request = Request { held_bytes: request.held_bytes + self.more_bytes, ..request.clone() };
        self.with_networks(|networks| segment(ct, &self.plan, networks, &request, monitor))
    }

    /// Hands `work` the folds' mean, once a device.
    fn with_networks<T>(
        &self,
        work: impl FnOnce(&[&dyn TileNetwork]) -> Result<T, SegmentError>,
    ) -> Result<T, SegmentError> {
        let mut folds = Vec::with_capacity(1 + self.copies.len());
        for networks in std::iter::once(&self.networks).chain(&self.copies) {
            let networks = networks.iter().map(|network| PromptedNetwork::new(network, &self.plan));
            folds.push(Folds(networks.collect::<Result<_, _>>()?));
        }
        let networks: Vec<&dyn TileNetwork> = folds.iter().map(|folds| folds as &dyn TileNetwork).collect();
        work(&networks)
    }
}

/// Segments one scan in Hounsfield units with a network of the plan, or copies of it on several devices.
///
/// A scan without a lung gives an empty map where the plan looks at lungs.
///
/// # Errors
/// `ERR_PROMPT`, `ERR_GEOMETRY`, `ERR_MEMORY`, what the network returns, `CANCELLED`.
pub fn segment<T: Voxel>(
    ct: &Volume<T>,
    plan: &Plan,
    networks: &[&dyn TileNetwork],
    request: &Request,
    monitor: &dyn Monitor,
) -> Result<Segmentation, SegmentError> {
    let plan = &request.applied(plan);
    let request = &Request { voxel_bytes: size_of::<T>() as u64, ..request.clone() };
    let asked = resolve(&request.targets, plan, request.oriented)?;
    let to_keep = keep::values(&request.keep, plan)?;
    budget::check_scan(&ct.grid, request)?;
    let mut clock = Clock::start();
    let mut prepared = survey(ct, plan, monitor)?;
    // A card resamples the scan itself, where it has the room.
    let on_cards = networks.iter().all(|network| network.device().is_cuda());
    let lying = on_cards.then(|| part_of(ct, &prepared.inverse).lying()).filter(on_card::is_countable);
    if lying.is_none() {
        see(ct, plan, &mut prepared);
    }
    if request.strict {
        refuse_unclear_sides(&asked, plan, &prepared.warnings)?;
    }
    let prepare_s = clock.lap();
    let needed = tiles::needed(&prepared, plan);
    // Tiles at a time take main memory on the CPU alone.
    let here = Request { batch: request.batch.filter(|_| !on_cards), ..request.clone() };
    let mut budget = budget::choose(&prepared, &needed, plan, asked.len(), &here)?;
    let wanted = budget.tile;
    let (found, class_doubt, card, refused) = if has_work(&prepared, plan) {
        let lungs_tell = plan.postprocesses() && prepared.lungs().is_some();
        let maps = if lungs_tell { maps(plan, &asked) } else { asked.clone() };
        let (batch, see) = (request.batch, &|prepared: &mut Prepared| see(ct, plan, prepared));
        let mirror = Mirror::of(plan, request.mirror, &maps);
        let work =
            Work { prepared: &mut prepared, lying, see, needed: &needed, plan, networks, maps: &maps, mirror, batch };
        let Ran { found, tile, card, refused } = work.run(wanted, monitor)?;
        budget.tile = tile;
        let class_doubt = doubt::doubt(&found, &prepared, plan, &maps)?;
        (Some(found), class_doubt, card, refused)
    } else {
        (None, None, None, None)
    };
    // The network has seen it all.
    prepared.hu = Vec::new();
    let network_s = clock.lap();
    let smaller = full_device(budget.tile, wanted).or_else(|| smaller_tiles(&budget));
    let of_card = smaller.into_iter().chain(refused.as_deref().map(plain_launches)).chain(wrong_kernels());
    let Finished { labels, probabilities, cleared_in_air, tidied, seconds } =
        finish(ct, found, &prepared, plan, &Asked { targets: &asked, keep: &to_keep, request }, monitor)?;
    let counts = label::counts(&labels.data);
    let voxel_ml = ct.grid.voxel_ml();
    let targets = measured(&asked, plan, &counts, voxel_ml);
    let is_empty = targets.iter().all(|target| target.voxels == 0);
    let emptiness = is_empty.then(|| empty_result(prepared.lungs().is_some()));
    let has_both = !is_empty && !tidy::pairs(plan, &asked).is_empty();
    let not_tidied = if tidied.is_some() { None } else { tidy::not_done(plan, has_both, &prepared.inverse.canonical) };
    let unclear = class_doubt.filter(|_| !is_empty).and_then(doubt::warning);
    Ok(Segmentation {
        labels,
        probabilities,
        targets,
        structures: keep::measured(&to_keep, &counts, voxel_ml),
        warnings: prepared
            .warnings
            .into_iter()
            .chain(of_card)
            .chain(emptiness)
            .chain(not_tidied)
            .chain(unclear)
            .collect(),
        seconds: Seconds { prepare: prepare_s, network: network_s, ..seconds },
        memory: Memory { budget_bytes: request.max_memory_bytes, predicted_bytes: budget.predicted_bytes, card },
        tile: budget.tile,
        cleared_in_air,
        class_doubt,
        tidied,
    })
}

/// What is asked of the labels.
struct Asked<'a> {
    /// Places among the plan's targets.
    targets: &'a [usize],
    keep: &'a [(Structure, u8)],
    request: &'a Request,
}

/// What a scan's probabilities became.
struct Finished {
    labels: Volume<u8>,
    probabilities: Option<Vec<f32>>,
    cleared_in_air: u64,
    tidied: Option<Report>,
    /// Of restoring and tidying.
    seconds: Seconds,
}

/// From probabilities to labels on the scan's own grid, cleaned and with what is kept beside them.
fn finish(
    ct: &Volume<impl Voxel>,
    found: Option<tiles::Found>,
    prepared: &Prepared,
    plan: &Plan,
    asked: &Asked<'_>,
    monitor: &dyn Monitor,
) -> Result<Finished, SegmentError> {
    monitor.report("restore", 0, 1);
    let mut clock = Clock::start();
    let coarse = has_coarse_voxels(&prepared.inverse.canonical);
    let pairs = if plan.tidies(coarse) { tidy::pairs(plan, asked.targets) } else { vec![] };
    let wanted = asked.request.probabilities;
    let restored = match found {
        Some(found) => restore_found(ct, found, prepared, plan, asked.targets, wanted)?,
        None => nothing(ct, prepared, asked.targets.len(), wanted),
    };
    let Restored { labels: mut part, probabilities } = restored;
    let inverse = &prepared.inverse;
    let hu = part_of(ct, inverse);
    let cleared_in_air = if plan.postprocesses() { postprocess(&mut part, &hu, &inverse.canonical) } else { 0 };
    let mut seconds = Seconds { restore: clock.lap(), ..Seconds::default() };
    let tidied = if pairs.is_empty() { None } else { Some(tidy::tidy(&mut part, hu, prepared, &pairs, monitor)?) };
    seconds.tidy = clock.lap();
    let mut labels = Volume { data: undo(part, inverse), grid: inverse.original };
    keep(&mut labels, ct, prepared, asked.keep);
    seconds.restore += clock.lap();
    monitor.report("restore", 1, 1);
    Ok(Finished { labels, probabilities, cleared_in_air, tidied, seconds })
}

/// Smaller tiles see less around them, so the labels are not those of a run without a limit.
fn smaller_tiles(budget: &Budget) -> Option<Warning> {
    let Budget { tile, wanted, .. } = budget;
    (tile != wanted).then(|| {
        Warning::new(
            "SMALLER_TILES",
            format!(
                "the memory limit made tiles of {tile:?} voxels instead of {wanted:?}, which changes the labels; allow more \
                 memory for those of the model's own tiles"
            ),
        )
    })
}

/// A plan that crops to the lungs has nothing to look at without them.
fn has_work(prepared: &Prepared, plan: &Plan) -> bool {
    prepared.lungs().is_some() || !matches!(plan.crop, Crop::Lungs { .. })
}

fn nothing(ct: &Volume<impl Voxel>, prepared: &Prepared, prompts: usize, probabilities: bool) -> Restored {
    let voxels = ct.grid.len();
    Restored {
        labels: vec![0; prepared.inverse.part.shape().iter().product()],
        probabilities: probabilities.then(|| vec![0.0; voxels * prompts]),
    }
}

/// Says why the label map is empty, as far as that is known, and what to check.
fn empty_result(has_lungs: bool) -> Warning {
    let message = if has_lungs {
        "there are lungs, but nothing of what was asked for was found in them; check that the voxels are Hounsfield units, \
         and that the model and the prompts, with the sides they name, suit this scan"
    } else {
        "nothing of what was asked for was found, since no lungs were; check that this is a chest CT in Hounsfield units \
         and that its orientation is right"
    };
    Warning::new("EMPTY_RESULT", message)
}

/// How much of each target there is; `counts` are the voxels of each label.
fn measured(asked: &[usize], plan: &Plan, counts: &[u64; 256], voxel_ml: f64) -> Vec<Found> {
    let found = asked.iter().map(|&place| {
        let target = &plan.targets[place];
        let voxels = counts[target.value as usize];
        Found {
            value: target.value,
            name: target.name.clone(),
            prompt: target.prompt.clone(),
            voxels,
            volume_ml: voxels as f64 * voxel_ml,
        }
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{FakeNetwork, answer, chest, plan};
    use candle_core::Tensor;
    use pulmoav_plan::BoundaryRefinement;
    use pulmoav_task::Silent;
    use pulmoav_volume::{Affine, Orientation};

    fn ask(names: &[&str]) -> Request {
        Request { targets: names.iter().map(|&name| name.to_owned()).collect(), ..Request::default() }
    }

    fn run(ct: &Volume<f32>, request: &Request) -> Segmentation {
        segment(ct, &plan(), &[&FakeNetwork], request, &Silent).unwrap()
    }

    #[test]
    fn all_48_orientations_give_the_same_labels() {
        let ct = chest();
        let expected = run(&ct, &ask(&[]));
        assert!(expected.targets.iter().all(|target| target.voxels > 500), "{:?}", expected.targets);
        for permutation in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for flips in 0..8 {
                let moves = Orientation { source: permutation, flipped: [0, 1, 2].map(|axis| flips >> axis & 1 == 1) };
                let turned = moves.orient(&ct);
                let found = run(&turned, &ask(&[]));
                assert_eq!(found.labels.grid, turned.grid);
                assert!(found.labels.data == moves.orient(&expected.labels).data, "{moves:?}");
            }
        }
    }

    #[test]
    fn whole_numbers_give_the_labels_of_f32() {
        let plan = Plan { walls: Some(BoundaryRefinement { hu: -400.0, reach_mm: 9.0 }), ..plan() };
        let (ct, request) = (chest(), Request { keep: keep::KEEPABLE.to_vec(), tidy: Some(true), ..ask(&[]) });
        let narrow = Volume { data: ct.data.iter().map(|&hu| hu as i16).collect::<Vec<_>>(), grid: ct.grid };
        assert!(narrow.data.iter().zip(&ct.data).all(|(&narrow, &hu)| f32::from(narrow) == hu));
        let expected = segment(&ct, &plan, &[&FakeNetwork], &request, &Silent).unwrap();
        let found = segment(&narrow, &plan, &[&FakeNetwork], &request, &Silent).unwrap();
        assert!(found.labels == expected.labels);
        assert_eq!((found.targets, found.structures), (expected.targets, expected.structures));
        let less = expected.memory.predicted_bytes - found.memory.predicted_bytes;
        assert!(less >= 2 * ct.data.len() as u64, "{less} bytes less");
    }

    #[test]
    fn threads_and_repeats_change_nothing() {
        let plan = plan();
        let mut parameters = Parameters::new(7);
        let segmenter = Segmenter::new(plan, &mut parameters).unwrap();
        let request = Request { probabilities: true, ..ask(&["artery", "vein", "left artery", "vessels"]) };
        let ct = chest();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| segmenter.segment(&ct, &request, &Silent).unwrap())
        };
        let (one, two, again) = (run(1), run(2), run(2));
        assert!(one.labels.data == two.labels.data);
        assert!(one.probabilities == two.probabilities);
        assert!(two.probabilities == again.probabilities);
        let probabilities = one.probabilities.unwrap();
        assert_eq!(probabilities.len(), 4 * ct.data.len());
        assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
        assert!(probabilities.iter().any(|&p| p > 0.0));
    }

    #[test]
    fn without_post_processing_labels_are_the_networks() {
        let (ct, plan) = (chest(), plan());
        let run = |plan: &Plan, postprocess: Option<bool>| {
            segment(&ct, plan, &[&FakeNetwork], &Request { postprocess, ..ask(&["left artery"]) }, &Silent).unwrap()
        };
        let middle = ct.grid.shape[2] / 2;
        let on_the_right = |found: &Segmentation| {
            let right = |&(index, &label): &(usize, &u8)| label > 0 && index % ct.grid.shape[2] > middle + 3;
            found.labels.data.iter().enumerate().filter(right).count()
        };
        let tidied = run(&plan, None);
        assert_eq!(on_the_right(&tidied), 0);
        let raw = run(&plan, Some(false));
        assert!(on_the_right(&raw) > 500, "the network's left artery is everywhere");
        let said = Plan { postprocess: Some(false), ..plan };
        assert_eq!(run(&said, None).labels.data, raw.labels.data);
        assert_eq!(run(&said, Some(true)).labels.data, tidied.labels.data);
    }

    #[test]
    fn folds_answer_with_the_mean_of_their_probabilities() {
        let of_seeds = |seeds: &[u64]| {
            let mut folds = seeds.iter().map(|&seed| Parameters::new(seed));
            let mut segmenter = Segmenter::new(plan(), &mut folds.next().unwrap()).unwrap();
            folds.for_each(|mut parameters| segmenter.add_fold(&plan(), &mut parameters).unwrap());
            segmenter
        };
        let (ct, request) = (chest(), Request { probabilities: true, ..ask(&["artery", "vein"]) });
        let of = |seeds: &[u64]| of_seeds(seeds).segment(&ct, &request, &Silent).unwrap();
        let (one, other, both, twice) = (of(&[7]), of(&[8]), of(&[7, 8]), of(&[7, 7]));
        assert!(both.memory.predicted_bytes > one.memory.predicted_bytes);
        let [one, other, both, twice] = [one, other, both, twice].map(|found| found.probabilities.unwrap());
        let furthest = |of: &[f32], mean: &dyn Fn(usize) -> f32| {
            of.iter().enumerate().fold(0f32, |most, (voxel, p)| most.max((p - mean(voxel)).abs()))
        };
        assert!(furthest(&one, &|voxel| other[voxel]) > 0.01);
        assert!(furthest(&both, &|voxel| 0.5 * (one[voxel] + other[voxel])) < 1e-4);
        assert!(furthest(&twice, &|voxel| one[voxel]) < 1e-5);
        let mut another = plan();
        another.name.push('x');
        let refused = of_seeds(&[7]).add_fold(&another, &mut Parameters::new(1)).unwrap_err();
        assert_eq!(refused.code(), "ERR_MODEL");
    }

    #[test]
    fn both_sides_together_are_the_whole() {
        let ct = chest();
        let whole = run(&ct, &ask(&["artery"]));
        let sided = run(&ct, &ask(&["left artery", "right artery"]));
        let middle = ct.grid.shape[2] / 2;
        for (index, (&whole, &side)) in whole.labels.data.iter().zip(&sided.labels.data).enumerate() {
            assert_eq!(whole > 0, side > 0);
            let x = index % ct.grid.shape[2];
            assert!(side == 0 || x.abs_diff(middle) < 3 || (side == 3) == (x < middle), "x {x} has label {side}");
        }
    }

    #[test]
    fn without_lungs_the_map_is_empty() {
        let spacing_mm = [4.0; 3];
        let grid = pulmoav_volume::Grid { shape: [20; 3], spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        let found = run(&Volume { data: vec![40.0; 8000], grid }, &Request { probabilities: true, ..ask(&[]) });
        assert!(found.labels.data.iter().all(|&label| label == 0));
        assert_eq!(found.probabilities.unwrap().len(), 16_000);
        let codes: Vec<&str> = found.warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["NO_LUNGS", "COARSE_SPACING", "EMPTY_RESULT"]);
        assert!(found.warnings[2].message.contains("orientation"), "{:?}", found.warnings);
    }

    #[test]
    fn lungs_without_what_was_asked_for_give_an_empty_map_that_says_so() {
        struct SeesNothing;
        impl TileNetwork for SeesNothing {
            fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
                answer(&tiles, asked, |_, _| -9.0)
            }
        }
        let found = segment(&chest(), &plan(), &[&SeesNothing], &ask(&[]), &Silent).unwrap();
        let empty = found.warnings.iter().find(|warning| warning.code == "EMPTY_RESULT").unwrap();
        assert!(empty.message.contains("there are lungs"), "{empty:?}");
    }

    #[test]
    fn memory_is_kept_or_refused() {
        let ct = chest();
        let mut plan = plan();
        plan.tiles.tile = [96; 3];
        let ask_within = |limit: Option<u64>| {
            segment(&ct, &plan, &[&FakeNetwork], &Request { max_memory_bytes: limit, ..ask(&[]) }, &Silent)
        };
        let free = ask_within(None).unwrap();
        assert_eq!(ask_within(Some(1 << 20)).unwrap_err().code(), "ERR_MEMORY");
        let least = free.memory.predicted_bytes - 1;
        let tight = ask_within(Some(least)).unwrap();
        assert!(tight.memory.predicted_bytes <= least);
        assert_eq!(tight.memory.budget_bytes, Some(least));
        let said = |found: &Segmentation| found.warnings.iter().any(|warning| warning.code == "SMALLER_TILES");
        assert!(said(&tight) && !said(&free));
    }

    #[test]
    fn cancelling_stops_between_tiles() {
        use std::sync::atomic::{AtomicU64, Ordering};
        struct StopAt(AtomicU64);
        impl Monitor for StopAt {
            fn report(&self, stage: &'static str, done: u64, _: u64) {
                if stage == "network" {
                    self.0.store(done + 1, Ordering::Relaxed);
                }
            }
            fn cancelled(&self) -> bool {
                self.0.load(Ordering::Relaxed) > 2
            }
        }
        let monitor = StopAt(AtomicU64::new(0));
        let error = segment(&chest(), &plan(), &[&FakeNetwork], &ask(&[]), &monitor).unwrap_err();
        assert_eq!(error.code(), "CANCELLED");
        assert_eq!(monitor.0.load(Ordering::Relaxed), 3);
    }
}
