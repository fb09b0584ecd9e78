//! What a phantom is before it has a look: coverage maps, labels and the HU of everything but blood.

use pulmoav_task::Monitor;
use pulmoav_volume::Grid;
use rayon::prelude::*;

use crate::airways::Airways;
use crate::arteries;
use crate::bronchi::Bronchi;
use crate::calibre::{Calibre, Fade};
use crate::chest::Chest;
use crate::compose::{Appearance, Patch};
use crate::config::{PhantomConfig, Style};
use crate::devices::{Devices, Star};
use crate::disease::Held;
use crate::error::PhantomError;
use crate::field::Field;
use crate::heart::Heart;
use crate::lattice::Lattice;
use crate::paint::Painter;
use crate::point::at;
use crate::random::Random;
use crate::raster::draw_tubes;
use crate::scan::{Centrelines, Kernel, Scan};
use crate::statistics::Statistics;
use crate::truth::truth;
use crate::tubes::{CentrelineNode, Segment, Tubes};
use crate::veins;
use crate::vessels::{labelled, unlabelled};

/// Distance between neighbouring twigs: sets how many there are.
const ARTERY_STEP_MM: f32 = 9.0;
const VEIN_STEP_MM: f32 = 10.2;

/// A phantom without a look: [`crate::compose()`] turns it, or a patch of it, into HU of any phase.
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
    /// 1 where at least half of the voxel is bronchus or windpipe, wall and all.
    pub airways: Vec<u8>,
    /// What is where: 0 air, 1 body, 3 left lung, 4 right lung, 5 airway lumen, 6 centreline of a lumen of 3 mm and
    /// more.
    pub anatomy: Vec<u8>,
    /// Calibre, length and count of both trees by order.
    pub statistics: Statistics,
    /// Centrelines of the labelled vessels: arteries, veins.
    pub centrelines: [Vec<CentrelineNode>; 2],
    /// What is in it.
    pub scan: Scan,
    pub(crate) field: Field,
    pub(crate) stars: Vec<Star>,
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

    /// What only a whole scan has: streaks, and the padding round a circular field of view.
    ///
    /// # Shapes
    /// `hu`: `[z, y, x]` of the grid.
    pub(crate) fn finish(&self, hu: &mut [i16]) {
        let lattice = Lattice::of(&self.grid);
        let nx = lattice.shape[2];
        hu.par_chunks_mut(lattice.slice_len()).enumerate().for_each(|(z, slice)| {
            let height = lattice.centre(z, 0, 0).z;
            for star in self.stars.iter().filter(|s| s.in_slice(height)) {
                for (i, hu) in slice.iter_mut().enumerate() {
                    let streaked = f32::from(*hu) + star.hu(lattice.centre(z, i / nx, i % nx));
                    *hu = streaked.clamp(-1024.0, 3071.0) as i16;
                }
            }
        });
        if let Some(padding_hu) = self.field.padding_hu {
            self.field.cut(&lattice, hu, padding_hu);
        }
    }
}

/// The anatomy of one phantom, before there are voxels.
pub(crate) struct Anatomy {
    pub(crate) chest: Chest,
    pub(crate) calibre: Calibre,
    pub(crate) bronchi: Bronchi,
    pub(crate) arteries: Tubes,
    pub(crate) veins: Tubes,
    pub(crate) heart: Heart,
    pub(crate) statistics: Statistics,
}

