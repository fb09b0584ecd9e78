//! Everything that is found in one scan.

use pulmoav_task::{Cancelled, Monitor, Warning};
use pulmoav_volume::crop::{Extent, View};
use pulmoav_volume::{Grid, Voxel};
use rayon::prelude::*;

use crate::air::Air;
use crate::airway::Airways;
use crate::body::Body;
use crate::coarse::Coarse;
use crate::lattice::Lattice;
use crate::lungs::{self, LEFT, Lungs, RIGHT};
use crate::structure::Structure;
use crate::{findings, trunk};

/// At the surface of a lung, voxels below this are lung: half-way between lung and tissue.
const EDGE_HU: f32 = -420.0;
/// In a code of the lattice, the side of the lung in or beside a voxel lies above the three bits of its structure.
const SIDE_SHIFT: u8 = 3;
/// In a code: the surface of a lung passes through or beside the voxel.
const SURFACE: u8 = 1 << 5;

/// The anatomy of one scan. Everything is in the canonical frame, so the patient's left has the smaller x.
#[derive(Debug, Clone)]
pub struct Anatomy {
    /// The canonical grid of the scan.
    pub grid: Grid,
    /// The lungs; `None` when there is none of at least [`lungs::MIN_LUNG_ML`].
    pub lungs: Option<Lungs>,
    /// Windpipe and bronchi; empty where no windpipe is seen.
    pub airways: Airways,
    /// What is uncertain: `NO_LUNGS`, `ONE_LUNG`, `CUT_LUNGS`, `TABLE_REMOVED`, `SIDES_UNCLEAR`,
    /// `ORIENTATION_UNCLEAR`.
    pub warnings: Vec<Warning>,
    pub(crate) lattice: Lattice,
    /// True where nothing was scanned, on the lattice.
    unseen: Vec<bool>,
    /// 1 in the body, on the lattice.
    pub(crate) trunk: Vec<u8>,
}

/// Finds body, lungs, airways and the vessels' region.
///
/// # Shapes
/// `hu`: `[z, y, x]` in the canonical frame, Hounsfield units; `grid`: its grid.
///
/// # Errors
/// [`Cancelled`], asked between the structures.
pub fn find(hu: &View<'_, impl Voxel>, grid: &Grid, monitor: &dyn Monitor) -> Result<Anatomy, Cancelled> {
    let coarse = Coarse::average(hu, grid);
    monitor.proceed()?;
    let body = Body::find(&coarse);
    monitor.proceed()?;
    let air = Air::find(&coarse, &body);
    monitor.proceed()?;
    let airways = Airways::find(hu, grid, &coarse, &body, &air);
    monitor.proceed()?;
    let lungs = lungs::find(hu, &coarse, &body, &air, &airways, grid);
    monitor.proceed()?;
    let airways = if lungs.is_some() { airways } else { Airways::default() };
    Ok(Anatomy {
        grid: *grid,
        warnings: findings::warnings(&coarse, &air, lungs.as_ref(), &airways),
        trunk: trunk::find(&coarse, &body, &air, lungs.as_ref().map(|lungs| &lungs.sides[..])),
        lattice: Lattice { factor: coarse.factor, shape: coarse.shape },
        unseen: coarse.unseen,
        airways,
        lungs,
    })
}

impl Anatomy {
    /// An anatomy in which nothing was found.
    pub fn nothing(grid: &Grid) -> Self {
        let lattice = Lattice { factor: grid.shape.map(|size| size.max(1)), shape: [1; 3] };
        Self {
            grid: *grid,
            lungs: None,
            airways: Airways::default(),
            warnings: Vec::new(),
            lattice,
            unseen: vec![false],
            trunk: vec![0],
        }
    }

    /// 1 in the body, on `shape` voxels that fill the box `part` of the scan.
    ///
    /// # Shapes
    /// → `[z, y, x]` of `shape`.
    pub fn body_in(&self, part: impl Into<Extent>, shape: [usize; 3]) -> Vec<u8> {
        self.lattice.look_up(&self.trunk, &part.into(), shape)
    }

