//! What `dataset.json` says: channels, labels, regions.

use std::path::Path;

use pulmoav_plan::{Class, Output};
use serde::Deserialize;
use serde_json::Value;

use super::document::{Pairs, Place, read};
use super::error::FolderError;

/// What of `dataset.json` matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Dataset {
    name: Option<String>,
    #[serde(alias = "license")]
    licence: Option<Value>,
    channel_names: Option<Pairs>,
    /// Older data sets' name for the channels.
    modality: Option<Pairs>,
    labels: Option<Pairs>,
    regions_class_order: Option<Value>,
}

/// What the network's output channels mean.
#[derive(Debug, PartialEq)]
pub(super) struct Labels {
    pub(super) output: Output,
    pub(super) classes: Vec<Class>,
}

impl Dataset {
    pub(super) fn read(path: &Path) -> Result<Self, FolderError> {
        read(path)
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn licence(&self) -> Option<String> {
        self.licence.as_ref()?.as_str().map(str::to_owned)
    }

    /// Names of the input channels, in order.
    pub(super) fn channels(&self, path: &Path) -> Result<Vec<String>, FolderError> {
        // As nnunetv2 counts them.
        let (field, pairs) = match (&self.modality, &self.channel_names) {
            (Some(pairs), _) => ("modality", pairs),
            (None, Some(pairs)) => ("channel_names", pairs),
            (None, None) => return Err(missing(path, "channel_names", "an object of channels")),
        };
        let mut names = Vec::with_capacity(pairs.0.len());
        for i in 0..pairs.0.len() {
            let Some((_, name)) = pairs.0.iter().find(|(key, _)| *key == i.to_string()) else {
                return Err(missing(path, &format!("{field}.{i}"), "channels numbered from 0"));
            };
            names.push(Place::new(path, format!("{field}.{i}"), name).text()?.to_owned());
        }
        Ok(names)
    }

    /// Labels, or regions of labels, as nnU-Net's `LabelManager` takes them.
    pub(super) fn labels(&self, path: &Path) -> Result<Labels, FolderError> {
        let pairs = self.labels.as_ref().ok_or_else(|| missing(path, "labels", "an object of labels"))?;
        let places: Vec<(&str, Place)> = pairs
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), Place::new(path, format!("labels.{name}"), value)))
            .collect();
        let Some((_, background)) = places.iter().find(|(name, _)| *name == "background") else {
            return Err(missing(path, "labels.background", "0, as nnU-Net v2 writes it"));
        };
        if background.count()? != 0 {
            return Err(background.unsupported("0"));
        }
        let (ignored, named): (Vec<_>, Vec<_>) = places.into_iter().partition(|(name, _)| *name == "ignore");
        let highest = highest(&named)?;
        if let Some((_, ignored)) = ignored.first()
            && ignored.count()? != highest + 1
        {
            return Err(ignored.unsupported("the label behind the highest"));
        }
        if named.iter().any(|(_, place)| place.value().as_array().is_some_and(|list| list.len() > 1)) {
            return self.regions(path, &named);
        }
        consecutive(path, &named, highest)
    }

    fn regions(&self, path: &Path, named: &[(&str, Place)]) -> Result<Labels, FolderError> {
        let Some(order) = &self.regions_class_order else {
            return Err(missing(path, "regions_class_order", "a label a region, as labels has lists"));
        };
        let order = Place::new(path, "regions_class_order", order);
        let values = order.list()?;
        let mut names = Vec::new();
        for (name, place) in named {
            if members(place)?.iter().any(|&label| label != 0) {
                names.push((*name).to_owned());
            }
        }
        if values.len() != names.len() {
            return Err(order.wrong(format!("{} labels, one a region", names.len())));
        }
        let mut classes = Vec::with_capacity(names.len());
        for (name, place) in names.into_iter().zip(&values) {
            let value = u16::try_from(place.count()?).ok().filter(|&value| value > 0);
            classes.push(Class { name, value: value.ok_or_else(|| place.unsupported("labels from 1 to 65535"))? });
        }
        Ok(Labels { output: Output::Regions, classes })
    }
}

