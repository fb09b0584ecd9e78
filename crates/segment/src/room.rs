//! Tiles on a device whose memory may be too small for them.

use pulmoav_ops::device::{Room, room};
use pulmoav_plan::Plan;
use pulmoav_task::{Monitor, Warning};
use pulmoav_volume::crop::Lying;

use crate::budget::{self, F32};
use crate::card::{CardMemory, Load, ScanLoad};
use crate::error::SegmentError;
use crate::on_card;
use crate::prepare::Prepared;
use crate::tiles::{self, Found, Mirror, Needed, Search, Shown, TileNetwork, Walked};

/// A prepared scan and what is asked of its tiles.
pub(crate) struct Work<'a> {
    pub(crate) prepared: &'a mut Prepared,
    /// The canonical part of a scan that is not resampled yet: cards do that where they have the room.
    pub(crate) lying: Option<Lying<'a>>,
    /// Resamples it here.
    pub(crate) see: &'a dyn Fn(&mut Prepared),
    pub(crate) needed: &'a Needed,
    pub(crate) plan: &'a Plan,
    /// One, or a copy for each of several devices.
    pub(crate) networks: &'a [&'a dyn TileNetwork],
    /// Places of the maps among the plan's targets.
    pub(crate) maps: &'a [usize],
    pub(crate) mirror: Mirror,
    /// Tiles at a time, where the caller says: nothing changes that.
    pub(crate) batch: Option<usize>,
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) found: Found,
    pub(crate) tile: [usize; 3],
    /// `None` on the CPU.
    pub(crate) card: Option<CardMemory>,
    /// See [`Walked`].
    pub(crate) refused: Option<String>,
}

impl Work<'_> {
    /// [`tiles::run`] with the tile, or a smaller one where the device has not the memory that it is foreseen to take,
    /// and as many at a time as fit. Where there is no room after all: fewer at a time, then the host resamples and
    /// restores the scan, then smaller tiles.
    ///
    /// # Errors
    /// [`SegmentError::DeviceMemory`] where not even the smallest fits; else as [`tiles::run`].
    pub(crate) fn run(mut self, tile: [usize; 3], monitor: &dyn Monitor) -> Result<Ran, SegmentError> {
        let room = smallest_room(self.networks);
        if room.is_some_and(|room| !self.scene().fits(tile, room)) {
            self.see_here();
        }
        let mut shown = self.scene().foreseen(tile, room);
        let mut wanted_batch = shown.batch;
        loop {
            let Work { lying, needed, plan, maps: asked, mirror, .. } = &self;
            let search =
                Search { prepared: self.prepared, lying: lying.as_ref(), needed, plan, asked, mirror: *mirror };
            match tiles::find(search, shown, self.networks, monitor) {
                Ok(Walked { found, refused }) => {
                    let card = room.map(|room| self.scene().card(shown, wanted_batch, room));
                    return Ok(Ran { found, tile: shown.tile, card, refused });
                }
                Err(error) if error.is_out_of_memory() => {
                    if shown.batch > 1 && self.batch.is_none() {
                        shown.batch /= 2;
                    } else if self.lying.is_some() {
                        self.see_here();
                    } else {
                        let smaller = budget::smaller(shown.tile, self.needed, self.plan);
                        shown.tile = smaller.ok_or(SegmentError::DeviceMemory { tile: shown.tile })?;
                        wanted_batch = shown.batch;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// From here on the host does what is not the network's.
    fn see_here(&mut self) {
        if self.lying.take().is_some() {
            (self.see)(self.prepared);
        }
    }

    fn scene(&self) -> Scene<'_> {
        let scan = self.lying.as_ref().map(|lying| ScanLoad {
            bytes: on_card::bytes(lying),
            part: lying.shape.iter().product::<usize>() as u64,
            walls: self.plan.walls.is_some(),
        });
        Scene {
            scan,
            seen: self.prepared.shape,
            needed: self.needed,
            plan: self.plan,
            networks: self.networks,
            maps: self.maps.len(),
            mirror: self.mirror,
            batch: self.batch,
        }
    }
}

/// That of the device with the least: all of them are shown the same tiles.
pub(crate) fn smallest_room(networks: &[&dyn TileNetwork]) -> Option<Room> {
    networks.iter().filter_map(|network| room(&network.device())).min_by_key(|room| room.free_bytes)
}

/// What a card's memory depends on.
pub(crate) struct Scene<'a> {
    /// What cards do of the scan themselves.
    pub(crate) scan: Option<ScanLoad>,
    /// The grid that is looked at, `[z, y, x]`.
    pub(crate) seen: [usize; 3],
    pub(crate) needed: &'a Needed,
    pub(crate) plan: &'a Plan,
    pub(crate) networks: &'a [&'a dyn TileNetwork],
    /// How many maps are asked for.
    pub(crate) maps: usize,
    pub(crate) mirror: Mirror,
    /// As in [`Work`].
    pub(crate) batch: Option<usize>,
}

impl Scene<'_> {
    /// The first of the tile and smaller ones that is foreseen to fit, and how many at a time; the smallest is tried in
    /// any case, since a forecast may err.
    pub(crate) fn foreseen(&self, mut tile: [usize; 3], room: Option<Room>) -> Shown {
        let Some(room) = room else { return Shown { tile, batch: self.batch.unwrap_or(1) } };
        let load = self.load();
        while !load.fits(Shown { tile, batch: self.batch.unwrap_or(1) }, room) {
            let Some(smaller) = budget::smaller(tile, self.needed, self.plan) else { break };
            tile = smaller;
        }
        let tiles = tiles::layout(self.needed, tile, self.plan, self.mirror).places.len();
        let tiles = tiles.div_ceil(self.networks.len().max(1));
        Shown { tile, batch: self.batch.unwrap_or_else(|| load.batch(tile, tiles, room)) }
    }

    /// Whether the tile, or as many as are asked for, is foreseen to fit.
    pub(crate) fn fits(&self, tile: [usize; 3], room: Room) -> bool {
        self.load().fits(Shown { tile, batch: self.batch.unwrap_or(1) }, room)
    }

    /// What a card with this room is foreseen to take.
    pub(crate) fn card(&self, shown: Shown, wanted_batch: usize, room: Room) -> CardMemory {
        let predicted_bytes = self.load().bytes(shown);
        let (free_bytes, whole_scan) = (room.free_bytes, self.scan.is_some());
        CardMemory { free_bytes, predicted_bytes, batch: shown.batch, wanted_batch, whole_scan }
    }

    fn load(&self) -> Load<'_> {
        let maps = self.maps as u64;
        let network = self.networks.first();
        Load {
            network: &self.plan.network,
            value_bytes: network.map_or(F32, |network| network.value_bytes()),
            seen: self.seen.iter().product::<usize>() as u64,
            channels: self.plan.channels.len() as u64,
            maps,
            more_maps: network.map_or(0, |network| network.more_maps()) * maps,
            scan: self.scan,
        }
    }
}

