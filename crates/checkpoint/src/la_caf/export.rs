//! A model's weights under the published PyTorch names and axes, as safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Device;
use candle_core::Tensor;
use pulmoav_model::{prompt_embeddings, weights};
use pulmoav_plan::Network;
use serde::Serialize;

use super::error::ImportError;
use super::names::{EMBEDDINGS, wanted};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// Tensors in the file.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: usize,
}

/// Writes a `la-caf` model directory's weights as [`super::read`] takes them; the file is replaced at once or
/// not at all.
///
/// # Errors
/// What [`weights::load`] refuses; [`ImportError::OtherFamily`] for a network that was never published for PyTorch.
pub fn export(directory: &Path, file: &Path) -> Result<ExportReport, ImportError> {
    let (plan, parameters) = weights::load(directory)?;
    let Network::LaCaf(numbers) = &plan.network else {
        let problem = "only `la-caf` networks have published PyTorch names; a `pulmoav` model's model.safetensors is \
                       safetensors already, in our own layout"
            .to_owned();
        return Err(ImportError::OtherFamily { path: directory.to_owned(), problem });
    };
    let mut tensors = BTreeMap::from([(EMBEDDINGS.to_owned(), prompt_embeddings(&plan, &Device::Cpu)?)]);
    for (name, layout) in wanted(numbers.variant, plan.targets.len()) {
        if let Some(parameter) = parameters.get(&name) {
            tensors.insert(name, layout.theirs(&parameter.as_detached_tensor())?);
        }
    }
    weights::save_tensors(file, &tensors)?;
    let parameters = tensors.values().map(Tensor::elem_count).sum();
    Ok(ExportReport { tensors: tensors.len(), parameters })
}
