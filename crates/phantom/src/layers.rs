//! What a phantom is before it has a look: coverage maps, labels and the HU of everything but blood.

use pulmoav_volume::Grid;
use pulmoav_volume::monitor::Monitor;
use rayon::prelude::*;

use crate::arteries;
use crate::bronchi::{Bronchi, wall_mm};
use crate::chest::{Chest, ellipsoid};
use crate::compose::Patch;
use crate::config::PhantomConfig;
use crate::error::PhantomError;
use crate::heart::{Chamber, Heart, Side};
use crate::lattice::Lattice;
use crate::paint::Painter;
use crate::point::at;
use crate::random::Random;
use crate::raster::{draw_chamber, draw_tubes};
use crate::statistics::Statistics;
use crate::tubes::{Segment, Tubes};
use crate::veins;

/// Distance between neighbouring twigs: sets how many there are.
const ARTERY_STEP_MM: f32 = 8.6;
const VEIN_STEP_MM: f32 = 9.6;

/// A phantom without a look: [`crate::compose`] turns it, or a patch of it, into HU of any phase.
#[derive(Debug, Clone)]
pub struct Layers {
    /// Grid of all maps.
    pub grid: Grid,
    /// HU of everything but pulmonary and cardiac blood.
    pub background_hu: Vec<i16>,
    /// Share of arterial blood (pulmonary arteries of any size, right heart), 255 = all.
    pub artery: Vec<u8>,
    /// Share of venous blood (pulmonary veins of any size, left heart, aorta), 255 = all.
    pub vein: Vec<u8>,
    /// 0 background, 1 artery, 2 vein, for vessels of the labelled diameter and more.
    pub labels: Vec<u8>,
    /// 0 outside, 1 left lung, 2 right lung; vessels and bronchi inside count as lung.
    pub lungs: Vec<u8>,
    /// Calibre, length and count of both trees by order.
    pub statistics: Statistics,
}

impl Layers {
    /// The whole phantom as one patch.
    pub fn patch(&self) -> Patch<'_> {
        Patch {
            shape: self.grid.shape,
            spacing_mm: self.grid.spacing_mm.map(|s| s as f32),
            background_hu: &self.background_hu,
            artery: &self.artery,
            vein: &self.vein,
        }
    }
}

/// The anatomy of one phantom, before there are voxels.
pub(crate) struct Anatomy {
    pub(crate) chest: Chest,
    pub(crate) bronchi: Bronchi,
    pub(crate) arteries: Tubes,
    pub(crate) veins: Tubes,
    pub(crate) heart: Heart,
    pub(crate) statistics: Statistics,
}

impl Anatomy {
    pub(crate) fn grow(seed: u64) -> Self {
        let chest = Chest::new(seed);
        let bronchi = Bronchi::grow(&chest, seed, ARTERY_STEP_MM * chest.mean_scale);
        let arteries = arteries::grow(&chest, &bronchi, seed);
        let (veins, vein_trees) = veins::grow(&chest, &bronchi, &arteries, seed, VEIN_STEP_MM * chest.mean_scale);
        let heart = Heart::build(&chest, seed);
        let statistics = Statistics::of(&bronchi.trees, &vein_trees);
        Self { chest, bronchi, arteries, veins, heart, statistics }
    }
}

/// Grows a chest and draws its layers.
///
/// # Errors
/// [`PhantomError::Config`] for a labelled diameter outside 0.8–10 mm, [`PhantomError::Cancelled`].
pub fn layers(config: &PhantomConfig, monitor: &dyn Monitor) -> Result<Layers, PhantomError> {
    if !(0.8..=10.0).contains(&config.labelled_diameter_mm) {
        return Err(PhantomError::Config {
            field: "labelled_diameter_mm",
            got: config.labelled_diameter_mm.to_string(),
            wanted: "between 0.8 and 10 mm",
        });
    }
    let stage = |done: u64| {
        monitor.report("phantom", done, 4);
        if monitor.cancelled() { Err(PhantomError::Cancelled) } else { Ok(()) }
    };
    stage(0)?;
    let anatomy = Anatomy::grow(config.seed);
    let lattice = Lattice::new(&anatomy.chest, config.size, config.seed);
    stage(1)?;
    let (mut background_hu, lungs) = paint(&anatomy.chest, &lattice, config.seed);
    stage(2)?;
    let walls = airways(&anatomy, &lattice, config.seed, &mut background_hu);
    let mut artery = vec![0_u8; lattice.len()];
    let mut vein = vec![0_u8; lattice.len()];
    let labels = labelled(&anatomy, &lattice, config.labelled_diameter_mm * 0.5, &walls, &mut artery, &mut vein);
    stage(3)?;
    unlabelled(&anatomy, &lattice, config.labelled_diameter_mm * 0.5, &walls, &mut artery, &mut vein);
    stage(4)?;
    Ok(Layers { grid: lattice.grid(), background_hu, artery, vein, labels, lungs, statistics: anatomy.statistics })
}

