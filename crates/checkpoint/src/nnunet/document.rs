//! JSON documents whose faults are told by file and field.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use super::error::FolderError;

/// Largest JSON file that is read, bytes.
const MAX_BYTES: u64 = 64 << 20;
/// So much of a value is told, characters.
const LONGEST_TOLD: usize = 80;

/// Reads a JSON file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FolderError> {
    let io = |source| FolderError::Io { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(io)?.len();
    let broken = |line, column, problem| FolderError::Json { path: path.to_owned(), line, column, problem };
    if length > MAX_BYTES {
        return Err(broken(1, 1, format!("it is {length} bytes long, more than the {MAX_BYTES} that are read")));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let problem = error.to_string();
        // The place is told already.
        let problem = problem.split(" at line ").next().unwrap_or_default().to_owned();
        broken(error.line(), error.column(), problem)
    })
}

/// An object's entries in the order of writing.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if pairs.iter().any(|(earlier, _)| *earlier == key) {
                        return Err(de::Error::custom(format_args!("`{key}` stands twice in one object")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    file: PathBuf,
    field: String,
    value: &'a Value,
}

impl<'a> Place<'a> {
    pub(super) fn new(file: &Path, field: impl Into<String>, value: &'a Value) -> Self {
        Self { file: file.to_owned(), field: field.into(), value }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// The entry of that name; `None` if it is not there or null.
    pub(super) fn find(&self, name: &str) -> Option<Place<'a>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(self.below(&format!(".{name}"), value))
    }

    /// The entry of that name.
    pub(super) fn get(&self, name: &str) -> Result<Place<'a>, FolderError> {
        self.find(name).ok_or_else(|| FolderError::Field {
            path: self.file.clone(),
            field: join(&self.field, &format!(".{name}")),
            found: "missing".to_owned(),
            expected: "what nnU-Net v2 writes there".to_owned(),
        })
    }

    pub(super) fn text(&self) -> Result<&'a str, FolderError> {
        self.value.as_str().ok_or_else(|| self.wrong("text"))
    }

    pub(super) fn flag(&self) -> Result<bool, FolderError> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    pub(super) fn number(&self) -> Result<f64, FolderError> {
        self.value.as_f64().ok_or_else(|| self.wrong("a number"))
    }

    /// A whole number of at least 0.
    pub(super) fn count(&self) -> Result<usize, FolderError> {
        let whole = self.value.as_u64().or_else(|| {
            let number = self.value.as_f64()?;
            (number >= 0.0 && number.fract() == 0.0 && number < 1e15).then_some(number as u64)
        });
        whole.and_then(|count| usize::try_from(count).ok()).ok_or_else(|| self.wrong("a whole number of at least 0"))
    }

    pub(super) fn list(&self) -> Result<Vec<Place<'a>>, FolderError> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        Ok(list.iter().enumerate().map(|(i, value)| self.below(&format!("[{i}]"), value)).collect())
    }

    pub(super) fn counts(&self) -> Result<Vec<usize>, FolderError> {
        self.list()?.iter().map(Self::count).collect()
    }

    /// One number for each axis, `[z, y, x]`; `read` takes each.
    pub(super) fn axes<T: Copy>(&self, read: impl Fn(&Self) -> Result<T, FolderError>) -> Result<[T; 3], FolderError> {
        match self.list()?.as_slice() {
            [z, y, x] => Ok([read(z)?, read(y)?, read(x)?]),
            _ => Err(self.wrong("three numbers, one an axis")),
        }
    }

    /// The last part of a name with dots: a class without its module.
    pub(super) fn last_name(&self) -> Result<&'a str, FolderError> {
        Ok(self.text()?.rsplit('.').next().unwrap_or_default())
    }

    /// The value has another type or size.
    pub(super) fn wrong(&self, expected: impl Into<String>) -> FolderError {
        FolderError::Field {
            path: self.file.clone(),
            field: self.field.clone(),
            found: told(self.value),
            expected: expected.into(),
        }
    }

    /// The value asks for something that is not done.
    pub(super) fn unsupported(&self, supported: impl Into<String>) -> FolderError {
        FolderError::Unsupported {
            path: self.file.clone(),
            field: self.field.clone(),
            found: told(self.value),
            supported: supported.into(),
        }
    }

    fn below(&self, name: &str, value: &'a Value) -> Place<'a> {
        Place { file: self.file.clone(), field: join(&self.field, name), value }
    }
}

fn join(field: &str, name: &str) -> String {
    if field.is_empty() { name.trim_start_matches('.').to_owned() } else { format!("{field}{name}") }
}

/// A value on one line, shortened.
fn told(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{}`", text.escape_debug()),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_TOLD {
        return text;
    }
    text.chars().take(LONGEST_TOLD).chain(['…']).collect()
}
