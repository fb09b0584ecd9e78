//! What a phantom is before it has a look: coverage maps, labels and the HU of everything but blood.

use pulmoav_task::Monitor;
use pulmoav_volume::Grid;
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
use crate::truth::truth;
use crate::tubes::{Segment, Tubes};
use crate::veins;

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
    let anatomy = Anatomy::grow(config.seed);
    let lattice = Lattice::new(&anatomy.chest, config.size, config.seed);
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
        if monitor.cancelled() { Err(PhantomError::Cancelled) } else { Ok(()) }
    };
    let least_radius_mm = config.labelled_diameter_mm * 0.5;
    stage(1)?;
    let (mut background_hu, mut lungs) = paint(&anatomy.chest, lattice, config.seed);
    stage(2)?;
    roots(anatomy, lattice, config.seed, &mut background_hu, &mut lungs);
    let (walls, lumen) = airways(anatomy, lattice, config.seed, &mut background_hu);
    let map = truth(anatomy, lattice, &lungs, &lumen);
    drop(lumen);
    let mut artery = vec![0_u8; lattice.len()];
    let mut vein = vec![0_u8; lattice.len()];
    let labels = labelled(anatomy, lattice, least_radius_mm, &walls, &mut artery, &mut vein);
    stage(3)?;
    unlabelled(anatomy, lattice, least_radius_mm, &walls, &labels, &mut artery, &mut vein);
    stage(4)?;
    Ok(Layers {
        grid: lattice.grid(),
        background_hu,
        artery,
        vein,
        labels,
        lungs,
        airways: walls.iter().map(|&wall| u8::from(wall >= 128)).collect(),
        anatomy: map,
        statistics: anatomy.statistics.clone(),
    })
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
    cover.fill(0);
    draw_tubes(lattice, &anatomy.heart.lower_vein.segments().collect::<Vec<_>>(), &mut cover);
    blend(background_hu, &cover, None, random.within(35.0, 110.0));
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

/// Draws bronchi into the background and returns the coverage by bronchus, wall and all, and by its lumen.
fn airways(anatomy: &Anatomy, lattice: &Lattice, seed: u64, background_hu: &mut [i16]) -> (Vec<u8>, Vec<u8>) {
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
    (walls, air)
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
    share(artery, vein, walls, None);
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
    labels: &[u8],
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
    share(artery, vein, walls, Some(labels));
}

