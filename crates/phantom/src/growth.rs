//! Trees that fill a region: seeds are split in two again and again, and a branch grows towards each half.
//! The idea is Tawhai's volume-filling growth (Tawhai, Pullan, Hunter 2000, Ann Biomed Eng 28:793).

use crate::point::Point;
use crate::random::Random;

/// Share of the way to the middle of its seeds that a branch grows: near the hilum, and further out.
const REACH: [f32; 2] = [0.42, 0.5];
/// From so many seeds on a branch counts as near the hilum.
const MANY: usize = 300;
/// Cosine of the largest angle between a branch and its parent.
const WIDEST_COS: f32 = 0.55;

/// One piece of a tree between two forks.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) parent: Option<usize>,
    pub(crate) children: Vec<usize>,
    pub(crate) start: Point,
    pub(crate) end: Point,
    pub(crate) radius_mm: f32,
}

impl Branch {
    pub(crate) fn direction(&self) -> Point {
        (self.end - self.start).unit()
    }

    pub(crate) fn length_mm(&self) -> f32 {
        (self.end - self.start).norm()
    }
}

/// Branches, each after its parent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) branches: Vec<Branch>,
}

impl Tree {
    /// A tree of one branch.
    pub(crate) fn trunk(start: Point, end: Point) -> Self {
        let mut tree = Self::default();
        tree.branches.push(Branch { parent: None, children: vec![], start, end, radius_mm: 0.0 });
        tree
    }

    /// Adds a branch at the end of `parent` and returns its index.
    pub(crate) fn add(&mut self, parent: usize, end: Point) -> usize {
        let index = self.branches.len();
        let start = self.branches[parent].end;
        self.branches.push(Branch { parent: Some(parent), children: vec![], start, end, radius_mm: 0.0 });
        self.branches[parent].children.push(index);
        index
    }

    /// Fills a region, given by one seed per twig, from the end of branch `from`.
    pub(crate) fn fill(&mut self, from: usize, seeds: Vec<Point>, random: &mut Random) {
        let mut open = vec![(from, seeds)];
        while let Some((parent, seeds)) = open.pop() {
            let heading = self.branches[parent].direction();
            let root = self.branches[parent].end;
            if seeds.len() < 2 {
                if let Some(&seed) = seeds.first() {
                    self.add(parent, step(root, heading, seed, 0.9));
                }
                continue;
            }
            let (left, right) = split(&seeds, heading, random);
            for half in [left, right] {
                // The last branches go all the way, or the rim of the lung would stay bare.
                let usual = REACH[usize::from(half.len() < MANY)] * random.within(0.8, 1.2);
                let reach = if half.len() == 1 { 0.95 } else { usual };
                let end = step(root, heading, middle(&half), reach);
                let child = self.add(parent, end);
                if half.len() > 1 {
                    open.push((child, half));
                }
            }
        }
    }

    /// Moves the ends of all branches but the first to where `keep` wants them.
    pub(crate) fn keep_ends(&mut self, keep: impl Fn(Point) -> Point) {
        for i in 1..self.branches.len() {
            if let Some(parent) = self.branches[i].parent {
                self.branches[i].start = self.branches[parent].end;
            }
            self.branches[i].end = keep(self.branches[i].end);
        }
    }

    /// Gives every twig a radius and every other branch what the branching law asks for.
    pub(crate) fn widen(&mut self, random: &mut Random) {
        for i in (0..self.branches.len()).rev() {
            self.branches[i].radius_mm = if self.branches[i].children.is_empty() {
                random.within(0.4, 0.5)
            } else {
                let radii = self.branches[i].children.iter().map(|&c| self.branches[c].radius_mm);
                joined_radius_mm(radii)
            };
        }
    }
}

/// Radius of the branch that feeds these: `r^x = Σ r_i^x`, x from 3.0 in the periphery to 2.3 near the heart (Huang
/// 1996).
pub(crate) fn joined_radius_mm(radii: impl Iterator<Item = f32> + Clone) -> f32 {
    let widest = radii.clone().fold(0.0, f32::max).max(0.1);
    let t = ((widest / 0.6).ln() / (4.0_f32 / 0.6).ln()).clamp(0.0, 1.0);
    let x = 3.0 - 0.7 * t;
    radii.map(|r| r.powf(x)).sum::<f32>().powf(1.0 / x)
}

fn middle(points: &[Point]) -> Point {
    points.iter().fold(Point::default(), |sum, &p| sum + p) * (1.0 / points.len() as f32)
}

/// End of a branch that heads for `goal` but turns no further than the widest angle.
fn step(from: Point, heading: Point, goal: Point, share: f32) -> Point {
    let way = goal - from;
    let length = (way.norm() * share).max(0.8);
    let wish = way.unit();
    let cos = wish.dot(heading);
    if cos >= WIDEST_COS {
        return from + wish * length;
    }
    let side = wish.across(heading);
    let side = if side.norm() > 1e-3 { side.unit() } else { heading.cross(Point { x: 0.3, y: 0.5, z: 0.8 }).unit() };
    let sin = (1.0 - WIDEST_COS * WIDEST_COS).sqrt();
    from + (heading * WIDEST_COS + side * sin) * length
}

/// Splits seeds by a plane that contains the heading, across the direction in which they spread most.
fn split(seeds: &[Point], heading: Point, random: &mut Random) -> (Vec<Point>, Vec<Point>) {
    let centre = middle(seeds);
    let axis = widest_axis(seeds, centre, heading, random);
    let mut along: Vec<(f32, Point)> = seeds.iter().map(|&s| ((s - centre).dot(axis), s)).collect();
    along.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Unequal halves make the trees of real lungs: about a third against two thirds is common.
    let share = 0.5 + random.normal(0.0, 0.17);
    let cut = ((along.len() as f32 * share.clamp(0.15, 0.85)) as usize).clamp(1, along.len() - 1);
    let right = along.split_off(cut);
    let keep = |half: Vec<(f32, Point)>| half.into_iter().map(|(_, s)| s).collect();
    (keep(along), keep(right))
}

/// The direction across `heading` of greatest spread, by a few steps of the power method.
fn widest_axis(seeds: &[Point], centre: Point, heading: Point, random: &mut Random) -> Point {
    let mut axis = random.direction().across(heading).unit();
    for _ in 0..4 {
        let pulled = seeds.iter().fold(Point::default(), |sum, &s| {
            let d = (s - centre).across(heading);
            sum + d * d.dot(axis)
        });
        if pulled.norm() < 1e-6 {
            break;
        }
        axis = pulled.across(heading).unit();
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::at;

    #[test]
    fn a_filled_cube_has_one_twig_a_seed_and_a_trunk_of_the_law() {
        let mut random = Random::new(3, 0);
        let seeds: Vec<Point> = (0..500)
            .map(|_| at(random.within(0.0, 60.0), random.within(0.0, 60.0), random.within(0.0, 60.0)))
            .collect();
        let mut tree = Tree::trunk(at(30.0, 30.0, -10.0), at(30.0, 30.0, 0.0));
        tree.fill(0, seeds, &mut random);
        tree.widen(&mut random);
        let twigs = tree.branches.iter().filter(|b| b.children.is_empty()).count();
        assert_eq!(twigs, 500);
        let trunk = tree.branches[0].radius_mm;
        assert!(trunk > 0.45 * 500_f32.powf(1.0 / 3.0) && trunk < 0.45 * 500_f32.powf(1.0 / 2.3), "{trunk}");
    }
}
