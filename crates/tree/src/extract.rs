//! From a mask to its trees: centreline, graph, loops, spurs, radii, roots.

use std::collections::HashMap;

use pulmoav_task::{Cancelled, Monitor, Warning};
use pulmoav_volume::bits::Bits;
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::nearest::Nearest;
use pulmoav_volume::{Affine, Grid, Mask};

use crate::class::Class;
use crate::depth::Depths;
use crate::error::TreeError;
use crate::graph::Graph;
use crate::lattice::Lattice;
use crate::loops::{Cut, cut_loops};
use crate::prune::{Spurs, prune};
use crate::radius::{Along, radii_mm};
use crate::ranked::Ranked;
use crate::region::{NONE, regions};
use crate::thinning::skeleton_of_bits;
use crate::tree::{Loop, Point, TreeNode, VesselTree};

/// The end with the widest vessel over this length is the root of its piece, mm.
const ROOT_MM: f64 = 10.0;
/// How often the steps of a centreline from voxel to voxel are smoothed.
const SMOOTHINGS: usize = 3;

/// Trees and loose pieces of a mask: anything but 0 counts as inside.
///
/// Everything is measured in mm; the centreline is thinned on the mask's own grid, so where slices are thicker than
/// the vessels' diameter, vessels that run within a slice are found at the middle of it.
///
/// # Errors
/// [`Cancelled`].
pub fn vessel_tree(mask: &Mask, monitor: &dyn Monitor) -> Result<VesselTree, Cancelled> {
    vessel_tree_of(mask, |value| value != 0, monitor)
}

fn vessel_tree_of(
    map: &Mask,
    is_vessel: impl Fn(u8) -> bool + Sync,
    monitor: &dyn Monitor,
) -> Result<VesselTree, Cancelled> {
    let Some(part) = VoxelBox::around(&map.data, map.grid.shape, &is_vessel) else {
        return Ok(VesselTree::default());
    };
    let vessels = Ranked::new(Bits::of(&map.data, map.grid.shape, &part, MARGIN, &is_vessel));
    let centreline = Centreline::find(&vessels, map.grid.spacing_mm, Spurs::SHORT, monitor)?;
    centreline.measured(&vessels, &padded_affine(&map.grid, &part), monitor)
}

/// Voxels beside the box of a mask, so that each of its voxels has neighbours.
pub(crate) const MARGIN: usize = 1;

/// Where the voxels of a box with its margin are.
pub(crate) fn padded_affine(grid: &Grid, part: &VoxelBox) -> Affine {
    let Affine(mut rows) = part.grid(grid).affine;
    for row in rows.iter_mut().take(3) {
        row[3] -= MARGIN as f64 * (row[0] + row[1] + row[2]);
    }
    Affine(rows)
}

/// The trees of several classes of a label map, in their order.
///
/// # Errors
/// [`TreeError::Cancelled`].
pub fn vessel_trees(map: &Mask, classes: &[Class], monitor: &dyn Monitor) -> Result<Vec<VesselTree>, TreeError> {
    let mut trees = Vec::with_capacity(classes.len());
    for (done, class) in classes.iter().enumerate() {
        monitor.report("trees", done as u64, classes.len() as u64);
        trees.push(vessel_tree_of(map, |value| value == class.value, monitor)?);
    }
    monitor.report("trees", classes.len() as u64, classes.len() as u64);
    Ok(trees)
}

/// What should be known of trees measured on a grid.
pub fn extract_warnings(grid: &Grid, is_empty: bool) -> Vec<Warning> {
    let thickest_mm = grid.spacing_mm.into_iter().fold(0.0, f64::max);
    let coarse = (thickest_mm > COARSE_MM).then(|| {
        Warning::new(
            "COARSE_SPACING",
            format!(
                "voxels are {thickest_mm:.2} mm long, more than {COARSE_MM} mm, so vessels thinner than that are broken or \
                 merged, and lengths and radii of the others are rough; measure on thinner slices"
            ),
        )
    });
    let empty = is_empty.then(|| {
        Warning::new(
            "EMPTY_RESULT",
            "the label map holds no vessel, so there is no tree; check that it is the right file",
        )
    });
    coarse.into_iter().chain(empty).collect()
}

/// Slices thicker than this are warned of, mm.
const COARSE_MM: f64 = 2.5;

/// The graph of a mask without loops and spurs.
pub(crate) struct Centreline {
    pub(crate) lattice: Lattice,
    pub(crate) graph: Graph,
    pub(crate) depths: Depths,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) pruned: usize,
}

impl Centreline {
    pub(crate) fn find(
        inside: &Ranked,
        spacing_mm: [f64; 3],
        spurs: Spurs,
        monitor: &dyn Monitor,
    ) -> Result<Self, Cancelled> {
        monitor.proceed()?;
        let line = skeleton_of_bits(inside.bits.clone());
        monitor.proceed()?;
        let depths = Depths::find(line, &inside.bits, spacing_mm);
        monitor.proceed()?;
        let lattice = inside.lattice(spacing_mm);
        let depth = |voxel| depths.mm2(voxel);
        let mut graph = Graph::trace(depths.line(), depth);
        let cuts = cut_loops(&mut graph, depth);
        join_all(&mut graph);
        let pruned = prune(&mut graph, depth, &lattice, spurs);
        join_all(&mut graph);
        Ok(Self { lattice, graph, depths, cuts, pruned })
    }