/// What to say where a smaller tile had to do.
pub(crate) fn full_device(tile: [usize; 3], wanted: [usize; 3]) -> Option<Warning> {
    let message = || {
        format!(
            "the device had no room for tiles of {wanted:?} voxels, so those of {tile:?} were used, which changes the labels; \
             end what else uses the device for those of the model's own tiles"
        )
    };
    (tile != wanted).then(|| Warning::new("SMALLER_TILES", message()))
}

/// What to say where a card did not take the network's launches as one.
pub(crate) fn plain_launches(why: &str) -> Warning {
    let message = format!(
        "the card was given the network's launches one by one, which takes longer, since they could not be recorded ({why}); \
         labels are the same"
    );
    Warning::new("PLAIN_LAUNCHES", message)
}

/// What to say of kernels that networks do without, where a card was found to get them wrong since this was last asked.
pub fn wrong_kernels() -> Vec<Warning> {
    let warning = |said: String| {
        let message =
            format!("{said}; another one is taken, so results are right, but may come later; please report it");
        Warning::new("WRONG_KERNEL", message)
    };
    pulmoav_ops::device::wrong_kernels().into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use candle_core::Tensor;
    use pulmoav_task::Silent;

    use super::*;
    use crate::fixture::{answer, chest, plan};
    use crate::prepare::prepare;

    /// A network whose device holds so many voxels.
    struct Narrow(usize, Mutex<Vec<usize>>);

    impl TileNetwork for Narrow {
        fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
            let voxels = tiles.elem_count() / 2;
            self.1.lock().unwrap().push(voxels);
            if voxels > self.0 {
                return Err(candle_core::Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY)".to_owned()).into());
            }
            answer(&tiles, asked, |_, _| 0.0)
        }
    }

    /// Runs with room for so many voxels at a time, and gives the tile and the first sizes that were tried.
    fn run(voxels: usize, batch: Option<usize>) -> (Result<[usize; 3], SegmentError>, Vec<usize>) {
        let plan = plan();
        let mut prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = tiles::needed(&prepared, &plan);
        let network = Narrow(voxels, Mutex::default());
        let (prepared, see, networks) = (&mut prepared, &|_: &mut Prepared| {}, &[&network as &dyn TileNetwork]);
        let (needed, plan, maps, mirror) = (&needed, &plan, &[0][..], Mirror::InTurn);
        let work = Work { prepared, lying: None, see, needed, plan, networks, maps, mirror, batch };
        let found = work.run(plan.tiles.tile, &Silent).map(|ran| ran.tile);
        (found, network.1.into_inner().unwrap())
    }

    #[test]
    fn tiles_shrink_until_they_fit() {
        let own = plan().tiles.tile;
        let whole: usize = own.iter().product();
        assert_eq!(run(whole, None).0.unwrap(), own);
        let (found, tried) = run(whole - 1, None);
        let tile = found.unwrap();
        assert!(tried[0] == whole && tile.iter().product::<usize>() < whole, "{tile:?} {tried:?}");
        assert!(full_device(tile, own).is_some() && full_device(tile, tile).is_none());
        let error = run(0, None).0.unwrap_err();
        assert_eq!(error.code(), "ERR_MEMORY");
        assert!(error.to_string().contains("no memory left"), "{error}");
    }

    #[test]
    fn a_number_of_tiles_that_was_asked_for_stays() {
        let own = plan().tiles.tile;
        let whole: usize = own.iter().product();
        let (found, tried) = run(2 * whole - 1, Some(2));
        assert!(found.unwrap().iter().product::<usize>() < whole);
        assert!(tried[0] == 2 * whole && tried[1] < 2 * whole && tried[1] != whole, "{tried:?}");
    }

    #[test]
    fn what_is_foreseen_not_to_fit_is_not_tried() {
        let plan = plan();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = tiles::needed(&prepared, &plan);
        let network = Narrow(0, Mutex::default());
        let seen = prepared.shape;
        let networks: &[&dyn TileNetwork] = &[&network];
        let (maps, mirror) = (1, Mirror::InTurn);
        let scene = Scene { scan: None, seen, needed: &needed, plan: &plan, networks, maps, mirror, batch: None };
        let room = |free_bytes: u64| Some(Room { free_bytes, total_bytes: 1 << 40 });
        let own = plan.tiles.tile;
        let ample = scene.foreseen(own, room(1 << 40));
        assert!(ample.tile == own && ample.batch > 1, "{ample:?}");
        let one = scene.load().bytes(Shown { tile: own, batch: 1 });
        assert_eq!(scene.foreseen(own, room(one + one / 15 + 1)), Shown { tile: own, batch: 1 });
        let less = scene.foreseen(own, room(one));
        assert!(less.tile.iter().product::<usize>() < own.iter().product(), "{less:?}");
        assert_eq!(scene.foreseen(own, None), Shown { tile: own, batch: 1 });
    }

    #[cfg(feature = "cuda")]
    mod card {
        mod tests {
            use candle_core::Device;

            use super::super::*;
            use crate::fixture;
            use crate::prepare::{part_of, see, survey};

            /// A network on a card that has no room the first time.
            struct Full(Device, Mutex<usize>);

            impl TileNetwork for Full {
                fn device(&self) -> Device {
                    self.0.clone()
                }

                fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
                    let mut calls = self.1.lock().unwrap();
                    *calls += 1;
                    if *calls == 1 {
                        return Err(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".to_owned()).into());
                    }
                    answer(&tiles, asked, |voxel, _| voxel[0] - 0.6)
                }
            }

            #[test]
            fn the_host_resamples_where_there_is_no_room() {
                let Some(card) = fixture::card() else { return };
                let (plan, ct) = (plan(), chest());
                let found = [false, true].map(|is_full| {
                    let mut prepared = survey(&ct, &plan, &Silent).unwrap();
                    let needed = tiles::needed(&prepared, &plan);
                    let lying = Some(part_of(&ct, &prepared.inverse).lying());
                    let network = Full(card.clone(), Mutex::new(usize::from(!is_full)));
                    let (networks, batch) = (&[&network as &dyn TileNetwork], Some(1));
                    let (prepared, see) = (&mut prepared, &|prepared: &mut Prepared| see(&ct, &plan, prepared));
                    let (needed, maps, mirror) = (&needed, &[0][..], Mirror::InTurn);
                    let work = Work { prepared, lying, see, needed, plan: &plan, networks, maps, mirror, batch };
                    let ran = work.run(plan.tiles.tile, &Silent).unwrap();
                    assert_eq!(ran.tile, plan.tiles.tile);
                    assert_eq!(matches!(ran.found, Found::OnCard(_)), !is_full);
                    assert!(ran.card.is_none_or(|card| card.whole_scan != is_full));
                    ran.found.into_host().unwrap().values
                });
                assert!(found[0] == found[1]);
            }
        }
    }
}
