//! Checkpoints as PyTorch writes them (`crates/testing/goldens/checkpoints.py`): the answers of the network that wrote
//! them, the inverse transform, and everything that must be refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use pulmoav_checkpoint::la_caf::{ImportError, ImportReport, ImportRequest, Imported, export, import, read};
use pulmoav_model::{Mode, ModelError, Network, Parameters, prompt_embeddings, weights};
use pulmoav_plan::{LaCafVariant, Plan};

/// The goldens hold every so many-th voxel.
const STEP: usize = 17;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/checkpoints")
}

/// A directory that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pulmoav-import-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The published plan as `src/config` exports it, for `prompts` of its targets and patches of `edge`.
fn plan(edge: usize, prompts: usize) -> String {
    let defaults = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/config/defaults.json");
    let defaults = std::fs::read(defaults).expect("defaults");
    let mut plan = serde_json::from_slice::<serde_json::Value>(&defaults).expect("JSON")["plans"]["la-caf"].take();
    plan["patch"] = serde_json::json!([edge, edge, edge]);
    for list in ["targets", "defaultTargets"] {
        plan[list].as_array_mut().expect("a list").truncate(prompts);
    }
    plan.to_string()
}

fn read_golden(file: &Path, edge: usize) -> Result<Imported, ImportError> {
    read(file, ImportRequest { plan: &plan(edge, 4), variant: None })
}

/// Numbers in [0, 1) that the script makes too: `[1, edge, edge, edge, 1]`.
fn scan(edge: usize) -> Result<Tensor, ModelError> {
    let value = |i: u64| (i * 2_654_435_761 % (1 << 32)) as f32 / (1_u64 << 32) as f32;
    let values: Vec<f32> = (0..(edge * edge * edge) as u64).map(value).collect();
    Ok(Tensor::from_vec(values, (1, edge, edge, edge, 1), &Device::Cpu)?)
}

fn answers(folder: &Path, name: &str) -> Vec<Vec<f32>> {
    let tensors = candle_core::safetensors::load(folder.join("answers.safetensors"), &Device::Cpu).expect("answers");
    tensors[name].t().and_then(|t| t.contiguous()?.to_vec2()).expect("rows")
}

/// Each prompt's logits, every `step`-th voxel.
fn logits(plan: &Plan, parameters: &mut Parameters, step: usize) -> Result<Vec<Vec<f32>>, ModelError> {
    let network = Network::build(plan, parameters)?;
    let found = network.forward(&scan(plan.patch[0])?, &prompt_embeddings(plan, &Device::Cpu)?, Mode::Infer)?.remove(0);
    let rows = found.reshape(((), plan.targets.len()))?.t()?.contiguous()?.to_vec2::<f32>()?;
    Ok(rows.into_iter().map(|row| row.into_iter().step_by(step).collect()).collect())
}

/// Logits within 1e-3 of each prompt's standard deviation, probabilities within 1e-4.
fn assert_parity(name: &str, found: &[Vec<f32>], wanted: &[Vec<f32>]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    let sigmoid = |logit: f32| 1.0 / (1.0 + (-f64::from(logit)).exp());
    for (prompt, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(found.len(), wanted.len(), "{name}");
        let count = wanted.len() as f64;
        let mean = wanted.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let deviation = (wanted.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
        let pairs = || found.iter().zip(wanted);
        let logit = pairs().map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max) / deviation;
        let chance = pairs().map(|(&a, &b)| (sigmoid(a) - sigmoid(b)).abs()).fold(0.0, f64::max);
        println!(
            "{name}, prompt {prompt}: logits within {logit:.1e} of {deviation:.3}, probabilities within {chance:.1e}"
        );
        assert!(logit < 1e-3, "{name}, prompt {prompt}: logits differ by {logit:e} of their deviation");
        assert!(chance < 1e-4, "{name}, prompt {prompt}: probabilities differ by {chance:e}");
    }
}

#[test]
fn imported_networks_answer_as_pytorch_s() -> Result<(), ImportError> {
    let files = [
        ("la_caf.pth", "la_caf", "PyTorch zip", "net", "module."),
        ("la_caf_legacy.pt", "la_caf", "PyTorch legacy", "", ""),
        ("la_caf.safetensors", "la_caf", "safetensors", "", ""),
        ("gap.pth", "gap", "PyTorch zip", "state_dict", ""),
    ];
    for (file, name, container, key, prefix) in files {
        let Imported { plan, mut parameters, report } = read_golden(&goldens().join(file), 32)?;
        assert_eq!((report.container, report.key.as_str(), report.prefix.as_str()), (container, key, prefix), "{file}");
        assert_eq!((plan.patch, report.width_divisor, plan.text_width()), ([32; 3], 32, 12), "{file}");
        assert_parity(file, &logits(&plan, &mut parameters, STEP)?, &answers(&goldens(), name));
    }
    Ok(())
}

