//! The shape of one chest: where lungs, lobes, diaphragm, mediastinum and body wall are.
//!
//! Everything is drawn for an adult whose carina is the origin, then stretched to the person.

use serde::Serialize;

use crate::config::Style;
use crate::point::{Point, at};
use crate::random::Random;

/// One person's shape. Distances are in mm, positive inside, and approximate: right near the surface.
#[derive(Debug, Clone)]
pub(crate) struct Chest {
    /// Stretch of the adult chest, x, y, z.
    pub(crate) scale: Point,
    /// Mean of the three.
    pub(crate) mean_scale: f32,
    /// Height of the domes in adult mm, left then right.
    dome_top: [f32; 2],
    heart: Point,
    heart_radii: Point,
    mediastinum_half_width: f32,
    oblique_slope: f32,
    pub(crate) fat_mm: f32,
    pub(crate) muscle_mm: f32,
    pub(crate) build: Build,
    /// Radii of a breast.
    pub(crate) breasts: Option<Point>,
}

/// How a person is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Build {
    /// Half to three quarters of an adult.
    Child,
    /// At most 8 mm of fat.
    Slim,
    /// 4 to 24 mm of fat.
    Usual,
    /// 25 to 60 mm of fat.
    Obese,
}

/// The lobes, in the order in which their trees are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lobe {
    RightUpper,
    RightMiddle,
    RightLower,
    LeftUpper,
    LeftLower,
}

impl Lobe {
    pub(crate) const ALL: [Self; 5] =
        [Self::RightUpper, Self::RightMiddle, Self::RightLower, Self::LeftUpper, Self::LeftLower];
}

impl Chest {
    pub(crate) fn new(seed: u64, style: Style) -> Self {
        let usual = Self::usual(seed);
        match style {
            Style::Plain => usual,
            Style::Hospital => usual.built(seed),
        }
    }

    fn usual(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let size = random.within(0.78, 1.0);
        let scale =
            at(size * random.within(0.94, 1.06), size * random.within(0.92, 1.08), size * random.within(0.9, 1.1));
        Self {
            scale,
            mean_scale: (scale.x + scale.y + scale.z) / 3.0,
            dome_top: [random.within(-112.0, -92.0), random.within(-104.0, -84.0)],
            heart: at(random.within(-24.0, -12.0), random.within(18.0, 26.0), random.within(-74.0, -64.0)),
            heart_radii: at(random.within(48.0, 60.0), random.within(40.0, 48.0), random.within(42.0, 52.0)),
            mediastinum_half_width: random.within(25.0, 34.0),
            oblique_slope: random.within(0.9, 1.2),
            fat_mm: random.within(4.0, 24.0),
            muscle_mm: random.within(10.0, 20.0),
            build: Build::Usual,
            breasts: None,
        }
    }

    /// The same chest in a body of any build: 7 % children, 18 % slim, 25 % obese; breasts on two of five adults.
    fn built(mut self, seed: u64) -> Self {
        let mut random = Random::new(seed, 32);
        let lot = random.unit();
        let (build, stretch, fat_mm) = match lot {
            l if l < 0.07 => (Build::Child, random.within(0.6, 0.8), random.within(3.0, 10.0)),
            l if l < 0.25 => (Build::Slim, 1.0, random.within(2.0, 8.0)),
            l if l < 0.5 => (Build::Obese, random.within(1.0, 1.08), random.within(25.0, 60.0)),
            _ => (Build::Usual, 1.0, self.fat_mm),
        };
        self.build = build;
        self.scale = self.scale * stretch;
        self.mean_scale *= stretch;
        self.fat_mm = fat_mm;
        self.muscle_mm *= if build == Build::Child { 0.5 } else { 1.0 };
        if random.chance(0.4) && build != Build::Child {
            let high = random.within(14.0, 45.0) + 0.3 * fat_mm;
            self.breasts = Some(at(random.within(46.0, 60.0) + 0.2 * fat_mm, high, random.within(48.0, 66.0)));
        }
        self
    }

    /// A place of the adult chest in this person.
    pub(crate) fn place(&self, x: f32, y: f32, z: f32) -> Point {
        at(x, y, z).times(self.scale)
    }

