//! What is wrong in a lung: nodules, scars, fluid, consolidation, a lung that was taken out.

use crate::chest::{Chest, Lobe};
use crate::config::Style;
use crate::point::{Point, at};
use crate::random::Random;
use crate::texture::Texture;

/// A round shadow in the lung.
#[derive(Debug)]
pub(crate) struct Nodule {
    pub(crate) centre: Point,
    pub(crate) radius_mm: f32,
    pub(crate) hu: f32,
}

/// A scar or a strip of collapsed lung: a flat piece of a plane.
#[derive(Debug)]
pub(crate) struct Band {
    pub(crate) centre: Point,
    pub(crate) normal: Point,
    pub(crate) radius_mm: f32,
    pub(crate) half_width_mm: f32,
}

/// Lung without air, up to the fissures of its lobe.
#[derive(Debug)]
struct Consolidation {
    centre: Point,
    lobe: Lobe,
    radius_mm: f32,
    hu: f32,
}

/// What a place in the chest's cavity holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Something else than lung.
    Other,
    /// Lung, with air or without.
    Lung,
    /// Fluid beside a lung: counts as lung, holds no vessel.
    Fluid,
    /// What fills the place of a lung that is gone: no lung, no vessel.
    Gone,
}

/// Diseases that only some chests have. Sides: 0 left, 1 right.
#[derive(Debug, Default)]
pub(crate) struct Diseases {
    /// Thickest layer of fluid behind each lung, mm.
    effusion_mm: [f32; 2],
    fluid_hu: f32,
    consolidations: Vec<Consolidation>,
    masses: Vec<Nodule>,
    removed: Option<usize>,
}

impl Diseases {
    /// 15 % have fluid, 12 % consolidations, 8 % a mass, 3 % one lung; a plain phantom has none of these.
    pub(crate) fn new(chest: &Chest, seed: u64, style: Style) -> Self {
        if style == Style::Plain {
            return Self::default();
        }
        let mut random = Random::new(seed, 34);
        let mut diseases = Self { fluid_hu: random.within(-5.0, 30.0), ..Self::default() };
        if random.chance(0.03) {
            // The lung that a half-labelled phantom of this seed has labels in stays.
            diseases.removed = Some(usize::from(seed.is_multiple_of(2)));
        } else if random.chance(0.15) {
            let sides = random.unit();
            let thickness = [random.within(6.0, 34.0), random.within(6.0, 34.0)];
            let ill = [sides < 0.65, sides >= 0.35];
            diseases.effusion_mm = [0, 1].map(|i| if ill[i] { thickness[i] } else { 0.0 });
        }
        if random.chance(0.12) {
            let count = random.within(1.0, 3.99) as usize;
            diseases.consolidations = (0..count).filter_map(|_| consolidation(chest, &mut random)).collect();
        }
        if random.chance(0.08) {
            diseases.masses.extend(place_in_lung(chest, &mut random).map(|centre| Nodule {
                centre,
                radius_mm: random.within(10.0, 26.0),
                hu: random.within(20.0, 90.0),
            }));
        }
        diseases
    }

