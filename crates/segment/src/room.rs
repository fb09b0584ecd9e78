//! Tiles on a device whose memory may be too small for them.

use pulmoav_plan::Plan;
use pulmoav_task::{Monitor, Warning};

use crate::budget;
use crate::error::SegmentError;
use crate::prepare::Prepared;
use crate::tiles::{self, Needed, Probabilities, TileNetwork};

/// A prepared scan and what is asked of its tiles.
pub(crate) struct Work<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) needed: &'a Needed,
    pub(crate) plan: &'a Plan,
    pub(crate) network: &'a dyn TileNetwork,
    /// Places of the maps among the plan's targets.
    pub(crate) maps: &'a [usize],
}

impl Work<'_> {
    /// [`tiles::run`]; where the device has no room for a tile, smaller ones from the start. Gives the one that fitted.
    ///
    /// # Errors
    /// [`SegmentError::DeviceMemory`] where not even the smallest fits; else as [`tiles::run`].
    pub(crate) fn run(
        &self,
        mut tile: [usize; 3],
        monitor: &dyn Monitor,
    ) -> Result<(Probabilities, [usize; 3]), SegmentError> {
        loop {
            match tiles::run(self.prepared, self.needed, self.plan, tile, self.network, self.maps, monitor) {
                Ok(found) => return Ok((found, tile)),
                Err(error) if error.is_out_of_memory() => {
                    let smaller = budget::smaller(tile, self.needed, self.plan);
                    tile = smaller.ok_or(SegmentError::DeviceMemory { tile })?;
                }
                Err(error) => return Err(error),
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use pulmoav_task::Silent;

    use super::*;
    use crate::fixture::{chest, plan};
    use crate::prepare::prepare;

    /// A network whose device holds so many voxels.
    struct Narrow(usize, Mutex<Vec<usize>>);

    impl TileNetwork for Narrow {
        fn logits(&self, _: Vec<f32>, shape: [usize; 3], asked: &[usize]) -> Result<Vec<f32>, SegmentError> {
            let voxels = shape.iter().product();
            self.1.lock().unwrap().push(voxels);
            if voxels > self.0 {
                return Err(candle_core::Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY)".to_owned()).into());
            }
            Ok(vec![0.0; voxels * asked.len()])
        }
    }

    #[test]
    fn tiles_shrink_until_they_fit() {
        let plan = plan();
        let prepared = prepare(&chest(), &plan, &Silent).unwrap();
        let needed = tiles::needed(&prepared, &plan);
        let run = |voxels: usize| {
            let network = Narrow(voxels, Mutex::default());
            let work = Work { prepared: &prepared, needed: &needed, plan: &plan, network: &network, maps: &[0] };
            let found = work.run(plan.tiles.tile, &Silent).map(|(_, tile)| tile);
            (found, network.1.into_inner().unwrap())
        };
        let whole: usize = plan.tiles.tile.iter().product();
        assert_eq!(run(whole).0.unwrap(), plan.tiles.tile);
        let (found, tried) = run(whole - 1);
        let tile = found.unwrap();
        assert!(tried[0] == whole && tile.iter().product::<usize>() < whole, "{tile:?} {tried:?}");
        assert!(full_device(tile, plan.tiles.tile).is_some() && full_device(tile, tile).is_none());
        let error = run(0).0.unwrap_err();
        assert_eq!(error.code(), "ERR_MEMORY");
        assert!(error.to_string().contains("no memory left"), "{error}");
    }
}
