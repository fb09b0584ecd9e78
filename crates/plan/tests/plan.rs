//! What a plan accepts, what it refuses, and with which words.

use pulmoav_plan::{Plan, PlanError};
use serde_json::{Value, json};

fn pulmoav() -> Value {
    json!({
        "version": 1,
        "name": "tiny",
        "spacingMm": [1.25, 1.25, 1.25],
        "channels": [{"kind": "window", "windowHu": [-1000.0, 600.0]}, {"kind": "side"}],
        "patch": [64, 64, 64],
        "crop": {"kind": "lungs", "marginMm": 25.0},
        "tiles": {"tile": [96, 96, 96], "overlap": 0.5, "blend": "probabilities", "skipEmpty": true, "mirror": true, "fit": true},
        "walls": {"hu": -400.0, "reachMm": 1.3},
        "targets": [
            {"name": "artery", "value": 1, "prompt": "pulmonary artery", "classes": ["artery"], "side": null, "embedding": [0.1, -0.2]},
            {"name": "left vein", "value": 5, "prompt": "left vein", "classes": ["vein"], "side": "left", "embedding": [0.3, 0.4]}
        ],
        "defaultTargets": ["artery"],
        "textEncoder": {"id": "bundled", "sha256": "00"},
        "network": {
            "preset": "pulmoav", "stageChannels": [16, 32, 64, 128], "stageBlocks": [1, 1, 1, 1], "promptWidth": 64,
            "promptLayers": 2, "heads": 4, "supervisedScales": 2, "textWidth": 2, "auxiliary": ["airway"]
        }
    })
}

fn la_caf() -> Value {
    let mut plan = pulmoav();
    plan["patch"] = json!([96, 96, 96]);
    plan["network"] = json!({"preset": "la-caf", "widthDivisor": 8, "variant": "la-caf", "textWidth": 2});
    plan
}

/// A plan as `src/config` exports it, with what a text encoder adds.
fn exported(name: &str) -> Value {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/config/defaults.json");
    let defaults: Value = serde_json::from_slice(&std::fs::read(file).expect("defaults")).expect("JSON");
    let mut plan = defaults["plans"][name].clone();
    let width = plan["network"]["textWidth"].as_u64().expect("a width") as usize;
    plan["version"] = json!(1);
    plan["textEncoder"] = json!({"id": "bundled", "sha256": "00"});
    for target in plan["targets"].as_array_mut().expect("targets") {
        target["embedding"] = json!(vec![0.5; width]);
    }
    plan
}

#[test]
fn exported_plans_have_the_fields_of_rusts_types() {
    for name in ["tiny", "la-caf"] {
        let plan = exported(name);
        let back = serde_json::to_value(Plan::from_json(&plan.to_string()).expect("valid")).expect("JSON");
        assert_eq!(paths(&plan), paths(&back), "{name}");
    }
}

/// The paths of all fields.
fn paths(value: &Value) -> std::collections::BTreeSet<String> {
    let under =
        |key: &str, child: &Value| paths(child).into_iter().map(|path| format!("{key}.{path}")).collect::<Vec<_>>();
    match value {
        Value::Object(object) => {
            object.iter().flat_map(|(key, child)| under(key, child).into_iter().chain([key.clone()])).collect()
        }
        Value::Array(items) => items.iter().flat_map(paths).collect(),
        _ => std::collections::BTreeSet::new(),
    }
}

#[test]
fn post_processing_is_as_the_preset_was_published_unless_the_plan_says() {
    for (mut value, published) in [(pulmoav(), true), (la_caf(), false)] {
        let plan = |value: &Value| Plan::from_json(&value.to_string()).expect("valid");
        assert_eq!(plan(&value).postprocesses(), published);
        assert!(!plan(&value).to_json().expect("finite").contains("postprocess"), "old plans stay as they are");
        assert_eq!([false, true].map(|coarse| plan(&value).tidies(coarse)), [published, false]);
        value["postprocess"] = json!(!published);
        assert_eq!(plan(&value).postprocesses(), !published);
        assert_eq!(plan(&value).tidies(false), !published, "without a word of its own it goes with post-processing");
        value["tidy"] = json!(published);
        assert_eq!([false, true].map(|coarse| plan(&value).tidies(coarse)), [published; 2]);
    }
}

