//! VTK's legacy `PolyData` in ASCII: a polyline a branch (VTK file formats, docs.vtk.org).

use std::fmt::Write;

use crate::tree::{Branch, VesselTree};

/// A tree as lines in RAS mm, which the title says as 3D Slicer reads it. Points have `radius_mm`; lines have `branch`,
/// `piece`, `generation`, `strahler` and `mean_radius_mm`. A branch without length is a vertex.
pub fn vtk(tree: &VesselTree, name: &str) -> String {
    let title: String = name.replace('\n', " ").chars().filter(char::is_ascii).take(200).collect();
    let mut text = format!("# vtk DataFile Version 3.0\n{title} centrelines SPACE=RAS\nASCII\nDATASET POLYDATA\n");
    let points: Vec<_> = tree.branches.iter().flat_map(|branch| &branch.points).collect();
    let _ = writeln!(text, "POINTS {} double", points.len());
    for point in &points {
        let [x, y, z] = point.mm;
        let _ = writeln!(text, "{x:.3} {y:.3} {z:.3}");
    }
    let mut from = 0;
    let placed: Vec<(usize, usize, &Branch)> = tree
        .branches
        .iter()
        .enumerate()
        .map(|(index, branch)| {
            from += branch.points.len();
            (index, from - branch.points.len(), branch)
        })
        .collect();
    // VTK numbers vertices before lines.
    let (lines, vertices): (Vec<_>, Vec<_>) = placed.into_iter().partition(|(_, _, branch)| branch.points.len() > 1);
    for (what, cells) in [("VERTICES", &vertices), ("LINES", &lines)] {
        let size: usize = cells.iter().map(|(_, _, branch)| branch.points.len() + 1).sum();
        if !cells.is_empty() {
            let _ = writeln!(text, "{what} {} {size}", cells.len());
        }
        for (_, from, branch) in cells {
            let _ = write!(text, "{}", branch.points.len());
            for point in *from..from + branch.points.len() {
                let _ = write!(text, " {point}");
            }
            text.push('\n');
        }
    }
    let _ = writeln!(text, "CELL_DATA {}", tree.branches.len());
    let mut cell_data = |name: &str, kind: &str, value: &dyn Fn(usize, &Branch) -> String| {
        let _ = writeln!(text, "SCALARS {name} {kind} 1\nLOOKUP_TABLE default");
        for (index, _, branch) in vertices.iter().chain(&lines) {
            let _ = writeln!(text, "{}", value(*index, branch));
        }
    };
    cell_data("branch", "int", &|index, _| index.to_string());
    cell_data("piece", "int", &|_, branch| branch.piece.to_string());
    cell_data("generation", "int", &|_, branch| branch.generation.to_string());
    cell_data("strahler", "int", &|_, branch| branch.strahler.to_string());
    cell_data("mean_radius_mm", "double", &|_, branch| format!("{:.3}", branch.radius_mm));
    let _ = writeln!(text, "POINT_DATA {}\nSCALARS radius_mm double 1\nLOOKUP_TABLE default", points.len());
    for point in &points {
        let _ = writeln!(text, "{:.3}", point.radius_mm);
    }
    text
}