/// HU of all tissue, and the lungs (1 left, 2 right).
fn paint(chest: &Chest, lattice: &Lattice, seed: u64) -> (Vec<i16>, Vec<u8>) {
    let painter = Painter::new(chest, seed);
    let [_, ny, nx] = lattice.shape;
    let [sz, sy, _] = lattice.spacing_mm;
    let mut hu = vec![0_i16; lattice.len()];
    let mut lungs = vec![0_u8; lattice.len()];
    // A thick slice averages what lies in it.
    let layers = (sz / 1.6).ceil().max(1.0) as usize;
    hu.par_chunks_mut(ny * nx).zip(lungs.par_chunks_mut(ny * nx)).enumerate().for_each(|(z, (hu, lungs))| {
        for y in 0..ny {
            for x in 0..nx {
                let centre = lattice.centre(z, y, x);
                let (mut sum, mut inside) = (0.0, 0);
                for k in 0..layers {
                    let shift = ((k as f32 + 0.5) / layers as f32 - 0.5) * sz;
                    let (value, in_lung) = painter.paint(centre + at(0.0, 0.0, shift), sy);
                    sum += value;
                    inside += usize::from(in_lung);
                }
                hu[y * nx + x] = (sum / layers as f32) as i16;
                if inside * 2 >= layers {
                    lungs[y * nx + x] = if centre.x < 0.0 { 1 } else { 2 };
                }
            }
        }
    });
    (hu, lungs)
}

/// Draws bronchi into the background and returns the coverage by bronchus, wall and all.
fn airways(anatomy: &Anatomy, lattice: &Lattice, seed: u64, background_hu: &mut [i16]) -> Vec<u8> {
    let mut random = Random::new(seed, 11);
    let wall_hu = random.within(-50.0, 20.0);
    let lumens: Vec<Segment> = anatomy.bronchi.tubes.segments().collect();
    let outer: Vec<Segment> = lumens
        .iter()
        .map(|s| Segment {
            from_radius_mm: s.from_radius_mm + wall_mm(s.from_radius_mm),
            to_radius_mm: s.to_radius_mm + wall_mm(s.to_radius_mm),
            ..*s
        })
        .collect();
    let mut walls = vec![0_u8; lattice.len()];
    let mut air = vec![0_u8; lattice.len()];
    draw_tubes(lattice, &outer, &mut walls);
    draw_tubes(lattice, &lumens, &mut air);
    background_hu.par_iter_mut().zip(&walls).zip(&air).filter(|((_, w), _)| **w > 0).for_each(|((hu, &wall), &air)| {
        let (wall, air) = (f32::from(wall) / 255.0, f32::from(air.min(wall)) / 255.0);
        let ground = f32::from(*hu) * (1.0 - wall) + wall_hu * (wall - air) - 1000.0 * air;
        *hu = ground as i16;
    });
    walls
}

/// Draws the vessels that carry a label and returns the labels: at least half of the voxel in one vessel.
fn labelled(
    anatomy: &Anatomy,
    lattice: &Lattice,
    least_radius_mm: f32,
    walls: &[u8],
    artery: &mut [u8],
    vein: &mut [u8],
) -> Vec<u8> {
    let thick =
        |tubes: &Tubes| -> Vec<Segment> { tubes.segments().filter(|s| s.to_radius_mm >= least_radius_mm).collect() };
    draw_tubes(lattice, &thick(&anatomy.arteries), artery);
    draw_tubes(lattice, &thick(&anatomy.veins), vein);
    share(artery, vein, walls);
    let in_chamber = |c: &Chamber, p| ellipsoid(p - c.centre, c.radii) < 0.0;
    let mut labels = vec![0_u8; lattice.len()];
    let [_, ny, nx] = lattice.shape;
    labels.par_chunks_mut(ny * nx).enumerate().for_each(|(z, slice)| {
        for (i, label) in slice.iter_mut().enumerate() {
            let (a, v) = (artery[z * ny * nx + i], vein[z * ny * nx + i]);
            if a < 128 && v < 128 {
                continue;
            }
            let p = lattice.centre(z, i / nx, i % nx);
            *label = if a >= v {
                u8::from(!anatomy.heart.right.chambers.iter().any(|c| in_chamber(c, p)))
            } else {
                2 * u8::from(!in_chamber(&anatomy.heart.left_atrium, p))
            };
        }
    });
    labels
}

/// Draws blood without a label: thin vessels, heart and great vessels.
fn unlabelled(
    anatomy: &Anatomy,
    lattice: &Lattice,
    least_radius_mm: f32,
    walls: &[u8],
    artery: &mut [u8],
    vein: &mut [u8],
) {
    let thin =
        |tubes: &Tubes| -> Vec<Segment> { tubes.segments().filter(|s| s.to_radius_mm < least_radius_mm).collect() };
    let side = |side: &Side, map: &mut [u8]| {
        for chamber in &side.chambers {
            draw_chamber(lattice, chamber, map);
        }
        draw_tubes(lattice, &side.vessels.segments().collect::<Vec<_>>(), map);
    };
    draw_tubes(lattice, &thin(&anatomy.arteries), artery);
    draw_tubes(lattice, &thin(&anatomy.veins), vein);
    side(&anatomy.heart.right, artery);
    side(&anatomy.heart.left, vein);
    draw_chamber(lattice, &anatomy.heart.left_atrium, vein);
    share(artery, vein, walls);
}

/// Makes room: bronchi cut vessels, and a voxel that both vessels claim goes to the one that claims more of it.
fn share(artery: &mut [u8], vein: &mut [u8], walls: &[u8]) {
    artery.par_iter_mut().zip(vein).zip(walls).for_each(|((a, v), &wall)| {
        if *a == 0 && *v == 0 {
            return;
        }
        let room = 255 - wall;
        if *a >= *v {
            *a = (*a).min(room);
            *v = (*v).min(room - *a);
        } else {
            *v = (*v).min(room);
            *a = (*a).min(room - *v);
        }
    });
}
