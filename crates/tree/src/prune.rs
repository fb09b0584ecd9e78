//! Spurs: short twigs that the roughness of a surface gives a centreline.

use crate::graph::Graph;
use crate::lattice::Lattice;

/// What is a spur: a twig that reaches less far beyond its parent's surface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spurs {
    /// Than this many of its own radii ...
    radii: f64,
    /// ... or than this many voxels.
    voxels: f64,
}

impl Spurs {
    /// For trees that are measured: most twigs that masks of phantoms lose otherwise are real.
    pub(crate) const SHORT: Self = Self { radii: 1.0, voxels: 1.0 };
    /// For labels of a network, whose surfaces are rougher; the weights of tidying were chosen with it.
    pub(crate) const LONG: Self = Self { radii: 2.0, voxels: 1.5 };
}

/// Takes spurs away, the shortest first, and joins what they leave; gives their number. A twig's length counts from
/// the surface of the vessel at its fork.
pub(crate) fn prune(graph: &mut Graph, depth_mm2: impl Fn(u32) -> f32, lattice: &Lattice, rule: Spurs) -> usize {
    let mut pruned = 0;
    loop {
        let mut spurs: Vec<(f64, usize)> = graph
            .each_link()
            .filter_map(|(index, _)| Some((excess_mm(graph, index, &depth_mm2, lattice, rule)?, index)))
            .filter(|(excess, _)| *excess < 0.0)
            .collect();
        if spurs.is_empty() {
            return pruned;
        }
        spurs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut touched = vec![false; graph.nodes.len()];
        for (_, index) in spurs {
            let Some(link) = &graph.links[index] else { continue };
            let ends = link.ends;
            // Once a fork has lost a twig, what is left there is measured anew.
            if ends.iter().any(|&end| touched[end]) {
                continue;
            }
            graph.remove_link(index);
            pruned += 1;
            for end in ends {
                touched[end] = true;
                if let Some(joined) = graph.join_at(end) {
                    for far in graph.links[joined].as_ref().map(|link| link.ends).into_iter().flatten() {
                        touched[far] = true;
                    }
                }
            }
        }
    }
}

/// By how much a twig is longer than a spur, mm, below 0 for a spur; `None` for what is no twig at a fork.
fn excess_mm(
    graph: &Graph,
    index: usize,
    depth_mm2: impl Fn(u32) -> f32,
    lattice: &Lattice,
    rule: Spurs,
) -> Option<f64> {
    let link = graph.links[index].as_ref()?;
    let degree = |end: usize| graph.nodes[end].links.len();
    let fork = match link.ends.map(degree) {
        [1, n] if n > 2 => link.ends[1],
        [n, 1] if n > 2 => link.ends[0],
        _ => return None,
    };
    let depth = |voxel: u32| f64::from(depth_mm2(voxel)).sqrt();
    let beyond_mm = lattice.length_mm(&link.path) - depth(graph.nodes[fork].voxel);
    let middle = link.path[link.path.len() / 2];
    let tip = graph.nodes[link.other_end(fork)].voxel;
    let own_mm = depth(tip).min(depth(middle));
    Some(beyond_mm - (rule.radii * own_mm).max(rule.voxels * lattice.finest_mm()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spur_goes_and_a_branch_stays() {
        let lattice = Lattice { shape: [1, 30, 30], spacing_mm: [1.0; 3] };
        for (length, left) in [(5, 1), (12, 3)] {
            let mut graph = Graph::default();
            let nodes = [5 * 30, 5 * 30 + 12, 5 * 30 + 25, (5 + length) * 30 + 12].map(|voxel| graph.add_node(voxel));
            graph.add_link([nodes[0], nodes[1]], (150..=162).collect());
            graph.add_link([nodes[1], nodes[2]], (162..=175).collect());
            graph.add_link([nodes[1], nodes[3]], (5..=5 + length).map(|y| y * 30 + 12).collect());
            let mut depth = vec![16.0_f32; 900];
            (7..30).for_each(|y| depth[y * 30 + 12] = 1.0);
            prune(&mut graph, |voxel| depth[voxel as usize], &lattice, Spurs::LONG);
            assert_eq!(graph.each_link().count(), left, "{length}");
        }
    }
}
