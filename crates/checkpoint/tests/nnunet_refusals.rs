//! What is refused of nnU-Net's model folders, and with which words: one sentence with the place and what is supported.

mod folders;

use std::path::{Path, PathBuf};

use folders::{Folder, call, dictionary, number, tensor, text, tuple, write_checkpoint};
use pulmoav_checkpoint::nnunet::{FolderError, FolderRequest, inspect, open};
use serde_json::{Value, json};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/goldens/nnunet").join(name)
}

fn request(dir: &Path) -> FolderRequest<'_> {
    FolderRequest { dir, folds: None, checkpoint: "checkpoint_final.pth" }
}

/// The refusal, which is one line.
fn refused(what: &str, request: &FolderRequest) -> FolderError {
    let Err(error) = open(request) else { panic!("{what} was accepted") };
    let told = error.to_string();
    assert!(!told.contains('\n') && !told.is_empty(), "{what}: {told}");
    error
}

fn edit(path: &Path, pointer: &str, value: Value) {
    let mut document: Value = serde_json::from_slice(&std::fs::read(path).expect("read")).expect("JSON");
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match document.pointer_mut(parent).expect("a parent") {
        Value::Object(entries) => drop(entries.insert(name.to_owned(), value)),
        other => *other.get_mut(name.parse::<usize>().expect("a place")).expect("an entry") = value,
    }
    std::fs::write(path, document.to_string()).expect("written");
}

#[test]
fn plans_that_are_not_supported_are_refused_by_field() {
    let one = "/configurations/3d_fullres";
    let arguments = "/architecture/arch_kwargs";
    let cases: Vec<(String, Value, &str, &str)> = vec![
        (format!("{one}/patch_size"), json!([512, 512]), "patch_size", "3-D"),
        (format!("{one}/previous_stage"), json!("3d_lowres"), "previous_stage", "cascades are not"),
        (format!("{one}/preprocessor_name"), json!("MyPreprocessor"), "preprocessor_name", "DefaultPreprocessor"),
        (format!("{one}/normalization_schemes/0"), json!("Mine"), "normalization_schemes[0]", "CTNormalization"),
        (format!("{one}/normalization_schemes"), json!([]), "normalization_schemes", "one a channel"),
        (format!("{one}/resampling_fn_data"), json!("mine"), "resampling_fn_data", "resample_data_or_seg_to_shape"),
        (format!("{one}/resampling_fn_probabilities"), json!("mine"), "resampling_fn_probabilities", "no_resampling"),
        (format!("{one}/resampling_fn_data_kwargs/order"), json!(5), "resampling_fn_data_kwargs.order", "0 to 3"),
        (format!("{one}/architecture/network_class_name"), json!("a.b.Primus"), "network_class_name", "PlainConvUNet"),
        (format!("{one}{arguments}/conv_op"), json!("torch.nn.Conv2d"), "conv_op", "Conv3d"),
        (format!("{one}{arguments}/norm_op"), json!("torch.nn.BatchNorm3d"), "norm_op", "InstanceNorm3d"),
        (format!("{one}{arguments}/norm_op_kwargs/affine"), json!(false), "norm_op_kwargs.affine", "true"),
        (format!("{one}{arguments}/nonlin"), json!("torch.nn.GELU"), "nonlin", "LeakyReLU"),
        (format!("{one}{arguments}/squeeze_excitation"), json!(true), "squeeze_excitation", "planners"),
        (format!("{one}{arguments}/kernel_sizes/0"), json!([2, 3, 3]), "kernel_sizes", "odd"),
        (format!("{one}{arguments}/strides"), json!([[1, 1, 1]]), "strides", "3 entries"),
        (format!("{one}{arguments}/n_stages"), json!(1_000_000_000), "n_stages", "2 to 10"),
        (format!("{one}{arguments}/features_per_stage/1"), json!(1_000_000_000), "stageChannels[1]", "8192"),
        (format!("{one}/inherits_from"), json!("3d_fullres"), "configurations.3d_fullres", "inherit itself"),
        (format!("{one}/spacing"), json!([1.0]), "spacing", "three numbers"),
        (format!("{one}/spacing/0"), json!(-1.0), "spacingMm[0]", "mm"),
        (format!("{one}/patch_size/0"), json!(7), "patch", "multiples"),
        ("/configurations".into(), json!({}), "configurations.3d_fullres", "missing"),
        ("/image_reader_writer".into(), json!("NaturalImage2DIO"), "image_reader_writer", "SimpleITKIO"),
        ("/label_manager".into(), json!("MyLabels"), "label_manager", "LabelManager"),
        ("/transpose_forward".into(), json!([0, 0, 1]), "transpose_forward", "each once"),
        ("/transpose_backward".into(), json!([2, 1, 0]), "transpose_backward", "undoes"),
        ("/foreground_intensity_properties_per_channel".into(), json!({}), "per_channel.0", "missing"),
    ];
    let folder = Folder::copy("plans", &golden("plain"));
    let plans = folder.path("plans.json");
    let whole = std::fs::read(&plans).expect("read");
    for (pointer, value, field, supported) in cases {
        edit(&plans, &pointer, value);
        let error = refused(&pointer, &request(folder.dir()));
        let told = error.to_string();
        assert_eq!(error.code(), "ERR_MODEL", "{pointer}: {told}");
        assert!(told.contains(field) && told.contains(supported), "{pointer}: {told}");
        std::fs::write(&plans, &whole).expect("restored");
    }
    open(&request(folder.dir())).expect("as before");
}

