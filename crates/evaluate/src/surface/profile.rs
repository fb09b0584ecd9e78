//! Distances from each mask to the other, sorted.

use pulmoav_volume::bits::Bits;
use rayon::prelude::*;

/// A piece of a surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Element {
    /// To the nearest piece of the other surface, mm; infinite where the other has none.
    pub(crate) distance_mm: f64,
    /// Its area in mm², or 1 for a voxel.
    pub(crate) weight: f64,
}

/// The pieces that count, by their distance: of the prediction, and of the reference.
#[derive(Debug)]
pub(crate) struct Profiles(pub(crate) [Vec<Element>; 2]);

impl Profiles {
    /// Of pieces at `places`; `all`: every one counts.
    pub(crate) fn of(
        places: &[Bits; 2],
        elements: &[Vec<Element>; 2],
        all: bool,
        lets: impl Fn([usize; 3]) -> bool,
    ) -> Self {
        let of = |side: usize| {
            let mut counted = elements[side].clone();
            if !all {
                let kept = places[side].iter().zip(&elements[side]).filter(|(at, _)| lets(*at));
                counted = kept.map(|(_, element)| *element).collect();
            }
            counted.par_sort_unstable_by(|a, b| {
                a.distance_mm.total_cmp(&b.distance_mm).then(a.weight.total_cmp(&b.weight))
            });
            counted
        };
        Self([of(0), of(1)])
    }

    /// The greatest of what `of` finds in each direction; `None` where a distance is infinite or nothing counts.
    pub(crate) fn greatest(&self, of: impl Fn(&[Element]) -> f64) -> Option<f64> {
        let found = self.0.iter().filter(|side| !side.is_empty()).map(|side| of(side)).reduce(f64::max)?;
        (self.is_finite() && found.is_finite()).then_some(found)
    }

    /// Σ weight × distance / Σ weight over both; `None` where a distance is infinite or nothing counts.
    pub(crate) fn mean(&self) -> Option<f64> {
        let both = || self.0.iter().flatten();
        let weight: f64 = both().map(|element| element.weight).sum();
        let sum: f64 = both().map(|element| element.weight * element.distance_mm).sum();
        (weight > 0.0 && self.is_finite()).then(|| sum / weight)
    }

    /// The share of the weight of both that lies at most `reach_mm` away; `None` where nothing counts.
    pub(crate) fn share_within(&self, reach_mm: f64) -> Option<f64> {
        let both = || self.0.iter().flatten();
        let weight: f64 = both().map(|element| element.weight).sum();
        let near: f64 = both().filter(|element| element.distance_mm <= reach_mm).map(|element| element.weight).sum();
        (weight > 0.0).then(|| near / weight)
    }

    fn is_finite(&self) -> bool {
        self.0.iter().filter_map(|side| side.last()).all(|element| element.distance_mm.is_finite())
    }
}
