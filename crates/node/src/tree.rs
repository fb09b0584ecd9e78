//! Vessels as trees.

use std::path::Path;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_tree::order::{OrderStatistics, by_strahler};
use pulmoav_tree::{
    Branch, Class, Piece, TreeError, VesselTree, class, classes, export, extract_warnings, vessel_trees,
};
use pulmoav_volume::label::counts;
use pulmoav_volume::{Mask, formats};

use crate::anatomy::PeakMemory;
use crate::engine::Engine;
use crate::memory::peak_bytes;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::volume::{Axes, Given, VoxelVolume, labels};
use crate::warning::{Warning, missing_values};

/// How trees are asked for.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct TreeRequest {
    /// Values to measure; `null`: those that our plans name, or all where there is none of them.
    pub values: Option<Vec<TreeValue>>,
    /// Whether each tree is also written as SWC, `GraphML` and VTK.
    pub exports: bool,
    /// Which volume of a file with four or more axes.
    pub index: Option<u32>,
    /// Threads to compute with.
    pub threads: u32,
}

/// A value of a label map to measure.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct TreeValue {
    /// The value, 1 to 255.
    pub value: u8,
    /// What to call it; `null`: as our plans do.
    pub name: Option<String>,
}

/// Trees of a label map.
#[napi(object, object_from_js = false)]
pub struct VesselTrees {
    /// One a value, in the order of the values.
    pub trees: Vec<MeasuredTree>,
    /// Wall time by stage.
    pub seconds: TreeSeconds,
    /// The process's peak memory.
    pub memory: PeakMemory,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

/// Wall time of measuring trees, s.
#[napi(object, object_from_js = false)]
pub struct TreeSeconds {
    pub load: f64,
    pub measure: f64,
    pub total: f64,
}

/// The trees and loose pieces of one class.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct MeasuredTree {
    /// `artery`, `vein`, …
    pub name: String,
    /// Value in the label map.
    pub value: u8,
    /// Its voxels.
    pub voxels: f64,
    /// Their volume in ml.
    pub volume_ml: f64,
    /// Length of all centrelines, mm.
    pub length_mm: f64,
    /// Parents before children, piece by piece.
    pub branches: Vec<TreeBranch>,
    /// What hangs together, the longest first.
    pub pieces: Vec<TreePiece>,
    /// Loops of the centreline, each cut at its thinnest place.
    pub loops: Vec<TreeLoop>,
    /// Spurs that were pruned.
    pub pruned: u32,
    /// Count, diameter and length by Strahler order, loose pieces left out.
    pub orders: Vec<TreeOrder>,
    /// The tree as SWC, where asked for.
    pub swc: Option<String>,
    /// As `GraphML`.
    pub graphml: Option<String>,
    /// As VTK `PolyData`, legacy ASCII.
    pub vtk: Option<String>,
}

/// `[x, y, z, radius]`: RAS mm, and the vessel's radius there in mm.
#[napi]
pub type TreePoint = (f64, f64, f64, f64);

/// A vessel between two forks, or between a fork and an end.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct TreeBranch {
    /// The branch that it leaves; `null` for a root.
    pub parent: Option<u32>,
    /// The branches that leave from its end.
    pub children: Vec<u32>,
    /// The piece that it belongs to.
    pub piece: u32,
    /// Its centreline from the root's side outwards; the first point is its parent's last.
    pub points: Vec<TreePoint>,
    /// Length along the centreline, mm.
    pub length_mm: f64,
    /// Mean radius outside the parent, mm.
    pub radius_mm: f64,
    /// Volume of what lies nearest to it, ml.
    pub volume_ml: f64,
    /// Forks between it and the root.
    pub generation: u32,
    /// Strahler's order: 1 at an end.
    pub strahler: u32,
    /// Angle to its parent's direction, degrees; `null` for a root.
    pub angle_deg: Option<f64>,
    /// Length over the distance of its ends, less 1.
    pub tortuosity: f64,
}

/// Branches that hang together.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct TreePiece {
    /// Its root branch.
    pub root: u32,
    /// How many branches it has.
    pub branches: u32,
    /// Length of all of them, mm.
    pub length_mm: f64,
    /// Their volume, ml.
    pub volume_ml: f64,
    /// Whether it counts as a tree: a tenth of the longest piece's length or more. Else it is loose.
    pub is_tree: bool,
    /// Smallest distance from a loose piece's voxels to a tree's, mm; `null` for a tree.
    pub gap_mm: Option<f64>,
}

/// A loop that was cut.
#[napi(object, object_from_js = false)]
pub struct TreeLoop {
    /// Where, RAS mm `[x, y, z]`.
    pub at_mm: Axes,
    /// Radius there, mm.
    pub radius_mm: f64,
}

/// What the elements of one Strahler order come to; an element is a run of branches of one order.
#[napi(object, object_from_js = false)]
pub struct TreeOrder {
    pub order: u32,
    /// Number of elements.
    pub count: u32,
    /// Mean diameter, weighted by length, mm.
    pub diameter_mm: f64,
    /// Mean length of an element, mm.
    pub length_mm: f64,
}

