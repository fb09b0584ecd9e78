//! Scores of centrelines and branches on rods whose lengths are known.

use pulmoav_evaluate::{Group, Options, Restriction, TargetScores, evaluate};
use pulmoav_task::Silent;
use pulmoav_volume::{Affine, Grid, Mask};

const SHAPE: [usize; 3] = [40, 13, 13];

/// Labels by place; `radius` of the axis at `[6, 6]`.
fn drawn(spacing_mm: f64, label: impl Fn(usize, f64) -> u8) -> Mask {
    let place = |at: usize| (at / 169, (at / 13 % 13) as f64 - 6.0, (at % 13) as f64 - 6.0);
    let data = (0..SHAPE.iter().product()).map(|at| {
        let (z, y, x) = place(at);
        label(z, y.hypot(x))
    });
    let grid = Grid { shape: SHAPE, spacing_mm: [spacing_mm; 3], affine: Affine::from_spacing([spacing_mm; 3]) };
    Mask { data: data.collect(), grid }
}

fn rod(radius: f64, from: usize, to: usize) -> Mask {
    drawn(1.0, |z, away| u8::from((from..to).contains(&z) && away <= radius))
}

fn scores(pred: &Mask, reference: &Mask, options: &Options<'_>, target: &str) -> TargetScores {
    let options = Options { groups: Group::ALL.to_vec(), ..options.clone() };
    evaluate(pred, reference, &options, &Silent).expect("one grid").scores.get(target).expect("a row").clone()
}

#[test]
fn calibre_does_not_matter_and_length_does() {
    let (thin, thick, empty) = (rod(1.0, 2, 38), rod(3.0, 2, 38), rod(-1.0, 0, 0));
    let cl_dice = |pred: &Mask, reference: &Mask| scores(pred, reference, &Options::default(), "artery").get("clDice");
    assert_eq!(cl_dice(&thin, &thin), Some(1.0));
    assert_eq!(cl_dice(&thick, &thin), Some(1.0));
    assert_eq!(cl_dice(&empty, &thin), Some(0.0));
    assert_eq!(cl_dice(&empty, &empty), None);
    // Half of the line is found and nothing else: 2 · 1 · ½ / 1½.
    let half = scores(&rod(1.0, 2, 20), &thin, &Options::default(), "artery");
    assert!((half.get("clDice").expect("a number") - 2.0 / 3.0).abs() < 0.05);
    assert!((half.get("treeLengthDetected").expect("a number") - 0.5).abs() < 0.05);
    assert_eq!(half.get("branchesDetected"), Some(0.0));
    let lower = drawn(1.0, |z, _| u8::from(z < 18));
    let options = Options { restrictions: vec![Restriction::Within(&lower)], ..Options::default() };
    let within = scores(&rod(1.0, 2, 20), &thin, &options, "artery");
    assert_eq!((within.get("clDice"), within.get("branchesDetected")), (Some(1.0), Some(1.0)));
}

#[test]
fn strata_follow_the_radius() {
    let name = |radius_mm: f64| match radius_mm {
        r if r < 1.0 => "lengthRecallRadiusBelow1mm",
        r if r < 2.0 => "lengthRecallRadius1To2mm",
        r if r < 4.0 => "lengthRecallRadius2To4mm",
        _ => "lengthRecallRadiusFrom4mm",
    };
    for (radius, spacing_mm) in [(0.0, 0.7), (1.5, 1.0), (3.0, 1.0), (5.0, 1.0)] {
        let map = drawn(spacing_mm, |z, away| u8::from((2..38).contains(&z) && away <= radius));
        let found = scores(&map, &map, &Options::default(), "artery");
        let rows = [0.5, 1.5, 3.0, 5.0].map(|radius_mm| found.get(name(radius_mm)).is_some());
        let own = [0.5, 1.5, 3.0, 5.0].map(|radius_mm| name(radius_mm) == name((radius * spacing_mm).max(0.5)));
        assert!(own.iter().zip(rows).all(|(own, row)| !own || row), "{radius}: {rows:?}");
    }
    // A vessel of one voxel: all of it is BV5.
    let map = drawn(0.7, |z, away| u8::from((2..38).contains(&z) && away < 0.5));
    let found = scores(&map, &map, &Options::default(), "artery");
    assert!((found.get("predBv5Ml").expect("a volume") - 36.0 * 0.343 / 1000.0).abs() < 1e-12);
    assert_eq!(found.get("refBv10Ml"), Some(0.0));
}

