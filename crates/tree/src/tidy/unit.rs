//! Units: branches of one class with the voxels nearest to them.

use pulmoav_task::{Cancelled, Monitor};
use pulmoav_volume::bits::Bits;

use crate::extract::Centreline;
use crate::lattice::Lattice;
use crate::loops::Groups;
use crate::prune::Spurs;
use crate::ranked::Ranked;
use crate::region::{NONE, regions};

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
    /// Those of the arteries, then those of the veins.
    pub(super) list: Vec<Unit>,
    /// Arteries and veins.
    pub(super) classes: [ClassVoxels; 2],
    /// Whether each piece is no tree of its class.
    pub(super) is_loose: Vec<bool>,
}

/// The voxels of one class.
pub(super) struct ClassVoxels {
    pub(super) mask: Ranked,
    /// The unit of each; [`NONE`] where it hangs on none.
    pub(super) units: Vec<u32>,
}

/// A piece is loose when it is shorter than this share of the longest of its class.
const TREE_SHARE: f64 = 0.1;

impl Units {
    /// # Shapes
    /// `classes`: arteries and veins, of one shape with a margin.
    pub(super) fn find(
        [arteries, veins]: [Bits; 2],
        spacing_mm: [f64; 3],
        monitor: &dyn Monitor,
    ) -> Result<Self, Cancelled> {
        let lattice = Lattice { shape: arteries.shape(), spacing_mm };
        let of = |class, bits| OfClass::find(class, Ranked::new(bits), spacing_mm, monitor);
        let (arteries, veins) = rayon::join(|| of(1, arteries), || of(2, veins));
        let (arteries, veins) = (arteries?, veins?);
        let [first_unit, first_piece, first_node] = [arteries.list.len(), arteries.is_loose.len(), arteries.nodes];
        let mut list = arteries.list;
        list.extend(veins.list.into_iter().map(|unit| Unit {
            nodes: unit.nodes.map(|node| node + first_node),
            piece: unit.piece + first_piece,
            ..unit
        }));
        let mut classes = [arteries.voxels, veins.voxels];
        for unit in classes[1].units.iter_mut().filter(|unit| **unit != NONE) {
            *unit += first_unit as u32;
        }
        Ok(Self { lattice, list, classes, is_loose: [arteries.is_loose, veins.is_loose].concat() })
    }

    /// Voxels of a class whose units are flipped.
    pub(super) fn flipped<'a>(&'a self, class: usize, flips: &'a [bool]) -> impl Iterator<Item = u32> + 'a {
        let ClassVoxels { mask, units } = &self.classes[class];
        let flipped = mask.voxels.iter().zip(units);
        flipped.filter(|(_, unit)| **unit != NONE && flips[**unit as usize]).map(|(&voxel, _)| voxel)
    }

    /// Arteries and veins after flipping these units.
    pub(super) fn into_flipped(self, flips: &[bool]) -> [Bits; 2] {
        let flipped = [0, 1].map(|class| self.flipped(class, flips).collect::<Vec<_>>());
        let mut bits = self.classes.map(|class| class.mask.bits);
        for (class, voxels) in flipped.iter().enumerate() {
            for &voxel in voxels {
                let place = self.lattice.place(voxel);
                bits[class].clear(place);
                bits[1 - class].set(place);
            }
        }
        bits
    }
}

/// What is found of one class; numbers start at 0.
struct OfClass {
    list: Vec<Unit>,
    voxels: ClassVoxels,
    is_loose: Vec<bool>,
    nodes: usize,
}

impl OfClass {
    fn find(class: u8, mask: Ranked, spacing_mm: [f64; 3], monitor: &dyn Monitor) -> Result<Self, Cancelled> {
        let centreline = Centreline::find(&mask, spacing_mm, Spurs::LONG, monitor)?;
        monitor.proceed()?;
        let mut list = listed(class, &centreline);
        let seeds = list.iter().enumerate();
        let seeds = seeds.flat_map(|(i, unit)| unit.path.iter().map(move |&voxel| (voxel, i as u32)));
        let units = regions(&mask, spacing_mm, seeds);
        for &unit in units.iter().filter(|unit| **unit != NONE) {
            list[unit as usize].voxels += 1;
        }
        let nodes = centreline.graph.nodes.len();
        let is_loose = number_pieces(&mut list, nodes);
        Ok(Self { list, voxels: ClassVoxels { mask, units }, is_loose, nodes })
    }
}

/// The links of a centreline, and its lone voxels, as units.
fn listed(class: u8, centreline: &Centreline) -> Vec<Unit> {
    let (graph, lattice) = (&centreline.graph, &centreline.lattice);
    let lone = graph.nodes.iter().enumerate().filter(|(_, node)| node.is_lone);
    let lone = lone.map(|(index, node)| ([index; 2], vec![node.voxel]));
    let links = graph.each_link().map(|(_, link)| (link.ends, link.path.clone()));
    let half_mm = 0.5 * lattice.voxel_mm3().cbrt();
    let depth = |&voxel: &u32| f64::from(centreline.depths.mm2(voxel)).sqrt() - half_mm;
    let unit = |(ends, path): ([usize; 2], Vec<u32>)| Unit {
        class,
        nodes: ends,
        is_free: ends.map(|end| graph.nodes[end].links.len() < 2),
        length_mm: lattice.length_mm(&path),
        radius_mm: (path.iter().map(depth).sum::<f64>() / path.len() as f64).max(half_mm),
        path,
        voxels: 0,
        piece: 0,
    };
    links.chain(lone).map(unit).collect()
}

/// Units that hang together by their nodes are one piece; gives whether each piece is loose.
fn number_pieces(list: &mut [Unit], nodes: usize) -> Vec<bool> {
    let mut groups = Groups::new(nodes);
    for unit in list.iter() {
        groups.join(unit.nodes[0], unit.nodes[1]);
    }
    let mut piece_mm: Vec<f64> = vec![];
    let mut numbers = std::collections::HashMap::new();
    for unit in list {
        let root = groups.root(unit.nodes[0]);
        let piece = *numbers.entry(root).or_insert_with(|| {
            piece_mm.push(0.0);
            piece_mm.len() - 1
        });
        unit.piece = piece;
        piece_mm[piece] += unit.length_mm;
    }
    let longest_mm = piece_mm.iter().copied().fold(0.0, f64::max);
    piece_mm.iter().map(|&mm| mm < TREE_SHARE * longest_mm).collect()
}
