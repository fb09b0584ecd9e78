//! Ribs, spine, sternum, collar bones and shoulder blades, as depths below their surface.

use crate::chest::{Chest, ellipsoid};
use crate::point::{Point, at};
use crate::random::Random;

/// The skeleton of one chest.
#[derive(Debug)]
pub(crate) struct Bones {
    rib_pitch: f32,
    rib_shift: f32,
    rib_drop: f32,
    disc_shift: f32,
    /// Angle from the side at which bone turns to cartilage, radians.
    cartilage: f32,
    pub(crate) cortex_hu: f32,
    pub(crate) marrow_hu: f32,
}

/// What a place in the skeleton is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Material {
    Bone,
    Cartilage,
    Disc,
    Canal,
}

impl Bones {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 8);
        Self {
            rib_pitch: random.within(21.0, 26.0),
            rib_shift: random.within(0.0, 24.0),
            rib_drop: random.within(40.0, 75.0),
            disc_shift: random.within(0.0, 24.0),
            cartilage: random.within(0.7, 1.0),
            cortex_hu: random.within(380.0, 900.0),
            marrow_hu: random.within(90.0, 260.0),
        }
    }

    /// Depth below the bone's surface in adult mm (negative outside) and the kind, for the bone that is nearest.
    /// `wall_mm` is the distance outside the pleura.
    pub(crate) fn depth(&self, chest: &Chest, p: Point, wall_mm: f32) -> (f32, Material) {
        let u = p.over(chest.scale);
        let mut best = (-9.0, Material::Bone);
        let mut keep = |depth: f32, bone| {
            if depth > best.0 {
                best = (depth, bone);
            }
        };
        let front = (u.y + 6.0).atan2(u.x.abs());
        if wall_mm > 0.0 && wall_mm < 16.0 && u.x.abs() > 12.0 {
            keep(
                self.rib(u, wall_mm, front),
                if front > self.cartilage { Material::Cartilage } else { Material::Bone },
            );
        }
        let flank = at(u.x.abs(), u.y, u.z);
        if u.y < -40.0 {
            if flank.x < 40.0 {
                let (depth, bone) = self.spine(flank);
                keep(depth, bone);
            }
            keep(shoulder_blade(flank), Material::Bone);
        }
        if u.y > 20.0 {
            keep(breastbone(flank), Material::Bone);
            keep(capsule(flank, at(14.0, 78.0, 54.0), at(115.0, 38.0, 90.0), 6.0), Material::Bone);
        }
        best
    }

    fn rib(&self, u: Point, wall_mm: f32, front: f32) -> f32 {
        let along = (front + std::f32::consts::FRAC_PI_2) / std::f32::consts::PI;
        // From the spine a rib falls, and its cartilage climbs back to the sternum.
        let line = self.rib_drop * (along - 1.6 * (along - 0.72).max(0.0) * 1.6);
        let z = (u.z + line + self.rib_shift + 50.0 * self.rib_pitch) % self.rib_pitch;
        let off = z - self.rib_pitch * 0.5;
        let e = ((wall_mm - 7.0) / 4.2).hypot(off * 0.85 / 6.0).max(1e-3);
        4.8 * (1.0 - e)
    }

    fn spine(&self, u: Point) -> (f32, Material) {
        let z = (u.z + self.disc_shift + 50.0 * 24.0) % 24.0;
        let waist = 1.0 - 0.1 * (std::f32::consts::PI * (z - 5.0) / 19.0).sin().max(0.0);
        let body = -ellipse(u.x, u.y + 82.0, 18.0 * waist, 14.5 * waist);
        if body > -2.0 && z < 5.0 {
            return (body, Material::Disc);
        }
        let canal = -ellipse(u.x, u.y + 104.0, 9.0, 8.0);
        if canal > 0.0 {
            return (canal, Material::Canal);
        }
        let arch = -ellipse(u.x, u.y + 104.0, 14.0, 12.0);
        let spinous = (4.0 - u.x).min(u.y + 138.0).min(-105.0 - u.y);
        let transverse = (5.0 - (u.y + 100.0 + 0.3 * u.x).abs()).min(34.0 - u.x).min(z - 6.0).min(18.0 - z);
        (body.max(arch).max(spinous).max(transverse), Material::Bone)
    }
}

fn breastbone(u: Point) -> f32 {
    let width = if u.z > 22.0 { 27.0 } else { 17.0 };
    let off = (u.x / width).powi(4) + ((u.y - 81.0 + 0.08 * (u.z - 10.0)) / 6.0).powi(2);
    (6.0 * (1.0 - off.sqrt().sqrt())).min(58.0 - u.z).min(u.z + 80.0)
}

fn shoulder_blade(u: Point) -> f32 {
    let v = u - at(92.0, -92.0, 45.0);
    // Turned about the long axis to hug the ribs.
    let turned = at(v.x * 0.77 - v.y * 0.64, v.x * 0.64 + v.y * 0.77, v.z);
    (-ellipsoid(turned, at(44.0, 5.0, 62.0))).min(5.0)
}

fn capsule(p: Point, a: Point, b: Point, radius: f32) -> f32 {
    let axis = b - a;
    let t = ((p - a).dot(axis) / axis.dot(axis)).clamp(0.0, 1.0);
    radius - (p - a - axis * t).norm()
}

fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let e = (x / rx).hypot(y / ry).max(1e-3);
    x.hypot(y) * (1.0 - 1.0 / e)
}
