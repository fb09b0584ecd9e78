//! What makes a class plan usable, beyond its types.

use std::collections::BTreeSet;

use super::{CLASS_PLAN_VERSION, Class, ClassPlan, Normalisation, Output, Resampling};
use crate::network::{Network, Unet};
use crate::validate::{ensure, validate_edges, validate_spacing, validate_width};
use crate::{PLAN_VERSION, PlanError};

/// Most input channels.
const MAX_CHANNELS: usize = 16;
/// Most things that are told apart.
const MAX_CLASSES: usize = 1023;
/// Most networks that are averaged.
const MAX_FOLDS: usize = 64;
/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 256;
/// Largest edge of a kernel.
const MAX_KERNEL: usize = 15;
/// Largest stride along an axis.
const MAX_STRIDE: usize = 8;
/// Most convolutions or blocks of a stage.
const MAX_BLOCKS: usize = 64;

impl ClassPlan {
    /// Checks every value, and what one field demands of another.
    ///
    /// # Errors
    /// [`PlanError::Version`], or [`PlanError::Invalid`] naming the first field that is wrong.
    pub fn validate(&self) -> Result<(), PlanError> {
        match self.version {
            CLASS_PLAN_VERSION => {}
            PLAN_VERSION => return Err(PlanError::Kind { found: self.version.into(), expected: CLASS_PLAN_VERSION }),
            other => return Err(PlanError::Version { found: other.into() }),
        }
        validate_name("name", &self.name)?;
        let mut axes = self.axes;
        axes.sort_unstable();
        ensure(axes == [0, 1, 2], "axes", self.axes, "0, 1 and 2, each once")?;
        validate_spacing(self.spacing_mm)?;
        self.validate_channels()?;
        validate_edges("patch", self.patch)?;
        ensure(self.step > 0.0 && self.step <= 1.0, "step", self.step, "above 0, at most 1")?;
        let mirrored: BTreeSet<_> = self.mirror_axes.iter().collect();
        let right = mirrored.len() == self.mirror_axes.len() && self.mirror_axes.iter().all(|&axis| axis < 3);
        ensure(right, "mirrorAxes", &self.mirror_axes, "some of 0, 1 and 2, each once")?;
        validate_resampling("imageResampling", self.image_resampling)?;
        validate_resampling("logitResampling", self.logit_resampling)?;
        self.validate_classes()?;
        ensure((1..=MAX_FOLDS).contains(&self.folds), "folds", self.folds, &format!("1 to {MAX_FOLDS}"))?;
        self.validate_network()
    }

    /// Output channels that the classes demand.
    pub fn outputs(&self) -> usize {
        match self.output {
            Output::Softmax => self.classes.len() + 1,
            Output::Regions => self.classes.len(),
        }
    }

    fn validate_channels(&self) -> Result<(), PlanError> {
        let count = self.channels.len();
        let expected = format!("1 to {MAX_CHANNELS} channels");
        ensure((1..=MAX_CHANNELS).contains(&count), "channels", count, &expected)?;
        for (i, channel) in self.channels.iter().enumerate() {
            validate_name(&format!("channels[{i}].name"), &channel.name)?;
            let Normalisation::Ct { clip_hu: [low, high], mean, std } = channel.normalisation else { continue };
            let field = |name: &str| format!("channels[{i}].normalisation.{name}");
            let right = low.is_finite() && high.is_finite() && low <= high;
            ensure(right, &field("clipHu"), [low, high], "[low, high] with low at most high")?;
            ensure(mean.is_finite(), &field("mean"), mean, "a finite number")?;
            ensure(std.is_finite() && std >= 0.0, &field("std"), std, "a finite number of at least 0")?;
        }
        Ok(())
    }

