//! Windpipe and bronchi: a fixed centre, and in each lobe a tree that fills it.

use crate::calibre::Calibre;
use crate::chest::{Chest, Lobe};
use crate::growth::Tree;
use crate::point::{Point, at};
use crate::random::Random;
use crate::tubes::{Tubes, paths};

/// Lumen diameter of a bronchus over that of its artery (docs/method.md, Phantoms).
pub(crate) const LUMEN_RATIO: f32 = 0.65;

/// The airways of one chest. The lobes' trees carry the radii of the *arteries* that run beside them.
#[derive(Debug)]
pub(crate) struct Bronchi {
    pub(crate) trees: [Tree; 5],
    /// Centreline of every branch of every tree.
    pub(crate) paths: [Vec<Vec<Point>>; 5],
    /// What is drawn; radii are the lumen's.
    pub(crate) tubes: Tubes,
}

/// Thickness of the wall of a bronchus: 0.7 mm where the lumen is 10 mm round, half of that in the periphery, thick
/// enough in the segments to be seen beside the artery as it is in people.
pub(crate) fn wall_mm(lumen_radius_mm: f32) -> f32 {
    0.3 + 0.25 * lumen_radius_mm.min(5.0)
}

/// Lobar bronchus, adult mm: where it leaves and where it ends.
const fn lobar(lobe: Lobe) -> [Point; 2] {
    match lobe {
        Lobe::RightUpper => [at(22.0, -26.0, -14.0), at(41.0, -28.0, -6.0)],
        Lobe::RightMiddle => [at(34.0, -27.0, -40.0), at(46.0, -12.0, -49.0)],
        Lobe::RightLower => [at(34.0, -27.0, -40.0), at(40.0, -36.0, -56.0)],
        Lobe::LeftUpper => [at(-40.0, -30.0, -25.0), at(-53.0, -20.0, -22.0)],
        Lobe::LeftLower => [at(-40.0, -30.0, -25.0), at(-46.0, -39.0, -44.0)],
    }
}

impl Bronchi {
    pub(crate) fn grow(chest: &Chest, calibre: &Calibre, seed: u64, step_mm: f32) -> Self {
        let mut random = Random::new(seed, 2);
        let mut seeds = chest.seeds(step_mm, &mut random);
        let trees = Lobe::ALL.map(|lobe| {
            let jitter = random.direction() * 2.0;
            let [start, end] = lobar(lobe).map(|p| chest.place(p.x, p.y, p.z));
            let mut tree = Tree::trunk(start, end + jitter);
            tree.fill(0, std::mem::take(&mut seeds[lobe as usize]), &mut random);
            tree.keep_ends(|p| chest.kept_inside(p, 3.0));
            tree.widen(&mut random);
            calibre.fit(&mut tree);
            tree
        });
        let paths = [0, 1, 2, 3, 4].map(|i| paths(&trees[i], 0.05, |p| chest.kept_inside(p, 3.0), &mut random));
        let tubes = draw(chest, calibre, &trees, &paths, &mut random);
        Self { trees, paths, tubes }
    }
}

fn draw(
    chest: &Chest,
    calibre: &Calibre,
    trees: &[Tree; 5],
    paths: &[Vec<Vec<Point>>; 5],
    random: &mut Random,
) -> Tubes {
    let mut tubes = Tubes::default();
    let s = chest.mean_scale;
    let place = |p: Point| chest.place(p.x, p.y, p.z);
    let windpipe = [at(0.0, -4.0, 150.0), at(0.0, -10.0, 110.0), at(1.0, -17.0, 50.0), at(0.0, -22.0, 0.0)].map(place);
    let carina = tubes.path(&windpipe, [8.5 * s, 8.0 * s], None);
    let main = tubes.path(&[windpipe[3], place(lobar(Lobe::RightUpper)[0])], [6.6 * s, 6.2 * s], Some(carina));
    let right = [lobar(Lobe::RightUpper)[0], at(30.0, -27.0, -27.0), lobar(Lobe::RightMiddle)[0]].map(place);
    let middle = tubes.path(&right, [5.2 * s, 4.8 * s], Some(main));
    let left = [at(0.0, -22.0, 0.0), at(-18.0, -28.0, -12.0), lobar(Lobe::LeftUpper)[0]].map(place);
    let left = tubes.path(&left, [6.0 * s, 5.4 * s], Some(carina));
    // Where the smallest bronchus that a scan could show ends differs between people and scanners.
    let thinnest = random.within(0.45, 0.75);
    for lobe in Lobe::ALL {
        let root = match lobe {
            Lobe::RightUpper => main,
            Lobe::RightMiddle | Lobe::RightLower => middle,
            Lobe::LeftUpper | Lobe::LeftLower => left,
        };
        let vary = random.within(0.92, 1.08);
        let lumen_mm = |artery_radius_mm| calibre.lumen_mm(artery_radius_mm, vary);
        hang(&mut tubes, &trees[lobe as usize], &paths[lobe as usize], root, lumen_mm, thinnest);
    }
    tubes
}

/// Hangs a lobe's bronchi on `root`, down to the thinnest lumen radius.
fn hang(
    tubes: &mut Tubes,
    tree: &Tree,
    paths: &[Vec<Point>],
    root: u32,
    lumen_mm: impl Fn(f32) -> f32,
    thinnest_mm: f32,
) {
    let mut last: Vec<Option<u32>> = vec![None; tree.branches.len()];
    for (i, branch) in tree.branches.iter().enumerate() {
        let lumen = lumen_mm(branch.radius_mm);
        let parent = branch.parent.map_or(Some(root), |p| last[p]);
        let (Some(mut parent), true) = (parent, lumen >= thinnest_mm) else { continue };
        for &place in &paths[i][1..] {
            parent = tubes.add(place, lumen, Some(parent));
        }
        last[i] = Some(parent);
    }
}
