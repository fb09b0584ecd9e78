//! `GraphML`: forks and ends as nodes, branches as edges (graphml.graphdrawing.org).

use std::fmt::Write;

use crate::tree::VesselTree;

/// What an edge tells of its branch: name and type.
const OF_EDGES: [(&str, &str); 9] = [
    ("branch", "int"),
    ("piece", "int"),
    ("length_mm", "double"),
    ("radius_mm", "double"),
    ("volume_ml", "double"),
    ("generation", "int"),
    ("strahler", "int"),
    ("angle_deg", "double"),
    ("tortuosity", "double"),
];
const OF_NODES: [&str; 4] = ["x", "y", "z", "radius_mm"];

/// A tree as a directed graph from the roots outwards. Node `r…` is the start of a root branch, `b…` the end of a
/// branch; places are RAS mm.
pub fn graphml(tree: &VesselTree, name: &str) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str("<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
    for key in OF_NODES {
        let _ = writeln!(text, "  <key id=\"n_{key}\" for=\"node\" attr.name=\"{key}\" attr.type=\"double\"/>");
    }
    for (key, kind) in OF_EDGES {
        let _ = writeln!(text, "  <key id=\"e_{key}\" for=\"edge\" attr.name=\"{key}\" attr.type=\"{kind}\"/>");
    }
    let _ = writeln!(text, "  <graph id=\"{}\" edgedefault=\"directed\">", escaped(name));
    for (index, branch) in tree.branches.iter().enumerate() {
        let (Some(first), Some(last)) = (branch.points.first(), branch.points.last()) else { continue };
        let mut node = |id: String, point: &crate::tree::Point| {
            let _ = write!(text, "    <node id=\"{id}\">");
            let values = [point.mm[0], point.mm[1], point.mm[2], point.radius_mm];
            for (key, value) in OF_NODES.iter().zip(values) {
                let _ = write!(text, "<data key=\"n_{key}\">{value:.3}</data>");
            }
            text.push_str("</node>\n");
        };
        if branch.parent.is_none() {
            node(format!("r{index}"), first);
        }
        if branch.parent.is_some() || branch.points.len() > 1 {
            node(format!("b{index}"), last);
        }
    }
    for (index, branch) in tree.branches.iter().enumerate() {
        // A root of one place has no length: its children leave from its start.
        if branch.parent.is_none() && branch.points.len() < 2 {
            continue;
        }
        let source = match branch.parent {
            Some(parent) if tree.branches[parent].points.len() > 1 || tree.branches[parent].parent.is_some() => {
                format!("b{parent}")
            }
            Some(parent) => format!("r{parent}"),
            None => format!("r{index}"),
        };
        let _ = write!(text, "    <edge source=\"{source}\" target=\"b{index}\">");
        let number = |value: f64| Some(format!("{value:.4}"));
        let values = [
            Some(index.to_string()),
            Some(branch.piece.to_string()),
            number(branch.length_mm),
            number(branch.radius_mm),
            number(branch.volume_ml),
            Some(branch.generation.to_string()),
            Some(branch.strahler.to_string()),
            branch.angle_deg.and_then(number),
            number(branch.tortuosity),
        ];
        for ((key, _), value) in OF_EDGES.iter().zip(values) {
            if let Some(value) = value {
                let _ = write!(text, "<data key=\"e_{key}\">{value}</data>");
            }
        }
        text.push_str("</edge>\n");
    }
    text.push_str("  </graph>\n</graphml>\n");
    text
}

fn escaped(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