#[test]
fn labels_and_channels_that_are_not_supported_are_refused_by_field() {
    let cases: [(&str, Value, &str, &str); 5] = [
        ("/labels", json!({"background": 0, "a": 1, "b": 3}), "labels", "consecutive"),
        ("/labels", json!({"background": 0, "a": [1, 2]}), "regions_class_order", "missing"),
        ("/labels", json!({"0": "background"}), "labels.background", "nnU-Net v2"),
        ("/channel_names", json!({"1": "CT"}), "channel_names.0", "from 0"),
        ("/channel_names", json!({"0": "CT", "1": "PET"}), "normalization_schemes", "2 of them"),
    ];
    let folder = Folder::copy("dataset", &golden("plain"));
    let dataset = folder.path("dataset.json");
    let whole = std::fs::read(&dataset).expect("read");
    for (pointer, value, field, supported) in cases {
        edit(&dataset, pointer, value);
        let told = refused(pointer, &request(folder.dir())).to_string();
        assert!(told.contains(field) && told.contains(supported), "{pointer}: {told}");
        std::fs::write(&dataset, &whole).expect("restored");
    }
    // Another number of classes than the weights were trained for.
    edit(&dataset, "/labels", json!({"background": 0, "a": 1}));
    let error = refused("one class", &request(folder.dir()));
    let told = error.to_string();
    assert!(matches!(error, FolderError::MisshapenTensor { .. }), "{told}");
    assert!(told.contains("decoder.seg_layers.0") && told.contains("[3"), "{told}");
}

#[test]
fn broken_json_is_told_with_its_line() {
    let folder = Folder::copy("json", &golden("plain"));
    std::fs::write(folder.path("dataset.json"), "{\n \"labels\": {\n  \"background\": 0,,\n").expect("written");
    let error = refused("a comma", &request(folder.dir()));
    assert!(matches!(error, FolderError::Json { line: 3, .. }), "{error}");
    assert!(error.to_string().contains("dataset.json is broken at line 3"), "{error}");
    std::fs::write(folder.path("plans.json"), "[1]").expect("written");
    std::fs::copy(golden("plain").join("dataset.json"), folder.path("dataset.json")).expect("restored");
    assert!(refused("a list", &request(folder.dir())).to_string().contains("`configurations` is missing"));
}

