//! A tree measured from a mask, beside the tree that the generator drew.

use pulmoav_phantom::{ARTERY_DIAMETERS_MM, FIRST_ORDER, Phantom, VEIN_DIAMETERS_MM};
use pulmoav_task::Silent;
use pulmoav_tree::order::{OrderStatistics, by_diameter, by_strahler};
use pulmoav_tree::{Branch, Point, TreeNode, VesselTree, vessel_tree};
use pulmoav_volume::Volume;

/// Branches of this diameter and more are looked for.
const LEAST_DIAMETER_MM: f64 = 2.0;
/// A branch is found when this share of it is.
const LEAST_SHARE: f64 = 0.8;

/// What became of a comparison.
#[derive(Debug)]
#[allow(dead_code)] // Each user of this file looks at what it needs.
pub(crate) struct Comparison {
    /// True branches of 2 mm and more that lie in the scan.
    pub branches: usize,
    /// Those of which at least 80 % were found.
    pub branches_found: f64,
    /// Length of the measured trees and of the true ones, mm.
    pub length_mm: f64,
    pub true_length_mm: f64,
    /// Median absolute error of the radius over the true points that were found, and the median error.
    pub radius_error_mm: f64,
    pub radius_bias_mm: f64,
    /// Trees, loose pieces, loops, spurs.
    pub trees: usize,
    pub loose: usize,
    pub loops: usize,
    pub pruned: usize,
    /// Measured and true statistics by Strahler order and by diameter.
    pub strahler: [Vec<OrderStatistics>; 2],
    pub diameter: [Vec<OrderStatistics>; 2],
}

/// Compares the arteries (class 0) or veins (1) of a phantom.
pub(crate) fn compared(phantom: &Phantom, class: usize) -> Comparison {
    let value = class as u8 + 1;
    let mask = phantom.labels.data.iter().map(|&label| u8::from(label == value)).collect();
    let mask = Volume { data: mask, grid: phantom.labels.grid };
    let found = vessel_tree(&mask, &Silent).expect("not cancelled");
    let truth = true_tree(phantom, class, &mask);
    let grid = Buckets::of(&found);
    let voxel_mm = phantom.labels.grid.spacing_mm.into_iter().fold(0.0, f64::max);
    let (mut branches, mut branches_found, mut errors) = (0, 0, vec![]);
    for branch in truth.branches.iter().filter(|branch| 2.0 * branch.radius_mm >= LEAST_DIAMETER_MM) {
        let visible = visible(branch, &truth);
        if visible.is_empty() {
            continue;
        }
        let near: Vec<Option<&Point>> =
            visible.iter().map(|point| grid.nearest(point.mm, point.radius_mm.max(1.5 * voxel_mm))).collect();
        let hits = near.iter().flatten().count();
        branches += 1;
        branches_found += usize::from(hits as f64 >= LEAST_SHARE * visible.len() as f64);
        errors.extend(visible.iter().zip(near).filter_map(|(t, n)| Some(n?.radius_mm - t.radius_mm)));
    }
    let table = if class == 0 { ARTERY_DIAMETERS_MM } else { VEIN_DIAMETERS_MM }.map(f64::from);
    let of_trees = |tree: &VesselTree, wanted: bool| tree.pieces.iter().filter(|p| p.is_tree == wanted).count();
    let length = |tree: &VesselTree| tree.pieces.iter().map(|piece| piece.length_mm).sum();
    Comparison {
        branches,
        branches_found: branches_found as f64,
        length_mm: length(&found),
        true_length_mm: length(&truth),
        radius_bias_mm: median(errors.clone()),
        radius_error_mm: median(errors.into_iter().map(f64::abs).collect()),
        trees: of_trees(&found, true),
        loose: of_trees(&found, false),
        loops: found.loops.len(),
        pruned: found.pruned,
        strahler: [by_strahler(&found), by_strahler(&truth)],
        diameter: [&found, &truth].map(|tree| by_diameter(tree, &table, FIRST_ORDER)),
    }
}

/// What the generator drew and the mask shows: nodes outside the grid, or where the mask has another vessel, are left
/// out, and what hangs on them hangs on what is before them.
fn true_tree(phantom: &Phantom, class: usize, mask: &Volume<u8>) -> VesselTree {
    let nodes = &phantom.centrelines[class];
    let mut places: Vec<Option<usize>> = vec![];
    let mut kept: Vec<TreeNode> = vec![];
    for node in nodes {
        let mm = node.mm.map(f64::from);
        let parent = node.parent.and_then(|parent| places[parent]);
        if is_inside(mask, mm) {
            places.push(Some(kept.len()));
            let point = Point { mm, radius_mm: f64::from(node.radius_mm) };
            kept.push(TreeNode { point, volume_mm3: 0.0, parent });
        } else {
            places.push(parent);
        }
    }
    let finest_mm = mask.grid.spacing_mm.into_iter().fold(f64::INFINITY, f64::min);
    VesselTree::of_nodes(&without_hidden(kept, finest_mm))
}