    /// The values of [`Structure`] on the scan's own voxels, 0 outside the body; the lungs' surface follows the scan.
    ///
    /// # Shapes
    /// `hu`: `[z, y, x]` in the canonical frame → the same.
    pub fn label_map(&self, hu: &View<'_, impl Voxel>) -> Vec<u8> {
        let shape = self.grid.shape;
        let codes = self.codes();
        let [fz, fy, fx] = self.lattice.factor;
        let mut labels = vec![0u8; self.grid.len()];
        let plane = (shape[1] * shape[2]).max(1);
        labels.par_chunks_mut(plane).enumerate().for_each_init(
            || vec![0f32; shape[2]],
            |buffer, (z, slice)| {
                for (y, row) in slice.chunks_exact_mut(shape[2]).enumerate() {
                    let codes = self.lattice.row(&codes, z / fz, y / fy);
                    if codes.iter().all(|code| code & SURFACE == 0) {
                        row.chunks_mut(fx).zip(codes).for_each(|(block, &code)| block.fill(decide(code, 0.0)));
                        continue;
                    }
                    let hu = hu.values(z, y, buffer);
                    for ((block, hu), &code) in row.chunks_mut(fx).zip(hu.chunks(fx)).zip(codes) {
                        let (lung, other) = (decide(code, f32::NEG_INFINITY), decide(code, f32::INFINITY));
                        block.iter_mut().zip(hu).for_each(|(to, &hu)| *to = if hu < EDGE_HU { lung } else { other });
                    }
                }
            },
        );
        self.airways.draw(&mut labels, Structure::Airways.value());
        labels
    }

    /// For each voxel of the lattice: its structure without the lungs, the side of the lung in or beside it, and
    /// whether the lung's surface is near.
    fn codes(&self) -> Vec<u8> {
        let [depth, height, width] = self.lattice.shape;
        let (sides, region, filled) = match &self.lungs {
            Some(lungs) => (&lungs.sides[..], &lungs.region[..], &lungs.filled[..]),
            None => (&[][..], &[][..], &[][..]),
        };
        let code = |index: usize| {
            let body = if self.trunk[index] != 0 { Structure::Body.value() } else { 0 };
            if sides.is_empty() || self.unseen[index] {
                return body;
            }
            let base = if region[index] != 0 && sides[index] == 0 { Structure::Mediastinum.value() } else { body };
            let at = [index / (height * width), index / width % height, index % width];
            let range = |axis: usize, size: usize| at[axis].saturating_sub(1)..(at[axis] + 2).min(size);
            let (mut beside, mut all) = (0, true);
            for z in range(0, depth) {
                for y in range(1, height) {
                    for &side in &sides[(z * height + y) * width..][range(2, width)] {
                        beside = if side == 0 { beside } else { side };
                        all &= side != 0;
                    }
                }
            }
            let side = if sides[index] != 0 { sides[index] } else { beside };
            match (sides[index] != 0, filled[index]) {
                (true, is_filled) if is_filled || all => base | side << SIDE_SHIFT,
                (true, _) => base | side << SIDE_SHIFT | SURFACE,
                (false, _) if beside != 0 => base | side << SIDE_SHIFT | SURFACE,
                (false, _) => base,
            }
        };
        (0..self.trunk.len()).into_par_iter().map(code).collect()
    }
}

/// The structure of a voxel from its code and its HU.
fn decide(code: u8, hu: f32) -> u8 {
    let side = code >> SIDE_SHIFT & 3;
    let is_lung = side != 0 && (code & SURFACE == 0 || hu < EDGE_HU);
    match (is_lung, side) {
        (true, LEFT) => Structure::LeftLung.value(),
        (true, RIGHT) => Structure::RightLung.value(),
        _ => code & ((1 << SIDE_SHIFT) - 1),
    }
}