    fn measured(self, inside: &Ranked, affine: &Affine, monitor: &dyn Monitor) -> Result<VesselTree, Cancelled> {
        let line = self.line_voxels();
        let numbers: HashMap<u32, u32> = line.iter().enumerate().map(|(i, &voxel)| (voxel, i as u32)).collect();
        let seeds = line.iter().enumerate().map(|(i, &voxel)| (voxel, i as u32));
        let nearest = regions(inside, self.lattice.spacing_mm, seeds);
        monitor.proceed()?;
        let mut volumes_mm3 = vec![0.0; line.len()];
        for &number in nearest.iter().filter(|&&number| number != NONE) {
            volumes_mm3[number as usize] += self.lattice.voxel_mm3();
        }
        let paths = self.paths(affine, &numbers, &volumes_mm3);
        let rooted = self.rooted(&paths, &numbers, &volumes_mm3, affine);
        let mut tree = VesselTree::of_nodes(&rooted.nodes);
        self.set_gaps(&mut tree, &rooted, inside, &nearest);
        tree.pruned = self.pruned;
        let world = |voxel: u32| world_mm(affine, self.lattice.place(voxel).map(|v| v as f64));
        let loops = self.cuts.iter().map(|cut| {
            let radius_mm = (f64::from(cut.depth_mm2).sqrt() - 0.5 * self.lattice.voxel_mm3().cbrt()).max(0.0);
            Loop { at: Point { mm: world(cut.voxel), radius_mm } }
        });
        tree.loops = loops.collect();
        Ok(tree)
    }

    /// Every voxel of the graph once, in scan order.
    pub(crate) fn line_voxels(&self) -> Vec<u32> {
        let lone = self.graph.nodes.iter().filter(|node| node.is_lone);
        let mut line: Vec<u32> = lone.map(|node| node.voxel).collect();
        line.extend(self.graph.each_link().flat_map(|(_, link)| link.path.iter().copied()));
        line.sort_unstable();
        line.dedup();
        line
    }

    /// Smooth places and radii along each link.
    fn paths(&self, affine: &Affine, numbers: &HashMap<u32, u32>, volumes_mm3: &[f64]) -> HashMap<usize, Vec<Point>> {
        let of_link = |(index, link): (usize, &crate::graph::Link)| {
            let own: Vec<f64> = link.path.iter().map(|voxel| volumes_mm3[numbers[voxel] as usize]).collect();
            let is_fork = link.ends.map(|end| self.graph.nodes[end].links.len() > 1);
            let along = Along { path: &link.path, volumes_mm3: &own, is_fork };
            let radii = radii_mm(&along, |voxel| self.depths.mm2(voxel), &self.lattice);
            let places = smoothed(link.path.iter().map(|&v| self.lattice.place(v).map(|k| k as f64)).collect());
            let point = |(place, radius_mm)| Point { mm: world_mm(affine, place), radius_mm };
            (index, places.into_iter().zip(radii).map(point).collect())
        };
        self.graph.each_link().map(of_link).collect()
    }

    /// The pieces as nodes that hang on each other, each from its widest end.
    fn rooted(
        &self,
        paths: &HashMap<usize, Vec<Point>>,
        numbers: &HashMap<u32, u32>,
        volumes_mm3: &[f64],
        affine: &Affine,
    ) -> Rooted {
        let mut rooted = Rooted { nodes: vec![], of_number: vec![usize::MAX; volumes_mm3.len()] };
        let mut seen = vec![false; self.graph.nodes.len()];
        for root in self.roots(paths) {
            let node = &self.graph.nodes[root];
            if seen[root] || (node.links.is_empty() && !node.is_lone) {
                continue;
            }
            seen[root] = true;
            let number = numbers[&node.voxel];
            let depth_mm = f64::from(self.depths.mm2(node.voxel)).sqrt();
            let radius_mm = node.links.first().map_or(depth_mm - 0.5 * self.lattice.voxel_mm3().cbrt(), |link| {
                outwards(&self.graph, *link, root, &paths[link])[0].radius_mm
            });
            let mm = world_mm(affine, self.lattice.place(node.voxel).map(|v| v as f64));
            let radius_mm = radius_mm.max(0.25 * self.lattice.finest_mm());
            rooted.add(Point { mm, radius_mm }, number, None, volumes_mm3);
            let mut open = vec![root];
            while let Some(from) = open.pop() {
                for &index in &self.graph.nodes[from].links {
                    let Some(link) = &self.graph.links[index] else { continue };
                    let to = link.other_end(from);
                    if seen[to] {
                        continue;
                    }
                    seen[to] = true;
                    open.push(to);
                    let mut voxels = link.path.clone();
                    if link.ends[0] != from {
                        voxels.reverse();
                    }
                    let mut parent = rooted.of_number[numbers[&voxels[0]] as usize];
                    for (voxel, point) in voxels.iter().zip(outwards(&self.graph, index, from, &paths[&index])).skip(1)
                    {
                        parent = rooted.add(point, numbers[voxel], Some(parent), volumes_mm3);
                    }
                }
            }
        }
        rooted
    }