    /// How deep a place lies in the column of its lung, whatever else is there: the pleura towards ribs and apex.
    pub(crate) fn cavity_mm(&self, p: Point) -> f32 {
        let u = p.over(self.scale);
        let side = if u.x < 0.0 { -1.0 } else { 1.0 };
        let down = (-u.z / 100.0).clamp(0.0, 1.2);
        let up = (u.z / 105.0).clamp(0.0, 1.0);
        let centre = at(side * (61.0 - 8.0 * up), -9.0 + 7.0 * down - 12.0 * up, -10.0);
        let radii = at(65.0 + 5.0 * down, 82.0 + 4.0 * down - 6.0 * up, 117.0);
        let mut v = u - centre;
        v.z = v.z.max(0.0);
        let w = v.over(radii);
        // Between an ellipse and a box in the slice, an ellipse towards the apex.
        let (x2, y2, z2) = (w.x * w.x, w.y * w.y, w.z * w.z);
        let flat = 0.55 * (x2 + y2) + 0.45 * (x2 * x2 + y2 * y2).sqrt();
        let e = (flat + z2).sqrt().max(1e-3);
        v.norm() * (1.0 / e - 1.0) * self.mean_scale
    }

    /// How high a place lies above the diaphragm.
    pub(crate) fn above_diaphragm_mm(&self, p: Point) -> f32 {
        let u = p.over(self.scale);
        let (side, top) = if u.x < 0.0 { (-1.0, self.dome_top[0]) } else { (1.0, self.dome_top[1]) };
        let (x, y) = ((u.x - side * 58.0) / 70.0, (u.y - 8.0) / 92.0);
        let q = x * x + y * y;
        let fall = 52.0 * q * q.sqrt().sqrt();
        (u.z - top + fall) * 0.75 * self.mean_scale
    }

    /// How far a place lies outside the mediastinum, spine and heart; negative inside them.
    pub(crate) fn beside_mediastinum_mm(&self, p: Point) -> f32 {
        let u = p.over(self.scale);
        let low = ((-u.z - 10.0) / 60.0).clamp(0.0, 1.0);
        // Narrow behind the breastbone, wide at the roots of the lungs.
        let waist = (u.y / 50.0).clamp(0.0, 1.0);
        let back = ((-48.0 - u.y) / 30.0).clamp(0.0, 1.0);
        let half = self.mediastinum_half_width * (1.0 - 0.75 * waist - 0.45 * back) - 5.0 * low;
        let hilum = 7.0 * (1.0 - ((u.z + 22.0) / 42.0).powi(2)).max(0.0);
        let front = (u.x.abs() - half - hilum * (1.0 - waist)).max(-70.0 - u.y).max(u.y - 80.0);
        let spine = ellipse(u.x, u.y + 82.0, 29.0, 33.0);
        let neck = ellipse(u.x, u.y - 30.0, 36.0 + 0.2 * (u.z - 40.0).max(0.0), 44.0) + (60.0 - u.z).max(0.0);
        let aorta = ellipse(u.x + 23.0, u.y + 60.0, 15.0, 15.0) + (u.z - 22.0).max(0.0);
        let heart = ellipsoid(u - self.heart, self.heart_radii);
        front.min(spine).min(neck).min(aorta).min(heart) * self.mean_scale
    }

    /// Depth in the heart, negative outside.
    pub(crate) fn heart_depth_mm(&self, p: Point) -> f32 {
        -ellipsoid(p.over(self.scale) - self.heart, self.heart_radii) * self.mean_scale
    }

    /// Depth in the lung, negative outside.
    pub(crate) fn lung_mm(&self, p: Point) -> f32 {
        self.cavity_mm(p).min(self.above_diaphragm_mm(p)).min(self.beside_mediastinum_mm(p))
    }

    /// The place itself where it is this deep in a lung, else a place near it that is.
    pub(crate) fn kept_inside(&self, p: Point, depth_mm: f32) -> Point {
        let mut p = p;
        for _ in 0..6 {
            let depth = self.lung_mm(p);
            if depth >= depth_mm {
                break;
            }
            let slope = at(
                self.lung_mm(p + at(1.0, 0.0, 0.0)) - depth,
                self.lung_mm(p + at(0.0, 1.0, 0.0)) - depth,
                self.lung_mm(p + at(0.0, 0.0, 1.0)) - depth,
            );
            p = p + slope.unit() * (depth_mm - depth).min(8.0);
        }
        p
    }

    /// Signed distance to the oblique fissure, positive above and in front.
    pub(crate) fn oblique_mm(&self, p: Point) -> f32 {
        let u = p.over(self.scale);
        let bend = 0.0016 * (u.x.abs() - 60.0).powi(2) - 4.0 * (u.y / 40.0).sin();
        (u.z + 26.0 + self.oblique_slope * u.y + bend) * 0.7 * self.mean_scale
    }

