//! One whole phantom: a CT with its reference.

use pulmoav_task::Monitor;
use pulmoav_volume::Volume;

use crate::compose::{Appearance, compose};
use crate::config::{PhantomConfig, Phase};
use crate::error::PhantomError;
use crate::layers::{Layers, layers};
use crate::scan::Scan;
use crate::statistics::Statistics;
use crate::tubes::CentrelineNode;

/// A synthetic chest CT and what is in it.
#[derive(Debug, Clone)]
pub struct Phantom {
    /// HU.
    pub ct: Volume<i16>,
    /// 0 background, 1 artery, 2 vein.
    pub labels: Volume<u8>,
    /// 0 outside, 1 left lung, 2 right lung.
    pub lungs: Volume<u8>,
    /// 1 in bronchi and windpipe, wall and all.
    pub airways: Volume<u8>,
    /// What is where: 0 air, 1 body, 3 left lung, 4 right lung, 5 airway lumen, 6 centreline of a lumen of 3 mm and
    /// more.
    pub anatomy: Volume<u8>,
    /// Where the contrast medium is.
    pub phase: Phase,
    /// The look of `ct`.
    pub appearance: Appearance,
    /// Calibre, length and count of both trees by order.
    pub statistics: Statistics,
    /// Centrelines of the labelled vessels: arteries, veins.
    pub centrelines: [Vec<CentrelineNode>; 2],
    /// What is in it.
    pub scan: Scan,
}

/// Makes the phantom of a configuration.
///
/// # Errors
/// As [`layers`].
pub fn generate(config: &PhantomConfig, monitor: &dyn Monitor) -> Result<Phantom, PhantomError> {
    let layers = layers(config, monitor)?;
    Ok(render(layers, Appearance::of(config), config.seed))
}

/// Gives layers a look.
pub fn render(layers: Layers, appearance: Appearance, seed: u64) -> Phantom {
    let mut hu = compose(&layers.patch(), &appearance, seed);
    layers.finish(&mut hu);
    let grid = layers.grid;
    Phantom {
        ct: Volume { data: hu, grid },
        labels: Volume { data: layers.labels, grid },
        lungs: Volume { data: layers.lungs, grid },
        airways: Volume { data: layers.airways, grid },
        anatomy: Volume { data: layers.anatomy, grid },
        phase: appearance.phase,
        appearance,
        statistics: layers.statistics,
        centrelines: layers.centrelines,
        scan: layers.scan,
    }
}