#[test]
fn folders_of_other_kinds_are_told_with_a_hint() {
    let outer = Folder::new("outer");
    let trainer = outer.path("nnUNetTrainer__nnUNetPlans__3d_fullres");
    std::fs::create_dir_all(trainer.join("fold_0")).expect("made");
    for name in ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"] {
        std::fs::copy(golden("plain").join(name), trainer.join(name)).expect("copied");
    }
    let inside = trainer.join("fold_0");
    let empty = Folder::new("empty");
    let old = Folder::new("version-1");
    std::fs::write(old.path("plans.pkl"), b"\x80\x02}.").expect("written");
    let cases: [(&Path, &str); 5] = [
        (outer.dir(), "data set's folder; name the trainer's folder inside"),
        (&inside, "fold's folder; name the trainer's folder around it"),
        (empty.dir(), "has no plans.json"),
        (old.dir(), "nnU-Net v1"),
        (&trainer.join("plans.json"), "it is a file"),
    ];
    for (dir, hint) in cases {
        let error = refused(hint, &request(dir));
        assert_eq!(error.code(), "ERR_MODEL");
        assert!(error.to_string().contains(hint), "{error}");
    }
    let nowhere = outer.path("nowhere");
    assert_eq!(refused("nowhere", &request(&nowhere)).code(), "ERR_IO");
    std::fs::remove_file(trainer.join("dataset.json")).expect("removed");
    assert!(refused("no data set", &request(&trainer)).to_string().contains("no dataset.json"));
}

