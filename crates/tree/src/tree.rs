//! Vessels as trees: branches from fork to fork, with what is told of each.

use crate::order::strahler;

/// A place on a centreline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// RAS mm, `[x, y, z]`.
    pub mm: [f64; 3],
    /// Radius of the vessel there, mm.
    pub radius_mm: f64,
}

/// A place on a centreline that knows the one before it, as SWC files list them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TreeNode {
    /// Where it is, and how wide the vessel is.
    pub point: Point,
    /// What of the mask lies nearest to it, mm³; 0 where there is no mask.
    pub volume_mm3: f64,
    /// The node before it, towards the root; `None` at a root.
    pub parent: Option<usize>,
}

/// A vessel between two forks, or between a fork and an end.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// The branch that it leaves; `None` for a root.
    pub parent: Option<usize>,
    /// The branches that leave from its end.
    pub children: Vec<usize>,
    /// The piece it belongs to.
    pub piece: usize,
    /// From the root's side outwards; the first is its parent's last. A single one where there is no length.
    pub points: Vec<Point>,
    /// Length along the centreline, mm.
    pub length_mm: f64,
    /// Mean radius along it, mm, what lies inside the parent left out.
    pub radius_mm: f64,
    /// What of the mask belongs to it, ml; 0 where there was no mask.
    pub volume_ml: f64,
    /// Forks between it and the root.
    pub generation: usize,
    /// Strahler's order: 1 at an end.
    pub strahler: usize,
    /// Angle to the parent's direction, degrees; `None` for a root.
    pub angle_deg: Option<f64>,
    /// Length over the distance of its ends, less 1; 0 for a straight one.
    pub tortuosity: f64,
}

/// Branches that hang together.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its root branch.
    pub root: usize,
    /// How many branches it has.
    pub branches: usize,
    /// Length of all of them, mm.
    pub length_mm: f64,
    /// Volume, ml.
    pub volume_ml: f64,
    /// Whether it counts as a tree; a loose piece otherwise.
    pub is_tree: bool,
    /// Smallest distance between voxels of this loose piece and those of a tree, mm; `None` for a tree.
    pub gap_mm: Option<f64>,
}

/// A loop of the centreline and where it was cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loop {
    /// The thinnest place, where the cut is.
    pub at: Point,
}

/// The trees and loose pieces of one mask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VesselTree {
    /// Parents before children, piece by piece.
    pub branches: Vec<Branch>,
    /// The longest first.
    pub pieces: Vec<Piece>,
    /// Loops that were cut.
    pub loops: Vec<Loop>,
    /// Spurs that were pruned.
    pub pruned: usize,
}

/// A piece is a tree when its centreline is at least this share of the longest one's.
const TREE_SHARE: f64 = 0.1;
/// Directions at a fork are taken over this length, mm, or what there is of it.
const HEADING_MM: f64 = 5.0;

impl VesselTree {
    /// Trees of nodes, each after the node that it hangs on. Radii and volumes are the nodes'; gaps are left open.
    ///
    /// # Panics
    /// When a node hangs on a later one.
    pub fn of_nodes(nodes: &[TreeNode]) -> Self {
        let mut children: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                assert!(parent < index, "node {index} hangs on a later one, {parent}");
                children[parent].push(index);
            }
        }
        let mut tree = Self::default();
        let roots = nodes.iter().enumerate().filter(|(_, node)| node.parent.is_none()).map(|(index, _)| index);
        for root in roots {
            tree.add_piece(root, nodes, &children);
        }
        tree.sort_pieces();
        strahler(&mut tree.branches);
        tree
    }

    /// The branches of one piece.
    pub fn of_piece(&self, piece: usize) -> impl Iterator<Item = &Branch> {
        self.branches.iter().filter(move |branch| branch.piece == piece)
    }

    fn add_piece(&mut self, root: usize, nodes: &[TreeNode], children: &[Vec<usize>]) {
        let first = self.branches.len();
        let piece = self.pieces.len();
        let mut open = vec![(root, None::<usize>, 0)];
        while let Some((start, parent, generation)) = open.pop() {
            let mut run = vec![start];
            while let [next] = children[run[run.len() - 1]][..] {
                run.push(next);
            }
            let before = nodes[start].parent;
            let points: Vec<Point> = before.iter().chain(&run).map(|&node| nodes[node].point).collect();
            let volume_ml = run.iter().map(|&node| nodes[node].volume_mm3).sum::<f64>() / 1000.0;
            let index = self.branches.len();
            let angle_deg = parent.and_then(|p: usize| angle_deg(&self.branches[p].points, &points));
            let inside_mm = if before.is_some() { points[0].radius_mm } else { 0.0 };
            self.branches.push(Branch {
                parent,
                children: vec![],
                piece,
                length_mm: length_mm(&points),
                radius_mm: mean_radius_mm(&points, inside_mm),
                volume_ml,
                generation,
                strahler: 1,
                angle_deg,
                tortuosity: tortuosity(&points),
                points,
            });
            if let Some(parent) = parent {
                self.branches[parent].children.push(index);
            }
            let last = run[run.len() - 1];
            open.extend(children[last].iter().rev().map(|&child| (child, Some(index), generation + 1)));
        }
        let own = &self.branches[first..];
        self.pieces.push(Piece {
            root: first,
            branches: own.len(),
            length_mm: own.iter().map(|branch| branch.length_mm).sum(),
            volume_ml: own.iter().map(|branch| branch.volume_ml).sum(),
            is_tree: false,
            gap_mm: None,
        });
    }

    /// The longest first, and which of them are trees.
    fn sort_pieces(&mut self) {
        let longest_mm = self.pieces.iter().map(|piece| piece.length_mm).fold(0.0, f64::max);
        let mut order: Vec<usize> = (0..self.pieces.len()).collect();
        order.sort_by(|&a, &b| self.pieces[b].length_mm.total_cmp(&self.pieces[a].length_mm).then(a.cmp(&b)));
        let mut branches = Vec::with_capacity(self.branches.len());
        let mut pieces = Vec::with_capacity(order.len());
        for (to, &from) in order.iter().enumerate() {
            let piece = self.pieces[from].clone();
            let (old, new) = (piece.root, branches.len());
            let moved = |index: usize| index - old + new;
            for branch in &self.branches[old..old + piece.branches] {
                let mut branch = branch.clone();
                branch.piece = to;
                branch.parent = branch.parent.map(moved);
                branch.children.iter_mut().for_each(|child| *child = moved(*child));
                branches.push(branch);
            }
            let is_tree = piece.length_mm >= TREE_SHARE * longest_mm;
            pieces.push(Piece { root: new, is_tree, ..piece });
        }
        (self.branches, self.pieces) = (branches, pieces);
    }
}