impl Anatomy {
    pub(crate) fn grow(seed: u64, style: Style) -> Self {
        let chest = Chest::new(seed, style);
        let calibre = Calibre::new(&chest, seed, style);
        let step = |mm: f32| mm * chest.mean_scale * calibre.sparse;
        let bronchi = Bronchi::grow(&chest, &calibre, seed, step(ARTERY_STEP_MM));
        let arteries = arteries::grow(&chest, &calibre, &bronchi, seed);
        let (veins, vein_trees) = veins::grow(&chest, &calibre, &bronchi, &arteries, seed, step(VEIN_STEP_MM));
        let heart = Heart::build(&chest, seed);
        let statistics = Statistics::of(&bronchi.trees, &vein_trees);
        Self { chest, calibre, bronchi, arteries, veins, heart, statistics }
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
    let anatomy = Anatomy::grow(config.seed, config.style);
    let field = Field::of(&anatomy.chest, config.seed, config.style);
    let lattice = Lattice::new(&anatomy.chest, &field, config.size, config.seed, config.style);
    draw(&anatomy, &lattice, config, monitor)
}

/// Draws a chest on a lattice.
pub(crate) fn draw(
    anatomy: &Anatomy,
    lattice: &Lattice,
    config: &PhantomConfig,
    monitor: &dyn Monitor,
) -> Result<Layers, PhantomError> {
    let stage = |done: u64| {
        monitor.report("phantom", done, 4);
        monitor.proceed()
    };
    let PhantomConfig { seed, style, .. } = *config;
    let look = Appearance::of(config);
    let field = Field::of(&anatomy.chest, seed, style);
    let devices = Devices::new(&anatomy.chest, look.phase, seed, style);
    let fade = Fade::new(&anatomy.bronchi.tubes, lattice, seed, style);
    let painter = Painter::new(&anatomy.chest, seed, style);
    let least_radius_mm = config.labelled_diameter_mm * 0.5;
    stage(1)?;
    let Painted { mut background_hu, mut lungs, barred } = paint(&painter, lattice);
    stage(2)?;
    roots(anatomy, lattice, seed, &mut background_hu, &mut lungs);
    let Airways { mut walls, mut seen, lumen } =
        Airways::draw(anatomy, lattice, fade, seed, &barred, &mut background_hu);
    let mut map = truth(anatomy, lattice, fade, &lungs, &lumen);
    drop(lumen);
    bar(&barred, &lungs, &mut walls, &mut map);
    let mut artery = vec![0_u8; lattice.len()];
    let mut vein = vec![0_u8; lattice.len()];
    let mut labels = labelled(anatomy, lattice, least_radius_mm, &walls, &mut artery, &mut vein);
    stage(3)?;
    if let Some(dense_hu) = devices.dense_cava_hu {
        tissue(&anatomy.heart.right.vessels, lattice, dense_hu, &mut background_hu);
    }
    let without_cava = devices.dense_cava_hu.is_some();
    unlabelled(anatomy, lattice, least_radius_mm, &walls, &labels, without_cava, &mut artery, &mut vein);
    drop(walls);
    devices.draw(lattice, &mut background_hu, &mut artery, &mut vein);
    for map in [&mut labels, &mut lungs, &mut seen, &mut map] {
        field.cut(lattice, map, 0);
    }
    stage(4)?;
    Ok(Layers {
        grid: lattice.grid(),
        background_hu,
        artery,
        vein,
        labels,
        lungs,
        airways: seen,
        anatomy: map,
        statistics: anatomy.statistics.clone(),
        centrelines: [&anatomy.arteries, &anatomy.veins].map(|tubes| tubes.labelled(least_radius_mm)),
        scan: facts(anatomy, lattice, config, &look, &painter, &devices, &field, fade),
        field,
        stars: devices.stars,
    })
}

/// What a phantom says about itself.
fn facts(
    anatomy: &Anatomy,
    lattice: &Lattice,
    config: &PhantomConfig,
    look: &Appearance,
    painter: &Painter<'_>,
    devices: &Devices,
    field: &Field,
    fade: Fade,
) -> Scan {
    let bronchi = &anatomy.bronchi.tubes;
    let thinnest = bronchi.segments().filter(|s| fade.sees(s)).fold(f32::MAX, |least, s| least.min(s.to_radius_mm));
    Scan {
        style: config.style,
        build: anatomy.chest.build,
        breasts: anatomy.chest.breasts.is_some(),
        slice_mm: lattice.spacing_mm[0],
        kernel: Kernel::of(look.sharpness),
        table: painter.surroundings.table,
        cover: painter.surroundings.cover,
        arms: painter.surroundings.arms,
        field: *field,
        device: devices.device,
        dense_cava: devices.dense_cava_hu.is_some(),
        findings: painter.findings(),
        thinnest_airway_mm: thinnest,
        centrelines_cm: Centrelines {
            artery: anatomy.arteries.length_cm(|_| true),
            vein: anatomy.veins.length_cm(|_| true),
            airway: bronchi.length_cm(|s| fade.sees(s)),
        },
    }
}

/// What painting leaves behind.
struct Painted {
    background_hu: Vec<i16>,
    /// 1 left, 2 right.
    lungs: Vec<u8>,
    /// 1 where no vessel and no bronchus can be; empty where the whole lungs may have them.
    barred: Vec<u8>,
}

/// HU of all tissue, and the lungs.
fn paint(painter: &Painter<'_>, lattice: &Lattice) -> Painted {
    let [_, ny, nx] = lattice.shape;
    let [sz, sy, _] = lattice.spacing_mm;
    let mut hu = vec![0_i16; lattice.len()];
    // Lungs, and 4 where vessels are barred.
    let mut held = vec![0_u8; lattice.len()];
    // A thick slice averages what lies in it.
    let layers = (sz / 1.6).ceil().max(1.0) as usize;
    hu.par_chunks_mut(ny * nx).zip(held.par_chunks_mut(ny * nx)).enumerate().for_each(|(z, (hu, held))| {
        for y in 0..ny {
            for x in 0..nx {
                let centre = lattice.centre(z, y, x);
                let (mut sum, mut inside, mut barred) = (0.0, 0, 0);
                for k in 0..layers {
                    let shift = ((k as f32 + 0.5) / layers as f32 - 0.5) * sz;
                    let (value, what) = painter.paint(centre + at(0.0, 0.0, shift), sy);
                    sum += value;
                    inside += usize::from(matches!(what, Held::Lung | Held::Fluid));
                    barred += usize::from(matches!(what, Held::Fluid | Held::Gone));
                }
                hu[y * nx + x] = (sum / layers as f32) as i16;
                let side = if centre.x < 0.0 { 1 } else { 2 };
                let lung = if inside * 2 >= layers { side } else { 0 };
                held[y * nx + x] = lung + 4 * u8::from(barred * 2 >= layers);
            }
        }
    });
    let mut barred = vec![];
    if painter.diseases.bars_vessels() {
        barred = held.iter().map(|v| v / 4).collect();
        for v in &mut held {
            *v %= 4;
        }
    }
    Painted { background_hu: hu, lungs: held, barred }
}

/// Keeps vessels out of fluid, and the truth of bronchi too.
fn bar(barred: &[u8], lungs: &[u8], walls: &mut [u8], map: &mut [u8]) {
    for (i, _) in barred.iter().enumerate().filter(|(_, b)| **b != 0) {
        walls[i] = 255;
        map[i] = match lungs[i] {
            0 => 1,
            side => 2 + side,
        };
    }
}

/// Wraps what is wide near the mediastinum in its fat and takes it out of the lungs: the roots of the lungs. Draws the
/// lower caval vein.
fn roots(anatomy: &Anatomy, lattice: &Lattice, seed: u64, background_hu: &mut [i16], lungs: &mut [u8]) {
    let mut random = Random::new(seed, 12);
    let wrap_hu = random.within(-110.0, 20.0);
    let sleeve = random.within(0.5, 3.0);
    let s = anatomy.chest.mean_scale;
    let wide = |tubes: &Tubes, wall: f32| -> Vec<Segment> {
        let near = |g: &Segment| g.to.x.abs() < 52.0 * s && g.to_radius_mm > 3.0 * s;
        let wrap = |r: f32| r + wall + sleeve;
        tubes
            .segments()
            .filter(near)
            .map(|g| Segment { from_radius_mm: wrap(g.from_radius_mm), to_radius_mm: wrap(g.to_radius_mm), ..g })
            .collect()
    };
    let mut cover = vec![0_u8; lattice.len()];
    draw_tubes(lattice, &wide(&anatomy.arteries, 0.0), &mut cover);
    draw_tubes(lattice, &wide(&anatomy.veins, 0.0), &mut cover);
    draw_tubes(lattice, &wide(&anatomy.bronchi.tubes, 1.0), &mut cover);
    blend(background_hu, &cover, Some(lungs), wrap_hu);
    tissue(&anatomy.heart.lower_vein, lattice, random.within(35.0, 110.0), background_hu);
}

/// Draws tubes of one HU into the background.
fn tissue(tubes: &Tubes, lattice: &Lattice, hu: f32, background_hu: &mut [i16]) {
    let mut cover = vec![0_u8; lattice.len()];
    draw_tubes(lattice, &tubes.segments().collect::<Vec<_>>(), &mut cover);
    blend(background_hu, &cover, None, hu);
}

/// Puts tissue of one HU where it covers; inside `lungs`, only where there is lung, which it replaces.
fn blend(background_hu: &mut [i16], cover: &[u8], lungs: Option<&mut [u8]>, tissue_hu: f32) {
    let mix = |hu: &mut i16, cover: u8| {
        let share = f32::from(cover) / 255.0;
        *hu = (f32::from(*hu) * (1.0 - share) + tissue_hu * share) as i16;
    };
    let Some(lungs) = lungs else {
        background_hu.par_iter_mut().zip(cover).filter(|(_, c)| **c > 0).for_each(|(hu, &c)| mix(hu, c));
        return;
    };
    background_hu.par_iter_mut().zip(lungs).zip(cover).filter(|((hu, _), c)| **c > 0 && **hu < -200).for_each(
        |((hu, lung), &c)| {
            mix(hu, c);
            if c > 127 {
                *lung = 0;
            }
        },
    );
}

#[cfg(test)]
pub(crate) mod tests;
