//! What `plans.json` says of a configuration.

use std::path::{Path, PathBuf};

use pulmoav_plan::{ClassChannel, Normalisation, Resampling};
use serde_json::{Map, Value};

use super::document::{Place, read};
use super::error::FolderError;

/// Spacings are anisotropic above this ratio; other thresholds are refused.
const ANISOTROPY: f64 = 3.0;

/// A plans file.
#[derive(Debug)]
pub(super) struct Plans {
    path: PathBuf,
    root: Value,
}

/// A configuration with what it inherits.
#[derive(Debug)]
pub(super) struct Configuration {
    path: PathBuf,
    field: String,
    value: Value,
}

impl Plans {
    pub(super) fn read(path: &Path) -> Result<Self, FolderError> {
        Ok(Self { path: path.to_owned(), root: read(path)? })
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place::new(&self.path, "", &self.root)
    }

    pub(super) fn dataset_name(&self) -> Result<Option<&str>, FolderError> {
        self.place().find("dataset_name").map(|name| name.text()).transpose()
    }

    /// Whether the reader turns scans to the nearest RAS+ order.
    pub(super) fn reorients(&self) -> Result<bool, FolderError> {
        let reader = self.place().get("image_reader_writer")?;
        match reader.text()? {
            "SimpleITKIO" | "NibabelIO" => Ok(false),
            "SimpleITKIOWithReorient" | "NibabelIOWithReorient" => Ok(true),
            _ => Err(reader.unsupported("SimpleITKIO, NibabelIO and both with `WithReorient`")),
        }
    }

    /// Network axis `i` is axis `axes[i]` of the scan.
    pub(super) fn axes(&self) -> Result<[usize; 3], FolderError> {
        let forward = self.place().get("transpose_forward")?;
        let axes = forward.axes(Place::count)?;
        let mut sorted = axes;
        sorted.sort_unstable();
        if sorted != [0, 1, 2] {
            return Err(forward.wrong("0, 1 and 2, each once"));
        }
        let backward = self.place().get("transpose_backward")?;
        let back = backward.axes(Place::count)?;
        let undone = [0, 1, 2].iter().all(|&axis| back.get(axes[axis]) == Some(&axis));
        if undone { Ok(axes) } else { Err(backward.wrong("what undoes transpose_forward")) }
    }

    /// Refuses label managers of others.
    pub(super) fn check_label_manager(&self) -> Result<(), FolderError> {
        match self.place().find("label_manager") {
            Some(manager) if manager.text()? != "LabelManager" => Err(manager.unsupported("LabelManager")),
            _ => Ok(()),
        }
    }

