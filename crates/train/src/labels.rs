//! What the values of a data set's label maps mean, as `labels` of `dataset.json` says.

use std::collections::BTreeMap;

use pulmoav_plan::VesselClass;
use pulmoav_task::Warning;
use serde_json::Value;

use crate::code::{ARTERY, VEIN};

/// In references: the voxel carries no loss.
pub const NO_LOSS: u8 = 255;

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Vessel(VesselClass),
    /// Without loss: nnU-Net's `ignore`, or vessels whose class is not told.
    Ignored,
    /// Named, but not learnt: background.
    Other,
}

/// Which value of the label maps is which class; a value that is not named is not described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelValues(BTreeMap<i64, Meaning>);

impl Default for LabelValues {
    fn default() -> Self {
        Self([(1, Meaning::Vessel(VesselClass::Artery)), (2, Meaning::Vessel(VesselClass::Vein))].into())
    }
}

impl LabelValues {
    /// 0 background, 1 artery, 2 vein or [`NO_LOSS`] for a value of the label map; `None` for one that is not named.
    pub fn class_of(&self, value: f64) -> Option<u8> {
        if value == 0.0 {
            return Some(0);
        }
        let whole = value as i64;
        let meaning = self.0.get(&whole).filter(|_| whole as f64 == value)?;
        Some(match meaning {
            Meaning::Vessel(VesselClass::Artery) => ARTERY,
            Meaning::Vessel(VesselClass::Vein) => VEIN,
            Meaning::Ignored => NO_LOSS,
            Meaning::Other => 0,
        })
    }

    /// Whether a value is named as ignored.
    pub fn is_ignored(&self, value: f64) -> bool {
        self.class_of(value) == Some(NO_LOSS)
    }

    /// Whether any value is this class.
    pub fn has(&self, class: VesselClass) -> bool {
        self.0.values().any(|&meaning| meaning == Meaning::Vessel(class))
    }

    /// Reads `labels`, and says which names are not learnt. Lists of values are nnU-Net's regions.
    ///
    /// # Errors
    /// What is wrong with `labels`, in words.
    pub fn read(labels: &BTreeMap<String, Value>) -> Result<(Self, Vec<Warning>), String> {
        let mut values = Self(BTreeMap::new());
        let mut others = Vec::new();
        for (name, value) in labels {
            let numbers = whole_numbers(name, value)?;
            let Some(meaning) = meaning_of(name) else {
                if numbers != [0] {
                    return Err(format!("labels gives the background the value {value}; expected 0"));
                }
                continue;
            };
            match meaning {
                Meaning::Vessel(_) => values.take(name, &numbers, meaning)?,
                _ => others.push((name, numbers, meaning)),
            }
        }
        if !values.has(VesselClass::Artery) && !values.has(VesselClass::Vein) {
            let names = labels.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("labels names {names}, but neither artery nor vein; name the values of at least one"));
        }
        let warnings = others.into_iter().filter_map(|(name, numbers, meaning)| values.add(name, &numbers, meaning));
        let warnings = warnings.collect();
        Ok((values, warnings))
    }

    fn take(&mut self, name: &str, numbers: &[i64], meaning: Meaning) -> Result<(), String> {
        for &number in numbers {
            if number == 0 {
                return Err(format!("labels gives {name:?} the value 0, which is the background's; expected another"));
            }
            if self.0.insert(number, meaning).is_some_and(|before| before != meaning) {
                return Err(format!("labels gives artery and vein one value, {number}; expected two"));
            }
        }
        Ok(())
    }

    /// Adds a name that is no class of ours. A union of artery and vein adds nothing.
    fn add(&mut self, name: &str, numbers: &[i64], meaning: Meaning) -> Option<Warning> {
        let new: Vec<i64> =
            numbers.iter().copied().filter(|&number| number != 0 && !self.0.contains_key(&number)).collect();
        self.0.extend(new.iter().map(|&number| (number, meaning)));
        if new.is_empty() || name.eq_ignore_ascii_case("ignore") {
            return None;
        }
        let what = match meaning {
            Meaning::Ignored => "does not say which vessels are arteries, so its voxels carry no loss",
            _ => "is not learnt, so its voxels are background",
        };
        Some(Warning::new("LABELS_IGNORED", format!("label {name:?} (value {new:?}) {what}")))
    }
}

