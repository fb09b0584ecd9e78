//! Everything but blood: HU of lung, fat, muscle, bone, bowel and air at a place.

use crate::bones::{Bones, Material};
use crate::chest::{Chest, ellipsoid};
use crate::config::Style;
use crate::disease::{Band, Diseases, Held, Nodule, bands, nodules};
use crate::point::{Point, at};
use crate::random::Random;
use crate::surroundings::Surroundings;
use crate::texture::Texture;

/// One person's tissues.
#[derive(Debug)]
pub(crate) struct Painter<'a> {
    chest: &'a Chest,
    bones: Bones,
    texture: Texture,
    nodules: Vec<Nodule>,
    bands: Vec<Band>,
    lung_hu: f32,
    gravity_hu_per_mm: f32,
    grain_hu: f32,
    grain_mm: f32,
    emphysema: f32,
    /// Share of the lung that is hazy, 0 to about 1.
    haze: f32,
    fissure_hu: f32,
    seam: f32,
    fat_hu: f32,
    muscle_hu: f32,
    liver_hu: f32,
    soft_share: f32,
    /// Share of gland in a breast, as a threshold of its texture.
    gland: f32,
    pub(crate) diseases: Diseases,
    pub(crate) surroundings: Surroundings,
}

impl<'a> Painter<'a> {
    pub(crate) fn new(chest: &'a Chest, seed: u64, style: Style) -> Self {
        let mut random = Random::new(seed, 9);
        let mut painter = Self {
            chest,
            bones: Bones::new(seed),
            texture: Texture::new(seed, 10),
            nodules: nodules(chest, &mut random),
            bands: bands(chest, &mut random),
            lung_hu: if random.chance(0.15) { random.within(-945.0, -900.0) } else { random.normal(-868.0, 30.0) },
            gravity_hu_per_mm: random.within(0.1, 0.7),
            grain_hu: random.within(8.0, 30.0),
            grain_mm: random.within(2.0, 5.0),
            emphysema: if random.chance(0.25) { random.within(0.3, 1.0) } else { 0.0 },
            haze: if random.chance(0.2) { random.within(0.2, 0.9) } else { 0.0 },
            seam: random.within(0.03, 0.2),
            fissure_hu: random.within(20.0, 220.0),
            fat_hu: random.normal(-98.0, 8.0),
            muscle_hu: random.normal(52.0, 8.0),
            liver_hu: random.within(45.0, 120.0),
            soft_share: random.within(-0.4, 0.9),
            gland: 0.0,
            diseases: Diseases::new(chest, seed, style),
            surroundings: Surroundings::new(chest, seed, style, random.chance(0.6)),
        };
        painter.gland = random.within(-0.6, 1.2);
        painter
    }

