//! A network of either preset, built from a plan.

use candle_core::{Device, Tensor};
use pulmoav_ops::cast;
use pulmoav_ops::device::{Compute, from_host};
use pulmoav_plan::{self as plan, Plan, PlanError};

use crate::ModelError;
use crate::block::Mode;
use crate::la_caf::LaCafNetwork;
use crate::parameters::{Parameters, Scope};
use crate::pulmoav::PulmoavNetwork;

/// A network that answers with one logit map a target.
#[derive(Debug)]
pub struct Network {
    preset: Preset,
    channels: usize,
    targets: usize,
    text_width: usize,
    edge_multiple: usize,
    cancelled_biases: Vec<String>,
    compute: Compute,
}

#[derive(Debug)]
enum Preset {
    LaCaf(LaCafNetwork),
    Pulmoav(PulmoavNetwork),
}

impl Network {
    /// Builds the plan's network; missing parameters are created, or refused if the parameters came from a file.
    ///
    /// The network shares storage with `parameters`: what an optimiser writes there, the network uses. It computes in
    /// their [`Parameters::compute`], and so gives logits of that type; words are read in f32.
    ///
    /// # Errors
    /// An invalid plan; [`ModelError::MissingTensor`], [`ModelError::WrongTensor`].
    pub fn build(plan: &Plan, parameters: &mut Parameters) -> Result<Self, ModelError> {
        plan.validate()?;
        let scope = Scope::root(parameters);
        let preset = match &plan.network {
            plan::Network::LaCaf(numbers) => Preset::LaCaf(LaCafNetwork::build(plan, numbers, scope)?),
            plan::Network::Pulmoav(numbers) => Preset::Pulmoav(PulmoavNetwork::build(plan, numbers, scope)?),
            // The plan's check has refused these.
            plan::Network::PlainUnet(_) | plan::Network::ResidualUnet(_) => {
                let (found, expected) = (plan::CLASS_PLAN_VERSION.into(), plan::PLAN_VERSION);
                return Err(PlanError::Kind { found, expected }.into());
            }
        };
        let cancelled = parameters.iter().map(|(name, _)| name.to_owned());
        let cancelled_biases = match preset {
            Preset::LaCaf(_) => cancelled.filter(|name| LaCafNetwork::cancels(name)).collect(),
            Preset::Pulmoav(_) => Vec::new(),
        };
        Ok(Self {
            preset,
            channels: plan.channels.len(),
            targets: plan.targets.len(),
            text_width: plan.text_width(),
            edge_multiple: plan.edge_multiple(),
            cancelled_biases,
            compute: parameters.compute().clone(),
        })
    }

    /// The logits of every target.
    ///
    /// `prompts` are always the embeddings of all of the plan's targets, in the plan's order ([`prompt_embeddings`]):
    /// each map depends on all of them.
    ///
    /// # Shapes
    /// `x` `[n, d, h, w, channels]` with edges that are multiples of [`Plan::edge_multiple`] (`la-caf`: exactly the
    /// patch), `prompts` `[p, text_width]` → per scale, finest first, `[n, d_s, h_s, w_s, p]`; [`Mode::Infer`] gives
    /// the finest only, and [`Mode::Train`] the plan's auxiliary maps behind those of the targets.
    ///
    /// # Errors
    /// [`ModelError::Input`] for other shapes, [`ModelError::Tensor`] if an operator fails.
    pub fn forward(&self, x: &Tensor, prompts: &Tensor, mode: Mode) -> Result<Vec<Tensor>, ModelError> {
        let all: Vec<usize> = (0..self.targets).collect();
        self.forward_asked(x, prompts, &all, mode)
    }

    /// As [`Network::forward`], but only the maps of `asked` (places among the plan's targets) are computed, in that
    /// order. Each is the same as among all.
    pub fn forward_asked(
        &self,
        x: &Tensor,
        prompts: &Tensor,
        asked: &[usize],
        mode: Mode,
    ) -> Result<Vec<Tensor>, ModelError> {
        self.check_image(x)?;
        if prompts.dims() != [self.targets, self.text_width] {
            return Err(ModelError::Input {
                what: "prompts",
                found: prompts.dims().to_vec(),
                expected: format!(
                    "[{}, {}], the embeddings of all of the plan's targets",
                    self.targets, self.text_width
                ),
            });
        }
        if asked.is_empty() || asked.iter().any(|&target| target >= self.targets) {
            return Err(ModelError::Input {
                what: "a list of asked targets",
                found: asked.to_vec(),
                expected: format!("at least one place below {}", self.targets),
            });
        }
        let x = cast(x, self.compute.dtype)?;
        self.compute.products.during(|| match &self.preset {
            Preset::LaCaf(network) => network.forward(&x, prompts, asked, mode),
            Preset::Pulmoav(network) => network.forward(&x, prompts, asked, mode),
        })
    }

    /// Parameters whose gradient is 0 by algebra: biases that a norm subtracts again. Sorted.
    pub fn cancelled_biases(&self) -> &[String] {
        &self.cancelled_biases
    }

    /// Where its parameters are, and so its images and prompts must be.
    pub fn device(&self) -> &Device {
        &self.compute.device
    }

    /// Bytes of a value that it computes with.
    pub fn value_bytes(&self) -> usize {
        self.compute.dtype.size_in_bytes()
    }

    /// Whether it answers images of one shape by the same launches on a card: nothing comes back to the host meanwhile, as
    /// the numbers of `la-caf`'s gate do.
    pub fn is_launches_alone(&self) -> bool {
        matches!(self.preset, Preset::Pulmoav(_))
    }

    /// Number of targets, and so of prompts and of maps.
    pub fn target_count(&self) -> usize {
        self.targets
    }

    fn check_image(&self, x: &Tensor) -> Result<(), ModelError> {
        let found = x.dims();
        let edges = found.get(1..4).unwrap_or_default();
        let multiple = edges.iter().all(|&edge| edge > 0 && edge.is_multiple_of(self.edge_multiple));
        let mut right = found.len() == 5 && found[0] > 0 && found[4] == self.channels && multiple;
        let mut expected =
            format!("[n, d, h, w, {}] with edges that are multiples of {}", self.channels, self.edge_multiple);
        if let Preset::LaCaf(network) = &self.preset
            && let Some(patch) = network.patch()
        {
            right &= edges == patch;
            expected =
                format!("[n, {}, {}, {}, {}], the patch it was made for", patch[0], patch[1], patch[2], self.channels);
        }
        if right { Ok(()) } else { Err(ModelError::Input { what: "an image", found: found.to_vec(), expected }) }
    }
}

/// The embeddings of the plan's targets on a device, as [`Network::forward`] takes them.
///
/// # Shapes
/// → `[p, text_width]`.
pub fn prompt_embeddings(plan: &Plan, device: &Device) -> Result<Tensor, ModelError> {
    let values: Vec<f32> = plan.targets.iter().flat_map(|target| target.embedding.iter().copied()).collect();
    Ok(from_host(values, (plan.targets.len(), plan.text_width()), device)?)
}