    /// The configuration of that name, over what it inherits.
    pub(super) fn configuration(&self, name: &str) -> Result<Configuration, FolderError> {
        let mut chain: Vec<(&str, &Map<String, Value>)> = Vec::new();
        let mut next = name;
        loop {
            let configurations = self.place().get("configurations")?;
            let place = configurations.get(next)?;
            let Value::Object(entries) = place.value() else { return Err(place.wrong("an object")) };
            if chain.iter().any(|(earlier, _)| *earlier == next) {
                let names: Vec<&str> = chain.iter().map(|(name, _)| *name).collect();
                return Err(place.wrong(format!("a configuration that does not inherit itself: {}", names.join(" → "))));
            }
            chain.push((next, entries));
            match place.find("inherits_from") {
                Some(parent) => next = parent.text()?,
                None => break,
            }
        }
        let mut merged = Map::new();
        for (_, entries) in chain.into_iter().rev() {
            merged.extend(entries.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let configuration = Configuration {
            path: self.path.clone(),
            field: format!("configurations.{name}"),
            value: Value::Object(merged),
        };
        configuration.check()?;
        Ok(configuration)
    }
}

impl Configuration {
    pub(super) fn place(&self) -> Place<'_> {
        Place::new(&self.path, self.field.clone(), &self.value)
    }

    /// Refuses what is of another kind altogether.
    fn check(&self) -> Result<(), FolderError> {
        let place = self.place();
        if let Some(previous) = place.find("previous_stage") {
            return Err(previous.unsupported("configurations of one stage; cascades are not"));
        }
        let patch = place.get("patch_size")?;
        if patch.list()?.len() == 2 {
            return Err(patch.unsupported("3-D configurations"));
        }
        let preprocessor = place.get("preprocessor_name")?;
        if preprocessor.text()? != "DefaultPreprocessor" {
            return Err(preprocessor.unsupported("DefaultPreprocessor"));
        }
        Ok(())
    }

    pub(super) fn patch(&self) -> Result<[usize; 3], FolderError> {
        self.place().get("patch_size")?.axes(Place::count)
    }

    pub(super) fn spacing_mm(&self) -> Result<[f64; 3], FolderError> {
        self.place().get("spacing")?.axes(Place::number)
    }

    pub(super) fn image_resampling(&self) -> Result<Resampling, FolderError> {
        self.resampling("resampling_fn_data")
    }

    pub(super) fn logit_resampling(&self) -> Result<Resampling, FolderError> {
        self.resampling("resampling_fn_probabilities")
    }

    /// A resampling function and its arguments; those that are not given have the function's own defaults.
    fn resampling(&self, name: &str) -> Result<Resampling, FolderError> {
        let place = self.place();
        let function = place.get(name)?;
        let options = place.find(&format!("{name}_kwargs"));
        let option = |name: &str| options.as_ref().and_then(|options| options.find(name));
        let separate_z = option("force_separate_z").map(|separate| separate.flag()).transpose()?;
        let is_said = options.as_ref().is_some_and(|options| options.value().get("force_separate_z").is_some());
        if let Some(threshold) = option("separate_z_anisotropy_threshold")
            && threshold.number()? != ANISOTROPY
        {
            return Err(threshold.unsupported("3"));
        }
        if let Some(is_seg) = option("is_seg")
            && is_seg.flag()?
        {
            return Err(is_seg.unsupported("false"));
        }
        let order = |name: &str, default: u8| match option(name) {
            None => Ok(default),
            Some(order) => match order.count()? {
                count @ 0..=3 => Ok(count as u8),
                _ => Err(order.unsupported("0 to 3")),
            },
        };
        match function.text()? {
            "resample_data_or_seg_to_shape" => {
                // Null leaves it to the spacing; to say nothing means no.
                let separate_z = if is_said { separate_z } else { Some(false) };
                Ok(Resampling::Spline { order: order("order", 3)?, order_z: order("order_z", 0)?, separate_z })
            }
            "resample_torch_fornnunet" => {
                for (name, wanted) in [("mode", "linear"), ("aniso_axis_mode", "nearest-exact")] {
                    if let Some(mode) = option(name)
                        && mode.text()? != wanted
                    {
                        return Err(mode.unsupported(wanted));
                    }
                }
                Ok(Resampling::Torch { separate_z })
            }
            "no_resampling_hack" => Ok(Resampling::None),
            _ => {
                Err(function.unsupported("resample_data_or_seg_to_shape, resample_torch_fornnunet, no_resampling_hack"))
            }
        }
    }
}

/// The input channels with what their values go through.
pub(super) fn channels(
    plans: &Plans,
    configuration: &Configuration,
    names: Vec<String>,
) -> Result<Vec<ClassChannel>, FolderError> {
    let schemes = configuration.place().get("normalization_schemes")?;
    let list = schemes.list()?;
    if list.len() != names.len() {
        return Err(schemes.wrong(format!("{} of them, one a channel of dataset.json", names.len())));
    }
    let masks = match configuration.place().find("use_mask_for_norm") {
        Some(masks) => masks.list()?.iter().map(Place::flag).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let mut channels = Vec::with_capacity(names.len());
    for (i, (name, scheme)) in names.into_iter().zip(&list).enumerate() {
        let masked = masks.get(i).copied().unwrap_or(false);
        channels.push(ClassChannel { name, normalisation: normalisation(plans, scheme, i, masked)? });
    }
    Ok(channels)
}

fn normalisation(plans: &Plans, scheme: &Place, channel: usize, masked: bool) -> Result<Normalisation, FolderError> {
    match scheme.text()? {
        "CTNormalization" => {
            let root = plans.place();
            let statistics = root
                .find("foreground_intensity_properties_per_channel")
                .or_else(|| root.find("foreground_intensity_properties_by_modality"));
            let statistics = statistics.map_or_else(|| root.get("foreground_intensity_properties_per_channel"), Ok)?;
            let own = statistics.get(&channel.to_string())?;
            let number = |name: &str| own.get(name)?.number();
            Ok(Normalisation::Ct {
                clip_hu: [number("percentile_00_5")?, number("percentile_99_5")?],
                mean: number("mean")?,
                std: number("std")?,
            })
        }
        "ZScoreNormalization" => Ok(Normalisation::ZScore { masked }),
        "NoNormalization" => Ok(Normalisation::None),
        "RescaleTo01Normalization" => Ok(Normalisation::ZeroOne),
        "RGBTo01Normalization" => Ok(Normalisation::Rgb),
        _ => Err(scheme.unsupported(
            "CTNormalization, ZScoreNormalization, NoNormalization, RescaleTo01Normalization, RGBTo01Normalization",
        )),
    }
}
