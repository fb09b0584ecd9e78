//! What is asked of a scan.

use pulmoav_anatomy::Structure;
use pulmoav_plan::{Plan, Tiles};

/// What is asked of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Names of the plan's targets; empty for the plan's defaults.
    pub targets: Vec<String>,
    /// Whether the scan says where the patient's left is.
    pub oriented: bool,
    /// Whether the probabilities are wanted too.
    pub probabilities: bool,
    /// Lungs and airways that are wanted in the label map too, see [`keep`](mod@crate::keep).
    pub keep: Vec<Structure>,
    /// Whether labels are post-processed, whatever the plan says.
    pub postprocess: Option<bool>,
    /// Share of a tile by which tiles move on, above 0 up to 1, whatever the plan says.
    pub step: Option<f64>,
    /// `true`: each tile is seen as it is and mirrored; `false`: none is; whatever the plan says.
    pub mirror: Option<bool>,
    /// Whether each branch gets one class, whatever the plan says.
    pub tidy: Option<bool>,
    /// Whether a target with a side is refused where the sides are unclear, instead of answered with a warning.
    pub strict: bool,
    /// How many tiles a GPU is shown at a time; as many as fit where nothing is said.
    pub batch: Option<usize>,
    /// The most memory that the process may use, bytes.
    pub max_memory_bytes: Option<u64>,
    /// What the caller holds of the scan beside the voxels handed over, bytes (the file's own copy).
    pub held_bytes: u64,
    /// Bytes of a voxel that will be handed over, where that is told before; what is handed over knows itself.
    pub voxel_bytes: u64,
    /// What was alive beside the voxels handed over while they were made (the file's own voxels), bytes.
    pub read_bytes: u64,
}

impl Request {
    /// The plan, with what the request says otherwise.
    pub(crate) fn applied(&self, plan: &Plan) -> Plan {
        let overlap = self.step.map_or(plan.tiles.overlap, |step| 1.0 - step);
        Plan {
            postprocess: self.postprocess.or(plan.postprocess),
            tidy: self.tidy.or(plan.tidy),
            tiles: Tiles { overlap, ..plan.tiles },
            ..plan.clone()
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            oriented: true,
            probabilities: false,
            keep: Vec::new(),
            postprocess: None,
            step: None,
            mirror: None,
            tidy: None,
            strict: false,
            batch: None,
            max_memory_bytes: None,
            held_bytes: 0,
            voxel_bytes: 4,
            read_bytes: 0,
        }
    }
}
