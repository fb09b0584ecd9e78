//! Windpipe and bronchi into the background, and what of them can be seen.

use rayon::prelude::*;

use crate::calibre::Fade;
use crate::lattice::Lattice;
use crate::layers::Anatomy;
use crate::random::Random;
use crate::raster::draw_tubes;
use crate::tubes::Segment;

/// Bronchi on a lattice, 255 = the whole voxel.
pub(crate) struct Airways {
    /// Share of a voxel that is bronchus as it is drawn, wall and all.
    pub(crate) walls: Vec<u8>,
    /// 1 where at least half of the voxel is a bronchus that can be seen, wall and all.
    pub(crate) seen: Vec<u8>,
    /// Share of a voxel that is lumen of a bronchus that can be seen.
    pub(crate) lumen: Vec<u8>,
}

impl Airways {
    /// Draws bronchi into the background, the thinner the fainter where they fade, and none where they are `barred`.
    pub(crate) fn draw(
        anatomy: &Anatomy,
        lattice: &Lattice,
        fade: Fade,
        seed: u64,
        barred: &[u8],
        background_hu: &mut [i16],
    ) -> Self {
        let mut random = Random::new(seed, 11);
        let wall_hu = random.within(-50.0, 20.0);
        let all: Vec<Segment> = anatomy.bronchi.tubes.segments().collect();
        let drawn: Vec<Segment> =
            all.iter().map(|s| Segment { seen: fade.share(s.to_radius_mm), ..*s }).filter(|s| s.seen > 0.0).collect();
        let cover = |lumens: &[Segment]| {
            let mut map = vec![0_u8; lattice.len()];
            draw_tubes(lattice, lumens, &mut map);
            map
        };
        let mut walls = cover(&outer(anatomy, &drawn));
        let air = cover(&drawn);
        for (wall, _) in walls.iter_mut().zip(barred).filter(|(_, b)| **b != 0) {
            *wall = 0;
        }
        let airy = background_hu.par_iter_mut().zip(&walls).zip(&air).filter(|((_, w), _)| **w > 0);
        airy.for_each(|((hu, &wall), &air)| {
            let (wall, air) = (f32::from(wall) / 255.0, f32::from(air.min(wall)) / 255.0);
            let ground = f32::from(*hu) * (1.0 - wall) + wall_hu * (wall - air) - 1000.0 * air;
            *hu = ground as i16;
        });
        let half = |map: &[u8]| map.iter().map(|&share| u8::from(share >= 128)).collect::<Vec<u8>>();
        if drawn.len() == all.len() && drawn.iter().all(|s| s.seen == 1.0) {
            return Self { seen: half(&walls), walls, lumen: air };
        }
        let clear: Vec<Segment> = all.into_iter().filter(|s| fade.sees(s)).collect();
        let mut seen = half(&cover(&outer(anatomy, &clear)));
        for (seen, _) in seen.iter_mut().zip(barred).filter(|(_, b)| **b != 0) {
            *seen = 0;
        }
        drop(air);
        Self { walls, seen, lumen: cover(&clear) }
    }
}

/// Lumens with their walls.
fn outer(anatomy: &Anatomy, lumens: &[Segment]) -> Vec<Segment> {
    let wall_mm = |radius| anatomy.calibre.wall_mm(radius);
    let grown = |s: &Segment| Segment {
        from_radius_mm: s.from_radius_mm + wall_mm(s.from_radius_mm),
        to_radius_mm: s.to_radius_mm + wall_mm(s.to_radius_mm),
        ..*s
    };
    lumens.iter().map(grown).collect()
}