    /// The names of what there is.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let all = [
            ("effusion", self.effusion_mm.iter().any(|&mm| mm > 0.0)),
            ("consolidation", !self.consolidations.is_empty()),
            ("mass", !self.masses.is_empty()),
            ("lungRemoved", self.removed.is_some()),
        ];
        all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
    }

    /// Whether some place holds no vessel although the chest's shape has lung there.
    pub(crate) fn bars_vessels(&self) -> bool {
        self.removed.is_some() || self.effusion_mm.iter().any(|&mm| mm > 0.0)
    }

    /// What replaces the lung at a place, and its HU; `cavity_mm` is the depth under the pleura.
    pub(crate) fn instead_of_lung(&self, chest: &Chest, p: Point, cavity_mm: f32, rough: f32) -> Option<(f32, Held)> {
        let side = usize::from(p.x >= 0.0);
        if self.removed == Some(side) {
            return Some((self.fluid_hu + 6.0 * rough, Held::Gone));
        }
        let most = self.effusion_mm[side];
        if most == 0.0 {
            return None;
        }
        // Fluid runs to the back and the base of somebody who lies on the back.
        let u = p.over(chest.scale);
        let layer = most * ((-5.0 - u.y) / 55.0).clamp(0.0, 1.0) * ((45.0 - u.z) / 90.0).clamp(0.0, 1.0);
        if cavity_mm < layer {
            return Some((self.fluid_hu + 4.0 * rough, Held::Fluid));
        }
        // Lung beside fluid is pressed together.
        let pressed = layer > 3.0 && cavity_mm < layer * 1.25 + 2.0 * rough;
        pressed.then_some((45.0 + 15.0 * rough, Held::Lung))
    }

    /// HU of the lung at a place with consolidations and masses in it.
    pub(crate) fn solid(&self, chest: &Chest, texture: &Texture, p: Point, hu: f32) -> f32 {
        let mut hu = hu;
        for c in &self.consolidations {
            let v = p - c.centre;
            if v.dot(v) > 2.6 * c.radius_mm * c.radius_mm || chest.lobe(p).0 != c.lobe {
                continue;
            }
            let d = v.norm() / c.radius_mm + 0.22 * texture.sample(p, 14.0) + 0.06 * texture.sample(p, 4.0);
            hu += (c.hu + 12.0 * texture.sample(p, 3.0) - hu) * ((1.0 - d) * 4.0).clamp(0.0, 1.0);
        }
        for mass in &self.masses {
            let d = (p - mass.centre).norm() + texture.sample(p, 7.0) * mass.radius_mm * 0.15;
            if d < mass.radius_mm + 1.0 {
                hu += (mass.hu - hu) * (mass.radius_mm + 0.5 - d).clamp(0.0, 1.0);
            }
        }
        hu
    }
}

fn place_in_lung(chest: &Chest, random: &mut Random) -> Option<Point> {
    let (low, high) = chest.lung_box_mm();
    (0..20).find_map(|_| {
        let mut within = |a, b| random.within(a, b);
        let p = at(within(low.x, high.x), within(low.y, high.y), within(low.z, high.z));
        (chest.lung_mm(p) > 4.0).then_some(p)
    })
}

fn consolidation(chest: &Chest, random: &mut Random) -> Option<Consolidation> {
    let centre = place_in_lung(chest, random)?;
    let lobe = chest.lobe(centre).0;
    Some(Consolidation { centre, lobe, radius_mm: random.within(14.0, 40.0), hu: random.within(-60.0, 70.0) })
}

pub(crate) fn bands(chest: &Chest, random: &mut Random) -> Vec<Band> {
    let count = if random.chance(0.3) { random.within(1.0, 5.0) as usize } else { 0 };
    (0..count)
        .filter_map(|_| {
            let (low, high) = chest.lung_box_mm();
            let mut within = |a, b| random.within(a, b);
            let centre = at(within(low.x, high.x), within(low.y, high.y), within(low.z, high.z));
            let (radius_mm, half_width_mm) = (within(8.0, 30.0), within(0.5, 1.6));
            let normal = random.direction();
            (chest.lung_mm(centre) > 1.0).then_some(Band { centre, normal, radius_mm, half_width_mm })
        })
        .collect()
}

pub(crate) fn nodules(chest: &Chest, random: &mut Random) -> Vec<Nodule> {
    let count = if random.chance(0.5) { random.within(1.0, 7.0) as usize } else { 0 };
    (0..count)
        .filter_map(|_| {
            let (low, high) = chest.lung_box_mm();
            let mut within = |a, b| random.within(a, b);
            let centre = at(within(low.x, high.x), within(low.y, high.y), within(low.z, high.z));
            let radius_mm = 2.0 + 8.0 * within(0.0, 1.0).powi(2);
            let hu = if within(0.0, 1.0) < 0.25 { within(-650.0, -300.0) } else { within(0.0, 80.0) };
            (chest.lung_mm(centre) > 1.0).then_some(Nodule { centre, radius_mm, hu })
        })
        .collect()
}
