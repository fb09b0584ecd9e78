//! A model directory: there and back, and everything that may be wrong with one.

mod plans;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use pulmoav_model::{ModelError, Network, Parameters, weights};
use pulmoav_plan::Plan;

/// A directory that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pulmoav-weights-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn model() -> Result<(Plan, Parameters), ModelError> {
    let plan = plans::pulmoav(&[4, 4, 8], &[1, 1, 1], 8, 8);
    let mut parameters = Parameters::new(4);
    Network::build(&plan, &mut parameters)?;
    Ok((plan, parameters))
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1()).expect("cpu")
}

fn refused(folder: &Path) -> ModelError {
    match weights::load(folder) {
        Err(error) => error,
        Ok(_) => panic!("{} was accepted", folder.display()),
    }
}

#[test]
fn what_is_saved_is_what_is_loaded() -> Result<(), ModelError> {
    let folder = Folder::new("roundtrip");
    let (plan, mut parameters) = model()?;
    let table = Tensor::new(&[0.5_f32, -2.0], &Device::Cpu)?.to_dtype(DType::F16)?;
    parameters.set_frozen("text.table", table);
    weights::save(&folder.0, &plan, &parameters, Some("# card\n"))?;

    let (plan_again, again) = weights::load(&folder.0)?;
    assert_eq!(plan_again, plan);
    assert_eq!(again.len(), parameters.len());
    for ((name, var), (name_again, var_again)) in parameters.iter().zip(again.iter()) {
        assert_eq!(name, name_again);
        assert_eq!(values(var), values(var_again), "{name}");
    }
    let table = again.frozen("text.table").expect("travels along");
    assert_eq!((table.dtype(), values(table)), (DType::F16, vec![0.5, -2.0]));

    let first = std::fs::read(folder.0.join(weights::WEIGHTS_FILE)).expect("file");
    weights::save(&folder.0, &plan, &again, None)?;
    assert_eq!(std::fs::read(folder.0.join(weights::WEIGHTS_FILE)).expect("file"), first, "the same bytes");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder.0).expect("folder").map(|f| f.expect("entry").file_name()).collect();
    files.sort();
    assert_eq!(files, ["card.md", "model.safetensors", "plan.json"], "nothing temporary is left");
    Ok(())
}

#[test]
fn damaged_files_are_one_clear_error() -> Result<(), ModelError> {
    let folder = Folder::new("damaged");
    let (plan, parameters) = model()?;
    weights::save(&folder.0, &plan, &parameters, None)?;
    let path = folder.0.join(weights::WEIGHTS_FILE);
    let whole = std::fs::read(&path).expect("file");
    let mut huge_header = whole.clone();
    huge_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut nan = whole.clone();
    let end = nan.len();
    nan[end - 400..].fill(0xff);
    let mut swapped = whole.clone();
    swapped[9] = b'!';
    let cases: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("cut in the header", whole[..40].to_vec()),
        ("cut in the data", whole[..whole.len() - 1].to_vec()),
        ("a header without end", huge_header),
        ("not json", swapped),
        ("not numbers", nan),
        ("something else", b"PK\x03\x04 this is a zip".to_vec()),
    ];
    for (what, bytes) in cases {
        std::fs::write(&path, bytes).expect("written");
        let error = refused(&folder.0);
        assert_eq!(error.code(), "ERR_MODEL", "{what}: {error}");
        assert!(!error.to_string().contains('\n'), "{what}: {error}");
    }
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(refused(&folder.0).code(), "ERR_MODEL");
    Ok(())
}

#[test]
fn a_flipped_bit_in_a_number_is_noticed() -> Result<(), ModelError> {
    let folder = Folder::new("bits");
    let (plan, mut parameters) = model()?;
    parameters.set_frozen("text.table", Tensor::new(&[0.5_f32, -2.0], &Device::Cpu)?.to_dtype(DType::F16)?);
    weights::save(&folder.0, &plan, &parameters, None)?;
    let path = folder.0.join(weights::WEIGHTS_FILE);
    let whole = std::fs::read(&path).expect("file");
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().expect("length")) as usize;
    // The lowest bit of a mantissa: a finite number as before. At the start, within, and in the f16 table at the end.
    for at in [header, header + 4 * 100, whole.len() - 2] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, flipped).expect("written");
        let error = refused(&folder.0);
        assert!(
            error.code() == "ERR_MODEL" && error.to_string().contains("not those that were saved"),
            "{at}: {error}"
        );
    }
    let tensors = Folder::new("bits-tensors");
    std::fs::create_dir_all(&tensors.0).expect("folder");
    let file = tensors.0.join("text.safetensors");
    weights::save_tensors(&file, &[("a".to_owned(), Tensor::new(&[1_f32], &Device::Cpu)?)].into())?;
    let mut bytes = std::fs::read(&file).expect("file");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&file, bytes).expect("written");
    assert_eq!(weights::load_tensors(&file).expect_err("refused").code(), "ERR_MODEL");
    Ok(())
}

#[test]
fn files_from_before_the_hash_still_load() -> Result<(), ModelError> {
    let folder = Folder::new("old");
    let (plan, parameters) = model()?;
    weights::save(&folder.0, &plan, &parameters, None)?;
    let path = folder.0.join(weights::WEIGHTS_FILE);
    let bytes = std::fs::read(&path).expect("file");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("whole");
    let metadata = [("plan".to_owned(), plan.to_json()?)].into();
    let old = safetensors::serialize(tensors.iter(), Some(metadata)).expect("serialised");
    std::fs::write(&path, old).expect("written");
    let (_, again) = weights::load(&folder.0)?;
    assert!(parameters.iter().zip(again.iter()).all(|(one, two)| values(one.1) == values(two.1)));
    Ok(())
}

#[test]
fn tensors_must_be_the_plan_s_no_more_and_no_less() -> Result<(), ModelError> {
    let folder = Folder::new("tensors");
    let (plan, parameters) = model()?;
    let all = || parameters.iter().map(|(name, var)| (name.to_owned(), var.as_detached_tensor()));
    let one = "decoder.transpconvs.0.weight";

    let fewer = Parameters::from_tensors(all().filter(|(name, _)| name != one))?;
    weights::save(&folder.0, &plan, &fewer, None)?;
    assert!(matches!(refused(&folder.0), ModelError::MissingTensor { name, .. } if name == one));

    let extra = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
    let more = Parameters::from_tensors(all().chain([("encoder.extra".to_owned(), extra)]))?;
    weights::save(&folder.0, &plan, &more, None)?;
    assert!(matches!(refused(&folder.0), ModelError::UnexpectedTensor { name, count: 1 } if name == "encoder.extra"));

    let turned = all().map(|(name, tensor)| {
        let tensor = if name == one { tensor.flatten_all().expect("cpu") } else { tensor };
        (name, tensor)
    });
    weights::save(&folder.0, &plan, &Parameters::from_tensors(turned)?, None)?;
    assert!(matches!(refused(&folder.0), ModelError::WrongTensor { name, .. } if name == one));
    Ok(())
}

#[test]
fn the_plan_s_copy_must_agree() -> Result<(), ModelError> {
    let folder = Folder::new("copy");
    let (mut plan, parameters) = model()?;
    weights::save(&folder.0, &plan, &parameters, None)?;
    plan.spacing_mm = [1.0; 3];
    std::fs::write(folder.0.join(weights::PLAN_FILE), plan.to_json()?).expect("written");
    let error = refused(&folder.0);
    assert!(error.to_string().contains("differs") && error.code() == "ERR_MODEL", "{error}");
    Ok(())
}