#[test]
fn a_plan_survives_the_way_to_json_and_back() {
    for value in [pulmoav(), la_caf()] {
        let plan = Plan::from_json(&value.to_string()).expect("valid");
        let text = plan.to_json().expect("finite");
        assert_eq!(Plan::from_json(&text).expect("valid"), plan);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("json"), value, "names in the file stay");
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let cases: &[(&str, Value, &str)] = &[
        ("/spacingMm/1", json!(0.0), "spacingMm[1]"),
        ("/channels", json!([{"kind": "side"}]), "channels"),
        ("/channels/0/windowHu", json!([300.0, -700.0]), "channels[0].windowHu"),
        ("/patch/0", json!(0), "patch"),
        ("/patch/0", json!(60), "patch"),
        ("/tiles/tile/2", json!(100), "tiles.tile"),
        ("/tiles/overlap", json!(0.95), "tiles.overlap"),
        ("/crop/marginMm", json!(-1.0), "crop.marginMm"),
        ("/walls/hu", json!(4000.0), "walls.hu"),
        ("/walls/reachMm", json!(-1.0), "walls.reachMm"),
        ("/targets", json!([]), "targets"),
        ("/targets/1/name", json!("artery"), "targets[1].name"),
        ("/targets/1/value", json!(1), "targets[1].value"),
        ("/targets/1/value", json!(0), "targets[1].value"),
        ("/targets/1/classes", json!(["vein", "vein"]), "targets[1].classes"),
        ("/targets/0/embedding", json!([1.0]), "targets[0].embedding"),
        ("/defaultTargets", json!(["aorta"]), "defaultTargets[0]"),
        ("/defaultTargets", json!([]), "defaultTargets"),
        ("/network/heads", json!(5), "network.heads"),
        ("/network/stageBlocks", json!([1, 1]), "network.stageBlocks"),
        ("/network/supervisedScales", json!(4), "network.supervisedScales"),
        ("/network/stageChannels/3", json!(0), "network.stageChannels[3]"),
    ];
    for (pointer, value, field) in cases {
        let mut plan = pulmoav();
        *plan.pointer_mut(pointer).expect("field") = value.clone();
        let error = Plan::from_json(&plan.to_string()).expect_err(pointer);
        assert_eq!(error.code(), "ERR_CONFIG", "{pointer}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{pointer}: {error}");
    }
}

#[test]
fn la_caf_wants_cubes_and_company() {
    let cases: &[(&str, Value, &str)] = &[
        ("/patch/0", json!(88), "patch"),
        ("/tiles/tile", json!([64, 64, 64]), "tiles.tile"),
        ("/network/widthDivisor", json!(3), "network.widthDivisor"),
    ];
    for (pointer, value, field) in cases {
        let mut plan = la_caf();
        *plan.pointer_mut(pointer).expect("field") = value.clone();
        let error = Plan::from_json(&plan.to_string()).expect_err(pointer);
        assert!(error.to_string().contains(&format!("`{field}`")), "{pointer}: {error}");
    }
    let mut plan = la_caf();
    plan["targets"].as_array_mut().expect("array").pop();
    assert!(Plan::from_json(&plan.to_string()).expect_err("one target").to_string().contains("at least 2"));
}

#[test]
fn versions_and_fields_we_do_not_know_are_told_apart() {
    let mut plan = pulmoav();
    plan["version"] = json!(3);
    plan["somethingNew"] = json!(true);
    let error = Plan::from_json(&plan.to_string()).expect_err("newer");
    assert!(matches!(error, PlanError::Version { found: 3 }));
    assert_eq!(error.code(), "ERR_MODEL");

    let mut plan = pulmoav();
    plan["somethingNew"] = json!(true);
    let error = Plan::from_json(&plan.to_string()).expect_err("unknown field");
    assert_eq!(error.code(), "ERR_CONFIG");
    assert!(error.to_string().contains("somethingNew"));
    assert!(Plan::from_json("{").is_err());
}
