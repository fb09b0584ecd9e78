//! The words of the corpus: `words/*.json`, one file a language.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::TARGETS;

/// A file of built-in words that is no such file: a fault of ours, since the words are part of the program.
#[derive(Debug, thiserror::Error)]
#[error("words/{name}.json: {source}")]
pub struct LexiconError {
    name: String,
    source: serde_json::Error,
}

/// All words.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// Every language, English first.
    pub(super) languages: Vec<Language>,
    /// English abbreviations that hold side and vessel in one word, in the order of the targets.
    pub(super) abbreviations: Vec<Vec<String>>,
    /// What refusals need beside.
    pub(super) refusals: Refusals,
}

/// The vocabulary of one language. `{}` is where the rest goes: a phrase is `request(side(place(head)))`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Language {
    /// How often it is spoken in the corpus.
    pub(super) weight: u32,
    artery: Vec<String>,
    vein: Vec<String>,
    vessels: Vec<String>,
    /// Where the vessels are: the lungs.
    pub(super) places: Vec<String>,
    /// On the patient's left.
    pub(super) left: Vec<String>,
    /// On the right.
    pub(super) right: Vec<String>,
    /// On both sides, which is no side.
    pub(super) both: Vec<String>,
    /// What a user may wrap around it.
    pub(super) requests: Vec<String>,
    /// What the model does not know: organs, other vessels, diseases.
    pub(super) others: Vec<String>,
}

/// Words of refusals, in English but for the chatter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Refusals {
    /// Before `artery`, `veins` and the like they name vessels that are not the lungs'.
    pub(super) other_vessels: Vec<String>,
    /// After `artery of the` they do the same.
    pub(super) other_places: Vec<String>,
    /// What people type that is no wish for vessels.
    pub(super) chatter: Vec<String>,
}

const LANGUAGES: [(&str, &str); 13] = [
    ("english", include_str!("words/english.json")),
    ("latin", include_str!("words/latin.json")),
    ("german", include_str!("words/german.json")),
    ("french", include_str!("words/french.json")),
    ("spanish", include_str!("words/spanish.json")),
    ("italian", include_str!("words/italian.json")),
    ("portuguese", include_str!("words/portuguese.json")),
    ("dutch", include_str!("words/dutch.json")),
    ("russian", include_str!("words/russian.json")),
    ("chinese", include_str!("words/chinese.json")),
    ("japanese", include_str!("words/japanese.json")),
    ("korean", include_str!("words/korean.json")),
    ("polish", include_str!("words/polish.json")),
];

impl Lexicon {
    /// The built-in words.
    ///
    /// # Errors
    /// [`LexiconError`].
    pub(super) fn new() -> Result<Self, LexiconError> {
        let mut by_target: BTreeMap<String, Vec<String>> =
            read("abbreviations", include_str!("words/abbreviations.json"))?;
        Ok(Self {
            languages: LANGUAGES.into_iter().map(|(name, json)| read(name, json)).collect::<Result<_, _>>()?,
            abbreviations: TARGETS.iter().map(|target| by_target.remove(*target).unwrap_or_default()).collect(),
            refusals: read("refusals", include_str!("words/refusals.json"))?,
        })
    }

    /// The language of most phrases.
    pub(super) fn english(&self) -> &Language {
        &self.languages[0]
    }
}

impl Language {
    /// Words for arteries, veins and both.
    pub(super) fn heads(&self, kind: usize) -> &[String] {
        match kind {
            0 => &self.artery,
            1 => &self.vein,
            _ => &self.vessels,
        }
    }
}

fn read<T: DeserializeOwned>(name: &str, json: &str) -> Result<T, LexiconError> {
    serde_json::from_str(json).map_err(|source| LexiconError { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_lexicon_is_named() {
        let error = read::<Language>("klingon", "{\"weight\": 1}").expect_err("refused").to_string();
        assert!(error.contains("words/klingon.json") && error.contains("artery"), "{error}");
    }

    #[test]
    fn every_list_has_words_and_every_pattern_a_place_for_the_rest() {
        let lexicon = Lexicon::new().expect("every file is read");
        assert!(lexicon.abbreviations.iter().all(|list| !list.is_empty()));
        for language in &lexicon.languages {
            assert!((0..3).all(|kind| !language.heads(kind).is_empty()) && !language.others.is_empty());
            for list in [&language.places, &language.left, &language.right, &language.both, &language.requests] {
                assert!(!list.is_empty() && list.iter().all(|pattern| pattern.matches("{}").count() == 1), "{list:?}");
            }
        }
    }
}
