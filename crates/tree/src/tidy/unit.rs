//! Units: branches of one class with the voxels nearest to them.

use pulmoav_task::{Cancelled, Monitor};
use pulmoav_volume::Affine;

use crate::extract::Centreline;
use crate::lattice::Lattice;
use crate::prune::Spurs;
use crate::region::{NONE, regions};
use crate::tidy::Change;

/// A branch of one class.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// 1 artery, 2 vein.
    pub(super) class: u8,
    /// Voxels of its centreline.
    pub(super) path: Vec<u32>,
    /// Its forks and ends, by number over both classes.
    pub(super) nodes: [usize; 2],
    /// Whether each end is free: no other branch of its class goes on there.
    pub(super) is_free: [bool; 2],
    pub(super) length_mm: f64,
    /// Mean radius, mm.
    pub(super) radius_mm: f64,
    pub(super) voxels: u64,
    /// Which piece of its class it belongs to, over both classes.
    pub(super) piece: usize,
}

/// All units of a label map.
pub(super) struct Units {
    pub(super) lattice: Lattice,
    pub(super) list: Vec<Unit>,
    /// The unit of each voxel; [`NONE`] outside.
    pub(super) of_voxel: Vec<u32>,
    /// Length of each piece, mm.
    pub(super) piece_mm: Vec<f64>,
    /// Whether each piece is no tree of its class.
    pub(super) is_loose: Vec<bool>,
}

/// A piece is loose when it is shorter than this share of the longest of its class.
const TREE_SHARE: f64 = 0.1;

impl Units {
    /// # Shapes
    /// `classes` (0, 1 artery, 2 vein): `[z, y, x]` of the lattice.
    pub(super) fn find(classes: &[u8], lattice: Lattice, monitor: &dyn Monitor) -> Result<Self, Cancelled> {
        let mut units =
            Self { lattice, list: vec![], of_voxel: vec![NONE; classes.len()], piece_mm: vec![], is_loose: vec![] };
        let mut nodes = 0;
        for class in [1, 2] {
            let mask: Vec<u8> = classes.iter().map(|&value| u8::from(value == class)).collect();
            if mask.contains(&1) {
                let centreline = Centreline::find(&mask, lattice, Spurs::LONG, monitor)?;
                units.add_class(class, &mask, &centreline, nodes);
                nodes += centreline.graph.nodes.len();
            }
        }
        Ok(units)
    }

    fn add_class(&mut self, class: u8, mask: &[u8], centreline: &Centreline, first_node: usize) {
        let first = self.list.len();
        let graph = &centreline.graph;
        let lone = graph.nodes.iter().enumerate().filter(|(_, node)| node.is_lone);
        let lone = lone.map(|(index, node)| ([index; 2], vec![node.voxel]));
        let links = graph.each_link().map(|(_, link)| (link.ends, link.path.clone()));
        let half_mm = 0.5 * self.lattice.voxel_mm3().cbrt();
        for (ends, path) in links.chain(lone) {
            let depth = |voxel: &u32| f64::from(centreline.depth_mm2[*voxel as usize]).sqrt() - half_mm;
            self.list.push(Unit {
                class,
                nodes: ends.map(|end| first_node + end),
                is_free: ends.map(|end| graph.nodes[end].links.len() < 2),
                length_mm: self.lattice.length_mm(&path),
                radius_mm: (path.iter().map(depth).sum::<f64>() / path.len() as f64).max(half_mm),
                path,
                voxels: 0,
                piece: 0,
            });
        }
        let seeds = self.list[first..].iter().enumerate();
        let seeds = seeds.flat_map(|(i, unit)| unit.path.iter().map(move |&voxel| (voxel, (first + i) as u32)));
        for (voxel, number) in regions(mask, &self.lattice, seeds).into_iter().enumerate() {
            if number != NONE {
                self.of_voxel[voxel] = number;
                self.list[number as usize].voxels += 1;
            }
        }
        self.number_pieces(first, graph.nodes.len(), first_node);
    }

    /// Units that hang together by their nodes are one piece.
    fn number_pieces(&mut self, first: usize, nodes: usize, first_node: usize) {
        let mut groups = crate::loops::Groups::new(nodes);
        for unit in &self.list[first..] {
            groups.join(unit.nodes[0] - first_node, unit.nodes[1] - first_node);
        }
        let first_piece = self.piece_mm.len();
        let mut numbers = std::collections::HashMap::new();
        for unit in &mut self.list[first..] {
            let root = groups.root(unit.nodes[0] - first_node);
            let piece = *numbers.entry(root).or_insert_with(|| {
                self.piece_mm.push(0.0);
                self.piece_mm.len() - 1
            });
            unit.piece = piece;
            self.piece_mm[piece] += unit.length_mm;
        }
        let longest_mm = self.piece_mm[first_piece..].iter().copied().fold(0.0, f64::max);
        self.is_loose.extend(self.piece_mm[first_piece..].iter().map(|&mm| mm < TREE_SHARE * longest_mm));
    }

    /// What flipping these units changes.
    pub(super) fn flipped(&self, flips: &[bool], affine: &Affine, values: [u8; 2]) -> Vec<Change> {
        let change = |(unit, _): (&Unit, &bool)| {
            let [z, y, x] = self.lattice.place(unit.path[unit.path.len() / 2]).map(|v| v as f64);
            let value = |class: u8| values[usize::from(class) - 1];
            Change {
                at_mm: affine.apply([x, y, z]),
                from: value(unit.class),
                to: value(3 - unit.class),
                length_mm: unit.length_mm,
                voxels: unit.voxels,
            }
        };
        self.list.iter().zip(flips).filter(|(_, flip)| **flip).map(change).collect()
    }

    pub(super) fn apply(&self, flips: &[bool], classes: &mut [u8]) {
        for (class, &unit) in classes.iter_mut().zip(&self.of_voxel) {
            if unit != NONE && flips[unit as usize] {
                *class = 3 - *class;
            }
        }
    }
}
