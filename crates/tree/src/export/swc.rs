//! SWC: a line a place, `number type x y z radius parent` (Cannon 1998, J Neurosci Methods 84:49).

use std::fmt::Write;

use crate::tree::VesselTree;

/// A tree as SWC, in RAS mm: type 0 (undefined), parent −1 at roots.
pub fn swc(tree: &VesselTree, name: &str) -> String {
    let mut text = format!("# {}: centrelines, RAS mm\n# number type x y z radius parent\n", name.replace('\n', " "));
    let mut last = Vec::with_capacity(tree.branches.len());
    let mut number: i64 = 0;
    for branch in &tree.branches {
        let mut parent = branch.parent.map_or(-1, |parent: usize| last[parent]);
        // A child's first place is its parent's last.
        for point in &branch.points[usize::from(branch.parent.is_some())..] {
            number += 1;
            let [x, y, z] = point.mm;
            let _ = writeln!(text, "{number} 0 {x:.3} {y:.3} {z:.3} {:.3} {parent}", point.radius_mm);
            parent = number;
        }
        last.push(parent);
    }
    text
}