    /// The names of what is wrong with these lungs.
    pub(crate) fn findings(&self) -> Vec<&'static str> {
        let mut names = self.diseases.names();
        let own = [
            ("nodules", !self.nodules.is_empty()),
            ("bands", !self.bands.is_empty()),
            ("emphysema", self.emphysema > 0.0),
            ("haze", self.haze > 0.0),
        ];
        names.extend(own.into_iter().filter(|(_, is)| *is).map(|(name, _)| name));
        names
    }

    /// HU at a place, with edges softened over `width_mm`, and what it is.
    pub(crate) fn paint(&self, p: Point, width_mm: f32) -> (f32, Held) {
        let body = self.chest.body_mm(p);
        if body < -width_mm {
            return (self.surroundings.hu(&self.texture, p, body), Held::Other);
        }
        let (inside, held) = self.inside(p, body, width_mm);
        let share = (0.5 + body / width_mm).clamp(0.0, 1.0);
        (-1000.0 + (inside + 1000.0) * share, held)
    }

    fn inside(&self, p: Point, body: f32, width_mm: f32) -> (f32, Held) {
        let cavity = self.chest.cavity_mm(p);
        let mut lung = cavity;
        if lung > -width_mm {
            lung = lung.min(self.chest.above_diaphragm_mm(p)).min(self.chest.beside_mediastinum_mm(p));
        }
        if lung > width_mm * 0.5 {
            return self.filling(p, cavity, lung);
        }
        let solid = if cavity < 0.0 { self.wall(p, body, -cavity) } else { self.core(p) };
        let share = (0.5 + lung / width_mm).clamp(0.0, 1.0);
        if share <= 0.0 {
            return (solid, Held::Other);
        }
        let (hu, held) = self.filling(p, cavity, lung);
        (solid + (hu - solid) * share, if share >= 0.5 { held } else { Held::Other })
    }

    /// What the place of a lung holds.
    fn filling(&self, p: Point, cavity: f32, depth: f32) -> (f32, Held) {
        if self.diseases.bars_vessels()
            && let Some(other) = self.diseases.instead_of_lung(self.chest, p, cavity, self.texture.sample(p, 4.0))
        {
            return other;
        }
        (self.parenchyma(p, depth), Held::Lung)
    }

    fn parenchyma(&self, p: Point, depth: f32) -> f32 {
        let mut hu = self.lung_hu - self.gravity_hu_per_mm * p.y;
        hu += self.grain_hu * self.texture.sample(p, self.grain_mm);
        hu += 12.0 * self.texture.sample(p + at(31.0, 7.0, 3.0), 17.0);
        // Lung is denser along the dependent pleura.
        if depth < 8.0 && p.y < -40.0 {
            hu += (8.0 - depth) * self.gravity_hu_per_mm * 8.0;
        }
        if self.emphysema > 0.0 {
            let hole = self.texture.sample(p + at(5.0, 90.0, 41.0), 9.0) + 0.6 * self.texture.sample(p, 23.0);
            if hole > 0.9 - 0.5 * self.emphysema {
                hu = hu.min(-955.0 + 10.0 * self.texture.sample(p, 2.0));
            }
        }
        if self.haze > 0.0 {
            let cloud = self.texture.sample(p + at(77.0, 13.0, 8.0), 22.0) + 0.5 * self.texture.sample(p, 6.0);
            hu += 420.0 * self.haze * (cloud - 1.4 + 0.5 * self.haze).clamp(0.0, 1.0);
        }
        for band in &self.bands {
            let v = p - band.centre;
            let off = v.dot(band.normal).abs() - band.half_width_mm;
            if off < 1.0 && v.dot(v) < band.radius_mm * band.radius_mm {
                hu += (-150.0 - hu) * (0.5 - off).clamp(0.0, 1.0);
            }
        }
        let (_, fissure) = self.chest.lobe(p);
        if fissure < 1.2 && self.texture.sample(p + at(3.0, 2.0, 77.0), 30.0) > -0.7 {
            hu += self.fissure_hu * (1.0 - fissure / 1.2);
        }
        for nodule in &self.nodules {
            let d = (p - nodule.centre).norm() + self.texture.sample(p, 4.0) * nodule.radius_mm * 0.15;
            if d < nodule.radius_mm + 1.0 {
                hu += (nodule.hu - hu) * (nodule.radius_mm + 0.5 - d).clamp(0.0, 1.0);
            }
        }
        self.diseases.solid(self.chest, &self.texture, p, hu).max(-1000.0)
    }

    /// Skin, fat, muscle and bone between pleura and air.
    fn wall(&self, p: Point, body: f32, wall_mm: f32) -> f32 {
        if body < 1.8 {
            return 10.0;
        }
        if let Some(hu) = self.bone(p, wall_mm) {
            return hu;
        }
        let rough = self.texture.sample(p, 11.0);
        let u = p.over(self.chest.scale);
        if u.z < -60.0 && self.chest.above_diaphragm_mm(p) < -4.0 && wall_mm > 2.0 && wall_mm < 4.0 {
            return self.fat_hu;
        }
        let trunk = self.chest.trunk_mm(p);
        if trunk < 1.8 {
            let gland = self.texture.sample(p, 8.0) > self.gland;
            return if gland { self.muscle(p) - 20.0 } else { self.fat(p) };
        }
        if trunk < self.chest.fat_mm * (1.0 + 0.25 * rough) {
            return self.fat(p);
        }
        if wall_mm < 2.0 {
            return self.fat(p) * 0.5;
        }
        // Fat between muscles.
        let seam = self.texture.sample(p + at(11.0, 19.0, 23.0), 15.0);
        if seam.abs() < self.seam { self.fat(p) } else { self.muscle(p) }
    }

    /// Mediastinum, heart wall and the organs below the diaphragm.
    fn core(&self, p: Point) -> f32 {
        let u = p.over(self.chest.scale);
        if let Some(hu) = self.bone(p, 0.0) {
            return hu;
        }
        if self.chest.above_diaphragm_mm(p) < 0.0 && self.chest.beside_mediastinum_mm(p) > -6.0 {
            return self.below(p);
        }
        let heart = self.chest.heart_depth_mm(p);
        if heart > 3.0 {
            return self.muscle(p) + 10.0;
        }
        let gullet = ellipsoid(at(u.x + 5.0, u.y + 46.0, 0.0), at(9.0, 6.0, 1.0));
        if gullet < 0.0 {
            return if gullet < -4.0 { -200.0 } else { self.muscle(p) };
        }
        let nodes = self.texture.sample(p + at(1.0, 50.0, 9.0), 7.0) + 0.5 * self.texture.sample(p, 3.0);
        // From almost all fat to almost none: the old and the young.
        if nodes < self.soft_share { self.fat(p) } else { self.muscle(p) - 10.0 }
    }

    fn below(&self, p: Point) -> f32 {
        let u = p.over(self.chest.scale);
        let bubble = ellipsoid(u - at(-52.0, 30.0, -128.0), at(26.0, 20.0, 14.0));
        if bubble < 0.0 {
            return -990.0;
        }
        if self.chest.above_diaphragm_mm(p) > -3.0 {
            return self.muscle(p);
        }
        if u.x < -10.0 && self.texture.sample(p, 26.0) > 0.3 {
            return self.fat(p);
        }
        self.liver_hu + 5.0 * self.texture.sample(p, 3.0)
    }

    fn bone(&self, p: Point, wall_mm: f32) -> Option<f32> {
        let (depth, material) = self.bones.depth(self.chest, p, wall_mm);
        let grain = self.texture.sample(p, 2.6);
        (depth > 0.0).then_some(match material {
            Material::Cartilage => 105.0 + 20.0 * grain,
            Material::Disc => 85.0 + 8.0 * grain,
            Material::Canal => 18.0,
            Material::Bone if depth < 1.6 => self.bones.cortex_hu + 80.0 * grain,
            Material::Bone => self.bones.marrow_hu + 60.0 * grain,
        })
    }

    fn fat(&self, p: Point) -> f32 {
        self.fat_hu + 9.0 * self.texture.sample(p, 3.5)
    }

    fn muscle(&self, p: Point) -> f32 {
        self.muscle_hu + 9.0 * self.texture.sample(p, 3.0)
    }
}