pub(crate) fn between_mm(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt()
}

/// Length of a path, mm.
pub(crate) fn length_mm(points: &[Point]) -> f64 {
    points.windows(2).map(|pair| between_mm(pair[0].mm, pair[1].mm)).sum()
}

/// Mean radius along a path, weighted by length, from `inside_mm` on or where it is no longer than that, at its end.
fn mean_radius_mm(points: &[Point], inside_mm: f64) -> f64 {
    let (mut at_mm, mut sum, mut weight) = (0.0, 0.0, 0.0);
    for pair in points.windows(2) {
        let step_mm = between_mm(pair[0].mm, pair[1].mm);
        at_mm += step_mm;
        if at_mm > inside_mm {
            sum += step_mm * 0.5 * (pair[0].radius_mm + pair[1].radius_mm);
            weight += step_mm;
        }
    }
    if weight > 0.0 { sum / weight } else { points.last().map_or(0.0, |point| point.radius_mm) }
}

fn tortuosity(points: &[Point]) -> f64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return 0.0 };
    let straight_mm = between_mm(first.mm, last.mm);
    if straight_mm > 0.0 { (length_mm(points) / straight_mm - 1.0).max(0.0) } else { 0.0 }
}

/// Angle between the end of a parent and the start of a child outside it, degrees; `None` where either has no length.
fn angle_deg(parent: &[Point], child: &[Point]) -> Option<f64> {
    let fork = child.first()?;
    let back: Vec<Point> = parent.iter().rev().copied().collect();
    let from = along(&back, HEADING_MM)?;
    let (near, far) = (along(child, fork.radius_mm)?, along(child, fork.radius_mm + HEADING_MM)?);
    // Of a child that ends inside its parent's surface, the whole way is taken.
    let near = if between_mm(near, far) > 0.0 { near } else { fork.mm };
    let (a, b) = (sub(fork.mm, from), sub(far, near));
    let norm = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let dot: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let product = norm(a) * norm(b);
    (product > 0.0).then(|| (dot / product).clamp(-1.0, 1.0).acos().to_degrees())
}

fn sub(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|k| a[k] - b[k])
}

/// The place so far along a path, or its end; `None` for a path of one point.
fn along(points: &[Point], mm: f64) -> Option<[f64; 3]> {
    let mut left_mm = mm;
    for pair in points.windows(2) {
        let step_mm = between_mm(pair[0].mm, pair[1].mm);
        if step_mm >= left_mm && step_mm > 0.0 {
            let t = left_mm / step_mm;
            return Some([0, 1, 2].map(|k| pair[0].mm[k] + t * (pair[1].mm[k] - pair[0].mm[k])));
        }
        left_mm -= step_mm;
    }
    (points.len() > 1).then(|| points[points.len() - 1].mm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(mm: [f64; 3], radius_mm: f64, parent: Option<usize>) -> TreeNode {
        TreeNode { point: Point { mm, radius_mm }, volume_mm3: 0.0, parent }
    }

    #[test]
    fn branches_run_from_fork_to_fork() {
        let tree = VesselTree::of_nodes(&[
            node([50.0, 0.0, 0.0], 1.0, None),
            node([0.0, 0.0, 0.0], 2.0, None),
            node([10.0, 0.0, 0.0], 2.0, Some(1)),
            node([20.0, 0.0, 0.0], 2.0, Some(2)),
            node([30.0, 10.0, 0.0], 1.0, Some(3)),
            node([30.0, 0.0, 0.0], 1.5, Some(3)),
            node([33.0, 4.0, 0.0], 1.5, Some(5)),
        ]);
        assert_eq!(tree.pieces.len(), 2);
        assert!(tree.pieces[0].is_tree && !tree.pieces[1].is_tree);
        assert_eq!(tree.branches.len(), 4);
        let [trunk, first, second, lone] = &tree.branches[..] else { panic!("four branches") };
        assert_eq!((trunk.length_mm, trunk.generation, trunk.strahler), (20.0, 0, 2));
        assert_eq!((first.parent, first.generation, first.strahler), (Some(0), 1, 1));
        assert!((first.angle_deg.expect("a fork") - 45.0).abs() < 1e-9);
        assert!((second.length_mm - 15.0).abs() < 1e-9 && second.tortuosity > 0.1);
        assert_eq!((lone.points.len(), lone.length_mm, lone.parent), (1, 0.0, None));
        assert_eq!(trunk.children, [1, 2]);
    }
}