    fn validate_classes(&self) -> Result<(), PlanError> {
        let (count, expected) = (self.classes.len(), format!("1 to {MAX_CLASSES} classes"));
        ensure((1..=MAX_CLASSES).contains(&count), "classes", count, &expected)?;
        let (mut names, mut values) = (BTreeSet::new(), BTreeSet::new());
        for (i, Class { name, value }) in self.classes.iter().enumerate() {
            let field = |name: &str| format!("classes[{i}].{name}");
            validate_name(&field("name"), name)?;
            ensure(names.insert(name), &field("name"), name, "a name that no other class has")?;
            ensure(*value > 0, &field("value"), value, "1 to 65535")?;
            // Regions lie inside each other and may be painted alike.
            let own = values.insert(value) || self.output == Output::Regions;
            ensure(own, &field("value"), value, "a value that no other class has")?;
        }
        Ok(())
    }

    fn validate_network(&self) -> Result<(), PlanError> {
        let (Network::PlainUnet(unet) | Network::ResidualUnet(unet)) = &self.network else {
            let expected = "plain-unet or residual-unet, which answer with classes";
            return ensure(false, "network.preset", self.network.preset(), expected);
        };
        unet.validate()?;
        let outputs = self.outputs();
        let expected = format!("{outputs}, as the classes demand");
        ensure(unet.outputs == outputs, "network.outputs", unet.outputs, &expected)?;
        let reduction = unet.reduction();
        let right = [0, 1, 2].iter().all(|&axis| self.patch[axis].is_multiple_of(reduction[axis]));
        ensure(right, "patch", self.patch, &format!("multiples of {reduction:?}, by which the network strides"))
    }
}

impl Unet {
    /// Checks every number; those of the lists against each other.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] naming the first field that is wrong.
    pub(crate) fn validate(&self) -> Result<(), PlanError> {
        let stages = self.stage_channels.len();
        ensure((2..=10).contains(&stages), "network.stageChannels", stages, "2 to 10 stages")?;
        for (i, &width) in self.stage_channels.iter().enumerate() {
            validate_width(&format!("network.stageChannels[{i}]"), width)?;
        }
        let one_each = |what: &str| format!("{stages} {what}, one a stage");
        let odd = |edge: &usize| edge % 2 == 1 && *edge <= MAX_KERNEL;
        let right = self.kernels.len() == stages && self.kernels.iter().flatten().all(odd);
        let expected = one_each(&format!("kernels of odd edges up to {MAX_KERNEL}"));
        ensure(right, "network.kernels", &self.kernels, &expected)?;
        let right = self.strides.len() == stages && self.strides.iter().flatten().all(|s| (1..=MAX_STRIDE).contains(s));
        ensure(right, "network.strides", &self.strides, &one_each(&format!("strides of 1 to {MAX_STRIDE}")))?;
        let expected = "[1, 1, 1], so that the answer has the image's grid";
        ensure(self.strides[0] == [1; 3], "network.strides[0]", self.strides[0], expected)?;
        for (field, blocks, wanted) in [
            ("network.stageBlocks", &self.stage_blocks, stages),
            ("network.decoderBlocks", &self.decoder_blocks, stages - 1),
        ] {
            let right = blocks.len() == wanted && blocks.iter().all(|count| (1..=MAX_BLOCKS).contains(count));
            ensure(right, field, blocks, &format!("{wanted} numbers of 1 to {MAX_BLOCKS}"))?;
        }
        let (eps, slope) = (self.norm_eps, self.negative_slope);
        ensure(eps > 0.0 && eps <= 1.0, "network.normEps", eps, "above 0, at most 1")?;
        ensure((0.0..=1.0).contains(&slope), "network.negativeSlope", slope, "0 to 1")?;
        let most = MAX_CLASSES + 1;
        ensure((1..=most).contains(&self.outputs), "network.outputs", self.outputs, &format!("1 to {most}"))
    }
}

fn validate_name(field: &str, name: &str) -> Result<(), PlanError> {
    let right = !name.trim().is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control);
    let told: String = name.chars().take(80).collect();
    ensure(right, field, told, &format!("a name of one line, at most {MAX_NAME_BYTES} bytes"))
}

fn validate_resampling(field: &str, resampling: Resampling) -> Result<(), PlanError> {
    let Resampling::Spline { order, order_z, .. } = resampling else { return Ok(()) };
    ensure(order <= 3, &format!("{field}.order"), order, "0 to 3")?;
    ensure(order_z <= 3, &format!("{field}.orderZ"), order_z, "0 to 3")
}
