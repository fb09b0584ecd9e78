//! The configs as `src/config` exports them, held against Rust's types: neither side has a field that the other lacks.

use std::collections::BTreeSet;
use std::path::Path;

use pulmoav_train::StepConfig;
use pulmoav_train::tower::TowerConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn configs_have_the_fields_of_rusts_types() {
    for recipe in ["tiny", "la-caf"] {
        let config = &defaults()["training"][recipe];
        assert_eq!(fields(&config["step"]), fields(&through::<StepConfig>(&config["step"])), "{recipe}");
        assert_eq!(fields(&config["tower"]), fields(&through::<TowerConfig>(&config["tower"])), "{recipe}");
    }
}

fn defaults() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/config/defaults.json");
    serde_json::from_slice(&std::fs::read(file).expect("defaults")).expect("JSON")
}

/// What is left of a value that was read into `T` and written again; `T` refuses fields that it does not know.
fn through<T: Serialize + DeserializeOwned>(value: &Value) -> Value {
    serde_json::to_value(T::deserialize(value).expect("a config")).expect("JSON")
}

/// The paths of all fields.
fn fields(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(key, child)| {
                let below = fields(child).into_iter().map(move |path| format!("{key}.{path}"));
                below.chain([key.clone()])
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(fields).collect(),
        _ => BTreeSet::new(),
    }
}
