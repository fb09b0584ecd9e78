//! The walk against nnunetv2's and TotalSegmentator's own, stage by stage, on fixtures of random weights under
//! `../shared/data`, which is not part of the repository: tests skip where they are missing.

mod nnunet;
mod npz;
mod totalsegmentator;

use std::fs;
use std::path::{Path, PathBuf};

use pulmoav_checkpoint::nnunet::{FolderRequest, open};
use pulmoav_plan::ClassPlan;
use pulmoav_task::Silent;
use pulmoav_volume::voxels::Voxel;
use pulmoav_volume::{Grid, Volume, formats, with_voxels};

use super::fold::FoldNetwork;
use super::network::WindowNetwork;

/// A folder of the fixtures; says so and gives `None` where it is missing.
fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/nnunet")).join(name);
    let found = path.is_dir().then_some(path);
    if found.is_none() {
        println!("skipped: no ../shared/data/nnunet/{name}");
    }
    found
}

/// What the fixture's maker wrote of it.
fn meta(dir: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(dir.join("meta.json")).expect("meta.json")).expect("JSON")
}

/// A model folder's plan and networks.
fn model(dir: &Path) -> (ClassPlan, Vec<Box<dyn WindowNetwork>>) {
    let request = FolderRequest { dir, folds: None, checkpoint: "checkpoint_final.pth" };
    let mut model = open(&request).expect("a model folder");
    let build = |fold: &mut pulmoav_model::weights::Fold| {
        let network = FoldNetwork::build(&model.plan, &mut fold.parameters).expect("a network");
        Box::new(network) as Box<dyn WindowNetwork>
    };
    let networks = model.folds.iter_mut().map(build).collect();
    (model.plan, networks)
}

/// The trainer's folder below a folder of data sets.
fn trainer_folder(dir: &Path, data_set: &str) -> PathBuf {
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(data_set));
    let entries = |dir: &Path| fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let data_set = entries(dir).find(named).expect("a data set");
    entries(&data_set).find(|path| path.is_dir()).expect("a trainer")
}

/// A scan, or a label map, in f32.
fn volume(path: &Path) -> Volume<f32> {
    let image = formats::read(path, None, &Silent).expect("a volume");
    let data = with_voxels!(&image.voxels, values => values.iter().map(|value| value.to_f32()).collect());
    Volume { data, grid: image.header.grid }
}

/// Every third voxel along each axis of one channel.
///
/// # Shapes
/// `values`: `[z, y, x, c]` of `shape` → `[z, y, x]`.
fn strided(values: &[f32], [depth, height, width]: [usize; 3], channels: usize, channel: usize) -> Vec<f32> {
    let mut kept = Vec::new();
    for z in (0..depth).step_by(3) {
        for y in (0..height).step_by(3) {
            kept.extend((0..width).step_by(3).map(|x| values[((z * height + y) * width + x) * channels + channel]));
        }
    }
    kept
}

/// How far two arrays are apart: mean, and largest after the share `keep` of the values.
fn apart(found: &[f32], expected: &[f32], keep: f64) -> (f64, f64) {
    assert_eq!(found.len(), expected.len());
    let mut apart: Vec<f64> = found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs())).collect();
    apart.sort_by(f64::total_cmp);
    let last = ((apart.len() as f64 * keep).ceil() as usize).clamp(1, apart.len()) - 1;
    (apart.iter().sum::<f64>() / apart.len() as f64, apart[last])
}

/// Voxels that differ.
fn differing(found: &[f32], expected: &[f32]) -> usize {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).filter(|(a, b)| a != b).count()
}

/// Affines equal to 1e-5, or to what f32 leaves of a number.
fn same_affine(found: &Grid, expected: &Grid) {
    let mut pairs = found.affine.0.iter().flatten().zip(expected.affine.0.iter().flatten());
    assert!(
        pairs.all(|(a, b)| (a - b).abs() <= 1e-5_f64.max(1e-7 * b.abs())),
        "{:?} is not {:?}",
        found.affine,
        expected.affine
    );
}
