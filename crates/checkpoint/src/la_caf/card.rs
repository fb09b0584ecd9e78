//! The card of an imported model: where it came from, and what nobody knows about it.

use std::collections::BTreeMap;
use std::fmt::Write;

use pulmoav_plan::{Channel, Plan};

use super::checkpoint::ImportReport;
use super::error::variant_name;
use crate::error::told;

/// Writes the card.
pub(crate) fn card(plan: &Plan, report: &ImportReport) -> String {
    let mut text = format!(
        "# {}\n\nImported from a checkpoint of the `la-caf` family. **For research. Not a medical device.**\n",
        plan.name
    );
    let top = if report.key.is_empty() { "the file's own" } else { &report.key };
    let windows: Vec<String> = plan.channels.iter().filter_map(window).collect();
    let rows = [
        ("file", format!("`{}`", report.file)),
        ("SHA-256", format!("`{}`", report.sha256)),
        ("container", report.container.to_owned()),
        ("dictionary", top.to_owned()),
        (
            "prefix of its names",
            if report.prefix.is_empty() { "none".to_owned() } else { format!("`{}`", report.prefix) },
        ),
        ("variant", variant_name(report.variant).to_owned()),
        ("width", format!("published ÷ {}", report.width_divisor)),
        ("patch", format!("{:?} voxels [z, y, x]", report.patch)),
        ("voxel size", format!("{:?} mm [z, y, x], as the import was told or assumed", plan.spacing_mm)),
        ("window", format!("{}, as the import was told or assumed", windows.join(", "))),
        ("tensors", format!("{} mapped, {} unused", report.mapped.len(), report.unused.len())),
    ];
    text += "\n| | |\n|---|---|\n";
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text += "\n## Prompts, in the checkpoint's order\n\n";
    for target in &plan.targets {
        let _ = writeln!(text, "- {} {}: “{}”", target.value, target.name, target.prompt);
    }
    text += UNKNOWN;
    if !report.unused.is_empty() {
        text += "\n## Unused tensors\n\n";
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for tensor in &report.unused {
            reasons.entry(tensor.reason).or_default().push(tensor.name.clone());
        }
        for (reason, names) in reasons {
            let _ = writeln!(text, "- {reason} ({}): {}", names.len(), told(&names));
        }
    }
    text
}

fn window(channel: &Channel) -> Option<String> {
    match channel {
        Channel::Window { window_hu: [low, high] } => Some(format!("{low} to {high} HU")),
        Channel::Side => None,
    }
}

const UNKNOWN: &str = "
## What is unknown

A checkpoint holds numbers, not words. Nothing in it says

- what the prompts were: the words above are those given to the import, or the published four in the published order;
- which text encoder made their embeddings: they are the checkpoint's own (`organ_embedding`), so words of your own are only
  taken for one of the names above, by the bundled model's tower;
- at which voxel size and window it was trained, and that its arrays are [x, y, z] from left to right, back to front, feet to
  head, as published;
- who trained it, on which scans, how well it does, and under which licence it may be used.
";
