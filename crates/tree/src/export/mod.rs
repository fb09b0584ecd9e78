//! Trees as text files of other programs; places are RAS mm.

mod graphml;
mod swc;
mod vtk;

pub use graphml::graphml;
pub use swc::swc;
pub use vtk::vtk;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Point, TreeNode, VesselTree};

    /// A trunk of two steps with two children, and a lone point.
    fn small() -> VesselTree {
        let node =
            |mm: [f64; 3], radius_mm: f64, parent| TreeNode { point: Point { mm, radius_mm }, volume_mm3: 0.0, parent };
        VesselTree::of_nodes(&[
            node([0.0, 0.0, 0.0], 2.0, None),
            node([0.0, 0.0, 5.0], 2.0, Some(0)),
            node([3.0, 0.0, 9.0], 1.0, Some(1)),
            node([-3.0, 0.0, 9.0], 1.25, Some(1)),
            node([40.0, 0.5, 0.0], 1.0, None),
        ])
    }

    #[test]
    fn swc_lists_each_place_once_after_the_one_it_hangs_on() {
        let text = swc(&small(), "artery");
        let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            rows,
            [
                "1 0 0.000 0.000 0.000 2.000 -1",
                "2 0 0.000 0.000 5.000 2.000 1",
                "3 0 3.000 0.000 9.000 1.000 2",
                "4 0 -3.000 0.000 9.000 1.250 2",
                "5 0 40.000 0.500 0.000 1.000 -1",
            ]
        );
    }

    #[test]
    fn graphml_has_forks_and_ends_as_nodes_and_branches_as_edges() {
        let text = graphml(&small(), "artery & more");
        assert!(text.contains("artery &amp; more"));
        assert_eq!(text.matches("<node ").count(), 5);
        assert_eq!(text.matches("<edge ").count(), 3);
        assert_eq!(text.matches('<').count(), text.matches('>').count());
    }

    #[test]
    fn vtk_counts_what_it_lists() {
        let text = vtk(&small(), "artery");
        assert!(text.contains("\nPOINTS 7 double\n") && text.contains("\nLINES 3 9\n"));
        assert!(text.contains("\nVERTICES 1 2\n") && text.contains("\nCELL_DATA 4\n"));
        assert!(text.contains("\nPOINT_DATA 7\n"));
    }
}
