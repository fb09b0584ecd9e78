//! The graph of a centreline: forks and ends are its nodes, the paths between them its links.

use crate::ranked::Ranked;

/// A fork, an end, or a place where a loop was cut.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) voxel: u32,
    /// Links that are there; a link from a node to itself stands twice.
    pub(crate) links: Vec<usize>,
    /// Whether it is a piece of its own: it had no links from the start.
    pub(crate) is_lone: bool,
}

/// A path of voxels from one node to another, both of them included.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) ends: [usize; 2],
    pub(crate) path: Vec<u32>,
}

/// Nodes and links; a link that was taken away is `None`, and its nodes stay.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Option<Link>>,
}

impl Graph {
    /// Traces a centreline that is one voxel thin. Touching fork voxels become one node, at the one farthest from the
    /// background.
    ///
    /// `depth_mm2`: squared distance of a voxel of the line to the background.
    pub(crate) fn trace(line: &Ranked, depth_mm2: impl Fn(u32) -> f32) -> Self {
        Tracer::new(line).trace(depth_mm2)
    }

    pub(crate) fn add_node(&mut self, voxel: u32) -> usize {
        self.nodes.push(Node { voxel, links: vec![], is_lone: false });
        self.nodes.len() - 1
    }

    pub(crate) fn add_link(&mut self, ends: [usize; 2], path: Vec<u32>) -> usize {
        let index = self.links.len();
        self.links.push(Some(Link { ends, path }));
        for end in ends {
            self.nodes[end].links.push(index);
        }
        index
    }

    /// Takes a link away and returns it.
    pub(crate) fn remove_link(&mut self, index: usize) -> Option<Link> {
        let link = self.links[index].take()?;
        for end in link.ends {
            self.nodes[end].links.retain(|&other| other != index);
        }
        Some(link)
    }

    /// Joins the two links of a node that is no fork; gives the link that replaces them.
    pub(crate) fn join_at(&mut self, node: usize) -> Option<usize> {
        let [first, second] = self.nodes[node].links[..] else { return None };
        if first == second {
            return None;
        }
        let (a, b) = (self.remove_link(first)?, self.remove_link(second)?);
        let (from, mut path) = a.towards(node);
        let (to, rest) = b.towards(node);
        path.extend(rest.into_iter().rev().skip(1));
        Some(self.add_link([from, to], path))
    }

    /// Links that are there, with their numbers.
    pub(crate) fn each_link(&self) -> impl Iterator<Item = (usize, &Link)> {
        self.links.iter().enumerate().filter_map(|(index, link)| Some((index, link.as_ref()?)))
    }
}

impl Link {
    /// The node at the other end, and the path from there to `node`.
    pub(crate) fn towards(self, node: usize) -> (usize, Vec<u32>) {
        let Self { ends: [from, to], mut path } = self;
        if to == node {
            return (from, path);
        }
        path.reverse();
        (to, path)
    }

    pub(crate) fn other_end(&self, node: usize) -> usize {
        if self.ends[0] == node { self.ends[1] } else { self.ends[0] }
    }
}

/// A path that comes back to its fork over so few voxels goes round nothing.
const TINY_LOOP: usize = 4;

struct Tracer {
    /// Voxels of the line in scan order, and the places in this list of each one's neighbours.
    voxels: Vec<u32>,
    near: Vec<Vec<usize>>,
}

impl Tracer {
    fn new(line: &Ranked) -> Self {
        let on_line = |&voxel: &u32| -> Vec<usize> {
            let mut near = vec![];
            line.around(voxel, |slot, _| near.push(slot as usize));
            near.retain(|&slot| line.voxels[slot] != voxel);
            near
        };
        Self { near: line.voxels.iter().map(on_line).collect(), voxels: line.voxels.clone() }
    }

    fn trace(&self, depth_mm2: impl Fn(u32) -> f32) -> Graph {
        let mut graph = Graph::default();
        let mut node_of = self.forks(depth_mm2, &mut graph);
        for slot in 0..self.voxels.len() {
            if node_of[slot].is_none() && self.near[slot].len() <= 1 {
                node_of[slot] = Some(graph.add_node(self.voxels[slot]));
            }
        }
        let mut walked = vec![false; self.voxels.len()];
        for slot in 0..self.voxels.len() {
            let Some(node) = node_of[slot] else { continue };
            for &next in &self.near[slot] {
                match node_of[next] {
                    Some(other) if other == node => {}
                    // Two ends that touch, or an end at a fork: seen from both sides.
                    Some(other) if node < other => {
                        let path = vec![graph.nodes[node].voxel, graph.nodes[other].voxel];
                        graph.add_link([node, other], path);
                    }
                    Some(_) => {}
                    None if walked[next] => {}
                    None => self.walk(slot, next, &node_of, &mut walked, &mut graph),
                }
            }
        }
        self.rings(&mut node_of, &mut walked, &mut graph);
        for node in &mut graph.nodes {
            node.is_lone = node.links.is_empty();
        }
        graph
    }

