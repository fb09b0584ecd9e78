//! Scores against the published unit cases of surface-distance, MONAI and MetricsReloaded, and against scipy, skimage
//! and surface-distance on random masks (`crates/testing/goldens/surfaces.py`).

use pulmoav_evaluate::{Group, Options, TargetScores, evaluate};
use pulmoav_task::Silent;
use pulmoav_volume::{Affine, Grid, Mask};
use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/evaluate/random_masks.json");

fn drawn(shape: [usize; 3], spacing_mm: [f64; 3], holds: impl Fn([usize; 3]) -> bool) -> Mask {
    let [_, height, width] = shape;
    let place = |at: usize| [at / (height * width), at / width % height, at % width];
    let data = (0..shape.iter().product()).map(|at| u8::from(holds(place(at)))).collect();
    Mask { data, grid: Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) } }
}

fn scores(pred: &Mask, reference: &Mask) -> TargetScores {
    let options = Options { groups: Group::ALL.to_vec(), ..Options::default() };
    let found = evaluate(pred, reference, &options, &Silent).expect("one grid");
    found.scores.get("artery").expect("always there").clone()
}

fn assert_scores(case: &str, found: &TargetScores, expected: &[(&str, f64)], within: f64) {
    for (name, expected) in expected {
        let value = found.get(name).unwrap_or(f64::NAN);
        assert!((value - expected).abs() <= within, "{case}, {name}: {value}, expected {expected}");
    }
}

/// `surface_distance_test.py` of google-deepmind/surface-distance, `SurfaceDistance3DTest`; its tolerance is 3 places.
#[test]
fn surface_distance() {
    let point = |x: usize| drawn([60, 70, 80], [3.0, 2.0, 1.0], move |at| at == [50, 60, x]);
    let (reference, pred) = (point(70), point(72));
    let expected = [("assd", 1.5), ("hd100", 2.0), ("hd95", 2.0), ("nsd1mm", 0.5), ("dice", 0.0)];
    assert_scores("two pixels 2 mm away", &scores(&pred, &reference), &expected, 5e-4);

    let block = |depth: usize| drawn([100; 3], [2.0, 1.0, 1.0], move |[z, ..]| z < depth);
    let found = scores(&block(51), &block(50));
    let expected = [("hd100", 2.0), ("hd95", 2.0), ("nsd1mm", 0.836), ("dice", 0.990)];
    assert_scores("two cubes shifted", &found, &expected, 5e-4);
    // Its two averages are 0.322 and 0.339; ours is over both surfaces.
    let assd = found.get("assd").expect("a number");
    assert!((0.322..0.339).contains(&assd), "{assd}");

    let nothing = drawn([60, 70, 80], [3.0, 2.0, 1.0], |_| false);
    for (pred, reference) in [(&nothing, &reference), (&reference, &nothing)] {
        let found = scores(pred, reference);
        assert_scores("one empty mask", &found, &[("nsd1mm", 0.0), ("dice", 0.0)], 0.0);
        // There they are infinite.
        assert!(["hd95", "hd100", "assd", "hd95Voxels", "assdVoxels"].iter().all(|name| found.get(name).is_none()));
    }
    let found = scores(&nothing, &nothing);
    assert!(["hd95", "assd", "nsd1mm", "dice", "clDice", "betti0Error"].iter().all(|name| found.get(name).is_none()));
}