/// `checkpoints.py --full FOLDER` makes what this reads.
#[test]
#[ignore = "needs PULMOAV_PARITY, a folder of full-size checkpoints"]
fn full_size_networks_answer_as_pytorch_s() -> Result<(), ImportError> {
    let folder = PathBuf::from(std::env::var("PULMOAV_PARITY").expect("PULMOAV_PARITY names a folder"));
    for name in ["la_caf", "gap"] {
        let file = folder.join(format!("{name}.pth"));
        let clock = std::time::Instant::now();
        let Imported { plan, mut parameters, report } = read_golden(&file, 96)?;
        println!("{name}: read in {:.2} s, {} parameters", clock.elapsed().as_secs_f64(), parameters.element_count());
        assert_eq!((plan.patch, report.width_divisor), ([96; 3], 1));
        let clock = std::time::Instant::now();
        let found = logits(&plan, &mut parameters, 1)?;
        println!("{name}: one forward pass in {:.1} s", clock.elapsed().as_secs_f64());
        assert_parity(name, &found, &answers(&folder, name));
    }
    Ok(())
}

#[test]
fn the_report_names_every_tensor() -> Result<(), ImportError> {
    let report = read_golden(&goldens().join("la_caf.pth"), 32)?.report;
    let reasons = |report: &ImportReport| {
        let mut counts = BTreeMap::new();
        for tensor in &report.unused {
            *counts.entry(tensor.reason).or_insert(0) += 1;
        }
        counts.into_values().collect::<Vec<i32>>()
    };
    // 14 units of 4, 3 up-convolutions, 2 + 1 + 2 + 1 + 4 · 2 further layers of 2, controller, embeddings.
    assert_eq!(report.mapped.len(), 14 * 4 + 3 * 2 + 2 * 2 + 4 * 2 + 8 * 2 + 2 + 1);
    // Running statistics, what is never called, the other variant's.
    assert_eq!(reasons(&report), [42, 10, 6]);
    assert!(report.unused.iter().all(|tensor| tensor.name.starts_with("module.")));
    let controller = report.mapped.iter().find(|tensor| tensor.name == "controller.weight").expect("mapped");
    assert_eq!((controller.shape.as_slice(), controller.data_type), ([153, 16, 1, 1, 1].as_slice(), "float32"));
    assert_eq!(report.sha256.len(), 64);

    // The same file as the other variant: its own parts are there, but of no size that fits.
    let request = ImportRequest { plan: &plan(32, 4), variant: Some(LaCafVariant::Gap) };
    let error = read(&goldens().join("la_caf.pth"), request).expect_err("extras of no use");
    assert!(matches!(&error, ImportError::Model(ModelError::WrongTensor { .. })), "{error}");
    let request = ImportRequest { plan: &plan(32, 4), variant: Some(LaCafVariant::LaCaf) };
    let error = read(&goldens().join("gap.pth"), request).expect_err("no adapters");
    let ImportError::Missing { names, .. } = &error else { panic!("{error}") };
    assert_eq!((names.len(), error.code()), (24, "ERR_MODEL"));
    assert!(error.to_string().contains("lacks 24 tensors") && error.to_string().contains("and 12 more"), "{error}");
    Ok(())
}

#[test]
fn a_model_directory_there_and_back() -> Result<(), ImportError> {
    let folder = Folder::new("back");
    for (file, edge) in [("la_caf.pth", 32), ("gap.pth", 96)] {
        let (model, exported) = (folder.0.join("model"), folder.0.join("out.safetensors"));
        let request = ImportRequest { plan: &plan(edge, 4), variant: None };
        let report = import(&goldens().join(file), &model, request)?;
        let (plan_loaded, parameters) = weights::load(&model)?;
        assert_eq!((plan_loaded.patch, plan_loaded.tiles.tile), ([edge; 3], [edge; 3]));
        let card = std::fs::read_to_string(model.join(weights::CARD_FILE)).expect("a card");
        assert!(card.contains(file) && card.contains(&report.sha256) && card.contains("What is unknown"), "{card}");

        let written = export(&model, &exported)?;
        assert_eq!(written.tensors, report.mapped.len());
        let again = read(&exported, request)?;
        assert_eq!((&again.plan, again.report.unused.len()), (&plan_loaded, 0));
        assert_eq!(again.parameters.len(), parameters.len());
        for ((name, a), (_, b)) in parameters.iter().zip(again.parameters.iter()) {
            let values = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(ModelError::from);
            assert_eq!(values(a)?, values(b)?, "{name}");
        }
        // PyTorch's own axes are kept: the file holds what the checkpoint held.
        let shapes = |report: ImportReport| report.mapped.into_iter().map(|t| (t.name, t.shape)).collect::<Vec<_>>();
        assert_eq!(shapes(again.report), shapes(report));
    }
    Ok(())
}

