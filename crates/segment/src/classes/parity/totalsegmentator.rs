//! Fixture t: TotalSegmentator's own run of `lung_vessels`, with two networks of random weights.

use std::path::Path;
use std::sync::OnceLock;

use pulmoav_plan::ClassPlan;
use pulmoav_task::Silent;
use pulmoav_volume::Volume;
use pulmoav_volume::crop::{VoxelBox, crop};
use serde_json::Value;

use super::{differing, folder, meta, model, npz, same_affine, strided, trainer_folder, volume};
use crate::classes::memory::ClassMemory;
use crate::classes::network::WindowNetwork;
use crate::classes::run::segment_classes;
use crate::classes::totalsegmentator::{
    ClassModel, LOBES_SPACING_MM, LOBES_STEP, LungVessels, Stage, VESSELS_SPACING_MM, VESSELS_STEP, box_around_lobes,
    narrow, segment_lung_vessels,
};

struct Fixture {
    dir: std::path::PathBuf,
    meta: Value,
    scan: Volume<f32>,
    lobes: (ClassPlan, Vec<Box<dyn WindowNetwork>>),
    vessels: (ClassPlan, Vec<Box<dyn WindowNetwork>>),
}

fn fixture() -> Option<&'static Fixture> {
    static FIXTURE: OnceLock<Option<Fixture>> = OnceLock::new();
    let read = || {
        let dir = folder("t")?;
        let results = dir.join("home/nnunet/results");
        let model = |data_set| model(&trainer_folder(&results, data_set));
        let (lobes, vessels) = (model("Dataset297"), model("Dataset117"));
        Some(Fixture { meta: meta(&dir), scan: volume(&dir.join("input_0000.nii.gz")), lobes, vessels, dir })
    };
    FIXTURE.get_or_init(read).as_ref()
}

fn class_model((plan, networks): &(ClassPlan, Vec<Box<dyn WindowNetwork>>)) -> ClassModel<'_> {
    ClassModel { plan, networks }
}

impl Fixture {
    /// The stored crop, `[z, y, x]`.
    fn part(&self) -> VoxelBox {
        let bounds: Vec<Vec<[usize; 2]>> = serde_json::from_value(self.meta["crop_bbox_ijk"].clone()).unwrap();
        let [z, y, x] = [2, 1, 0].map(|axis| bounds[0][axis]);
        VoxelBox { low: [z[0], y[0], x[0]], high: [z[1], y[1], x[1]] }
    }

    fn lobes(&self) -> Stage<'_> {
        Stage::new(class_model(&self.lobes), LOBES_STEP, &self.scan.grid, LOBES_SPACING_MM).unwrap()
    }

    /// The vessels' stage and its crop.
    fn vessels(&self) -> (Stage<'_>, Volume<f32>) {
        let mut part = crop(&self.scan, &self.part());
        for value in &mut part.data {
            *value = value.trunc();
        }
        let stage = Stage::new(class_model(&self.vessels), VESSELS_STEP, &part.grid, VESSELS_SPACING_MM);
        (stage.unwrap(), part)
    }
}

/// A stage's input against every third voxel of TotalSegmentator's, whose axes are x, y, z.
fn check_input(found: &Volume<f32>, stored: &Path, stage: &Value) {
    let shape: [usize; 3] = serde_json::from_value(stage["shape"].clone()).unwrap();
    assert_eq!([2, 1, 0].map(|axis| found.grid.shape[axis]), shape);
    let affine: [[f64; 4]; 4] = serde_json::from_value(stage["input_affine"].clone()).unwrap();
    same_affine(&found.grid, &pulmoav_volume::Grid { affine: pulmoav_volume::Affine(affine), ..found.grid });
    let stored = npz::read(stored, "data");
    let [x, y, z] = [0, 1, 2].map(|axis| stored.shape[axis]);
    let found = strided(&found.data, found.grid.shape, 1, 0);
    let turned: Vec<f32> = (0..x * y * z).map(|at| found[(at % z * y + at / z % y) * x + at / (y * z)]).collect();
    let off = turned.iter().zip(&stored.values).filter(|(a, b)| a != b).count();
    println!("t {}: {off} of {} voxels of the input differ", stage["task"], turned.len());
    assert!(turned.iter().zip(&stored.values).all(|(a, b)| (a - b).abs() <= 1.0));
    assert!(off as f64 <= 1e-5 * turned.len() as f64, "{off}");
}

#[test]
fn inputs_are_totalsegmentators() {
    let Some(fixture) = fixture() else { return };
    let stages = &fixture.meta["stages"];
    check_input(&fixture.lobes().input(&fixture.scan), &fixture.dir.join("stage_297_input_strided.npz"), &stages[0]);
    let (stage, part) = fixture.vessels();
    check_input(&stage.input(&part), &fixture.dir.join("stage_117_input_strided.npz"), &stages[1]);
}

#[test]
fn lobes_and_the_box_around_them_are_totalsegmentators() {
    let Some(fixture) = fixture() else { return };
    let stage = fixture.lobes();
    let input = stage.input(&fixture.scan);
    let found = segment_classes(&stage.model.request(LOBES_STEP), vec![input], &Silent).unwrap();
    let stored = volume(&fixture.dir.join("stage_297_labels.nii.gz"));
    let labels = narrow(found.labels);
    let differing = differing(&labels.iter().map(|&label| f32::from(label)).collect::<Vec<_>>(), &stored.data);
    println!("t 297: {differing} of {} labels differ", labels.len());
    assert!(differing as f64 <= 1e-4 * labels.len() as f64, "{differing}");
    let part = box_around_lobes(&stage.back(&labels).unwrap(), &fixture.scan.grid);
    assert_eq!(part, Some(fixture.part()));
}

#[test]
fn vessels_are_totalsegmentators() {
    let Some(fixture) = fixture() else { return };
    let (lobes, vessels) = (class_model(&fixture.lobes), class_model(&fixture.vessels));
    let models = LungVessels { lobes, vessels, memory: ClassMemory::default(), max_memory_bytes: None };
    let found = segment_lung_vessels(&models, fixture.scan.clone(), &Silent).unwrap();
    let stored = volume(&fixture.dir.join("lung_vessels_ml.nii.gz"));
    same_affine(&found.grid, &stored.grid);
    let labels: Vec<f32> = narrow(found.labels).into_iter().map(f32::from).collect();
    let differing = differing(&labels, &stored.data);
    println!("t: {differing} of {} voxels differ", labels.len());
    assert!(differing as f64 <= 1e-4 * labels.len() as f64, "{differing}");
}
