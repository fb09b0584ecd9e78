//! Heart chambers and great vessels: right-sided blood goes with the arteries' phase, left-sided with the veins'.

use crate::chest::Chest;
use crate::point::{Point, at};
use crate::random::Random;
use crate::tubes::Tubes;

/// An ellipsoid of blood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chamber {
    pub(crate) centre: Point,
    pub(crate) radii: Point,
}

/// Blood of one side of the heart that is drawn but not labelled.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) chambers: Vec<Chamber>,
    pub(crate) vessels: Tubes,
}

/// Heart and great vessels of one chest.
#[derive(Debug)]
pub(crate) struct Heart {
    /// Right atrium and ventricle, superior vena cava: before the lungs.
    pub(crate) right: Side,
    /// Left ventricle, aorta: after the lungs.
    pub(crate) left: Side,
    /// The left atrium, where veins end.
    pub(crate) left_atrium: Chamber,
    /// Drawn as blood without contrast, which it mostly is: the inferior vena cava.
    pub(crate) lower_vein: Tubes,
}

impl Heart {
    pub(crate) fn build(chest: &Chest, seed: u64) -> Self {
        let mut random = Random::new(seed, 6);
        let s = chest.scale;
        let mut chamber = |c: Point, r: Point| Chamber {
            centre: chest.place(c.x, c.y, c.z) + random.direction() * 1.5,
            radii: r.times(s) * random.within(0.92, 1.08),
        };
        let left_atrium = chamber(at(0.0, -8.0, -46.0), at(27.0, 16.0, 18.0));
        let mut right = Side {
            chambers: vec![
                chamber(at(13.0, 16.0, -64.0), at(18.0, 20.0, 25.0)),
                chamber(at(-4.0, 42.0, -74.0), at(30.0, 15.0, 24.0)),
            ],
            ..Side::default()
        };
        let mut left =
            Side { chambers: vec![chamber(at(-36.0, 14.0, -76.0), at(22.0, 19.0, 24.0))], ..Side::default() };
        let place = |p: &[Point]| -> Vec<Point> { p.iter().map(|q| chest.place(q.x, q.y, q.z)).collect() };
        let k = chest.mean_scale;
        let superior = [at(20.0, 8.0, 75.0), at(19.0, 7.0, 20.0), at(21.0, 10.0, -45.0)];
        right.vessels.path(&place(&superior), [8.0 * k, 9.5 * k], None);
        let arch = [
            at(-8.0, 16.0, -58.0),
            at(0.0, 25.0, -30.0),
            at(1.0, 24.0, 0.0),
            at(-3.0, 12.0, 26.0),
            at(-12.0, -10.0, 33.0),
            at(-21.0, -38.0, 22.0),
            at(-24.0, -58.0, -5.0),
            at(-22.0, -62.0, -70.0),
            at(-10.0, -58.0, -170.0),
        ];
        left.vessels.path(&place(&arch), [15.0 * k, 10.5 * k], None);
        for branch in [
            [at(4.0, 8.0, 32.0), at(14.0, 6.0, 90.0)],
            [at(-6.0, -4.0, 34.0), at(-14.0, 2.0, 90.0)],
            [at(-14.0, -18.0, 32.0), at(-24.0, -10.0, 95.0)],
        ] {
            left.vessels.path(&place(&branch), [4.5 * k, 4.0 * k], None);
        }
        let mut lower_vein = Tubes::default();
        lower_vein.path(&place(&[at(17.0, 8.0, -80.0), at(17.0, -8.0, -170.0)]), [11.0 * k, 11.0 * k], None);
        Self { right, left, left_atrium, lower_vein }
    }
}
