//! Loops: vessels form none, so where a mask does, two of them touch. Each is cut at its thinnest place.

use crate::graph::{Graph, Link};

/// Where a loop was cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    pub(crate) voxel: u32,
    /// Squared distance to the background there, mm².
    pub(crate) depth_mm2: f32,
}

/// Cuts every loop and says where. A spanning tree of the widest links is kept; each link beyond it closes a loop of
/// which it has the thinnest place.
pub(crate) fn cut_loops(graph: &mut Graph, depth_mm2: impl Fn(u32) -> f32) -> Vec<Cut> {
    let thinnest = |link: &Link| -> Cut {
        let inner = if link.path.len() > 2 { &link.path[1..link.path.len() - 1] } else { &link.path[..] };
        let at = inner.iter().copied().min_by(|&a, &b| depth_mm2(a).total_cmp(&depth_mm2(b)));
        let voxel = at.unwrap_or(link.path[0]);
        Cut { voxel, depth_mm2: depth_mm2(voxel) }
    };
    let mut links: Vec<(usize, Cut)> = graph.each_link().map(|(index, link)| (index, thinnest(link))).collect();
    links.sort_by(|a, b| b.1.depth_mm2.total_cmp(&a.1.depth_mm2).then(a.0.cmp(&b.0)));
    let mut groups = Groups::new(graph.nodes.len());
    let mut cuts = vec![];
    for (index, cut) in links {
        let Some(ends) = graph.links[index].as_ref().map(|link| link.ends) else { continue };
        if groups.join(ends[0], ends[1]) {
            continue;
        }
        cuts.push(cut);
        let Some(Link { ends, path }) = graph.remove_link(index) else { continue };
        let middle = path.iter().position(|&voxel| voxel == cut.voxel).unwrap_or(0);
        let (head, tail) = (&path[..middle], &path[(middle + 1).min(path.len())..]);
        if let (true, Some(&last)) = (head.len() > 1, head.last()) {
            let end = graph.add_node(last);
            graph.add_link([ends[0], end], head.to_vec());
        }
        if let (true, Some(&first)) = (tail.len() > 1, tail.first()) {
            let end = graph.add_node(first);
            graph.add_link([end, ends[1]], tail.to_vec());
        }
    }
    cuts
}

/// Which nodes hang together.
pub(crate) struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    pub(crate) fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    pub(crate) fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// Joins two groups; `false` when they were one already.
    pub(crate) fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
        a != b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thinnest_place_of_a_loop_is_cut() {
        let mut graph = Graph::default();
        let nodes = [0, 5].map(|voxel| graph.add_node(voxel));
        graph.add_link(nodes, vec![0, 1, 2, 3, 5]);
        graph.add_link(nodes, vec![0, 6, 7, 8, 9, 5]);
        let mut depth = [4.0_f32; 10];
        depth[8] = 1.0;
        let cuts = cut_loops(&mut graph, |voxel| depth[voxel as usize]);
        assert_eq!(cuts, [Cut { voxel: 8, depth_mm2: 1.0 }]);
        let paths: Vec<Vec<u32>> = graph.each_link().map(|(_, link)| link.path.clone()).collect();
        assert_eq!(paths, [vec![0, 1, 2, 3, 5], vec![0, 6, 7], vec![9, 5]]);
    }
}