#[test]
fn swaps_are_counted_by_length_and_by_branch() {
    // An artery of 36 voxels: the upper third got the vein's label, the last voxels nothing.
    let reference = drawn(1.0, |z, away| u8::from((2..38).contains(&z) && away < 0.5));
    let label = |z: usize| match z {
        2..14 => 2,
        14..34 => 1,
        _ => 0,
    };
    let pred = drawn(1.0, |z, away| if away < 0.5 { label(z) } else { 0 });
    for target in ["artery", "vessels"] {
        let found = scores(&pred, &reference, &Options::default(), target);
        assert!((found.get("swapRate").expect("a share") - 12.0 / 32.0).abs() < 1e-12);
        // The first voxel of the line stands for half a step.
        assert!((found.get("swapRateLength").expect("a share") - 11.5 / 31.5).abs() < 1e-12);
        assert_eq!(found.get("swapRateBranches"), Some(0.0));
        assert_eq!((found.get("predContactMm2"), found.get("refContactMm2")), (Some(1.0), Some(0.0)));
    }
    let vein = drawn(1.0, |z, away| 2 * u8::from((2..38).contains(&z) && away < 0.5));
    assert_eq!(scores(&vein, &reference, &Options::default(), "artery").get("swapRateBranches"), Some(1.0));
}

#[test]
fn a_half_labelled_reference_is_scored_on_its_side() {
    let pred = drawn(1.0, |z, away| u8::from((2..38).contains(&z) && away <= 2.0));
    let reference = drawn(1.0, |z, away| u8::from((2..20).contains(&z) && away <= 2.0));
    let sides = drawn(1.0, |z, _| if z < 20 { 1 } else { 2 });
    let options = Options { restrictions: vec![Restriction::Sides(&sides, &[1])], ..Options::default() };
    let found = scores(&pred, &reference, &options, "artery");
    for name in ["dice", "clDice", "nsd05mm", "branchesDetected", "treeLengthDetected"] {
        assert!(found.get(name).expect("a share") > 0.94, "{name}: {:?}", found.get(name));
    }
    let all = scores(&pred, &reference, &Options::default(), "artery");
    assert!(all.get("dice").expect("a share") < 0.7);
}

#[test]
fn lungs_bring_rows_and_strata_and_the_rules_are_told() {
    let map = drawn(1.0, |z, away| u8::from((2..38).contains(&z) && away <= 1.5));
    let lungs = drawn(1.0, |z, _| u8::from(z >= 10));
    let options = Options { groups: Group::ALL.to_vec(), lungs: Some(&lungs), ignored: vec![9], ..Options::default() };
    let mut reference = map.clone();
    reference.data[169 * 5 + 6 * 13 + 6] = 9;
    let found = evaluate(&map, &reference, &options, &Silent).expect("one grid");
    let left = found.scores.get("artery in the left lung").expect("a row");
    assert_eq!((left.get("dice"), left.get("lengthRecallHilumBelow20mm")), (Some(1.0), Some(1.0)));
    assert_eq!(found.scores.get("artery in the right lung").expect("a row").get("dice"), None);
    assert_eq!(found.scores.get("artery").expect("a row").get("dice"), Some(1.0));
    let names: Vec<&str> = found.rules.iter().map(|rule| rule.name).collect();
    assert!(names.contains(&"ignored") && names.contains(&"bothEmpty") && !names.contains(&"noHilum"), "{names:?}");
    let both = found.rules.iter().find(|rule| rule.name == "bothEmpty").expect("told");
    assert!(both.targets.contains(&"vein".to_owned()) && !both.targets.contains(&"artery".to_owned()));
}
