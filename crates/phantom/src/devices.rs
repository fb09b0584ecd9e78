//! What doctors put into a chest, and dense blood on its way in: metal, tubes, and the streaks they make.

use serde::Serialize;

use crate::chest::Chest;
use crate::config::{Phase, Style};
use crate::heart::Chamber;
use crate::lattice::Lattice;
use crate::point::{Point, at};
use crate::random::Random;
use crate::raster::{draw_chamber, draw_tubes};
use crate::tubes::{Segment, Tubes};

/// What was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Device {
    /// A chamber under the skin and a catheter.
    Port,
    /// A can under the skin and two leads.
    Pacemaker,
    /// A catheter alone.
    CentralLine,
}

/// Devices and dense blood of one chest.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    pub(crate) device: Option<Device>,
    tubes: Tubes,
    tubes_hu: f32,
    body: Option<Chamber>,
    body_hu: f32,
    /// HU of the upper caval vein where it is denser than all other blood.
    pub(crate) dense_cava_hu: Option<f32>,
    pub(crate) stars: Vec<Star>,
}

/// Streaks that run out from something dense.
#[derive(Debug, Clone)]
pub(crate) struct Star {
    centre: Point,
    half_height_mm: f32,
    core_mm: f32,
    hu: f32,
    turns: [f32; 3],
    /// Turn of the pattern from slice to slice, radians a mm.
    twist: [f32; 3],
}

impl Devices {
    /// 14 % have a port, 8 % a pacemaker, 6 % a line; half of the arterial and equal phases dense blood in the upper
    /// caval vein. A plain phantom has nothing.
    pub(crate) fn new(chest: &Chest, phase: Phase, seed: u64, style: Style) -> Self {
        let mut devices = Self::default();
        if style == Style::Plain {
            return devices;
        }
        let mut random = Random::new(seed, 35);
        devices.device = match random.unit() {
            l if l < 0.14 => Some(Device::Port),
            l if l < 0.22 => Some(Device::Pacemaker),
            l if l < 0.28 => Some(Device::CentralLine),
            _ => None,
        };
        match devices.device {
            Some(Device::Pacemaker) => devices.add_pacemaker(chest, &mut random),
            Some(_) => devices.add_catheter(chest, &mut random),
            None => {}
        }
        let with_medium = matches!(phase, Phase::Arterial | Phase::Equal);
        if with_medium && random.chance(0.5) {
            let hu = random.within(600.0, 1800.0);
            devices.dense_cava_hu = Some(hu);
            let centre = chest.place(19.5, 8.0, 22.0);
            devices.add_star(centre, 52.0 * chest.scale.z, 8.0, hu * random.within(0.04, 0.12), &mut random);
        }
        devices
    }

    fn add_star(&mut self, centre: Point, half_height_mm: f32, core_mm: f32, hu: f32, random: &mut Random) {
        let turns = [0, 1, 2].map(|_| random.within(0.0, std::f32::consts::TAU));
        let twist = [0, 1, 2].map(|_| random.within(-0.25, 0.25));
        self.stars.push(Star { centre, half_height_mm, core_mm, hu, turns, twist });
    }

    fn add_catheter(&mut self, chest: &Chest, random: &mut Random) {
        let side = if random.chance(0.75) { 1.0 } else { -1.0 };
        let s = chest.scale;
        let under = |x: f32, z: f32, depth: f32| chest.under_skin(side * x * s.x, z * s.z, 1.0, depth);
        self.tubes_hu = random.within(250.0, 900.0);
        let tip = chest.place(20.0, 9.0, random.within(-45.0, 0.0));
        let mut stops = vec![];
        if self.device == Some(Device::Port) {
            let centre = under(52.0, 30.0, chest.fat_mm.clamp(7.0, 22.0));
            self.body = Some(Chamber { centre, radii: at(13.0, 6.0, 13.0) });
            self.body_hu = random.within(700.0, 3071.0);
            self.add_star(centre, 12.0, 8.0, self.body_hu * 0.06, random);
            stops.extend([centre, under(50.0, 60.0, 14.0), under(44.0, 88.0, 16.0)]);
        }
        stops.extend([chest.place(side * 32.0, 32.0, 100.0), chest.place(21.0, 12.0, 80.0)]);
        stops.extend([chest.place(19.0, 7.0, 20.0), tip]);
        let radius_mm = random.within(0.8, 1.4);
        self.tubes.path(&stops, [radius_mm; 2], None);
    }

