//! What makes a plan usable, beyond its types.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crate::{
    CLASS_PLAN_VERSION, Channel, Crop, LaCaf, LaCafVariant, Network, PLAN_VERSION, Plan, PlanError, Pulmoav, Target,
};

/// Largest edge of a patch or tile, voxels.
const MAX_EDGE: usize = 1024;
/// Largest width of a layer.
const MAX_WIDTH: usize = 8192;

impl Plan {
    /// Checks every value, and what one field demands of another.
    ///
    /// # Errors
    /// [`PlanError::Version`], or [`PlanError::Invalid`] naming the first field that is wrong.
    pub fn validate(&self) -> Result<(), PlanError> {
        match self.version {
            PLAN_VERSION => {}
            CLASS_PLAN_VERSION => return Err(PlanError::Kind { found: self.version.into(), expected: PLAN_VERSION }),
            other => return Err(PlanError::Version { found: other.into() }),
        }
        ensure(!self.name.trim().is_empty(), "name", &self.name, "a name")?;
        validate_spacing(self.spacing_mm)?;
        self.validate_channels()?;
        validate_edges("patch", self.patch)?;
        self.validate_crop()?;
        self.validate_tiles()?;
        self.validate_boundary()?;
        self.validate_targets()?;
        ensure(!self.text_encoder.id.is_empty(), "textEncoder.id", &self.text_encoder.id, "a name such as `bundled`")?;
        match &self.network {
            Network::LaCaf(network) => self.validate_la_caf(network),
            Network::Pulmoav(network) => Self::validate_pulmoav(network),
            Network::PlainUnet(_) | Network::ResidualUnet(_) => {
                ensure(false, "network.preset", self.network.preset(), "la-caf or pulmoav, which take prompts")
            }
        }
    }

    /// Every edge of a patch or tile must be a multiple of this, voxels.
    pub fn edge_multiple(&self) -> usize {
        self.network.edge_multiple()
    }

    /// Width of the prompts' embeddings.
    pub fn text_width(&self) -> usize {
        self.network.text_width()
    }

    /// The place of a target among [`Plan::targets`] by its name.
    pub fn target_index(&self, name: &str) -> Option<usize> {
        self.targets.iter().position(|target| target.name == name)
    }

    fn validate_channels(&self) -> Result<(), PlanError> {
        ensure((1..=16).contains(&self.channels.len()), "channels", self.channels.len(), "1 to 16 channels")?;
        for (i, channel) in self.channels.iter().enumerate() {
            if let Channel::Window { window_hu } = channel {
                let [low, high] = window_hu;
                let right = low.is_finite() && high.is_finite() && low < high;
                ensure(right, &format!("channels[{i}].windowHu"), window_hu, "[low, high] with low < high")?;
            }
        }
        let windows = self.channels.iter().filter(|channel| matches!(channel, Channel::Window { .. })).count();
        ensure(windows > 0, "channels", &self.channels, "at least one channel of kind `window`")
    }

    fn validate_crop(&self) -> Result<(), PlanError> {
        match self.crop {
            Crop::None => Ok(()),
            Crop::Foreground { above_hu } => ensure(above_hu.is_finite(), "crop.aboveHu", above_hu, "a finite number"),
            Crop::Lungs { margin_mm, .. } => {
                let right = margin_mm.is_finite() && (0.0..=500.0).contains(&margin_mm);
                ensure(right, "crop.marginMm", margin_mm, "0 to 500 mm")
            }
        }
    }

    fn validate_tiles(&self) -> Result<(), PlanError> {
        validate_edges("tiles.tile", self.tiles.tile)?;
        let overlap = self.tiles.overlap;
        ensure((0.0..=0.9).contains(&overlap), "tiles.overlap", overlap, "0 to 0.9")?;
        let multiple = self.edge_multiple();
        for (name, edges) in [("patch", self.patch), ("tiles.tile", self.tiles.tile)] {
            let right = edges.iter().all(|edge| edge % multiple == 0);
            ensure(right, name, edges, &format!("multiples of {multiple}, by which the network halves the grid"))?;
        }
        Ok(())
    }

    fn validate_boundary(&self) -> Result<(), PlanError> {
        let Some(walls) = self.walls else { return Ok(()) };
        ensure((-1024.0..=3071.0).contains(&walls.hu), "walls.hu", walls.hu, "-1024 to 3071 HU")?;
        ensure((0.0..=10.0).contains(&walls.reach_mm), "walls.reachMm", walls.reach_mm, "0 to 10 mm")
    }