/// Measures the trees of a file.
#[napi(catch_unwind)]
pub fn tree_file<'env>(
    env: &'env Env,
    path: String,
    asked: TreeRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<VesselTrees, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::threads(asked.threads as usize)?.cancellable(env, monitor, move || {
        let clock = Instant::now();
        let image = formats::read(Path::new(&path), asked.index.map(|index| index as usize), &*shared)?;
        let map = Mask { data: labels(&image.voxels, &path)?, grid: image.header.grid };
        let warnings = image.header.warnings;
        drop(image.voxels);
        run(&map, asked, warnings, clock.elapsed().as_secs_f64(), &shared)
    })
}

/// Measures the trees of a label map.
#[napi(catch_unwind)]
pub fn tree_volume<'env>(
    env: &'env Env,
    volume: VoxelVolume,
    asked: TreeRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<VesselTrees, ErrorInfo>>> {
    let (shared, given) = (monitor.share(), Given::copy(&volume));
    Engine::threads(asked.threads as usize)?
        .cancellable(env, monitor, move || run(&given.labels()?, asked, vec![], 0.0, &shared))
}

fn run(
    map: &Mask,
    asked: TreeRequest,
    mut warnings: Vec<pulmoav_task::Warning>,
    load: f64,
    shared: &Shared,
) -> std::result::Result<VesselTrees, Failure> {
    let clock = Instant::now();
    let voxels = counts(&map.data);
    let wanted = wanted(&asked, &voxels)?;
    warnings.extend(extract_warnings(&map.grid, wanted.is_empty()));
    warnings.extend(missing_values(&voxels, wanted.iter().map(|class| class.value)));
    let trees = vessel_trees(map, &wanted, shared)?;
    let measured = wanted.into_iter().zip(trees).map(|(class, tree)| {
        let count = voxels[class.value as usize];
        measured(class, &tree, count, map.grid.voxel_ml(), asked.exports)
    });
    let trees = measured.collect();
    let measure = clock.elapsed().as_secs_f64();
    Ok(VesselTrees {
        trees,
        seconds: TreeSeconds { load, measure, total: load + measure },
        memory: PeakMemory { peak_bytes: peak_bytes() as f64 },
        warnings: warnings.into_iter().map(Warning::from).collect(),
    })
}

/// The classes asked for, or those that the map has.
fn wanted(asked: &TreeRequest, voxels: &[u64; 256]) -> std::result::Result<Vec<Class>, TreeError> {
    let Some(values) = &asked.values else {
        let present: Vec<u8> = (1..=255).filter(|&value| voxels[value as usize] > 0).collect();
        return classes(&present);
    };
    let named = values.iter().map(|TreeValue { value, name }| {
        let own = || class::name(*value).unwrap_or_else(|| format!("label {value}"));
        Class { value: *value, name: name.clone().unwrap_or_else(own) }
    });
    Ok(named.collect())
}

fn measured(class: Class, tree: &VesselTree, voxels: u64, voxel_ml: f64, exports: bool) -> MeasuredTree {
    let text = |write: fn(&VesselTree, &str) -> String| exports.then(|| write(tree, &class.name));
    MeasuredTree {
        value: class.value,
        voxels: voxels as f64,
        volume_ml: voxels as f64 * voxel_ml,
        length_mm: tree.pieces.iter().map(|piece| piece.length_mm).sum(),
        branches: tree.branches.iter().map(TreeBranch::from).collect(),
        pieces: tree.pieces.iter().map(TreePiece::from).collect(),
        loops: tree.loops.iter().map(|cut| TreeLoop { at_mm: cut.at.mm.into(), radius_mm: cut.at.radius_mm }).collect(),
        pruned: tree.pruned as u32,
        orders: by_strahler(tree).into_iter().map(TreeOrder::from).collect(),
        swc: text(export::swc),
        graphml: text(export::graphml),
        vtk: text(export::vtk),
        name: class.name,
    }
}

impl From<&Branch> for TreeBranch {
    fn from(branch: &Branch) -> Self {
        Self {
            parent: branch.parent.map(|parent| parent as u32),
            children: branch.children.iter().map(|&child| child as u32).collect(),
            piece: branch.piece as u32,
            points: branch.points.iter().map(|p| (p.mm[0], p.mm[1], p.mm[2], p.radius_mm)).collect(),
            length_mm: branch.length_mm,
            radius_mm: branch.radius_mm,
            volume_ml: branch.volume_ml,
            generation: branch.generation as u32,
            strahler: branch.strahler as u32,
            angle_deg: branch.angle_deg,
            tortuosity: branch.tortuosity,
        }
    }
}

impl From<&Piece> for TreePiece {
    fn from(piece: &Piece) -> Self {
        Self {
            root: piece.root as u32,
            branches: piece.branches as u32,
            length_mm: piece.length_mm,
            volume_ml: piece.volume_ml,
            is_tree: piece.is_tree,
            gap_mm: piece.gap_mm,
        }
    }
}

impl From<OrderStatistics> for TreeOrder {
    fn from(found: OrderStatistics) -> Self {
        let OrderStatistics { order, count, diameter_mm, length_mm } = found;
        Self { order: order as u32, count: count as u32, diameter_mm, length_mm }
    }
}
