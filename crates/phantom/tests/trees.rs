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
        assert!(found.branches_found >= 0.95 * found.branches as f64, "branches of 2 mm and more");
        assert!(found.radius_error_mm <= 0.3, "median error of the radii");
        assert!((found.length_mm / found.true_length_mm - 1.0).abs() <= 0.15, "length of all branches");
    }
}