    fn validate_targets(&self) -> Result<(), PlanError> {
        ensure((1..=255).contains(&self.targets.len()), "targets", self.targets.len(), "1 to 255 targets")?;
        let (mut names, mut values) = (BTreeSet::new(), BTreeSet::new());
        for (i, target) in self.targets.iter().enumerate() {
            let field = |name: &str| format!("targets[{i}].{name}");
            ensure(!target.name.trim().is_empty(), &field("name"), &target.name, "a name")?;
            ensure(names.insert(&target.name), &field("name"), &target.name, "a name that no other target has")?;
            ensure(target.value > 0, &field("value"), target.value, "1 to 255")?;
            ensure(values.insert(target.value), &field("value"), target.value, "a value that no other target has")?;
            self.validate_target(target, &field)?;
        }
        ensure(!self.default_targets.is_empty(), "defaultTargets", &self.default_targets, "at least one target")?;
        let mut seen = BTreeSet::new();
        for (i, name) in self.default_targets.iter().enumerate() {
            let known = names.contains(name) && seen.insert(name);
            ensure(known, &format!("defaultTargets[{i}]"), name, &format!("one of {names:?}, each once"))?;
        }
        Ok(())
    }

    fn validate_target(&self, target: &Target, field: &dyn Fn(&str) -> String) -> Result<(), PlanError> {
        ensure(!target.prompt.trim().is_empty(), &field("prompt"), &target.prompt, "words")?;
        let classes: BTreeSet<_> = target.classes.iter().collect();
        let right = !classes.is_empty() && classes.len() == target.classes.len();
        ensure(right, &field("classes"), &target.classes, "`artery`, `vein` or both, each once")?;
        let (width, wanted) = (target.embedding.len(), self.text_width());
        let expected = format!("{wanted} numbers (network.textWidth)");
        ensure(width == wanted, &field("embedding"), format_args!("{width} numbers"), &expected)?;
        let finite = target.embedding.iter().all(|value| value.is_finite());
        ensure(finite, &field("embedding"), "not finite everywhere", "finite numbers")
    }

    fn validate_la_caf(&self, network: &LaCaf) -> Result<(), PlanError> {
        let right = [1, 2, 4, 8, 16, 32].contains(&network.width_divisor);
        ensure(right, "network.widthDivisor", network.width_divisor, "1, 2, 4, 8, 16 or 32")?;
        validate_width("network.textWidth", network.text_width)?;
        ensure(
            self.targets.len() >= 2,
            "targets",
            self.targets.len(),
            "at least 2 targets (la-caf weighs prompts against each other)",
        )?;
        if network.variant == LaCafVariant::LaCaf {
            let [z, y, x] = self.patch;
            ensure(z == y && y == x, "patch", self.patch, "a cube (la-caf's image adapter serves all three axes)")?;
        }
        ensure(
            self.tiles.tile == self.patch,
            "tiles.tile",
            self.tiles.tile,
            "the patch (la-caf is trained for one size)",
        )
    }

    fn validate_pulmoav(network: &Pulmoav) -> Result<(), PlanError> {
        let stages = network.stage_channels.len();
        ensure((2..=8).contains(&stages), "network.stageChannels", stages, "2 to 8 stages")?;
        for (i, &width) in network.stage_channels.iter().enumerate() {
            validate_width(&format!("network.stageChannels[{i}]"), width)?;
        }
        let blocks = &network.stage_blocks;
        let right = blocks.len() == stages && blocks.iter().all(|count| (1..=64).contains(count));
        ensure(right, "network.stageBlocks", blocks, &format!("{stages} numbers of 1 to 64, one a stage"))?;
        validate_width("network.promptWidth", network.prompt_width)?;
        validate_width("network.textWidth", network.text_width)?;
        let right = network.heads > 0 && network.prompt_width.is_multiple_of(network.heads);
        ensure(right, "network.heads", network.heads, &format!("a divisor of promptWidth, {}", network.prompt_width))?;
        ensure((1..=32).contains(&network.prompt_layers), "network.promptLayers", network.prompt_layers, "1 to 32")?;
        let right = (1..stages).contains(&network.supervised_scales);
        ensure(
            right,
            "network.supervisedScales",
            network.supervised_scales,
            &format!("1 to {}, the decoder's scales", stages - 1),
        )
    }
}

pub(crate) fn validate_spacing(spacing_mm: [f64; 3]) -> Result<(), PlanError> {
    for (axis, spacing) in spacing_mm.iter().enumerate() {
        let right = (0.05..=50.0).contains(spacing);
        ensure(right, &format!("spacingMm[{axis}]"), spacing, "0.05 to 50 mm")?;
    }
    Ok(())
}

pub(crate) fn validate_edges(field: &str, edges: [usize; 3]) -> Result<(), PlanError> {
    let right = edges.iter().all(|edge| (1..=MAX_EDGE).contains(edge));
    ensure(right, field, edges, &format!("1 to {MAX_EDGE} voxels on each axis"))
}

pub(crate) fn validate_width(field: &str, width: usize) -> Result<(), PlanError> {
    ensure((1..=MAX_WIDTH).contains(&width), field, width, &format!("1 to {MAX_WIDTH}"))
}

pub(crate) fn ensure(right: bool, field: &str, found: impl Debug, expected: &str) -> Result<(), PlanError> {
    if right {
        return Ok(());
    }
    Err(PlanError::Invalid { field: field.to_owned(), found: format!("{found:?}"), expected: expected.to_owned() })
}
