//! Follows the lumen from the windpipe outwards, a branch at a time.
//!
//! Each branch is tried with the brightest threshold first. A bronchus in tissue is much darker than what surrounds
//! it, a small one in the lung hardly. Where the wave breaks out of the branch the next, darker threshold is tried.

use std::collections::VecDeque;

use pulmoav_volume::crop::View;
use pulmoav_volume::{Grid, Voxel};

use super::wave::{BELOW_HU, Ground, Outcome, Wave};
use super::windpipe::Tube;
use crate::body::Body;
use crate::coarse::Coarse;

/// No airway has more branches in a scan.
const MAX_BRANCHES: usize = 6000;

/// One branch of the lumen.
#[derive(Debug)]
pub(super) struct Branch {
    /// Its number in the list of branches; `None` for the windpipe.
    pub(super) parent: Option<usize>,
    /// Indices of the canonical grid.
    pub(super) voxels: Vec<u32>,
    /// The last layer before it divides.
    pub(super) end: Vec<u32>,
    /// Typical cross-section.
    pub(super) area_mm2: f64,
}

/// A part of a front that is to be followed.
struct Bud {
    parent: Option<usize>,
    voxels: Vec<u32>,
    /// Cross-section of the branch that it grew on.
    area_mm2: f64,
    /// The first of [`BELOW_HU`] to try.
    threshold: usize,
}

/// All branches, the windpipe first.
pub(super) fn trace(hu: &View<'_, impl Voxel>, grid: &Grid, coarse: &Coarse, body: &Body, tube: &Tube) -> Vec<Branch> {
    let mut ground = Ground::new(hu, grid, coarse, body, tube.top(coarse));
    let start = tube.first_section(coarse, &ground);
    if start.is_empty() {
        return Vec::new();
    }
    let air_hu = ground.air_hu(&start);
    let area_mm2 = tube.area_mm2.max(start.len() as f64 * grid.spacing_mm[1] * grid.spacing_mm[2]);
    let mut buds = VecDeque::from([Bud { parent: None, voxels: start, area_mm2, threshold: 0 }]);
    let mut branches: Vec<Branch> = Vec::new();
    while let Some(bud) = buds.pop_front() {
        if branches.len() == MAX_BRANCHES {
            break;
        }
        let Some((outcome, threshold)) = follow(&mut ground, &bud, air_hu) else { continue };
        let number = branches.len();
        for voxels in outcome.parts {
            buds.push_back(Bud { parent: Some(number), voxels, area_mm2: outcome.area_mm2, threshold });
        }
        branches.push(Branch {
            parent: bud.parent,
            voxels: outcome.voxels,
            end: outcome.end,
            area_mm2: outcome.area_mm2,
        });
    }
    branches
}

/// The branch under the brightest threshold that holds it, and the threshold's number in [`BELOW_HU`].
fn follow(ground: &mut Ground<'_, impl Voxel>, bud: &Bud, air_hu: f32) -> Option<(Outcome, usize)> {
    let mut run = |threshold: usize| {
        let wave = Wave { threshold, area_mm2: bud.area_mm2, air_hu };
        wave.run(ground, &bud.voxels).map(|outcome| (outcome, threshold))
    };
    (bud.threshold..BELOW_HU.len()).find_map(&mut run).filter(|(outcome, _)| !outcome.voxels.is_empty())
}