    /// One node for each group of touching voxels with three neighbours or more.
    fn forks(&self, depth_mm2: impl Fn(u32) -> f32, graph: &mut Graph) -> Vec<Option<usize>> {
        let mut node_of = vec![None; self.voxels.len()];
        for start in 0..self.voxels.len() {
            if node_of[start].is_some() || self.near[start].len() < 3 {
                continue;
            }
            let node = graph.add_node(self.voxels[start]);
            let mut open = vec![start];
            node_of[start] = Some(node);
            while let Some(slot) = open.pop() {
                if depth_mm2(self.voxels[slot]) > depth_mm2(graph.nodes[node].voxel) {
                    graph.nodes[node].voxel = self.voxels[slot];
                }
                for &next in &self.near[slot] {
                    if node_of[next].is_none() && self.near[next].len() >= 3 {
                        node_of[next] = Some(node);
                        open.push(next);
                    }
                }
            }
        }
        node_of
    }

    /// Follows a path from a voxel of a node through voxels of two neighbours each to the next node.
    fn walk(&self, from: usize, first: usize, node_of: &[Option<usize>], walked: &mut [bool], graph: &mut Graph) {
        let Some(start) = node_of[from] else { return };
        let mut path = vec![graph.nodes[start].voxel];
        let (mut before, mut here) = (from, first);
        loop {
            walked[here] = true;
            path.push(self.voxels[here]);
            // A voxel of two neighbours: one is where we came from, unless both belong to the node we left.
            let Some(&next) = self.near[here].iter().find(|&&next| next != before) else { return };
            if let Some(end) = node_of[next] {
                path.push(graph.nodes[end].voxel);
                if end != start || path.len() > TINY_LOOP {
                    graph.add_link([start, end], path);
                }
                return;
            }
            (before, here) = (here, next);
        }
    }

    /// Closed curves without a fork get a node each.
    fn rings(&self, node_of: &mut [Option<usize>], walked: &mut [bool], graph: &mut Graph) {
        for slot in 0..self.voxels.len() {
            if node_of[slot].is_none() && !walked[slot] {
                node_of[slot] = Some(graph.add_node(self.voxels[slot]));
                walked[slot] = true;
                let first = self.near[slot][0];
                self.walk(slot, first, node_of, walked, graph);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::bits::Bits;

    fn traced(rows: [&str; 9]) -> Graph {
        let mut line = Bits::empty([3, 11, 13]);
        for (y, row) in rows.iter().enumerate() {
            row.bytes().enumerate().filter(|(_, c)| *c == b'#').for_each(|(x, _)| line.set([1, y + 1, x + 1]));
        }
        Graph::trace(&Ranked::new(line), |_| 1.0)
    }

    #[test]
    fn a_fork_has_three_links_and_a_ring_one() {
        let graph = traced([
            "#.........#",
            ".#.......#.",
            "..#.....#..",
            "...#...#...",
            "....#.#....",
            ".....#.....",
            ".....#.....",
            ".....#.....",
            ".....#.....",
        ]);
        let lengths: Vec<usize> = graph.each_link().map(|(_, link)| link.path.len()).collect();
        assert_eq!(graph.nodes.iter().filter(|node| node.links.len() == 3).count(), 1);
        assert_eq!((graph.nodes.len(), lengths.iter().sum::<usize>()), (4, 6 + 6 + 4));
        let ring = traced([
            "...........",
            "..###......",
            ".#...#.....",
            ".#...#.....",
            "..###......",
            "...........",
            "........#..",
            "...........",
            ".##........",
        ]);
        assert_eq!(ring.nodes.len(), 4, "a node on the ring, a lone voxel, two ends that touch");
        assert_eq!(ring.each_link().count(), 2);
        assert!(ring.each_link().any(|(_, link)| link.ends[0] == link.ends[1]));
    }

    #[test]
    fn joining_keeps_the_path_whole() {
        let mut graph = Graph::default();
        let nodes = [0, 2, 4].map(|voxel| graph.add_node(voxel));
        graph.add_link([nodes[1], nodes[0]], vec![2, 1, 0]);
        graph.add_link([nodes[1], nodes[2]], vec![2, 3, 4]);
        let joined = graph.join_at(nodes[1]).expect("two links");
        assert_eq!(graph.links[joined].as_ref().expect("there").path, [0, 1, 2, 3, 4]);
        assert!(graph.nodes[nodes[1]].links.is_empty());
    }
}
