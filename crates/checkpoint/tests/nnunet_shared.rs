//! Networks of full folders that nnunetv2 itself wrote and ran, under `../shared/data/nnunet`, which is not part of the
//! repository.

use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use pulmoav_checkpoint::nnunet::{FolderRequest, inspect, open};
use pulmoav_model::{ClassNetwork, ModelError};

/// The stored logits are every so many-th voxel of each axis.
const STEP: usize = 3;

/// A float32 array of an archive, with its shape.
fn array(archive: &Path, name: &str) -> (Vec<f32>, Vec<usize>) {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).expect("opened")).expect("a zip");
    let index = zip.index_for_name(&format!("{name}.npy")).expect("an array");
    let mut bytes = Vec::new();
    let packed = zip.by_index_raw(index).expect("an entry");
    flate2::read::DeflateDecoder::new(packed).read_to_end(&mut bytes).expect("inflated");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..start]).expect("text");
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split("'shape': (").nth(1).and_then(|rest| rest.split(')').next()).expect("a shape");
    let shape = shape.split(',').filter_map(|size| size.trim().parse().ok()).collect();
    (bytes[start..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(), shape)
}

/// The one trainer's folder below a fixture.
fn trainer(fixture: &Path) -> PathBuf {
    let only = |folder: PathBuf| {
        let entry = std::fs::read_dir(folder).expect("a folder").next().expect("an entry");
        entry.expect("readable").path()
    };
    only(only(fixture.join("model")))
}

fn shared() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nnunet");
    if shared.is_dir() {
        return Some(shared);
    }
    println!("skipped: no ../shared/data/nnunet");
    None
}

/// The gate: errors of at most 1e-3, and 2e-5 of the largest logit; nnunetv2 on another instruction set is within 4e-4
/// and 1.1e-5.
#[test]
fn logits_of_a_patch_are_nnunetv2_s() -> Result<(), ModelError> {
    let Some(shared) = shared() else { return Ok(()) };
    for name in ["a", "c", "d"] {
        let fixture = shared.join(name);
        let dir = trainer(&fixture);
        let request = FolderRequest { dir: &dir, folds: None, checkpoint: "checkpoint_final.pth" };
        let mut model = open(&request).expect(name);
        let (patch, shape) = array(&fixture.join("stages.npz"), "patch");
        let (wanted, strided) = array(&fixture.join("stages.npz"), "patch_logits_strided");
        let x = Tensor::from_vec(patch, shape, &Device::Cpu)?.permute((1, 2, 3, 0))?.unsqueeze(0)?.contiguous()?;
        let network = ClassNetwork::build(&model.plan, &mut model.folds[0].parameters)?;
        let logits = network.forward(&x)?.squeeze(0)?;
        let (depth, height, width, outputs) = logits.dims4()?;
        assert_eq!(strided, [outputs, depth.div_ceil(STEP), height.div_ceil(STEP), width.div_ceil(STEP)], "{name}");
        let values = logits.flatten_all()?.to_vec1::<f32>()?;
        let (mut error, mut scale, mut wanted) = (0.0_f32, 0.0_f32, wanted.into_iter());
        for output in 0..outputs {
            for z in (0..depth).step_by(STEP) {
                for y in (0..height).step_by(STEP) {
                    for x in (0..width).step_by(STEP) {
                        let (found, wanted) = (
                            values[((z * height + y) * width + x) * outputs + output],
                            wanted.next().expect("a logit"),
                        );
                        error = error.max((found - wanted).abs());
                        scale = scale.max(wanted.abs());
                    }
                }
            }
        }
        println!("{name}: error {error:.2e}, {:.2e} of the largest logit {scale:.1}", error / scale);
        assert!(error <= 1e-3 && error <= 2e-5 * scale, "{name}: error {error:e} of {scale:e}");
    }
    Ok(())
}

/// `TotalSegmentator`'s folders, whose plans are in the format of before 2024.
#[test]
fn folders_of_totalsegmentator_are_read() {
    let Some(shared) = shared() else { return };
    let results = shared.join("t/home/nnunet/results");
    let cases = [
        ("Dataset117_lung_airways_arteries_veins_282subj", "nnUNetTrainerSkeletonRecall__nnUNetPlans__3d_fullres", 4),
        (
            "Dataset297_TotalSegmentator_total_3mm_1559subj",
            "nnUNetTrainer_4000epochs_NoMirroring__nnUNetPlans__3d_fullres",
            117,
        ),
    ];
    for (dataset, trainer, classes) in cases {
        let dir = results.join(dataset).join(trainer);
        let model = inspect(&FolderRequest { dir: &dir, folds: None, checkpoint: "checkpoint_final.pth" });
        let model = model.expect(dataset);
        println!("{}: {} classes, patch {:?}", model.plan.name, model.plan.classes.len(), model.plan.patch);
        assert_eq!((model.plan.classes.len(), model.folds.len(), model.notes.len()), (classes, 1, 0), "{dataset}");
        assert_eq!(model.plan.source.dataset, dataset);
    }
}
