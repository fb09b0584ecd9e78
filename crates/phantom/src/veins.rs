//! Pulmonary veins: four ostia of the left atrium, and trees that keep away from the bronchi.

use std::collections::HashMap;

use crate::bronchi::{Bronchi, wall_mm};
use crate::calibre::Calibre;
use crate::chest::{Chest, Lobe};
use crate::growth::Tree;
use crate::point::{Point, at};
use crate::random::Random;
use crate::tubes::{Tubes, lay, paths};

/// Least distance between the walls of a vein and a bronchus outside the hilum (docs/method.md, Phantoms).
pub(crate) const CLEAR_OF_BRONCHI_MM: f32 = 3.0;
const CELL_MM: f32 = 10.0;
const ROUNDS: usize = 8;

/// Ostium, hilum and the lobes drained, adult mm: low and in front of the arteries.
const STEMS: [([Point; 2], &[Lobe]); 4] = [
    ([at(20.0, -2.0, -38.0), at(44.0, 2.0, -34.0)], &[Lobe::RightUpper, Lobe::RightMiddle]),
    ([at(20.0, -14.0, -52.0), at(42.0, -22.0, -68.0)], &[Lobe::RightLower]),
    ([at(-20.0, -2.0, -36.0), at(-48.0, 0.0, -30.0)], &[Lobe::LeftUpper]),
    ([at(-20.0, -16.0, -50.0), at(-42.0, -24.0, -62.0)], &[Lobe::LeftLower]),
];

/// The veins of one chest. Radii are of the lumen; roots lie in the left atrium.
pub(crate) fn grow(
    chest: &Chest,
    calibre: &Calibre,
    bronchi: &Bronchi,
    arteries: &Tubes,
    seed: u64,
    step_mm: f32,
) -> (Tubes, Vec<Tree>) {
    let mut random = Random::new(seed, 4);
    let mut seeds = chest.seeds(step_mm, &mut random);
    let crowd = Crowd::of(bronchi, arteries, seed);
    for lobe in &mut seeds {
        for seed in lobe.iter_mut() {
            *seed = crowd.pushed(*seed, 0.45);
        }
    }
    let mut tubes = Tubes::default();
    let mut trees = vec![];
    for (stem, lobes) in STEMS {
        let [ostium, hilum] = stem.map(|p| chest.place(p.x, p.y, p.z));
        let mut tree = Tree::trunk(ostium, hilum + random.direction() * 2.0);
        let seeds = lobes.iter().flat_map(|&l| std::mem::take(&mut seeds[l as usize])).collect();
        tree.fill(0, seeds, &mut random);
        tree.keep_ends(|p| chest.kept_inside(p, 3.0));
        tree.widen(&mut random);
        calibre.fit(&mut tree);
        // Near the heart veins keep to the law; an ostium wider than this would not leave the atrium room for four.
        for i in tree.branches[0].children.clone() {
            let radius_mm = &mut tree.branches[i].radius_mm;
            *radius_mm = 0.5 * (*radius_mm + calibre.by_law_mm(*radius_mm));
        }
        tree.branches[0].radius_mm = calibre.by_law_mm(tree.branches[0].radius_mm).min(8.0);
        let paths = paths(&tree, 0.05, |p| chest.kept_inside(p, 3.0), &mut random);
        lay(&mut tubes, &tree, &paths, None);
        trees.push(tree);
    }
    settle(&mut tubes, &crowd);
    (tubes, trees)
}

/// Pushes the veins off bronchi and arteries and smooths them, round after round.
fn settle(tubes: &mut Tubes, crowd: &Crowd) {
    let mut next: Vec<Option<u32>> = vec![None; tubes.nodes.len()];
    for (i, node) in tubes.nodes.iter().enumerate() {
        if let Some(parent) = node.parent {
            let follower = &mut next[parent as usize];
            // The widest follower continues the vessel.
            if follower.is_none_or(|f| tubes.nodes[f as usize].radius_mm < node.radius_mm) {
                *follower = Some(i as u32);
            }
        }
    }
    for round in 0..ROUNDS {
        let moved: Vec<Point> = tubes.nodes.iter().map(|n| crowd.pushed(n.place, n.radius_mm)).collect();
        let smooth = round + 1 < ROUNDS;
        for i in 0..moved.len() {
            let node = tubes.nodes[i];
            let Some(parent) = node.parent else { continue };
            tubes.nodes[i].place = match next[i] {
                Some(follower) if smooth => {
                    let between = moved[parent as usize].towards(moved[follower as usize], 0.5);
                    moved[i].towards(between, 0.4)
                }
                _ => moved[i],
            };
        }
    }
}

/// What veins must keep away from: places with a radius to respect, sorted into cells.
struct Crowd {
    cells: HashMap<[i32; 3], Vec<(Point, f32)>>,
}

fn cell(p: Point) -> [i32; 3] {
    [p.x, p.y, p.z].map(|v| (v / CELL_MM).floor() as i32)
}

impl Crowd {
    fn of(bronchi: &Bronchi, arteries: &Tubes, seed: u64) -> Self {
        let mut random = Random::new(seed, 5);
        let mut crowd = Self { cells: HashMap::new() };
        for node in &bronchi.tubes.nodes {
            crowd.add(node.place, node.radius_mm + wall_mm(node.radius_mm) + CLEAR_OF_BRONCHI_MM + 0.3);
        }
        for node in arteries.nodes.iter().filter(|n| n.radius_mm > 0.6) {
            // Some pairs are left to touch, as they do in people.
            let room = if random.chance(0.15) { 0.0 } else { 0.7 };
            crowd.add(node.place, node.radius_mm + room);
        }
        crowd
    }

    fn add(&mut self, place: Point, radius_mm: f32) {
        self.cells.entry(cell(place)).or_default().push((place, radius_mm));
    }

    /// Where a vein of this radius would go from here to keep clear.
    fn pushed(&self, place: Point, radius_mm: f32) -> Point {
        let reach = 20.0_f32;
        let span = if radius_mm > 3.0 { 2 } else { 1 };
        let c = cell(place);
        let mut push = Point::default();
        let mut deepest = 0.0_f32;
        for dz in -span..=span {
            for dy in -span..=span {
                for dx in -span..=span {
                    let Some(others) = self.cells.get(&[c[0] + dx, c[1] + dy, c[2] + dz]) else { continue };
                    for &(other, keep) in others {
                        let away = place - other;
                        let distance = away.norm();
                        let missing = keep + radius_mm - distance;
                        if missing > 0.0 && distance < reach {
                            push = push + away.unit() * missing;
                            deepest = deepest.max(missing);
                        }
                    }
                }
            }
        }
        if deepest > 0.0 { place + push.unit() * deepest.min(3.0) } else { place }
    }
}