/// `tests/metrics/test_hausdorff_distance.py` of MONAI, the undirected Euclidean values; its tolerance is 1e-6.
#[test]
fn monai() {
    let ball = |radius: f64, centre: [f64; 3], spacing_mm: [f64; 3]| {
        drawn([99; 3], spacing_mm, move |at| {
            (0..3).map(|axis| (at[axis] as f64 * spacing_mm[axis] - centre[axis]).powi(2)).sum::<f64>()
                <= radius * radius
        })
    };
    let (one, odd) = ([1.0; 3], [0.85, 1.2, 0.9]);
    let cases = [
        (ball(20.0, [20.0; 3], one), ball(20.0, [19.0; 3], one), "hd100Voxels", 1.732_050_807_568_877_2),
        (ball(33.0, [19.0, 33.0, 22.0], one), ball(33.0, [20.0, 33.0, 22.0], one), "hd100Voxels", 1.0),
        (
            ball(20.0, [20.0, 33.0, 22.0], one),
            ball(40.0, [20.0, 33.0, 22.0], one),
            "hd100Voxels",
            20.223_748_416_156_685,
        ),
        (ball(20.0, [20.0, 33.0, 22.0], one), ball(40.0, [20.0, 33.0, 22.0], one), "hd95Voxels", 20.099_751_242_241_78),
        (ball(20.0, [20.0; 3], odd), ball(20.0, [19.0; 3], odd), "hd100Voxels", 2.267_156_8),
        (ball(15.0, [20.0, 33.0, 22.0], odd), ball(30.0, [20.0, 33.0, 22.0], odd), "hd100Voxels", 15.625_94),
    ];
    for (pred, reference, name, expected) in &cases {
        let options = Options { groups: vec![Group::Surface], ..Options::default() };
        let found = evaluate(pred, reference, &options, &Silent).expect("one grid").scores;
        assert_scores("balls", found.get("artery").expect("there"), &[(name, *expected)], 1e-5);
    }
}

/// `test/test_metrics/test_pairwise_measures.py` of MetricsReloaded; pictures of one plane, its tolerances.
#[test]
fn metrics_reloaded() {
    let plane =
        |size: usize, holds: &dyn Fn(usize, usize) -> bool| drawn([1, size, size], [1.0; 3], |[_, y, x]| holds(y, x));
    let square = |y: usize, x: usize| (3..8).contains(&y) && (3..8).contains(&x);
    let reference = plane(11, &square);
    let cross = |y: usize, x: usize| (y == 5 && (1..10).contains(&x)) || (x == 5 && (1..10).contains(&y));
    let pred = plane(11, &|y, x| square(y, x) || cross(y, x));
    let expected = [("dice", 0.862), ("iou", 0.758), ("assdVoxels", 0.44)];
    assert_scores("figure 10", &scores(&pred, &reference), &expected, 5e-3);

    let block = |y: usize, x: usize| (9..12).contains(&y) && (9..12).contains(&x);
    let found = scores(&plane(14, &block), &plane(14, &|y, x| block(y, x) || (y, x) == (1, 1)));
    assert_scores("figure 20", &found, &[("hd100Voxels", 11.31), ("hd95Voxels", 6.79)], 1e-2);

    let hook =
        |from: usize| move |y: usize, x: usize| ((from..4).contains(&y) && x == 1) || (y == 3 && (1..4).contains(&x));
    let reference = plane(14, &hook(1));
    for (from, expected) in [(2, 0.86), (3, 0.67)] {
        assert_scores("small clDice", &scores(&plane(14, &hook(from)), &reference), &[("clDice", expected)], 1e-2);
    }
}

#[test]
fn random_masks() {
    let text = std::fs::read_to_string(GOLDEN).expect("goldens are committed");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for (index, case) in cases.iter().enumerate() {
        let three =
            |key: &str| -> [f64; 3] { std::array::from_fn(|axis| case[key][axis].as_f64().expect("three numbers")) };
        let (shape, spacing_mm) = (three("shape").map(|length| length as usize), three("spacing_mm"));
        let mask = |key: &str| {
            let bits = case[key].as_str().expect("text").as_bytes();
            drawn(shape, spacing_mm, |[z, y, x]| bits[(z * shape[1] + y) * shape[2] + x] == b'1')
        };
        let found = scores(&mask("pred"), &mask("ref"));
        for (name, expected) in case["scores"].as_object().expect("scores") {
            let expected = expected.as_f64().expect("a number");
            assert_scores(&format!("random {index}"), &found, &[(name, expected)], 1e-9);
        }
    }
}
