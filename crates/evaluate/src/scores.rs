//! All metrics of one case, in the shape of the contract.

use pulmoav_task::Monitor;
use pulmoav_volume::Mask;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::confusion::Confusion;
use crate::dice::dice;
use crate::error::EvaluateError;
use crate::iou::iou;
use crate::options::{Options, Target};
use crate::precision::precision;
use crate::recall::recall;
use crate::swap::{swap_rate, total_swap_rate};

/// Scores by target, in the order of the options. In JSON an object with a key a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(pub Vec<(String, TargetScores)>);

/// Scores of one target; `None` (`null`) where a metric is not defined.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetScores {
    /// 2 |P ∩ R| / (|P| + |R|); `None` when both are empty.
    pub dice: Option<f64>,
    /// Voxels of the prediction.
    pub pred_voxels: u64,
    /// Voxels of the reference.
    pub ref_voxels: u64,
    /// |P ∩ R| / |P ∪ R|; `None` when both are empty.
    pub iou: Option<f64>,
    /// |P ∩ R| / |P|; `None` when nothing was predicted.
    pub precision: Option<f64>,
    /// |P ∩ R| / |R|; `None` when the reference is empty.
    pub recall: Option<f64>,
    /// Of the reference's voxels called vessel, the share given the other class; for a target of both classes, over
    /// artery and vein together.
    pub swap_rate: Option<f64>,
}

/// Scores a label map against a reference on the same grid.
///
/// # Shapes
/// `pred`, `reference` and every mask of the options: `[z, y, x]`, one grid.
///
/// # Errors
/// `ERR_GEOMETRY` when grids differ or a label is no target's; `CANCELLED`.
pub fn evaluate(
    pred: &Mask,
    reference: &Mask,
    options: &Options<'_>,
    monitor: &dyn Monitor,
) -> Result<Scores, EvaluateError> {
    let confusion = Confusion::count(pred, reference, options, monitor)?;
    let mut scores = Vec::new();
    for target in &options.targets {
        let row = score(&confusion, target, &options.targets);
        if target.always || row.ref_voxels > 0 {
            scores.push((target.name.clone(), row));
        }
    }
    Ok(Scores(scores))
}

impl Scores {
    /// The scores of the target of that name.
    pub fn get(&self, name: &str) -> Option<&TargetScores> {
        self.0.iter().find(|(target, _)| target == name).map(|(_, scores)| scores)
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, scores) in &self.0 {
            map.serialize_entry(name, scores)?;
        }
        map.end()
    }
}

fn score(confusion: &Confusion, target: &Target, all: &[Target]) -> TargetScores {
    let counts = confusion.counts(&target.labels);
    let swap_rate = if target.swapped.is_empty() {
        total_swap_rate(confusion, parts(target, all))
    } else {
        swap_rate(confusion, target)
    };
    TargetScores {
        dice: dice(&counts),
        pred_voxels: counts.pred,
        ref_voxels: counts.reference,
        iou: iou(&counts),
        precision: precision(&counts),
        recall: recall(&counts),
        swap_rate,
    }
}

/// The widest targets inside `target` that can be swapped, so that no voxel is counted twice.
fn parts<'a>(target: &'a Target, all: &'a [Target]) -> impl Iterator<Item = &'a Target> {
    let inside =
        |part: &Target, whole: &Target| part != whole && part.labels.iter().all(|label| whole.labels.contains(label));
    all.iter().filter(move |part| {
        let contained = |other: &Target| !other.swapped.is_empty() && inside(part, other) && inside(other, target);
        !part.swapped.is_empty() && inside(part, target) && !all.iter().any(contained)
    })
}
