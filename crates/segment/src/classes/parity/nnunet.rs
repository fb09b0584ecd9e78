//! Fixtures a, c and d: nnunetv2's predictor.

use std::path::PathBuf;
use std::sync::OnceLock;

use half::f16;
use pulmoav_plan::ClassPlan;
use pulmoav_task::Silent;
use pulmoav_volume::Volume;
use pulmoav_volume::voxels::Voxel;
use pulmoav_volume::with_voxels;
use serde_json::Value;

use super::{apart, differing, folder, meta, model, npz, same_affine, strided, trainer_folder, volume};
use crate::classes::export::Export;
use crate::classes::network::WindowNetwork;
use crate::classes::prepare::{Prepared, check, prepare};
use crate::classes::run::ClassRequest;
use crate::classes::slide;
use crate::classes::windows::Windows;

/// Whether windows are mirrored, and what the fixture calls that.
const RUNS: [(bool, &str); 2] = [(false, "mirror_off"), (true, "mirror_on")];

struct Fixture {
    name: &'static str,
    dir: PathBuf,
    meta: Value,
    plan: ClassPlan,
    networks: Vec<Box<dyn WindowNetwork>>,
    prepared: Prepared,
    windows: Windows,
    /// Without and with mirroring.
    logits: [OnceLock<Vec<f16>>; 2],
}

impl Fixture {
    fn read(name: &'static str) -> Option<Self> {
        let dir = folder(name)?;
        let (plan, networks) = model(&trainer_folder(&dir.join("model"), "Dataset"));
        let scan = |channel: usize| volume(&dir.join(format!("input_{channel:04}.nii.gz")));
        let channels: Vec<Volume<f32>> = (0..plan.channels.len()).map(scan).collect();
        let grid = check(&plan, &channels).unwrap();
        let prepared = prepare(&plan, &grid, &channels, &Silent).unwrap().unwrap();
        let windows = Windows::new(prepared.shape, plan.patch, plan.step);
        let (meta, logits) = (meta(&dir), [OnceLock::new(), OnceLock::new()]);
        Some(Self { name, dir, meta, plan, networks, prepared, windows, logits })
    }

    fn logits(&self, mirror: bool) -> &[f16] {
        self.logits[usize::from(mirror)].get_or_init(|| {
            let (plan, networks) = (&self.plan, self.networks.as_slice());
            let request = ClassRequest { plan, networks, step: plan.step, mirror, probabilities: false };
            slide::logits(&request, &self.prepared, &self.windows, &Silent).unwrap().0
        })
    }

    fn export(&self, mirror: bool) -> Export<'_> {
        let outputs = self.networks[0].outputs();
        Export { plan: &self.plan, prepared: &self.prepared, logits: self.logits(mirror), outputs }
    }
}

/// The fixtures that are there, each read once.
fn fixtures() -> impl Iterator<Item = &'static Fixture> {
    static FIXTURES: OnceLock<Vec<Fixture>> = OnceLock::new();
    FIXTURES.get_or_init(|| ["a", "c", "d"].into_iter().filter_map(Fixture::read).collect()).iter()
}

#[test]
fn images_boxes_and_windows_are_nnunets() {
    for Fixture { name, dir, meta, prepared, windows, plan, .. } in fixtures() {
        let channels = plan.channels.len();
        let shape: Vec<usize> = serde_json::from_value(meta["network_shape"].clone()).unwrap();
        assert_eq!(shape, [&[channels], prepared.shape.as_slice()].concat(), "{name}");
        let bounds: Vec<[usize; 2]> = serde_json::from_value(meta["bbox"].clone()).unwrap();
        let found: Vec<[usize; 2]> = (0..3).map(|axis| [prepared.part.low[axis], prepared.part.high[axis]]).collect();
        assert_eq!(found, bounds, "{name}");
        let starts: [Vec<usize>; 3] = serde_json::from_value(meta["window_starts"].clone()).unwrap();
        assert_eq!(windows.starts, starts, "{name}");
        let stored = npz::read(&dir.join("stages.npz"), "image_strided");
        let found: Vec<f32> =
            (0..channels).flat_map(|channel| strided(&prepared.image, prepared.shape, channels, channel)).collect();
        let (mean, most) = apart(&found, &stored.values, 1.0);
        println!("{name}: image {:?}, mean {mean:.2e}, largest {most:.2e}", stored.shape);
        assert!(most <= 1e-5, "{name}: {most}");
    }
}

