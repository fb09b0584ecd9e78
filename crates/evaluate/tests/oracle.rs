//! Scores against the same formulas in numpy (`crates/testing/goldens/evaluate.py`) and against the shared masks'.

use std::path::Path;

use pulmoav_evaluate::{Group, Options, Restriction, evaluate};
use pulmoav_task::Silent;
use pulmoav_volume::formats::read;
use pulmoav_volume::label::labels;
use pulmoav_volume::{Affine, Grid, Mask};
use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/evaluate/cases.json");
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

fn mask(value: &Value, shape: &Value) -> Mask {
    let bytes = |value: &Value| -> Vec<usize> {
        let numbers = value.as_array().expect("array").iter();
        numbers.map(|number| number.as_u64().expect("number") as usize).collect()
    };
    Mask {
        data: bytes(value).into_iter().map(|label| label as u8).collect(),
        grid: grid(bytes(shape).try_into().expect("three")),
    }
}

fn grid(shape: [usize; 3]) -> Grid {
    Grid { shape, spacing_mm: [2.0, 1.0, 1.0], affine: Affine::from_spacing([2.0, 1.0, 1.0]) }
}

#[test]
fn scores_equal_numpy() {
    let text = std::fs::read_to_string(GOLDEN).expect("goldens are committed");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for (index, case) in cases.iter().enumerate() {
        let (pred, reference) = (mask(&case["pred"], &case["shape"]), mask(&case["ref"], &case["shape"]));
        let within = (!case["within"].is_null()).then(|| mask(&case["within"], &case["shape"]));
        let sides = (!case["sides"].is_null()).then(|| mask(&case["sides"], &case["shape"]));
        let mut options = Options::default();
        options.restrictions.extend(within.as_ref().map(Restriction::Within));
        options.restrictions.extend(sides.as_ref().map(|sides| Restriction::Sides(sides, &[2])));
        let scores = evaluate(&pred, &reference, &options, &Silent).expect("scores").scores;
        let json = serde_json::to_value(&scores).expect("JSON");
        for (name, row) in case["scores"].as_object().expect("rows") {
            for (metric, want) in row.as_object().expect("metrics") {
                let got = &json[name][metric];
                let same = match (got.as_f64(), want.as_f64()) {
                    (Some(got), Some(want)) => (got - want).abs() < 1e-15,
                    _ => got.is_null() && want.is_null(),
                };
                assert!(same, "case {index}, {name} {metric}: {got} is not {want}");
            }
        }
        assert!(json.get("artery").is_some() && json.get("vessels").is_some());
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let reference = Mask { data: vec![1; 8], grid: grid([2, 2, 2]) };
    let options = Options::default();
    let mut moved = reference.clone();
    moved.grid.affine.0[0][3] = 0.5;
    let mut flat = reference.clone();
    flat.grid.shape = [1, 2, 4];
    let mut unknown = reference.clone();
    unknown.data[3] = 17;
    for (pred, reference) in [(&moved, &reference), (&flat, &reference), (&reference, &unknown)] {
        let error = evaluate(pred, reference, &options, &Silent).expect_err("refused");
        assert_eq!(error.code(), "ERR_GEOMETRY", "{error}");
    }
}

#[test]
fn shared_masks_score_as_their_oracle_says() {
    let Ok(text) = std::fs::read_to_string(Path::new(SHARED).join("metrics/expected_masks.json")) else {
        println!("skipped: no ../shared/data");
        return;
    };
    let cases: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("JSON");
    let load = |name: &str| {
        let image = read(&Path::new(SHARED).join("masks").join(name), None, &Silent).expect(name);
        let data = labels(&image.voxels, "labels").expect(name).into_iter().map(|label| u8::from(label > 0)).collect();
        Mask { data, grid: image.header.grid }
    };
    let mut checked = 0;
    // Reading whole scans takes longer than comparing them: all pairs where PULMOAV_ALL_MASKS is set, else two.
    let pairs = if std::env::var_os("PULMOAV_ALL_MASKS").is_some() { cases.len() } else { 2 };
    for (pair, case) in cases.iter().take(pairs) {
        let Some((pred, reference)) = pair.split_once(" vs ") else {
            continue;
        };
        let (pred, reference) = (load(pred), load(reference));
        let mut options = Options { groups: Group::ALL.to_vec(), ..Options::default() };
        options.targets.truncate(1);
        let scores = evaluate(&pred, &reference, &options, &Silent).expect(pair).scores;
        let row = scores.get("artery").expect("artery");
        for (name, key, within) in [
            ("predVoxels", "n_pred", 0.0),
            ("refVoxels", "n_ref", 0.0),
            ("dice", "dice", 1e-12),
            ("iou", "iou", 1e-12),
            ("precision", "precision", 1e-12),
            ("recall", "recall", 1e-12),
            ("hd95", "hd95", 1e-6),
            ("hd100", "hd100", 1e-6),
            ("nsd05mm", "nsd_0.5mm", 1e-6),
            ("nsd1mm", "nsd_1.0mm", 1e-6),
            ("nsd2mm", "nsd_2.0mm", 1e-6),
            ("clDice", "cldice", 0.01),
            ("skeletonRecall", "tsens", 0.01),
            ("skeletonPrecision", "tprec", 0.01),
        ] {
            let (got, want) = (row.get(name).expect(name), case[key].as_f64().expect(key));
            assert!((got - want).abs() <= within, "{pair} {name}: {got} is not {want}");
        }
        // The mean over both surfaces lies between the two directed means.
        let directed = ["avg_surf_ref_to_pred", "avg_surf_pred_to_ref"].map(|key| case[key].as_f64().expect(key));
        let assd = row.get("assd").expect("assd");
        assert!(assd > directed[0].min(directed[1]) && assd < directed[0].max(directed[1]), "{pair} assd {assd}");
        for (name, keys) in [
            ("betti0Error", ["b0_26_pred", "b0_26_ref"]),
            ("betti1Error", ["b1_pred", "b1_ref"]),
            ("betti2Error", ["b2_pred", "b2_ref"]),
        ] {
            let [a, b] = keys.map(|key| case[key].as_f64().expect(key));
            assert_eq!(row.get(name), Some((a - b).abs()), "{pair} {name}");
        }
        checked += 1;
    }
    assert!(checked > 0);
}