#[test]
fn folds_and_checkpoints_that_are_not_there_are_told() {
    let folder = Folder::copy("folds", &golden("plain"));
    let ask = |folds: &[&str], checkpoint: &str| {
        let folds: Vec<String> = folds.iter().map(|&fold| fold.to_owned()).collect();
        let request = FolderRequest { dir: folder.dir(), folds: Some(&folds), checkpoint };
        refused(checkpoint, &request)
    };
    let last = "checkpoint_final.pth";
    let cases = [
        (ask(&["0", "3"], last), "ERR_MODEL", "has no fold 3; it has 0"),
        (ask(&["all"], last), "ERR_MODEL", "has no fold all; it has 0"),
        (ask(&["0"], "checkpoint_best.pth"), "ERR_MODEL", "has no checkpoint_best.pth, but checkpoint_final.pth"),
        (ask(&["../x"], last), "ERR_USAGE", "`../x` is no fold"),
        (ask(&["0", "0"], last), "ERR_USAGE", "each once"),
        (ask(&[], last), "ERR_USAGE", "list of folds"),
        (ask(&["0"], "../checkpoint.pth"), "ERR_USAGE", "file name of a checkpoint"),
    ];
    for (error, code, wanted) in cases {
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
    std::fs::rename(folder.checkpoint(), folder.path("fold_0/checkpoint_best.pth")).expect("renamed");
    let told = refused("the best only", &request(folder.dir())).to_string();
    assert!(told.contains("has no checkpoint_final.pth, but checkpoint_best.pth"), "{told}");
    open(&FolderRequest { checkpoint: "checkpoint_best.pth", ..request(folder.dir()) }).expect("the hint helps");
    std::fs::rename(folder.path("fold_0"), folder.path("fold_all")).expect("renamed");
    std::fs::rename(folder.path("fold_all/checkpoint_best.pth"), folder.path("fold_all/checkpoint_final.pth"))
        .expect("renamed");
    assert!(refused("fold all", &request(folder.dir())).to_string().contains("ask for fold `all`"));
    let all = ["all".to_owned()];
    open(&FolderRequest { folds: Some(&all), ..request(folder.dir()) }).expect("the hint helps");
    std::fs::remove_dir_all(folder.path("fold_all")).expect("removed");
    assert!(refused("no fold", &request(folder.dir())).to_string().contains("has no fold; expected"));
}

/// A checkpoint that can be spoiled.
#[derive(Clone)]
struct Draft {
    /// Opcodes of the network's tensors.
    weights: Vec<(String, Vec<u8>)>,
    storages: Vec<(String, Vec<f32>)>,
    /// Opcodes of what stands beside them.
    beside: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// The tensors of golden `plain`, all ones.
    fn plain() -> Self {
        let model = open(&request(&golden("plain"))).expect("plain");
        let mut draft = Self { weights: Vec::new(), storages: Vec::new(), beside: Vec::new() };
        for (name, var) in model.folds[0].parameters.iter() {
            let shape = match *var.dims() {
                [kd, kh, kw, ci, co] if name.contains("transpconvs") => vec![ci, co, kd, kh, kw],
                [kd, kh, kw, ci, co] => vec![co, ci, kd, kh, kw],
                ref other => other.to_vec(),
            };
            draft.add(name, &shape, 1.0);
        }
        let arguments = [("configuration".to_owned(), text("3d_fullres")), ("fold".to_owned(), number(0))];
        draft.beside = vec![
            ("init_args".to_owned(), dictionary(&arguments)),
            ("trainer_name".to_owned(), text("nnUNetTrainer")),
            ("inference_allowed_mirroring_axes".to_owned(), tuple(&[number(0), number(2)])),
        ];
        draft
    }

    fn add(&mut self, name: &str, shape: &[usize], value: f32) {
        let key = self.storages.len().to_string();
        self.weights.push((name.to_owned(), tensor(&key, shape)));
        self.storages.push((key, vec![value; shape.iter().product()]));
    }

    fn place(&self, name: &str) -> usize {
        self.weights.iter().position(|(own, _)| own == name).expect("a tensor")
    }

    fn numbers(&mut self, name: &str) -> &mut Vec<f32> {
        let place = self.place(name);
        &mut self.storages[place].1
    }

    fn put_beside(&mut self, name: &str, value: Vec<u8>) {
        self.beside.retain(|(own, _)| own != name);
        self.beside.push((name.to_owned(), value));
    }

    fn write(&self, path: &Path) {
        let mut object = vec![("network_weights".to_owned(), dictionary(&self.weights))];
        object.extend(self.beside.iter().cloned());
        write_checkpoint(path, &dictionary(&object), &self.storages);
    }
}

/// Does harm to a checkpoint.
type Spoil = fn(&mut Draft);

const ONE: &str = "encoder.stages.1.0.convs.0.conv.weight";

#[test]
fn tensors_that_do_not_fit_are_refused_by_key() {
    let folder = Folder::copy("tensors", &golden("plain"));
    let draft = Draft::plain();
    draft.write(&folder.checkpoint());
    open(&request(folder.dir())).expect("as drafted");
    let cases: [(&str, Spoil, &[&str]); 11] = [
        ("missing", |d| drop(d.weights.remove(d.place(ONE))), &["no tensor", ONE, "[16, 8, 3, 3, 3]"]),
        ("extra", |d| d.add("encoder.stages.7.weight", &[3], 1.0), &["encoder.stages.7.weight", "[3]", "unchanged"]),
        (
            "misshapen",
            |d| {
                let at = d.place(ONE);
                d.weights[at].1 = tensor("0", &[16, 8, 1, 3, 3]);
            },
            &[ONE, "[16, 8, 1, 3, 3]", "[16, 8, 3, 3, 3]"],
        ),
        (
            "batch norm",
            |d| d.add("encoder.stages.0.0.convs.0.norm.running_mean", &[8], 0.0),
            &["batch norm", "instance"],
        ),
        (
            "another copy",
            |d| d.add("decoder.encoder.stages.1.0.convs.0.all_modules.0.weight", &[16, 8, 3, 3, 3], 2.0),
            &[ONE, "decoder.encoder.", "differ"],
        ),
        ("not finite", |d| d.numbers(ONE)[5] = f32::NAN, &[ONE, "not finite"]),
        ("infinite", |d| d.numbers(ONE)[5] = f32::INFINITY, &[ONE, "not finite"]),
        ("no storage", |d| drop(d.storages.remove(d.place(ONE))), &["damaged", "is not in it"]),
        ("small storage", |d| d.numbers(ONE).truncate(9), &[ONE, "beyond its storage of 9"]),
        (
            "made by code",
            |d| {
                let at = d.place(ONE);
                d.weights[at].1 = call("posix", "system", "true");
            },
            &[ONE, "is no tensor that can be read", "nothing in the file was executed"],
        ),
        ("no network", |d| d.weights.clear(), &["network_weights"]),
    ];
    for (what, spoil, wanted) in cases {
        let mut spoiled = draft.clone();
        spoil(&mut spoiled);
        spoiled.write(&folder.checkpoint());
        let error = refused(what, &request(folder.dir()));
        let told = error.to_string();
        assert_eq!(error.code(), "ERR_MODEL", "{what}: {told}");
        assert!(wanted.iter().all(|wanted| told.contains(wanted)), "{what}: {told}");
    }
}

#[test]
fn copies_that_agree_and_training_s_heads_are_ignored() {
    let folder = Folder::copy("copies", &golden("plain"));
    let mut draft = Draft::plain();
    draft.add("encoder.stages.1.0.convs.0.all_modules.0.weight", &[16, 8, 3, 3, 3], 1.0);
    draft.add("decoder.seg_layers.0.weight", &[3, 16, 1, 1, 1], f32::NAN);
    for (name, _) in &mut draft.weights {
        name.insert_str(0, "module.");
    }
    draft.write(&folder.checkpoint());
    let model = open(&request(folder.dir())).expect("all fits");
    assert_eq!(model.plan.mirror_axes, [0, 2]);
    assert_eq!((model.report.folds[0].duplicates, model.report.folds[0].unused), (1, 1));
}

#[test]
fn plain_values_that_are_none_are_refused_by_name() {
    let folder = Folder::copy("facts", &golden("plain"));
    let arguments = |name: &str| dictionary(&[("configuration".to_owned(), text(name))]);
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("trainer_name", call("posix", "system", "true"), &["trainer_name", "text"]),
        ("init_args", dictionary(&[("fold".to_owned(), number(0))]), &["init_args.configuration", "missing"]),
        ("init_args", arguments("2d"), &["configurations.2d.patch_size", "3-D"]),
        ("init_args", arguments("3d_lowres"), &["configurations.3d_lowres", "missing"]),
        ("inference_allowed_mirroring_axes", tuple(&[number(3)]), &["mirroring_axes", "axes 0 to 2"]),
        ("inference_allowed_mirroring_axes", call("a", "b", "c"), &["mirroring_axes", "axes 0 to 2"]),
    ];
    for (name, value, wanted) in cases {
        let mut draft = Draft::plain();
        draft.put_beside(name, value);
        draft.write(&folder.checkpoint());
        let told = refused(name, &request(folder.dir())).to_string();
        assert!(wanted.iter().all(|wanted| told.contains(wanted)), "{name}: {told}");
    }
}

