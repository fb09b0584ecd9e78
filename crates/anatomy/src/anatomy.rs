//! Everything that is found in one scan.

use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::{Grid, Warning};

use crate::air::Air;
use crate::airway::Airways;
use crate::body::Body;
use crate::coarse::Coarse;
use crate::lungs::{self, LEFT, Lungs};
use crate::structure::Structure;

/// The anatomy of one scan. Everything is in the canonical frame, so the patient's left has the smaller x.
#[derive(Debug, Clone)]
pub struct Anatomy {
    /// The canonical grid of the scan.
    pub grid: Grid,
    /// The lungs; `None` when there is none of at least [`lungs::LEAST_LUNG_ML`].
    pub lungs: Option<Lungs>,
    /// Windpipe and bronchi; empty where no windpipe is seen.
    pub airways: Airways,
    /// What is uncertain: `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`, `SIDES_UNCLEAR`.
    pub warnings: Vec<Warning>,
}

/// Finds body, lungs, airways and the vessels' region.
///
/// # Shapes
/// `hu`: `[z, y, x]` in the canonical frame, Hounsfield units; `grid`: its grid.
pub fn find(hu: &View<'_, f32>, grid: &Grid) -> Anatomy {
    let coarse = Coarse::average(hu, grid);
    let body = Body::find(&coarse);
    let air = Air::find(&coarse, &body);
    let airways = Airways::find(hu, grid, &coarse, &body, &air);
    let lungs = lungs::find(&coarse, &air, &airways, grid);
    Anatomy { grid: *grid, lungs, airways, warnings: Vec::new() }
}

impl Anatomy {
    /// The values of [`Structure`] on `shape` voxels that fill the box `part` of the scan; 0 outside the body.
    ///
    /// # Shapes
    /// → `[z, y, x]` of `shape`.
    pub fn structures_in(&self, part: &VoxelBox, shape: [usize; 3]) -> Vec<u8> {
        let Some(lungs) = &self.lungs else { return vec![0; shape.iter().product()] };
        let region = lungs.vessel_region_in(part, shape);
        let mut found = lungs.sides_in(part, shape);
        found.iter_mut().zip(region).for_each(|(side, region)| {
            *side = match *side {
                0 if region != 0 => Structure::Mediastinum.value(),
                0 => 0,
                LEFT => Structure::LeftLung.value(),
                _ => Structure::RightLung.value(),
            };
        });
        self.airways.draw(&mut found, Structure::Airways.value(), &self.grid, part, shape);
        found
    }
}
