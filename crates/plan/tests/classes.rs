//! What a class plan accepts, what it refuses, and with which words.

use pulmoav_plan::{AnyPlan, ClassPlan, Plan, PlanError};
use serde_json::{Value, json};

fn vessels() -> Value {
    json!({
        "version": 2,
        "name": "Dataset901_SynthLungVessels 3d_fullres",
        "source": {
            "family": "nnunet", "dataset": "Dataset901_SynthLungVessels", "trainer": "nnUNetTrainer",
            "configuration": "3d_fullres", "licence": null
        },
        "axes": [0, 1, 2],
        "reorient": false,
        "spacingMm": [1.0, 0.703_125, 0.703_125],
        "channels": [
            {"name": "CT", "normalisation": {"kind": "ct", "clipHu": [-1011.0, 487.0], "mean": -312.7, "std": 401.3}},
            {"name": "MRI", "normalisation": {"kind": "zScore", "masked": true}}
        ],
        "patch": [28, 256, 256],
        "step": 0.5,
        "mirrorAxes": [0, 1, 2],
        "imageResampling": {"kind": "spline", "order": 3, "orderZ": 0, "separateZ": null},
        "logitResampling": {"kind": "torch", "separateZ": false},
        "output": {"kind": "softmax"},
        "classes": [{"name": "lung_arteries", "value": 1}, {"name": "lung_veins", "value": 2}],
        "folds": 5,
        "network": {
            "preset": "plain-unet", "stageChannels": [32, 64, 128], "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "stageBlocks": [2, 2, 2], "decoderBlocks": [2, 2],
            "convBias": true, "normEps": 1e-5, "negativeSlope": 0.01, "activationFirst": false, "outputs": 3
        }
    })
}

fn regions() -> Value {
    let mut plan = vessels();
    plan["output"] = json!({"kind": "regions"});
    plan["network"]["outputs"] = json!(2);
    plan["classes"][1]["value"] = json!(1);
    plan["network"]["preset"] = json!("residual-unet");
    plan
}

#[test]
fn a_class_plan_survives_the_way_to_json_and_back() {
    for value in [vessels(), regions()] {
        let plan = ClassPlan::from_json(&value.to_string()).expect("valid");
        let text = plan.to_json().expect("finite");
        assert_eq!(ClassPlan::from_json(&text).expect("valid"), plan);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("json"), value, "names in the file stay");
        assert!(matches!(AnyPlan::from_json(&text), Ok(AnyPlan::Classes(again)) if again == plan));
    }
}

#[test]
fn kinds_are_told_apart() {
    let error = Plan::from_json(&vessels().to_string()).expect_err("classes");
    assert!(matches!(error, PlanError::Kind { found: 2, expected: 1 }), "{error}");
    assert_eq!(error.code(), "ERR_MODEL");
    let mut plan = vessels();
    plan["version"] = json!(1);
    assert!(matches!(ClassPlan::from_json(&plan.to_string()), Err(PlanError::Kind { found: 1, expected: 2 })));
    plan["version"] = json!(3);
    assert!(matches!(AnyPlan::from_json(&plan.to_string()), Err(PlanError::Version { found: 3 })));
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let cases: &[(&str, Value, &str)] = &[
        ("/name", json!(" "), "name"),
        ("/name", json!("a\nb"), "name"),
        ("/axes", json!([0, 1, 1]), "axes"),
        ("/spacingMm/1", json!(0.0), "spacingMm[1]"),
        ("/channels", json!([]), "channels"),
        ("/channels/0/normalisation/clipHu", json!([3.0, 2.0]), "channels[0].normalisation.clipHu"),
        ("/channels/0/normalisation/std", json!(-1.0), "channels[0].normalisation.std"),
        ("/patch/0", json!(27), "patch"),
        ("/patch/1", json!(4096), "patch"),
        ("/step", json!(0.0), "step"),
        ("/step", json!(1.5), "step"),
        ("/mirrorAxes", json!([0, 0]), "mirrorAxes"),
        ("/mirrorAxes", json!([3]), "mirrorAxes"),
        ("/imageResampling/order", json!(5), "imageResampling.order"),
        ("/classes", json!([]), "classes"),
        ("/classes/1/value", json!(1), "classes[1].value"),
        ("/classes/1/value", json!(0), "classes[1].value"),
        ("/classes/1/name", json!("lung_arteries"), "classes[1].name"),
        ("/folds", json!(0), "folds"),
        ("/network/outputs", json!(4), "network.outputs"),
        ("/network/stageChannels", json!([32]), "network.stageChannels"),
        ("/network/stageChannels/1", json!(100_000), "network.stageChannels[1]"),
        ("/network/kernels/0", json!([2, 3, 3]), "network.kernels"),
        ("/network/kernels", json!([[1, 3, 3]]), "network.kernels"),
        ("/network/strides/1", json!([0, 2, 2]), "network.strides"),
        ("/network/strides/0", json!([1, 2, 2]), "network.strides[0]"),
        ("/network/stageBlocks", json!([2, 2]), "network.stageBlocks"),
        ("/network/decoderBlocks", json!([2, 2, 2]), "network.decoderBlocks"),
        ("/network/decoderBlocks/0", json!(1_000_000), "network.decoderBlocks"),
        ("/network/normEps", json!(0.0), "network.normEps"),
        ("/network/negativeSlope", json!(-0.1), "network.negativeSlope"),
    ];
    for (pointer, value, field) in cases {
        let mut plan = vessels();
        *plan.pointer_mut(pointer).expect("field") = value.clone();
        let error = ClassPlan::from_json(&plan.to_string()).expect_err(pointer);
        assert_eq!(error.code(), "ERR_CONFIG", "{pointer}");
        assert!(error.to_string().contains(&format!("`{field}`")), "{pointer}: {error}");
    }
    let mut plan = vessels();
    plan["network"] = json!({"preset": "la-caf", "widthDivisor": 8, "variant": "la-caf", "textWidth": 2});
    let error = ClassPlan::from_json(&plan.to_string()).expect_err("prompts");
    assert!(error.to_string().contains("`network.preset`"), "{error}");
}

/// 32 channels in three maps, or 64 at a quarter of the voxels beside a skip, and an eighth for the kernels.
#[test]
fn memory_follows_the_network() {
    let plan = ClassPlan::from_json(&vessels().to_string()).expect("valid");
    assert_eq!(plan.network.channels_alive(), 3 * 32 + 8);
    let mut many = vessels();
    let classes: Vec<Value> =
        (1..=117).map(|value| json!({"name": format!("class {value}"), "value": value})).collect();
    many["classes"] = json!(classes);
    many["network"]["outputs"] = json!(118);
    let plan = ClassPlan::from_json(&many.to_string()).expect("valid");
    assert_eq!(plan.network.channels_alive(), 32 + 118 + 8);
}
