use pulmoav_task::Silent;
use pulmoav_volume::{Affine, Grid, Mask};

use super::*;

/// Two straight vessels, an artery and a vein, in two lungs.
fn chest(class: impl Fn(f64, f64, f64, u8) -> u8) -> (Mask, Vec<u8>) {
    let shape = [24, 24, 80];
    let grid = Grid { shape, spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
    let place = |i: usize| [i / (24 * 80), i / 80 % 24, i % 80].map(|v| v as f64);
    let label = |i: usize| {
        let [z, y, x] = place(i);
        let own = if (z - 6.0).hypot(y - 12.0) <= 2.3 { 1 } else { 2 * u8::from((z - 17.0).hypot(y - 12.0) <= 2.3) };
        if (3.0..77.0).contains(&x) { class(z, y, x, own) } else { 0 }
    };
    let data = (0..shape.iter().product()).map(label).collect();
    let regions = (0..shape.iter().product()).map(|i: usize| 1 + u8::from(place(i)[2] > 39.0)).collect();
    (Mask { data, grid }, regions)
}

fn value(name: &str, labels: &Mask, regions: &[u8]) -> Found {
    let surroundings = Some(Surroundings { regions, airways: &[] });
    let request = Request { labels, pairs: &[[1, 2], [3, 5]], sides: &[[3, 1], [5, 1]], surroundings };
    let found = check(&request, &Silent).expect("a chest");
    found.into_iter().find(|one| one.name == name).expect(name)
}

#[test]
fn clean_vessels_are_green() {
    let (labels, regions) = chest(|_, _, _, own| own);
    for name in ["mixed", "againstTree", "contact", "loose", "outside"] {
        let found = value(name, &labels, &regions);
        assert_eq!((found.value, found.light), (Some(0.0), Some(Light::Green)), "{name}");
    }
    // Nothing branches here, so nothing can be wider than its parent.
    assert_eq!(value("calibre", &labels, &regions).value, None);
    let half = value("arteryShare", &labels, &regions).value.expect("lungs");
    assert!((half - 0.5).abs() < 1e-9);
}

#[test]
fn a_swapped_stretch_is_told_with_its_place() {
    let (labels, regions) = chest(|_, _, x, own| if own == 1 && (40.0..55.0).contains(&x) { 2 } else { own });
    for (name, expected) in [("mixed", 0.1), ("againstTree", 0.1)] {
        let found = value(name, &labels, &regions);
        assert!((found.value.expect(name) - expected).abs() < 0.03, "{found:?}");
        let [z, y, x] = found.places[0].voxel;
        assert!((4..=8).contains(&z) && (10..=14).contains(&y) && (38..=57).contains(&x), "{found:?}");
        assert_eq!(found.places[0].at_mm, [x as f64, y as f64, z as f64]);
    }
    assert!(value("contact", &labels, &regions).value > Some(0.1));
}

#[test]
fn what_lies_outside_or_on_the_wrong_side_is_counted() {
    let (labels, mut regions) = chest(|_, _, _, own| if own == 1 { 3 } else { 0 });
    let wrong = value("wrongSide", &labels, &regions).value.expect("sides");
    assert!((wrong - 0.5).abs() < 0.02, "{wrong}");
    (0..regions.len()).filter(|i| i % 80 > 60).for_each(|i| regions[i] = 4);
    let found = value("outside", &labels, &regions);
    assert!((found.value.expect("outside") - 16.0 / 74.0).abs() < 0.01 && found.light == Some(Light::Red));
    assert_eq!(found.places.len(), 1);
}
