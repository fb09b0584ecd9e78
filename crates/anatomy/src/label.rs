//! The anatomy of a scan as a label map on its own grid.

use pulmoav_task::{Clock, Monitor, Warning};
use pulmoav_volume::crop::View;
use pulmoav_volume::label::counts;
use pulmoav_volume::{Orientation, Volume, VolumeError, Voxel};

use crate::anatomy::find;
use crate::structure::Structure;

/// A label map of the anatomy, and what is known of it.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Values of [`Structure`] on the scan's own grid; 0 outside the body.
    pub labels: Volume<u8>,
    /// Every structure, in the order of their values.
    pub structures: Vec<Measured>,
    /// Where the windpipe divides, RAS mm.
    pub carina_mm: Option<[f64; 3]>,
    /// What is uncertain.
    pub warnings: Vec<Warning>,
    /// Wall time of finding it, s.
    pub find_seconds: f64,
    /// Wall time of drawing the label map, s.
    pub draw_seconds: f64,
}

/// How much of a structure there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The structure.
    pub structure: Structure,
    /// Voxels with its value.
    pub voxels: u64,
    /// Their volume, ml.
    pub volume_ml: f64,
}

/// Labels the anatomy of a scan in Hounsfield units, in any orientation.
///
/// # Shapes
/// `ct`: `[z, y, x]` → labels on the same grid.
///
/// # Errors
/// `ERR_GEOMETRY` for an affine without three directions; `CANCELLED`.
pub fn label(ct: &Volume<impl Voxel>, monitor: &dyn Monitor) -> Result<Labelled, VolumeError> {
    let orientation = Orientation::of(&ct.grid.affine)?;
    let canonical = orientation.orient_grid(&ct.grid);
    let hu = View::new(&ct.data, ct.grid.shape).reordered(orientation.source, orientation.flipped);
    monitor.report("anatomy", 0, 2);
    let mut clock = Clock::start();
    let anatomy = find(&hu, &canonical, monitor)?;
    let find_seconds = clock.lap();
    monitor.report("anatomy", 1, 2);
    monitor.proceed()?;
    let found = anatomy.label_map(&hu);
    let data = orientation.inverse().orient_data(&found, canonical.shape, 1);
    let counts = counts(&data);
    let structures = Structure::ALL.map(|structure| {
        let voxels = counts[structure.value() as usize];
        Measured { structure, voxels, volume_ml: voxels as f64 * ct.grid.voxel_ml() }
    });
    monitor.report("anatomy", 2, 2);
    monitor.proceed()?;
    Ok(Labelled {
        labels: Volume { data, grid: ct.grid },
        structures: structures.to_vec(),
        carina_mm: anatomy.airways.carina.map(|[z, y, x]| canonical.affine.apply([x, y, z])),
        warnings: anatomy.warnings,
        find_seconds,
        draw_seconds: clock.lap(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::chest;
    use pulmoav_task::Silent;

    #[test]
    fn one_thread_or_two_give_the_same_labels() {
        let chest = chest();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| chest.label().labels.data)
        };
        assert!(with(1) == with(2));
    }

    #[test]
    fn a_caller_who_asks_to_stop_gets_no_labels() {
        struct Stop;
        impl Monitor for Stop {
            fn report(&self, _: &'static str, _: u64, _: u64) {}
            fn cancelled(&self) -> bool {
                true
            }
        }
        let chest = chest();
        let stopped = label(&Volume { data: chest.hu.clone(), grid: chest.grid }, &Stop);
        assert!(matches!(stopped, Err(VolumeError::Cancelled)));
    }

    #[test]
    fn every_orientation_gives_the_same_labels() {
        let chest = chest().thinned();
        let expected = chest.label();
        assert!(expected.structures.iter().all(|measured| measured.voxels > 0), "{:?}", expected.structures);
        for source in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for flips in 0..8 {
                let moves = Orientation { source, flipped: [0, 1, 2].map(|axis| flips >> axis & 1 == 1) };
                let grid = moves.orient_grid(&chest.grid);
                let data = moves.orient_data(&chest.hu, chest.grid.shape, 1);
                let found = label(&Volume { data, grid }, &Silent).expect("three directions");
                let back = moves.inverse().orient_data(&found.labels.data, grid.shape, 1);
                assert!(back == expected.labels.data, "{moves:?}");
                assert_eq!(found.structures, expected.structures, "{moves:?}");
            }
        }
    }
}
