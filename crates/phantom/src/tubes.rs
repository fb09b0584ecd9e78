//! Networks of tapering tubes: what trees become before they are drawn.

use crate::growth::Tree;
use crate::point::Point;
use crate::random::Random;

/// Distance between neighbouring nodes of a path.
const STEP_MM: f32 = 2.0;

/// Where one class of calibre ends and the next begins.
const RADII_MM: [f32; 7] = [0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

/// A place on a centreline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) place: Point,
    pub(crate) radius_mm: f32,
    /// The node that feeds it; none at a root.
    pub(crate) parent: Option<u32>,
}

/// A place on the centreline of a labelled vessel, as the generator knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CentrelineNode {
    /// RAS mm, `[x, y, z]`.
    pub mm: [f32; 3],
    /// Radius of the vessel from the node before it to here, mm.
    pub radius_mm: f32,
    /// The node before it, towards the heart; none at a root.
    pub parent: Option<usize>,
}

/// Nodes, each after the node that feeds it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tubes {
    pub(crate) nodes: Vec<Node>,
}

/// A tapering capsule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) from: Point,
    pub(crate) to: Point,
    pub(crate) from_radius_mm: f32,
    pub(crate) to_radius_mm: f32,
    /// How much of it is seen, 0 to 1.
    pub(crate) seen: f32,
}

impl Tubes {
    /// Appends a node and returns its index.
    pub(crate) fn add(&mut self, place: Point, radius_mm: f32, parent: Option<u32>) -> u32 {
        self.nodes.push(Node { place, radius_mm, parent });
        self.nodes.len() as u32 - 1
    }

    /// Appends a smooth path through `stops` (Catmull–Rom), with radii that run from the first to the last; returns its
    /// last node.
    pub(crate) fn path(&mut self, stops: &[Point], radii_mm: [f32; 2], parent: Option<u32>) -> u32 {
        let mut last = parent;
        let n = stops.len();
        let mut index = last.unwrap_or(0);
        for i in 0..n - 1 {
            let before = stops[i.saturating_sub(1)];
            let after = stops[(i + 2).min(n - 1)];
            let (a, b) = (stops[i], stops[i + 1]);
            let pieces = ((b - a).norm() / STEP_MM).ceil().max(1.0) as usize;
            for k in usize::from(i > 0 || parent.is_some())..=pieces {
                let t = k as f32 / pieces as f32;
                let place = hermite(a, b, (b - before) * 0.5, (after - a) * 0.5, t);
                let whole = (i as f32 + t) / (n - 1) as f32;
                index = self.add(place, radii_mm[0] + (radii_mm[1] - radii_mm[0]) * whole, last);
                last = Some(index);
            }
        }
        index
    }

    /// Nodes of the tubes that are at least so wide, each after the node that feeds it. What a thinner tube feeds is a
    /// root.
    pub(crate) fn labelled(&self, least_radius_mm: f32) -> Vec<CentrelineNode> {
        let mut places: Vec<Option<usize>> = vec![None; self.nodes.len()];
        let mut kept = vec![];
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.radius_mm >= least_radius_mm) {
            places[index] = Some(kept.len());
            let Point { x, y, z } = node.place;
            let parent = node.parent.and_then(|parent| places[parent as usize]);
            kept.push(CentrelineNode { mm: [x, y, z], radius_mm: node.radius_mm, parent });
        }
        kept
    }

    /// Centreline in cm by radius in mm: < 0.75, –1, –1.5, –2, –3, –4, –6, wider, of the segments that `counts` takes.
    pub(crate) fn length_cm(&self, counts: impl Fn(&Segment) -> bool) -> [f32; 8] {
        let mut cm = [0.0; 8];
        for s in self.segments().filter(counts) {
            let step = RADII_MM.iter().filter(|&&r| s.to_radius_mm >= r).count();
            cm[step] += 0.1 * (s.to - s.from).norm();
        }
        cm
    }

    /// The capsules, in the order of their nodes. A thin branch does not start as wide as the vessel it leaves.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        self.nodes.iter().filter_map(|node| {
            let parent = self.nodes[node.parent? as usize];
            Some(Segment {
                from: parent.place,
                to: node.place,
                from_radius_mm: parent.radius_mm.min(node.radius_mm * 1.2),
                to_radius_mm: node.radius_mm,
                seen: 1.0,
            })
        })
    }
}

/// Cubic from `a` to `b` with these tangents, at `t` in 0..1.
pub(crate) fn hermite(a: Point, b: Point, tangent_a: Point, tangent_b: Point, t: f32) -> Point {
    let (t2, t3) = (t * t, t * t * t);
    a * (2.0 * t3 - 3.0 * t2 + 1.0)
        + tangent_a * (t3 - 2.0 * t2 + t)
        + b * (3.0 * t2 - 2.0 * t3)
        + tangent_b * (t3 - t2)
}

/// Centrelines of a tree's branches: each leaves along its parent's heading, bends to its own and sways a little.
/// Each path starts at its branch's start and ends at its end; `keep` moves what lies between to where it may be.
pub(crate) fn paths(tree: &Tree, sway: f32, keep: impl Fn(Point) -> Point, random: &mut Random) -> Vec<Vec<Point>> {
    tree.branches
        .iter()
        .map(|branch| {
            let length = branch.length_mm();
            let own = branch.direction();
            let entry = branch.parent.map_or(own, |p| tree.branches[p].direction());
            let lean = own.towards(entry, 0.45) * length;
            let amplitude = length.min(40.0) * sway;
            let side = random.direction().across(own) * (random.normal(0.0, 1.0) * amplitude);
            let pieces = (length / STEP_MM).ceil().max(1.0) as usize;
            (0..=pieces)
                .map(|k| {
                    let t = k as f32 / pieces as f32;
                    let swing = (std::f32::consts::PI * t).sin();
                    let place = hermite(branch.start, branch.end, lean, own * length, t) + side * (swing * swing);
                    if k == 0 || k == pieces || branch.parent.is_none() { place } else { keep(place) }
                })
                .collect()
        })
        .collect()
}

/// A tree's branches as tubes hung on `root`; returns for each branch its last node.
pub(crate) fn lay(tubes: &mut Tubes, tree: &Tree, paths: &[Vec<Point>], root: Option<u32>) -> Vec<u32> {
    let mut last: Vec<u32> = Vec::with_capacity(paths.len());
    for (branch, path) in tree.branches.iter().zip(paths) {
        let mut parent = branch.parent.map_or(root, |p| Some(last[p]));
        let mut index = parent.unwrap_or(0);
        for &place in &path[usize::from(parent.is_some())..] {
            index = tubes.add(place, branch.radius_mm, parent);
            parent = Some(index);
        }
        last.push(index);
    }
    last
}
