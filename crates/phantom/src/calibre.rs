//! How wide the vessels and bronchi of one chest are, and how far out bronchi can be seen.

use crate::bronchi::{LUMEN_RATIO, wall_mm};
use crate::chest::Chest;
use crate::config::Style;
use crate::growth::Tree;
use crate::lattice::Lattice;
use crate::random::Random;
use crate::tubes::{Segment, Tubes};

/// Vessels from this radius on are thinner in scans of the living than the branching law and casts have them.
const WIDE_MM: f32 = 1.0;

/// One person's calibres.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibre {
    /// Factor on the distance between twigs.
    pub(crate) sparse: f32,
    /// Factor on all radii.
    size: f32,
    /// Exponent of what is wider than [`WIDE_MM`]; 1 keeps the branching law.
    power: f32,
    /// Diameter of a lumen over that which the law gives its artery.
    lumen_ratio: f32,
    /// Factor on the thickness of bronchial walls.
    wall: f32,
}

impl Calibre {
    pub(crate) fn new(chest: &Chest, seed: u64, style: Style) -> Self {
        if style == Style::Plain {
            return Self { sparse: 1.0, size: 1.0, power: 1.0, lumen_ratio: LUMEN_RATIO, wall: 1.0 };
        }
        let mut random = Random::new(seed, 30);
        Self {
            sparse: random.within(1.06, 1.24),
            // Vessels grow with the body.
            size: (chest.mean_scale / 0.9).sqrt().clamp(0.7, 1.0) * random.within(0.94, 1.02),
            power: random.within(0.7, 0.9),
            lumen_ratio: random.within(0.58, 0.78),
            wall: random.within(0.8, 1.25),
        }
    }

    /// Gives a tree that follows the branching law the calibres of this person.
    pub(crate) fn fit(&self, tree: &mut Tree) {
        for branch in &mut tree.branches {
            branch.radius_mm = self.fitted_mm(branch.radius_mm);
        }
    }

    fn fitted_mm(&self, radius_mm: f32) -> f32 {
        if self.power == 1.0 {
            return radius_mm * self.size;
        }
        let wide = (radius_mm / WIDE_MM).max(1.0);
        radius_mm * wide.powf(self.power - 1.0) * self.size
    }

    /// The radius of which [`Self::fit`] made this one.
    pub(crate) fn by_law_mm(&self, fitted_mm: f32) -> f32 {
        let radius_mm = fitted_mm / self.size;
        let wide = (radius_mm / WIDE_MM).max(1.0);
        if self.power == 1.0 { radius_mm } else { radius_mm * wide.powf(1.0 / self.power - 1.0) }
    }

    /// Radius of the lumen beside an artery of this radius, `vary` times the usual one: bronchi keep the calibre that
    /// the law gives them.
    pub(crate) fn lumen_mm(&self, artery_radius_mm: f32, vary: f32) -> f32 {
        self.by_law_mm(artery_radius_mm) * self.size * (self.lumen_ratio * vary)
    }

    /// Thickness of the wall round a lumen.
    pub(crate) fn wall_mm(&self, lumen_radius_mm: f32) -> f32 {
        wall_mm(lumen_radius_mm) * self.wall
    }
}

/// Which bronchi can be seen, by the radius of their lumen: all of those that are wider than a limit, none that is
/// much thinner, and fewer and fewer in between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fade {
    /// Lumens from here on are seen and belong to the truth.
    pub(crate) seen_mm: f32,
    /// Half the width of the range of radii over which they fade, as a share of `seen_mm`.
    spread: f32,
}

/// Lengths of lumen that scans of people show, mm: 1.07 m to 4.73 m were measured (docs/method.md, Phantoms).
const SEEN_MM: [f32; 2] = [1100.0, 4800.0];

impl Fade {
    /// Plain phantoms show all bronchi; elsewhere a length is drawn, shorter where voxels are large, and the limit is
    /// put where the wider bronchi add up to it.
    pub(crate) fn new(bronchi: &Tubes, lattice: &Lattice, seed: u64, style: Style) -> Self {
        if style == Style::Plain {
            return Self { seen_mm: 0.0, spread: 0.0 };
        }
        let mut random = Random::new(seed, 31);
        // Thick slices hide bronchi that lie in them.
        let voxel_mm = 0.5 * lattice.spacing_mm.iter().product::<f32>().cbrt() + 0.25 * lattice.spacing_mm[0];
        // At 0.8 mm anything from a fifth to all of the range, at 1.8 mm and more its lowest quarter.
        let coarse = ((voxel_mm - 0.8) / 1.0).clamp(0.0, 1.0);
        let share = random.within(0.2 - 0.2 * coarse, 1.0 - 0.75 * coarse);
        let wanted_mm = SEEN_MM[0] * (SEEN_MM[1] / SEEN_MM[0]).powf(share);
        let mut lumens: Vec<(f32, f32)> =
            bronchi.segments().map(|s| (s.to_radius_mm, (s.to - s.from).norm())).collect();
        lumens.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut length_mm = 0.0;
        let limit = lumens.iter().find(|(_, mm)| {
            length_mm += mm;
            length_mm >= wanted_mm
        });
        Self { seen_mm: limit.map_or(0.0, |l| l.0), spread: random.within(0.05, 0.3) }
    }

    /// How much of a lumen of this radius is seen, 0 to 1.
    pub(crate) fn share(self, lumen_radius_mm: f32) -> f32 {
        if self.seen_mm == 0.0 {
            return 1.0;
        }
        let off = (lumen_radius_mm / self.seen_mm - 1.0) / self.spread;
        let t = (0.5 + 0.5 * off).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }

    /// Whether a segment belongs to the truth.
    pub(crate) fn sees(self, lumen: &Segment) -> bool {
        lumen.to_radius_mm >= self.seen_mm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Anatomy;
    use crate::layers::tests::coarse;

    #[test]
    fn fitted_radii_come_back_to_the_law() {
        let calibre = Calibre::new(&Chest::new(3, Style::Hospital), 3, Style::Hospital);
        for radius_mm in [0.4, 0.99, 1.01, 2.0, 8.0] {
            let back = calibre.by_law_mm(calibre.fitted_mm(radius_mm));
            assert!((back / radius_mm - 1.0).abs() < 1e-4, "{radius_mm}: {back}");
        }
    }

    #[test]
    fn as_much_of_the_bronchi_is_seen_as_in_people() {
        for seed in 1..6 {
            let anatomy = Anatomy::grow(seed, Style::Hospital);
            let fade = Fade::new(&anatomy.bronchi.tubes, &coarse(&anatomy), seed, Style::Hospital);
            let seen = anatomy.bronchi.tubes.segments().filter(|s| fade.sees(s));
            let metres = seen.map(|s| (s.to - s.from).norm()).sum::<f32>() * 1e-3;
            println!("seed {seed}: {metres:.2} m of lumen seen, from {:.2} mm", fade.seen_mm);
            assert!((1.0..5.0).contains(&metres));
            assert!(fade.share(fade.seen_mm * 0.65) == 0.0 && fade.share(fade.seen_mm * 1.35) == 1.0);
        }
    }
}