    /// Signed distance to the right lung's horizontal fissure, positive above.
    pub(crate) fn horizontal_mm(&self, p: Point) -> f32 {
        let u = p.over(self.scale);
        (u.z + 12.0 + 0.002 * (u.x - 60.0).powi(2) - 0.1 * u.y) * self.mean_scale
    }

    /// The lobe of a place in a lung, and its distance to the nearest fissure.
    pub(crate) fn lobe(&self, p: Point) -> (Lobe, f32) {
        let oblique = self.oblique_mm(p);
        if p.x < 0.0 {
            let lobe = if oblique > 0.0 { Lobe::LeftUpper } else { Lobe::LeftLower };
            return (lobe, oblique.abs());
        }
        if oblique <= 0.0 {
            return (Lobe::RightLower, -oblique);
        }
        let horizontal = self.horizontal_mm(p);
        let lobe = if horizontal > 0.0 { Lobe::RightUpper } else { Lobe::RightMiddle };
        (lobe, oblique.min(horizontal.abs()))
    }

    /// How deep a place lies under the skin.
    pub(crate) fn body_mm(&self, p: Point) -> f32 {
        let trunk = self.trunk_mm(p);
        match self.breasts {
            Some(radii) if p.y > 0.0 => {
                let front = self.place(0.0, 80.0, 0.0).y + (self.fat_mm + self.muscle_mm) * 0.7;
                let centre = at(self.scale.x * 58.0 + radii.x * 0.2, front - 0.35 * radii.y, self.scale.z * -45.0);
                trunk.max(-ellipsoid(at(p.x.abs(), p.y, p.z) - centre, radii))
            }
            _ => trunk,
        }
    }

    /// The first place from outside along y, from the front (1) or the back (-1), that lies this deep in the trunk.
    pub(crate) fn under_skin(&self, x: f32, z: f32, side: f32, depth_mm: f32) -> Point {
        let mut p = at(x, side * 260.0, z);
        while self.trunk_mm(p) < depth_mm && p.y * side > 0.0 {
            p.y -= side;
        }
        p
    }

    /// How deep a place lies in the body without its breasts.
    pub(crate) fn trunk_mm(&self, p: Point) -> f32 {
        let u = p.over(self.scale);
        let wall = (self.fat_mm + self.muscle_mm) / self.mean_scale;
        let radii = at(128.0 + wall, 93.0 + wall * 0.9, 1.0);
        let shoulder = 1.0 + 0.25 * ((u.z - 50.0) / 60.0).clamp(0.0, 1.0);
        let (x, y) = (u.x / (radii.x * shoulder), (u.y + 6.0) / radii.y);
        let (x2, y2) = (x * x, y * y);
        let e = (0.5 * (x2 + y2) + 0.5 * (x2 * x2 + y2 * y2).sqrt()).sqrt().max(1e-3);
        (u.x * u.x + (u.y + 6.0) * (u.y + 6.0)).sqrt() * (1.0 / e - 1.0) * self.mean_scale
    }

    /// The corners of a box round both lungs, mm.
    pub(crate) fn lung_box_mm(&self) -> (Point, Point) {
        let low = self.dome_top[0].min(self.dome_top[1]) - 45.0;
        (self.place(-132.0, -92.0, low), self.place(132.0, 86.0, 109.0))
    }

    /// One seed a twig: a jittered lattice of this step through the lungs, by lobe, away from pleura and fissures.
    pub(crate) fn seeds(&self, step_mm: f32, random: &mut Random) -> [Vec<Point>; 5] {
        let mut seeds: [Vec<Point>; 5] = Default::default();
        let (low, high) = self.lung_box_mm();
        let count = |a: f32, b: f32| ((b - a) / step_mm).ceil() as usize;
        for k in 0..count(low.z, high.z) {
            for j in 0..count(low.y, high.y) {
                for i in 0..count(low.x, high.x) {
                    let jitter = at(random.unit(), random.unit(), random.unit());
                    let p = low + (at(i as f32, j as f32, k as f32) + jitter) * step_mm;
                    if self.lung_mm(p) < 3.0 {
                        continue;
                    }
                    let (lobe, fissure) = self.lobe(p);
                    if fissure > 2.0 {
                        seeds[lobe as usize].push(p);
                    }
                }
            }
        }
        seeds
    }
}

/// Approximate signed distance outside an ellipse.
fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let e = (x / rx).hypot(y / ry).max(1e-3);
    x.hypot(y) * (1.0 - 1.0 / e)
}

/// Approximate signed distance outside an ellipsoid.
pub(crate) fn ellipsoid(v: Point, radii: Point) -> f32 {
    let e = v.over(radii).norm().max(1e-3);
    v.norm() * (1.0 - 1.0 / e)
}