#[test]
fn code_in_a_checkpoint_is_data() {
    let folder = Folder::copy("hostile", &golden("plain"));
    let proof = folder.path("proof");
    let mut draft = Draft::plain();
    draft.put_beside("logger", call("posix", "system", &format!("touch {}", proof.display())));
    draft.put_beside("aaa", call("builtins", "eval", &format!("open({:?}, 'w')", proof.display())));
    draft.write(&folder.checkpoint());
    open(&request(folder.dir())).expect("the network is whole");
    inspect(&request(folder.dir())).expect("the network is whole");
    assert!(!proof.exists(), "the checkpoint ran code");
}

#[test]
fn cut_and_scratched_checkpoints_never_panic() {
    let folder = Folder::copy("cut", &golden("plain"));
    let whole = std::fs::read(folder.checkpoint()).expect("read");
    for length in (0..24).map(|part| part * whole.len() / 24).chain([1, 9, whole.len() - 1]) {
        std::fs::write(folder.checkpoint(), &whole[..length]).expect("written");
        let error = refused("cut", &request(folder.dir()));
        assert_eq!(error.code(), "ERR_MODEL", "cut at {length}: {error}");
    }
    for scratch in 0..90_usize {
        let mut scratched = whole.clone();
        let at = if scratch % 2 == 0 { scratch * whole.len() / 90 } else { whole.len() - 1 - scratch * 37 };
        scratched[at] ^= 1 << (scratch % 8);
        std::fs::write(folder.checkpoint(), &scratched).expect("written");
        let _ = open(&request(folder.dir()));
    }
}
