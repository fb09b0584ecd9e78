//! Trees measured from a phantom's masks against those that the generator drew.

mod trees_beside_truth;

use pulmoav_phantom::{PhantomConfig, Style, generate};
use pulmoav_task::Silent;
use trees_beside_truth::compared;

#[test]
fn the_trees_of_a_phantoms_masks_are_those_that_were_drawn() {
    let phantom = generate(&PhantomConfig::small(920_301, Style::Plain), &Silent).expect("a phantom");
    for class in [0, 1] {
        let found = compared(&phantom, class);
        println!("{found:?}");
        assert!(found.branches_found >= 0.92 * found.branches as f64, "branches of 2 mm and more");
        assert!(found.radius_error_mm <= 0.3, "median error of the radii");
        assert!((0.8..=1.05).contains(&(found.length_mm / found.true_length_mm)), "length of all branches");
        let [measured, truth] = found.strahler.each_ref().map(|orders| orders[0]);
        let within = |a: f64, b: f64, share: f64| (a / b - 1.0).abs() <= share;
        assert!(within(measured.diameter_mm, truth.diameter_mm, 0.15), "diameter of the first Strahler order");
        assert!(within(measured.length_mm, truth.length_mm, 0.15), "length of the first Strahler order");
        assert!(within(measured.count as f64, truth.count as f64, 0.2), "count of the first Strahler order");
    }
}
