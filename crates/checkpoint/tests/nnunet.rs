//! Model folders as nnU-Net v2 writes them (`crates/testing/goldens/nnunet.py`): what their networks answer, and the
//! way to a model directory of ours.

mod folders;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use folders::Folder;
use pulmoav_checkpoint::nnunet::{FolderRequest, import, inspect, open};
use pulmoav_model::weights::{Fold, load_classes, read_plan};
use pulmoav_model::{ClassNetwork, ModelError};
use pulmoav_plan::{AnyPlan, ClassPlan, Network, Normalisation, Output, Resampling};

/// The goldens hold every so many-th voxel of each axis.
const STEP: usize = 3;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/nnunet")
}

fn request(dir: &Path) -> FolderRequest<'_> {
    FolderRequest { dir, folds: None, checkpoint: "checkpoint_final.pth" }
}

/// The logits of `[c, z, y, x]`, as the goldens hold them.
fn logits(plan: &ClassPlan, fold: &mut Fold, x: &Tensor) -> Result<Vec<f32>, ModelError> {
    let network = ClassNetwork::build(plan, &mut fold.parameters)?;
    let x = x.to_dtype(DType::F32)?.permute((1, 2, 3, 0))?.unsqueeze(0)?.contiguous()?;
    let logits = network.forward(&x)?.squeeze(0)?.permute((3, 0, 1, 2))?.contiguous()?;
    let (outputs, depth, height, width) = logits.dims4()?;
    let values = logits.flatten_all()?.to_vec1::<f32>()?;
    let mut strided = Vec::new();
    for output in 0..outputs {
        for z in (0..depth).step_by(STEP) {
            for y in (0..height).step_by(STEP) {
                let row = ((output * depth + z) * height + y) * width;
                strided.extend(values[row..row + width].iter().step_by(STEP));
            }
        }
    }
    Ok(strided)
}

/// Errors are at most 1e-3, and 2e-5 of the largest logit.
fn assert_close(name: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    let scale = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let error = found.iter().zip(wanted).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    println!("{name}: error {error:.2e}, {:.2e} of the largest logit", error / scale);
    assert!(error <= 1e-3 && error <= 2e-5 * scale, "{name}: error {error:e} of {scale:e}");
}

#[test]
fn networks_answer_as_pytorch_s() -> Result<(), ModelError> {
    let answers = candle_core::safetensors::load(goldens().join("answers.safetensors"), &Device::Cpu)?;
    for name in ["plain", "residual"] {
        let mut model = open(&request(&goldens().join(name))).expect(name);
        let found = logits(&model.plan, &mut model.folds[0], &answers[&format!("{name}.input")])?;
        let wanted = answers[&format!("{name}.logits")].flatten_all()?.to_vec1::<f32>()?;
        assert_close(name, &found, &wanted);
    }
    Ok(())
}

#[test]
fn plans_say_what_the_folder_says() {
    let plain = open(&request(&goldens().join("plain"))).expect("plain");
    let plan = &plain.plan;
    assert_eq!(
        (plan.axes, plan.reorient, plan.patch, plan.spacing_mm),
        ([0, 1, 2], false, [8, 32, 28], [3.0, 0.8, 0.8])
    );
    assert_eq!((plan.step, plan.mirror_axes.as_slice(), &plan.output), (0.5, &[0, 1, 2][..], &Output::Softmax));
    let names: Vec<_> = plan.classes.iter().map(|class| (class.name.as_str(), class.value)).collect();
    assert_eq!(names, [("arteries", 1), ("veins", 2)]);
    assert_eq!(
        plan.channels[0].normalisation,
        Normalisation::Ct { clip_hu: [-1011.0, 487.0], mean: -312.7, std: 401.3 }
    );
    assert_eq!(plan.image_resampling, Resampling::Spline { order: 3, order_z: 0, separate_z: None });
    assert_eq!(plan.logit_resampling, Resampling::Spline { order: 1, order_z: 0, separate_z: None });
    assert_eq!((plan.source.trainer.as_str(), plain.notes.len()), ("nnUNetTrainerSkeletonRecall", 0));
    assert_eq!(plan.source.licence.as_deref(), Some("CC-BY 4.0"));
    let report = &plain.report.folds[0];
    assert_eq!((report.unused, report.parameters), (2, plain.folds[0].parameters.element_count()));
    assert!(report.duplicates > report.tensors, "{report:?}");

    let residual = open(&request(&goldens().join("residual"))).expect("residual");
    let plan = &residual.plan;
    assert_eq!((plan.axes, plan.reorient, plan.patch), ([1, 2, 0], true, [8, 16, 20]));
    assert_eq!((plan.mirror_axes.len(), &plan.output), (0, &Output::Regions));
    let names: Vec<_> = plan.classes.iter().map(|class| (class.name.as_str(), class.value)).collect();
    assert_eq!(names, [("vessels", 2), ("artery", 1)]);
    let norms: Vec<_> = plan.channels.iter().map(|channel| channel.normalisation).collect();
    assert_eq!(norms, [Normalisation::ZScore { masked: true }, Normalisation::None]);
    assert_eq!(plan.image_resampling, Resampling::Torch { separate_z: Some(false) });
    assert!(matches!(plan.network, Network::ResidualUnet(_)));
    assert!(residual.notes[0].contains("`SomebodysTrainer` is not known"), "{:?}", residual.notes);
}