#[test]
fn logits_are_nnunets() {
    for fixture in fixtures() {
        for (mirror, run) in RUNS {
            let outputs = fixture.networks[0].outputs();
            let values: Vec<f32> = fixture.logits(mirror).iter().map(|value| value.to_f32()).collect();
            let stored = npz::read(&fixture.dir.join(format!("{run}.npz")), "logits_fp16_strided");
            let of = |output| strided(&values, fixture.prepared.shape, outputs, output);
            let found: Vec<f32> = (0..outputs).flat_map(of).collect();
            let (mean, most) = apart(&found, &stored.values, 0.999);
            println!("{} {run}: logits mean {mean:.2e}, 99.9 % within {most:.2e}", fixture.name);
            assert!(mean <= 1e-4 && most <= 4e-3, "{} {run}: {mean} {most}", fixture.name);
        }
    }
}

#[test]
fn probabilities_are_nnunets() {
    for fixture in fixtures() {
        for (mirror, run) in RUNS {
            let export = fixture.export(mirror);
            let (labels, values) = export.probabilities(&Silent).unwrap();
            let stored = npz::read(&fixture.dir.join(format!("{run}.npz")), "probabilities_strided");
            let grid = &fixture.prepared.frame.grid;
            let of = |values| strided(values, grid.shape, 1, 0);
            let found: Vec<f32> = values.chunks_exact(grid.len()).flat_map(of).collect();
            let (mean, most) = apart(&found, &stored.values, 0.999);
            println!("{} {run}: probabilities mean {mean:.2e}, 99.9 % within {most:.2e}", fixture.name);
            assert!(most <= 1e-3, "{} {run}: {most}", fixture.name);
            assert!(labels == export.labels(&Silent).unwrap(), "{} {run}", fixture.name);
        }
    }
}

#[test]
fn labels_are_nnunets() {
    for fixture in fixtures() {
        for (mirror, run) in RUNS {
            let labels = fixture.export(mirror).labels(&Silent).unwrap();
            let labels: Vec<f32> = with_voxels!(&labels, values => values.iter().map(|value| value.to_f32()).collect());
            let stored = volume(&fixture.dir.join(format!("{run}.nii.gz")));
            same_affine(&fixture.prepared.frame.grid, &stored.grid);
            let differing = differing(&labels, &stored.data);
            println!("{} {run}: {differing} of {} voxels differ", fixture.name, labels.len());
            assert!(differing as f64 <= 2e-5 * labels.len() as f64, "{} {run}: {differing}", fixture.name);
        }
    }
}

/// A folder whose plans are in the format before 2024 says the same.
#[test]
fn plans_of_the_old_format_mean_the_same() {
    let Some(fixture) = fixtures().find(|fixture| fixture.name == "a") else { return };
    let folder = trainer_folder(&fixture.dir.join("model"), "Dataset");
    let copy = std::env::temp_dir()
        .join(format!("pulmoav-old-plans-{}", std::process::id()))
        .join(folder.file_name().unwrap());
    std::fs::create_dir_all(copy.join("fold_0")).unwrap();
    for (from, to) in [
        ("plans.old_format.json", "plans.json"),
        ("dataset.json", "dataset.json"),
        ("fold_0/checkpoint_final.pth", "fold_0/checkpoint_final.pth"),
    ] {
        std::fs::copy(folder.join(from), copy.join(to)).unwrap();
    }
    let (plan, networks) = model(&copy);
    std::fs::remove_dir_all(copy.parent().unwrap()).unwrap();
    assert_eq!(plan, fixture.plan);
    let window = fixture.windows.cut(&fixture.prepared.image, 1, [0; 3]);
    let [old, new] = [&networks, &fixture.networks].map(|of| of[0].logits(window.clone(), plan.patch).unwrap());
    assert!(old == new);
}
