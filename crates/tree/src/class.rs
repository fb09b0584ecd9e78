//! Which values of a label map are vessels, and what they are called.

use crate::error::TreeError;

/// A value of a label map and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The value.
    pub value: u8,
    /// `artery`, `vein`, …
    pub name: String,
}

/// Names of our plans' targets, from value 1 on (docs/plan-format.md).
const NAMES: [&str; 9] = [
    "artery",
    "vein",
    "left artery",
    "right artery",
    "left vein",
    "right vein",
    "vessels",
    "left vessels",
    "right vessels",
];

/// So many values are measured without being named; more make no map of vessels.
const MOST: usize = 16;

/// The classes of a map by the values that it holds: those that our plans name, else all of them.
///
/// # Errors
/// [`TreeError::Values`] for a map of more than 16 values of which our plans name none.
pub fn classes(present: &[u8]) -> Result<Vec<Class>, TreeError> {
    let named: Vec<Class> = present.iter().filter_map(|&value| Some(Class { value, name: name(value)? })).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let values: Vec<u8> = present.iter().copied().filter(|&value| value != 0).collect();
    if values.len() > MOST {
        return Err(TreeError::Values { found: values.len(), most: MOST });
    }
    Ok(values.into_iter().map(|value| Class { value, name: format!("label {value}") }).collect())
}

/// What our plans call a value.
pub fn name(value: u8) -> Option<String> {
    let place = usize::from(value).checked_sub(1)?;
    NAMES.get(place).map(|&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_go_first() {
        let names = |present: &[u8]| -> Vec<String> {
            classes(present).expect("few values").into_iter().map(|class| class.name).collect()
        };
        assert_eq!(names(&[0, 1, 2, 10, 12]), ["artery", "vein"]);
        assert_eq!(names(&[0, 255]), ["label 255"]);
        assert!(names(&[0]).is_empty());
        assert_eq!(classes(&(10..100).collect::<Vec<u8>>()).expect_err("too many").code(), "ERR_GEOMETRY");
    }
}