/// What a name means; `None` for the background. Sides and the word pulmonary say nothing of the class.
fn meaning_of(name: &str) -> Option<Meaning> {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(['_', '-', ' ']).filter(|word| !["pulmonary", "lung", "left", "right", ""].contains(word));
    Some(match words.collect::<Vec<_>>().as_slice() {
        ["background"] => return None,
        ["artery" | "arteries"] => Meaning::Vessel(VesselClass::Artery),
        ["vein" | "veins"] => Meaning::Vessel(VesselClass::Vein),
        ["ignore"] => Meaning::Ignored,
        words if words.iter().any(|word| word.starts_with("vessel")) => Meaning::Ignored,
        _ => Meaning::Other,
    })
}

fn whole_numbers(name: &str, value: &Value) -> Result<Vec<i64>, String> {
    let list = value.as_array().map_or_else(|| vec![value], |list| list.iter().collect());
    let numbers: Option<Vec<i64>> = list.into_iter().map(Value::as_i64).collect();
    let refused = || format!("labels gives {name:?} the value {value}; expected a whole number or a list of them");
    numbers.filter(|numbers| !numbers.is_empty()).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &str) -> Result<(LabelValues, Vec<Warning>), String> {
        LabelValues::read(&serde_json::from_str(labels).unwrap())
    }

    #[test]
    fn names_say_which_value_is_which_class() {
        type Expected<'a> = &'a [(f64, Option<u8>)];
        let cases: [(&str, Expected<'_>, usize); 5] = [
            (
                r#"{"background":0,"vein":1,"Pulmonary_Artery":2}"#,
                &[(1.0, Some(2)), (2.0, Some(1)), (3.0, None), (0.0, Some(0)), (1.5, None)],
                0,
            ),
            (
                r#"{"background":0,"artery":1,"vein":2,"airway":3,"ignore":-999}"#,
                &[(3.0, Some(0)), (-999.0, Some(NO_LOSS)), (-998.0, None)],
                1,
            ),
            (r#"{"background":0,"artery":1,"vein":2,"lung_vessels":3}"#, &[(3.0, Some(NO_LOSS))], 1),
            (r#"{"background":0,"vessels":[1,2],"artery":1,"vein":2}"#, &[(1.0, Some(1)), (2.0, Some(2))], 0),
            (r#"{"left artery":3,"right artery":4,"vein":[5,6]}"#, &[(4.0, Some(1)), (6.0, Some(2))], 0),
        ];
        for (labels, expected, warnings) in cases {
            let (values, said) = read(labels).unwrap();
            assert_eq!(said.len(), warnings, "{labels}: {said:?}");
            for &(value, class) in expected {
                assert_eq!(values.class_of(value), class, "{labels}: {value}");
            }
        }
    }

    #[test]
    fn lists_without_vessels_are_refused_with_what_is_there() {
        for (labels, problem) in [
            (r#"{"background":0,"liver":1,"spleen":2}"#, "background, liver, spleen, but neither"),
            (r#"{"background":0,"artery":"1","vein":2}"#, "whole number"),
            (r#"{"background":0,"artery":1,"vein":1}"#, "one value"),
            (r#"{"background":1,"artery":3,"vein":2}"#, "the background the value 1"),
            (r#"{"background":0,"artery":0,"vein":2}"#, "the value 0"),
        ] {
            let error = read(labels).unwrap_err();
            assert!(error.contains(problem), "{labels}: {error}");
        }
    }
}