    /// Nodes, those that may be roots first: ends, by how wide their vessel is.
    fn roots(&self, paths: &HashMap<usize, Vec<Point>>) -> Vec<usize> {
        let width = |node: usize| -> f64 {
            let [link] = self.graph.nodes[node].links[..] else { return -1.0 };
            let points = outwards(&self.graph, link, node, &paths[&link]);
            let mut left_mm = ROOT_MM;
            let (mut sum, mut count) = (0.0, 0.0);
            for pair in points.windows(2) {
                (sum, count) = (sum + pair[1].radius_mm, count + 1.0);
                left_mm -= crate::tree::between_mm(pair[0].mm, pair[1].mm);
                if left_mm < 0.0 {
                    break;
                }
            }
            sum / f64::max(count, 1.0)
        };
        let mut roots: Vec<(f64, usize)> = (0..self.graph.nodes.len()).map(|node| (width(node), node)).collect();
        roots.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        roots.into_iter().map(|(_, node)| node).collect()
    }

    /// How far each loose piece is from the trees.
    fn set_gaps(&self, tree: &mut VesselTree, rooted: &Rooted, inside: &Ranked, nearest: &[u32]) {
        if tree.pieces.iter().all(|piece| piece.is_tree) {
            return;
        }
        let piece_of_node = rooted.pieces(tree);
        let piece = |&number: &u32| match number {
            NONE => None,
            number => piece_of_node.get(rooted.of_number[number as usize]).copied(),
        };
        let (mut trees, mut loose) = (Bits::empty(self.lattice.shape), Bits::empty(self.lattice.shape));
        let mut of_loose = vec![];
        for (&voxel, piece) in inside.voxels.iter().zip(nearest.iter().map(piece)) {
            match piece {
                Some(piece) if tree.pieces[piece].is_tree => trees.set(self.lattice.place(voxel)),
                Some(piece) => {
                    loose.set(self.lattice.place(voxel));
                    of_loose.push(piece);
                }
                None => {}
            }
        }
        let to_tree_mm = Nearest::new(&trees, self.lattice.spacing_mm).distances_mm(&loose);
        let mut gaps_mm = vec![f64::INFINITY; tree.pieces.len()];
        for (piece, mm) in of_loose.into_iter().zip(to_tree_mm) {
            gaps_mm[piece] = gaps_mm[piece].min(mm);
        }
        for (piece, gap_mm) in tree.pieces.iter_mut().zip(gaps_mm).filter(|(piece, _)| !piece.is_tree) {
            piece.gap_mm = Some(gap_mm);
        }
    }
}

/// Nodes of all pieces.
struct Rooted {
    nodes: Vec<TreeNode>,
    /// The node of each voxel of the line, by the voxel's number.
    of_number: Vec<usize>,
}

impl Rooted {
    fn add(&mut self, point: Point, number: u32, parent: Option<usize>, volumes_mm3: &[f64]) -> usize {
        self.of_number[number as usize] = self.nodes.len();
        self.nodes.push(TreeNode { point, volume_mm3: volumes_mm3[number as usize], parent });
        self.nodes.len() - 1
    }

    /// The piece of each node: pieces are known by where their roots are.
    fn pieces(&self, tree: &VesselTree) -> Vec<usize> {
        let key = |point: &Point| point.mm.map(f64::to_bits);
        let by_root: HashMap<[u64; 3], usize> =
            tree.pieces.iter().enumerate().map(|(i, piece)| (key(&tree.branches[piece.root].points[0]), i)).collect();
        let mut pieces: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let piece = node.parent.map_or_else(|| by_root[&key(&node.point)], |parent| pieces[parent]);
            pieces.push(piece);
        }
        pieces
    }
}

/// A link's points from one of its nodes outwards.
fn outwards(graph: &Graph, link: usize, from: usize, points: &[Point]) -> Vec<Point> {
    let starts_here = graph.links[link].as_ref().is_some_and(|link| link.ends[0] == from);
    if starts_here { points.to_vec() } else { points.iter().rev().copied().collect() }
}

/// Joins the links of every node that is no fork.
fn join_all(graph: &mut Graph) {
    for node in 0..graph.nodes.len() {
        graph.join_at(node);
    }
}

/// Takes the steps out of a path of voxels; its ends stay.
fn smoothed(mut places: Vec<[f64; 3]>) -> Vec<[f64; 3]> {
    for _ in 0..SMOOTHINGS {
        let before = places.clone();
        for k in 1..places.len().saturating_sub(1) {
            places[k] =
                [0, 1, 2].map(|axis| 0.25 * (before[k - 1][axis] + 2.0 * before[k][axis] + before[k + 1][axis]));
        }
    }
    places
}

/// `[z, y, x]` in voxels → RAS mm `[x, y, z]`.
fn world_mm(affine: &Affine, [z, y, x]: [f64; 3]) -> [f64; 3] {
    affine.apply([x, y, z])
}