/// Labels that are the places of the output channels.
fn consecutive(path: &Path, named: &[(&str, Place)], highest: usize) -> Result<Labels, FolderError> {
    let mut classes: Vec<Option<Class>> = vec![None; highest.min(named.len())];
    for (name, place) in named {
        let label = members(place)?.first().copied().unwrap_or(0);
        if label == 0 && *name == "background" {
            continue;
        }
        let free = label.checked_sub(1).and_then(|at| classes.get_mut(at)).filter(|class| class.is_none());
        let Some(class) = free else { return Err(place.unsupported(CONSECUTIVE)) };
        let value = u16::try_from(label).map_err(|_| place.unsupported("labels up to 65535"))?;
        *class = Some(Class { name: (*name).to_owned(), value });
    }
    let found = classes.iter().filter(|class| class.is_some()).count();
    let classes: Option<Vec<Class>> = classes.into_iter().collect();
    match classes.filter(|classes| classes.len() == highest && !classes.is_empty()) {
        Some(classes) => Ok(Labels { output: Output::Softmax, classes }),
        None => Err(FolderError::Unsupported {
            path: path.to_owned(),
            field: "labels".to_owned(),
            found: format!("{found} labels up to {highest}"),
            supported: CONSECUTIVE.to_owned(),
        }),
    }
}

/// What labels must be where no regions are.
const CONSECUTIVE: &str = "consecutive labels 0, 1, 2, …, each once, since the place of the largest logit is the label";

fn highest(named: &[(&str, Place)]) -> Result<usize, FolderError> {
    let mut highest = 0;
    for (_, place) in named {
        highest = members(place)?.into_iter().fold(highest, usize::max);
    }
    Ok(highest)
}

/// The labels of a region; of a label itself.
fn members(place: &Place) -> Result<Vec<usize>, FolderError> {
    if place.value().is_array() { place.counts() } else { Ok(vec![place.count()?]) }
}

fn missing(path: &Path, field: &str, expected: &str) -> FolderError {
    FolderError::Field {
        path: path.to_owned(),
        field: field.to_owned(),
        found: "missing".to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(json: &str) -> Result<Labels, FolderError> {
        let dataset: Dataset = serde_json::from_str(json).expect("JSON");
        dataset.labels(Path::new("dataset.json"))
    }

    #[test]
    fn the_order_of_regions_is_that_of_the_file() {
        let found = labels(
            r#"{"labels": {"background": 0, "vessels": [1, 2], "artery": 1, "ignore": 3}, "regions_class_order": [2, 1]}"#,
        );
        let wanted = [("vessels", 2), ("artery", 1)].map(|(name, value)| Class { name: name.to_owned(), value });
        assert_eq!(found.expect("regions"), Labels { output: Output::Regions, classes: wanted.into() });
    }

    #[test]
    fn labels_are_sorted_by_value() {
        let found = labels(r#"{"labels": {"vein": 2, "background": 0, "artery": [1]}}"#).expect("labels");
        let names: Vec<_> = found.classes.iter().map(|class| (class.name.as_str(), class.value)).collect();
        assert_eq!((found.output, names), (Output::Softmax, vec![("artery", 1), ("vein", 2)]));
    }

    #[test]
    fn labels_that_cannot_be_places_are_refused_by_name() {
        let cases = [
            (r#"{"labels": {"background": 0, "a": 1, "b": 3}}"#, "labels"),
            (r#"{"labels": {"background": 0, "a": 1, "b": 1}}"#, "labels.b"),
            (r#"{"labels": {"background": 0, "a": 0, "b": 1}}"#, "labels.a"),
            (r#"{"labels": {"background": 1, "a": 2}}"#, "labels.background"),
            (r#"{"labels": {"background": 0}}"#, "labels"),
            (r#"{"labels": {"0": "background", "1": "a"}}"#, "labels.background"),
            (r#"{"labels": {"background": 0, "a": "1"}}"#, "labels.a"),
            (r#"{"labels": {"background": 0, "a": 1, "ignore": 3}}"#, "labels.ignore"),
            (r#"{"labels": {"background": 0, "a": 1000000000000, "b": 1}}"#, "labels.a"),
            (r#"{"labels": {"background": 0, "a": [1, 2], "b": 2}}"#, "regions_class_order"),
            (r#"{"labels": {"background": 0, "a": [1, 2]}, "regions_class_order": [1, 2]}"#, "regions_class_order"),
            (r#"{"labels": {"background": 0, "a": [1, 2]}, "regions_class_order": [0]}"#, "regions_class_order[0]"),
            ("{}", "labels"),
        ];
        for (json, field) in cases {
            let error = labels(json).expect_err(json).to_string();
            assert!(error.contains(&format!("`{field}`")), "{json}: {error}");
        }
    }
}