#[test]
fn plans_of_before_2024_mean_the_same() {
    let folder = Folder::copy("old-format", &goldens().join("plain"));
    std::fs::rename(folder.path("plans.old_format.json"), folder.path("plans.json")).expect("renamed");
    let (old, new) = (inspect(&request(folder.dir())), inspect(&request(&goldens().join("plain"))));
    assert_eq!(old.expect("old").plan, new.expect("new").plan);
}

#[test]
fn an_imported_model_is_the_same_bit_for_bit() -> Result<(), ModelError> {
    for name in ["plain", "residual"] {
        let folder = Folder::new(&format!("imported-{name}"));
        let model = import(&request(&goldens().join(name)), folder.dir()).expect(name);
        assert_eq!(read_plan(folder.dir())?, AnyPlan::Classes(model.plan.clone()));
        let (plan, folds) = load_classes(folder.dir())?;
        assert_eq!((&plan, folds.len()), (&model.plan, 1));
        assert_eq!(
            (&folds[0].name, folds[0].parameters.len()),
            (&model.folds[0].name, model.folds[0].parameters.len())
        );
        for ((name, a), (other, b)) in folds[0].parameters.iter().zip(model.folds[0].parameters.iter()) {
            let bits = |t: &Tensor| -> Result<Vec<u32>, ModelError> {
                Ok(t.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
            };
            assert_eq!((name, bits(a)?), (other, bits(b)?));
        }
        let card = std::fs::read_to_string(folder.path("card.md")).expect("a card");
        assert!(card.contains(&plan.name) && card.contains(&plan.classes[0].name), "{card}");
        let (source, own) =
            (goldens().join(name).join("fold_0/checkpoint_final.pth"), folder.path("model.safetensors"));
        let size = |path: &Path| std::fs::metadata(path).expect("a file").len();
        assert!(size(&own) < size(&source), "only the network's weights are kept");
    }
    Ok(())
}

#[test]
fn folds_keep_their_order() -> Result<(), ModelError> {
    let folder = Folder::copy("order", &goldens().join("plain"));
    folder.copy_fold("2");
    folder.copy_fold("10");
    folder.copy_fold("all");
    let names = |folds: Vec<Fold>| folds.into_iter().map(|fold| fold.name).collect::<Vec<_>>();
    assert_eq!(names(open(&request(folder.dir())).expect("folds").folds), ["0", "10", "2"], "as nnU-Net sorts them");
    let asked = ["2", "all", "0"].map(str::to_owned);
    let asked = FolderRequest { folds: Some(&asked), ..request(folder.dir()) };
    let target = Folder::new("order-imported");
    let model = import(&asked, target.dir()).expect("folds");
    assert_eq!(model.plan.folds, 3);
    assert_eq!(names(load_classes(target.dir())?.1), ["2", "all", "0"]);
    Ok(())
}