    fn add_pacemaker(&mut self, chest: &Chest, random: &mut Random) {
        let s = chest.scale;
        let under = |x: f32, z: f32, depth: f32| chest.under_skin(x * s.x, z * s.z, 1.0, depth);
        let centre = under(-64.0, 50.0, chest.fat_mm.clamp(8.0, 24.0));
        self.body = Some(Chamber { centre, radii: at(23.0, 5.0, 20.0) });
        self.body_hu = 3071.0;
        self.tubes_hu = random.within(2000.0, 3071.0);
        self.add_star(centre, 20.0, 14.0, random.within(90.0, 260.0), random);
        let way = [centre, under(-50.0, 82.0, 15.0), chest.place(-30.0, 32.0, 100.0), chest.place(0.0, 14.0, 84.0)];
        let cava = [chest.place(19.0, 8.0, 68.0), chest.place(19.0, 7.0, 20.0), chest.place(20.0, 9.0, -40.0)];
        let ends = [chest.place(17.0, 28.0, -58.0), chest.place(-24.0, 48.0, -92.0)];
        let leads = random.within(1.0, 2.99) as usize;
        for end in &ends[2 - leads..] {
            let radius_mm = random.within(0.7, 1.1);
            let stops: Vec<Point> = way.into_iter().chain(cava).chain([*end]).collect();
            self.tubes.path(&stops, [radius_mm; 2], None);
            self.add_star(*end, 6.0, 2.0, random.within(60.0, 160.0), random);
        }
    }

    /// Draws devices over everything, blood too.
    pub(crate) fn draw(&self, lattice: &Lattice, background_hu: &mut [i16], artery: &mut [u8], vein: &mut [u8]) {
        let mut put = |cover: &[u8], hu: f32| {
            for (i, &cover) in cover.iter().enumerate().filter(|(_, c)| **c > 0) {
                let share = f32::from(cover) / 255.0;
                background_hu[i] = (f32::from(background_hu[i]) * (1.0 - share) + hu * share) as i16;
                artery[i] = artery[i].min(255 - cover);
                vein[i] = vein[i].min(255 - cover - artery[i]);
            }
        };
        if self.device.is_none() {
            return;
        }
        let mut cover = vec![0_u8; lattice.len()];
        draw_tubes(lattice, &self.tubes.segments().collect::<Vec<Segment>>(), &mut cover);
        put(&cover, self.tubes_hu);
        if let Some(body) = &self.body {
            cover.fill(0);
            draw_chamber(lattice, body, &mut cover);
            put(&cover, self.body_hu);
        }
    }
}

/// From here on nothing is left of a streak.
const REACH_MM: f32 = 130.0;

impl Star {
    /// HU that streaks add at a place.
    pub(crate) fn hu(&self, p: Point) -> f32 {
        let dz = p.z - self.centre.z;
        let (dx, dy) = (p.x - self.centre.x, p.y - self.centre.y);
        let d2 = dx * dx + dy * dy;
        if dz.abs() > self.half_height_mm || d2 > REACH_MM * REACH_MM {
            return 0.0;
        }
        let d = d2.sqrt();
        let angle = dy.atan2(dx);
        let wave = |k: usize, count: f32| (count * angle + self.turns[k] + self.twist[k] * dz).sin();
        let pattern = wave(0, 5.0) + 0.8 * wave(1, 9.0) + 0.6 * wave(2, 16.0);
        let fade = (1.0 - d / REACH_MM) / (1.0 + (d / 30.0).powi(2));
        let edge = ((d - self.core_mm) / 4.0).clamp(0.0, 1.0);
        let top = ((self.half_height_mm - dz.abs()) / 4.0).clamp(0.0, 1.0);
        self.hu * pattern * fade * edge * top
    }

    /// Whether a slice at this height has streaks of it.
    pub(crate) fn in_slice(&self, z: f32) -> bool {
        (z - self.centre.z).abs() <= self.half_height_mm
    }
}
