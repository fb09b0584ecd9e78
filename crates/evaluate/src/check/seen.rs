//! What figures share: classes, centrelines, and what tidying would do.

use pulmoav_task::Monitor;
use pulmoav_tree::tidy::{self, Report, Weights, tidy as tidied};
use pulmoav_tree::{TreeError, VesselTree, vessel_tree};
use pulmoav_volume::bits::Bits;
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::{Affine, Grid, Mask, Volume};

use crate::check::figure::Place;
use crate::error::EvaluateError;

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The label map.
    pub labels: &'a Mask,
    /// Values of arteries, each with that of the veins whose place it shares.
    pub pairs: &'a [[u8; 2]],
    /// Values of a side: value, then 1 for the patient's left or 2 for the right.
    pub sides: &'a [[u8; 2]],
    /// What the scan says.
    pub surroundings: Option<Surroundings<'a>>,
}

/// The anatomy of a scan, on the label map's grid.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// 0 outside the body, 1 left lung, 2 right lung, 3 mediastinum and airways, 4 what is left of the body;
    /// `[z, y, x]`.
    pub regions: &'a [u8],
    /// The lumen of the airways: indices.
    pub airways: &'a [u32],
}

/// The request, and what is found once.
pub(crate) struct Seen<'a> {
    pub(crate) request: &'a Request<'a>,
    /// 1 artery, 2 vein, 0 neither, `[z, y, x]`.
    pub(crate) classes: Vec<u8>,
    /// The centreline of both classes together; places are voxels times spacing.
    pub(crate) vessels: VesselTree,
    /// The same of arteries, of veins.
    pub(crate) trees: [VesselTree; 2],
    /// What one class a branch would change.
    pub(crate) tidied: Report,
}

/// Everything of a grid but where it lies: places in mm are voxels times spacing.
fn plain(grid: &Grid) -> Grid {
    Grid { affine: Affine::from_spacing(grid.spacing_mm), ..*grid }
}

impl<'a> Seen<'a> {
    pub(crate) fn find(request: &'a Request<'a>, monitor: &dyn Monitor) -> Result<Self, EvaluateError> {
        let labels = request.labels;
        let shape = labels.grid.shape;
        if let Some(around) = request.surroundings.filter(|around| around.regions.len() != labels.data.len()) {
            let got = [1, 1, around.regions.len()];
            return Err(EvaluateError::Shape {
                what: "the scan",
                got,
                expected: shape,
                corner: shape,
                distance_mm: 0.0,
            });
        }
        let mut table = [0_u8; 256];
        for &[artery, vein] in request.pairs {
            (table[usize::from(artery)], table[usize::from(vein)]) = (1, 2);
        }
        let classes: Vec<u8> = labels.data.iter().map(|&label| table[usize::from(label)]).collect();
        let mut map = Volume { data: classes.clone(), grid: plain(&labels.grid) };
        let asked = tidy::Request::<f32> {
            pairs: &[[1, 2]],
            airways: request.surroundings.map(|around| around.airways).filter(|airways| !airways.is_empty()),
            hu: None,
            weights: Weights::default(),
        };
        let cancelled = |error: TreeError| match error {
            TreeError::Cancelled => EvaluateError::Cancelled,
            other => EvaluateError::Tree(other),
        };
        monitor.report("check", 0, 3);
        let tidied = tidied(&mut map, &asked, monitor).map_err(cancelled)?;
        monitor.report("check", 1, 3);
        let tree = |is: fn(u8) -> u8| {
            map.data.clear();
            map.data.extend(classes.iter().map(|&class| is(class)));
            vessel_tree(&map, monitor)
        };
        let mut tree = tree;
        let vessels = tree(|class| u8::from(class != 0))?;
        monitor.report("check", 2, 3);
        let trees = [tree(|class| u8::from(class == 1))?, tree(|class| u8::from(class == 2))?];
        monitor.report("check", 3, 3);
        Ok(Self { request, classes, vessels, trees, tidied })
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.request.labels.grid
    }

    /// The voxel at a place of a centreline.
    pub(crate) fn voxel(&self, [x, y, z]: [f64; 3]) -> [usize; 3] {
        let (grid, mm) = (self.grid(), [z, y, x]);
        [0, 1, 2].map(|k| ((mm[k] / grid.spacing_mm[k]).round().max(0.0) as usize).min(grid.shape[k] - 1))
    }

    pub(crate) fn index(&self, [z, y, x]: [usize; 3]) -> usize {
        let [_, height, width] = self.grid().shape;
        (z * height + y) * width + x
    }

    /// What lies at an index; 0 where no scan was given.
    pub(crate) fn region(&self, index: usize) -> u8 {
        self.request.surroundings.map_or(0, |around| around.regions[index])
    }

    pub(crate) fn place(&self, voxel: [usize; 3], size: f64) -> Place {
        let [z, y, x] = voxel.map(|at| at as f64);
        Place { at_mm: self.grid().affine.apply([x, y, z]), voxel, size }
    }

    /// The voxels of a class, in the box of both with a margin.
    pub(crate) fn bits(&self, class: u8) -> Option<Bits> {
        let shape = self.grid().shape;
        let part = VoxelBox::around(&self.classes, shape, |class| class != 0)?;
        Some(Bits::of(&self.classes, shape, &part, 1, |value| value == class))
    }
}