/// Makes room: bronchi cut vessels, and a voxel that both vessels claim goes to the one that has its label, or claims
/// more of it.
fn share(artery: &mut [u8], vein: &mut [u8], walls: &[u8], labels: Option<&[u8]>) {
    artery.par_iter_mut().zip(vein).zip(walls).enumerate().for_each(|(i, ((a, v), &wall))| {
        if *a == 0 && *v == 0 {
            return;
        }
        let room = 255 - wall;
        let first = match labels.map_or(0, |l| l[i]) {
            0 => *a >= *v,
            label => label == 1,
        };
        let (more, less) = if first { (a, v) } else { (v, a) };
        *more = (*more).min(room);
        *less = (*less).min(room - *more);
    });
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::point::Point;
    use crate::statistics::{ARTERY_DIAMETERS_MM, FIRST_ORDER, VEIN_DIAMETERS_MM, ratio};
    use pulmoav_anatomy::find;
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::{View, VoxelBox};

    /// Counts of Huang 1996 by order, from 9 to 15 (docs/method.md, Phantoms).
    const ARTERY_COUNTS: [f32; 7] = [12450.0, 3448.0, 900.0, 254.0, 86.0, 14.0, 4.0];
    const VEIN_COUNTS: [f32; 7] = [870.0, 286.0, 126.0, 62.0, 22.0, 8.0, 4.0];

    pub(crate) fn coarse(anatomy: &Anatomy) -> Lattice {
        let fine = Lattice::new(&anatomy.chest, crate::config::Size::Small, 5);
        let extent = [0, 1, 2].map(|i| fine.shape[i] as f32 * fine.spacing_mm[i]);
        Lattice { shape: extent.map(|e| (e / 3.0) as usize), spacing_mm: [3.0; 3], origin: fine.origin }
    }

    #[test]
    fn branching_and_diameter_ratios_follow_the_reference_trees() {
        for seed in [1, 2, 3] {
            let statistics = Anatomy::grow(seed).statistics;
            let trees = [
                ("artery", statistics.artery, ARTERY_DIAMETERS_MM, ARTERY_COUNTS, 11),
                ("vein", statistics.vein, VEIN_DIAMETERS_MM, VEIN_COUNTS, 10),
            ];
            for (name, orders, diameters, counts, first) in trees {
                let ours: Vec<_> = orders.into_iter().filter(|o| o.order >= first).collect();
                let table: Vec<_> = ours
                    .iter()
                    .map(|o| {
                        let i = o.order - FIRST_ORDER;
                        crate::OrderStatistics { diameter_mm: diameters[i], count: counts[i] as usize, ..*o }
                    })
                    .collect();
                let branching = ratio(&ours, |o| o.count as f32) / ratio(&table, |o| o.count as f32);
                let calibre = ratio(&ours, |o| o.diameter_mm) / ratio(&table, |o| o.diameter_mm);
                println!("seed {seed} {name}: branching x{branching:.2}, diameter x{calibre:.2} of the table's");
                assert!((branching - 1.0).abs() < 0.25 && (calibre - 1.0).abs() < 0.25);
            }
        }
    }

    /// Least distance from a place to the outer walls of the bronchi, mm.
    fn to_bronchus_mm(bronchi: &Tubes, p: Point) -> f32 {
        bronchi.nodes.iter().fold(f32::MAX, |least, n| {
            let Some(parent) = n.parent else { return least };
            let (a, b) = (bronchi.nodes[parent as usize].place, n.place);
            let axis = b - a;
            let t = ((p - a).dot(axis) / axis.dot(axis).max(1e-6)).clamp(0.0, 1.0);
            least.min((p - a - axis * t).norm() - n.radius_mm - wall_mm(n.radius_mm))
        })
    }

    #[test]
    fn bronchi_run_beside_arteries_and_away_from_veins() {
        for seed in [1, 2, 3] {
            let a = Anatomy::grow(seed);
            let share = |tubes: &Tubes, least: f32, holds: &dyn Fn(f32) -> bool| {
                let s = a.chest.mean_scale;
                // The hilum, where a fixed centre is drawn, is left out.
                let outer = |p: Point| (p - a.chest.place(0.0, -20.0, -25.0)).norm() > 62.0 * s;
                let nodes: Vec<_> =
                    tubes.nodes.iter().filter(|n| n.radius_mm >= least && outer(n.place)).step_by(13).collect();
                let good =
                    nodes.iter().filter(|n| holds(to_bronchus_mm(&a.bronchi.tubes, n.place) - n.radius_mm)).count();
                good as f32 / nodes.len() as f32
            };
            let beside = share(&a.arteries, 1.25, &|gap| gap <= 1.0);
            let clear = share(&a.veins, 0.75, &|gap| gap >= 3.0);
            println!("seed {seed}: arteries beside {beside:.3}, veins clear {clear:.3}");
            assert!(beside > 0.93 && clear > 0.93);
        }
    }

    #[test]
    fn layers_depend_on_the_seed_alone() {
        let anatomy = Anatomy::grow(5);
        let lattice = coarse(&anatomy);
        let make = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                let config = PhantomConfig::small(5);
                let layers = draw(&Anatomy::grow(5), &lattice, &config, &Silent).expect("layers");
                let look = crate::Appearance::draw(None, 5);
                crate::render(layers, look, 5)
            })
        };
        let (one, three) = (make(1), make(3));
        assert!(one.ct == three.ct && one.labels == three.labels && one.lungs == three.lungs);
        assert_eq!(one.ct.grid, one.labels.grid);
        assert_eq!(one.ct.data.len(), one.ct.grid.len());
    }

    #[test]
    fn a_label_means_at_least_half_of_the_voxel() {
        let anatomy = Anatomy::grow(6);
        let lattice = coarse(&anatomy);
        let layers = draw(&anatomy, &lattice, &PhantomConfig::small(6), &Silent).expect("layers");
        let mut seen = [0; 3];
        for i in 0..layers.labels.len() {
            let (a, v) = (layers.artery[i], layers.vein[i]);
            seen[layers.labels[i] as usize] += 1;
            match layers.labels[i] {
                1 => assert!(a >= 128 && a >= v),
                2 => assert!(v >= 128 && v >= a),
                _ => {}
            }
        }
        assert!(seen.iter().all(|&n| n > 500), "{seen:?}");
    }

    #[test]
    fn the_lung_finder_finds_these_lungs_and_room_for_their_vessels() {
        for seed in [5, 7, 8] {
            let anatomy = Anatomy::grow(seed);
            let lattice = coarse(&anatomy);
            let layers = draw(&anatomy, &lattice, &PhantomConfig::small(seed), &Silent).expect("layers");
            let phantom = crate::render(layers, crate::Appearance::draw(None, seed), seed);
            let grid = phantom.ct.grid;
            let hu: Vec<f32> = phantom.ct.data.iter().map(|&v| f32::from(v)).collect();
            let lungs = find(&View::new(&hu, grid.shape), &grid).lungs.expect("lungs");
            let whole = VoxelBox { low: [0; 3], high: grid.shape };
            let sides = lungs.sides_in(&whole, grid.shape);
            let same = |ours: &[u8], side: u8| {
                let both = sides.iter().zip(ours).filter(|&(&a, &b)| a == side && b == side).count();
                let each = sides.iter().chain(ours).filter(|&&v| v == side).count();
                2.0 * both as f32 / each as f32
            };
            let dice = [1, 2].map(|side| same(&phantom.lungs.data, side));
            let region = lungs.vessel_region_in(&whole, grid.shape);
            let labelled = phantom.labels.data.iter().zip(&region).filter(|(l, _)| **l != 0);
            let (all, kept) = labelled.fold((0, 0), |(n, k), (_, &r)| (n + 1, k + usize::from(r != 0)));
            let kept = kept as f32 / all as f32;
            println!("seed {seed}: lungs Dice {dice:.3?}, labelled voxels in the vessel region {kept:.4}");
            assert!(dice[0] > 0.95 && dice[1] > 0.95 && kept > 0.98);
        }
    }

    #[test]
    fn a_monitor_stops_it() {
        struct Stop;
        impl Monitor for Stop {
            fn report(&self, _: &'static str, _: u64, _: u64) {}
            fn cancelled(&self) -> bool {
                true
            }
        }
        assert!(matches!(layers(&PhantomConfig::small(1), &Stop), Err(PhantomError::Cancelled)));
    }
}