/// Leaves out twigs that end in their parent or just outside it, where a mask has nothing to show for them.
fn without_hidden(mut nodes: Vec<TreeNode>, finest_mm: f64) -> Vec<TreeNode> {
    loop {
        let mut children = vec![0; nodes.len()];
        nodes.iter().filter_map(|node| node.parent).for_each(|parent| children[parent] += 1);
        let mut hidden = vec![false; nodes.len()];
        let tips: Vec<usize> = (0..nodes.len()).filter(|&node| children[node] == 0).collect();
        for tip in tips {
            let (mut run, mut length_mm) = (vec![tip], 0.0);
            let fork = loop {
                let at = run[run.len() - 1];
                let Some(parent) = nodes[at].parent else { break None };
                length_mm += distance_mm(nodes[at].point.mm, nodes[parent].point.mm);
                if children[parent] > 1 {
                    break Some(parent);
                }
                run.push(parent);
            };
            let Some(fork) = fork else { continue };
            let least_mm = (2.0 * nodes[tip].point.radius_mm).max(1.5 * finest_mm);
            if length_mm - nodes[fork].point.radius_mm < least_mm {
                for &node in &run {
                    hidden[node] = true;
                }
                // One a fork at a time: what is left there may be no twig any more.
                children[fork] -= 1;
            }
        }
        if !hidden.contains(&true) {
            return nodes;
        }
        let mut places = vec![None; nodes.len()];
        let mut kept = vec![];
        for (index, node) in nodes.iter().enumerate().filter(|(index, _)| !hidden[*index]) {
            places[index] = Some(kept.len());
            kept.push(TreeNode { parent: node.parent.and_then(|parent| places[parent]), ..*node });
        }
        nodes = kept;
    }
}

fn distance_mm(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt()
}

/// Whether a place lies in a voxel of the mask or beside one.
fn is_inside(mask: &Volume<u8>, mm: [f64; 3]) -> bool {
    let (grid, a) = (&mask.grid, &mask.grid.affine.0);
    // Phantoms' axes run with the body's.
    let at: [isize; 3] = [0, 1, 2].map(|k| ((mm[2 - k] - a[2 - k][3]) / grid.spacing_mm[k]).round() as isize);
    (-1..=1).any(|dz| {
        (-1..=1).any(|dy| {
            (-1..=1).any(|dx| {
                let place = [at[0] + dz, at[1] + dy, at[2] + dx];
                let inside = (0..3).all(|k| place[k] >= 0 && place[k] < grid.shape[k] as isize);
                let [z, y, x] = place.map(|v| v as usize);
                inside && mask.data[(z * grid.shape[1] + y) * grid.shape[2] + x] != 0
            })
        })
    })
}

/// Points of a branch that lie outside its parent.
fn visible(branch: &Branch, tree: &VesselTree) -> Vec<Point> {
    let parent_mm = branch.parent.map_or(0.0, |parent| tree.branches[parent].radius_mm);
    let start = branch.points[0].mm;
    let away = |point: &&Point| distance_mm(point.mm, start) > parent_mm;
    branch.points.iter().skip(1).filter(away).copied().collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Points by the cube of space that they lie in.
struct Buckets<'a> {
    cubes: std::collections::HashMap<[i64; 3], Vec<&'a Point>>,
}

/// Side of a cube, mm.
const CUBE_MM: f64 = 8.0;

impl<'a> Buckets<'a> {
    fn of(tree: &'a VesselTree) -> Self {
        let mut cubes: std::collections::HashMap<[i64; 3], Vec<&Point>> = std::collections::HashMap::default();
        for point in tree.branches.iter().flat_map(|branch| &branch.points) {
            cubes.entry(point.mm.map(|v| (v / CUBE_MM).floor() as i64)).or_default().push(point);
        }
        Self { cubes }
    }

    /// The nearest point within reach.
    fn nearest(&self, mm: [f64; 3], reach_mm: f64) -> Option<&'a Point> {
        let [x, y, z] = mm.map(|v| (v / CUBE_MM).floor() as i64);
        let steps = (reach_mm / CUBE_MM).ceil() as i64;
        let range = -steps..=steps;
        let cubes = range.clone().flat_map(|a| {
            let range = range.clone();
            range.clone().flat_map(move |b| range.clone().map(move |c| [x + a, y + b, z + c]))
        });
        let distance = |point: &Point| distance_mm(point.mm, mm);
        let near = cubes.filter_map(|cube| self.cubes.get(&cube)).flatten().copied();
        near.map(|point| (distance(point), point))
            .filter(|(mm, _)| *mm <= reach_mm)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, point)| point)
    }
}
