//! The card of an imported model: where it came from, and what its files do not say.

use std::fmt::Write;

use pulmoav_plan::{ClassPlan, Network, Output};

use super::open::ModelFolder;

/// Writes the card.
pub(super) fn card(model: &ModelFolder) -> String {
    let ModelFolder { plan, report, notes, .. } = model;
    let mut text = format!(
        "# {}\n\nImported from a model folder of nnU-Net v2. **For research. Not a medical device.**\n\n| | |\n|---|---|\n",
        plan.name
    );
    let folds: Vec<&str> = report.folds.iter().map(|fold| fold.fold.as_str()).collect();
    let rows = [
        ("folder", format!("`{}`", report.folder)),
        ("data set", plan.source.dataset.clone()),
        ("trainer, configuration", format!("{}, {}", plan.source.trainer, plan.source.configuration)),
        ("licence", plan.source.licence.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
        ("network", network(plan)),
        ("parameters", report.folds.first().map_or(0, |fold| fold.parameters).to_string()),
        ("folds", folds.join(", ")),
        ("window", format!("{:?} voxels of {:?} mm", plan.patch, plan.spacing_mm)),
        ("channels", plan.channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ")),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|").replace(char::is_control, " "));
    }
    let output = match plan.output {
        Output::Softmax => "Each voxel has one class.",
        Output::Regions => "Classes are regions, painted in this order over each other.",
    };
    let _ = write!(text, "\n## Classes\n\n{output}\n\n");
    for class in &plan.classes {
        let _ = writeln!(text, "- {} {}", class.value, class.name);
    }
    if !notes.is_empty() {
        text += "\n## Notes\n\n";
        for note in notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text + SILENT
}

fn network(plan: &ClassPlan) -> String {
    let (kind, unet) = match &plan.network {
        Network::PlainUnet(unet) => ("plain U-Net", unet),
        Network::ResidualUnet(unet) => ("U-Net with a residual encoder", unet),
        other => return other.preset().to_owned(),
    };
    format!("{kind}, {} stages of {:?} channels", unet.stage_channels.len(), unet.stage_channels)
}

const UNKNOWN: &str = "not said in the folder";

const SILENT: &str = "
## What is unknown

The folder does not say who trained the model, on which scans, how well it does, and, where no licence stands above, how
it may be used. Ask its publisher, and cite what they ask you to cite beside nnU-Net (Isensee et al., Nature Methods 2021,
18:203–211).
";
