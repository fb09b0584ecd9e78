//! Orders of branches, and statistics by order.
//!
//! Strahler's order (Strahler 1957, Trans AGU 38:913): an end has order 1; a branch takes the highest order of its
//! children, and one more where two of them share it.

use crate::tree::{Branch, VesselTree};

/// Sets the Strahler order of branches, parents before children.
pub(crate) fn strahler(branches: &mut [Branch]) {
    for index in (0..branches.len()).rev() {
        let orders = branches[index].children.iter().map(|&child| branches[child].strahler);
        let most = orders.clone().max().unwrap_or(0);
        let shared = orders.filter(|&order| order == most).count();
        branches[index].strahler = if shared == 1 { most } else { most + 1 };
    }
}

/// What the elements of one order come to. An element is a run of branches of one order, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrderStatistics {
    /// The order.
    pub order: usize,
    /// Number of elements.
    pub count: usize,
    /// Mean diameter of its branches, weighted by length, mm.
    pub diameter_mm: f64,
    /// Mean length of an element, mm.
    pub length_mm: f64,
}

/// Statistics of a tree's branches by Strahler order, without loose pieces; the lowest order first.
pub fn by_strahler(tree: &VesselTree) -> Vec<OrderStatistics> {
    by_order(tree, |branch| branch.strahler)
}

/// The same by calibre: a branch has the order whose diameter is nearest by ratio. `diameters_mm` rise from order
/// `first` on, such as those of Huang 1996 (J Appl Physiol 81:2123).
pub fn by_diameter(tree: &VesselTree, diameters_mm: &[f64], first: usize) -> Vec<OrderStatistics> {
    let nearest = |diameter_mm: f64| {
        let limits = diameters_mm.windows(2).map(|pair| (pair[0] * pair[1]).sqrt());
        first + limits.take_while(|&limit| diameter_mm > limit).count()
    };
    by_order(tree, |branch| nearest(2.0 * branch.radius_mm))
}

fn by_order(tree: &VesselTree, order: impl Fn(&Branch) -> usize) -> Vec<OrderStatistics> {
    let counted = |branch: &&Branch| tree.pieces[branch.piece].is_tree && branch.length_mm > 0.0;
    let orders: Vec<usize> = tree.branches.iter().map(&order).collect();
    let most = tree.branches.iter().filter(counted).map(&order).max().unwrap_or(0);
    let statistics = (0..=most).map(|wanted| {
        let (mut count, mut length_mm, mut weighted) = (0, 0.0, 0.0);
        for branch in tree.branches.iter().filter(counted).filter(|branch| order(branch) == wanted) {
            length_mm += branch.length_mm;
            weighted += 2.0 * branch.radius_mm * branch.length_mm;
            // An element goes on in the widest child of its order only.
            let is_continued = branch.parent.is_some_and(|parent| {
                let siblings = &tree.branches[parent].children;
                orders[parent] == wanted
                    && siblings.iter().all(|&s| tree.branches[s].radius_mm <= branch.radius_mm || orders[s] != wanted)
            });
            count += usize::from(!is_continued);
        }
        let per = |sum: f64, n: f64| if n > 0.0 { sum / n } else { 0.0 };
        OrderStatistics {
            order: wanted,
            count,
            diameter_mm: per(weighted, length_mm),
            length_mm: per(length_mm, count as f64),
        }
    });
    statistics.filter(|statistics| statistics.count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Point, TreeNode};

    /// A full binary tree whose branches are 10 mm long, of `depth` forks.
    fn full(depth: usize) -> VesselTree {
        let node =
            |at: f64, parent| TreeNode { point: Point { mm: [at, 0.0, 0.0], radius_mm: 1.0 }, volume_mm3: 0.0, parent };
        let mut nodes = vec![node(0.0, None), node(10.0, Some(0))];
        let mut row = vec![1];
        for level in 0..depth {
            let mut next = vec![];
            for &parent in &row {
                for _ in 0..2 {
                    next.push(nodes.len());
                    nodes.push(node(10.0 * (level + 2) as f64, Some(parent)));
                }
            }
            row = next;
        }
        VesselTree::of_nodes(&nodes)
    }

    #[test]
    fn a_full_tree_halves_from_order_to_order() {
        let counts: Vec<(usize, usize)> = by_strahler(&full(4)).iter().map(|o| (o.order, o.count)).collect();
        assert_eq!(counts, [(1, 16), (2, 8), (3, 4), (4, 2), (5, 1)]);
    }

    #[test]
    fn a_side_twig_raises_no_order() {
        let mut tree = full(1);
        assert_eq!(tree.branches[0].strahler, 2);
        tree.branches[1].strahler = 3;
        let mut trunk = vec![tree.branches[0].clone(), tree.branches[1].clone(), tree.branches[2].clone()];
        trunk[1].children = vec![];
        strahler(&mut trunk);
        assert_eq!(trunk[0].strahler, 2, "orders of ends are set anew");
    }
}