#[test]
fn other_numbers_of_prompts_are_the_caller_s_fault() {
    let request = ImportRequest { plan: &plan(32, 3), variant: None };
    let error = read(&goldens().join("la_caf.pth"), request).expect_err("four prompts");
    assert_eq!(error.code(), "ERR_USAGE");
    assert!(error.to_string().contains("has 4 prompts, but 3 were named"), "{error}");
    for plan in ["{}", "[]", "{\"tiles\": {}, \"targets\": [3]}", "no JSON"] {
        let error = read(&goldens().join("la_caf.pth"), ImportRequest { plan, variant: None }).expect_err(plan);
        assert_eq!(error.code(), "ERR_CONFIG", "{plan}: {error}");
    }
}

#[test]
fn hostile_files_are_refused_in_a_sentence() {
    let cases = [
        ("hostile/system.pth", "ERR_MODEL", "global `posix.system`"),
        ("hostile/system.pt", "ERR_MODEL", "global `posix.system`"),
        ("hostile/system.pkl", "ERR_MODEL", "global `posix.system`"),
        ("hostile/inst.pkl", "ERR_MODEL", "opcode INST"),
        ("hostile/inst.pth", "ERR_MODEL", "opcode INST"),
        ("hostile/opcode.pth", "ERR_MODEL", "0xee, which is no opcode"),
        ("hostile/bomb.pth", "ERR_MODEL", "compressed"),
        ("hostile/length.pth", "ERR_MODEL", "ends early"),
        ("hostile/module.pth", "ERR_MODEL", "global `torch.nn.modules.container.Sequential`"),
        (
            "hostile/family.pth",
            "ERR_MODEL",
            "no tensor of it is called `backbone.…`, as this family's are; it holds `0.weight`",
        ),
        ("hostile/empty.pth", "ERR_MODEL", "no dictionary of tensors"),
        ("hostile/huge.pth", "ERR_MODEL", "larger than its"),
        ("hostile/huge.pt", "ERR_MODEL", "larger than its"),
        ("hostile/huge.safetensors", "ERR_MODEL", "no whole safetensors"),
        ("hostile/header.safetensors", "ERR_MODEL", "no whole safetensors"),
        ("hostile/other.zip", "ERR_FORMAT", "no checkpoint"),
        ("../checkpoints.py", "ERR_FORMAT", "no checkpoint"),
        ("nowhere.pth", "ERR_IO", "cannot be read"),
        ("hostile", "ERR_FORMAT", "no checkpoint"),
    ];
    for (file, code, wanted) in cases {
        let error = read_golden(&goldens().join(file), 32).expect_err(file);
        assert_eq!(error.code(), code, "{file}: {error}");
        assert!(error.to_string().contains(wanted) && !error.to_string().contains('\n'), "{file}: {error}");
    }
}

#[test]
fn cut_and_scratched_files_never_panic() {
    let folder = Folder::new("cut");
    let path = folder.0.join("file");
    for file in ["la_caf.pth", "la_caf_legacy.pt", "la_caf.safetensors"] {
        let whole = std::fs::read(goldens().join(file)).expect("a golden");
        let mut lengths: Vec<usize> = (0..40).map(|part| part * whole.len() / 40).collect();
        lengths.extend([1, 7, 8, 9, 20, whole.len() - 1]);
        for length in lengths {
            std::fs::write(&path, &whole[..length]).expect("written");
            let error = read_golden(&path, 32).expect_err("cut");
            assert!(["ERR_MODEL", "ERR_FORMAT"].contains(&error.code()), "{file} cut at {length}: {error}");
        }
        for scratch in 0..150_usize {
            let mut scratched = whole.clone();
            // Everywhere, and densely in the names and sizes at either end.
            let at = match scratch % 3 {
                0 => scratch * whole.len() / 150,
                1 => scratch * 29,
                _ => whole.len() - 1 - scratch * 23,
            };
            scratched[at] ^= 1 << (scratch % 8);
            std::fs::write(&path, &scratched).expect("written");
            // Only a zip carries checksums: elsewhere another number is another number.
            let _ = read_golden(&path, 32);
        }
    }
}

#[test]
fn a_number_that_changed_inside_a_zip_is_noticed() -> Result<(), ImportError> {
    let folder = Folder::new("changed");
    let path = folder.0.join("file");
    let mut whole = std::fs::read(goldens().join("la_caf.pth")).expect("a golden");
    let parameters = read_golden(&goldens().join("la_caf.pth"), 32)?.parameters;
    let bias = parameters.get("controller.bias").expect("mapped").to_vec1::<f32>().map_err(ModelError::from)?;
    let bytes: Vec<u8> = bias.iter().flat_map(|value| value.to_le_bytes()).collect();
    let at = whole.windows(bytes.len()).position(|window| window == bytes).expect("stored as it is");
    whole[at + 5] ^= 1;
    std::fs::write(&path, &whole).expect("written");
    let error = read_golden(&path, 32).expect_err("changed");
    assert!(error.code() == "ERR_MODEL" && error.to_string().contains("hecksum"), "{error}");
    Ok(())
}
