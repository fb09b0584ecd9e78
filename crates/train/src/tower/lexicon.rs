//! The words of the corpus: `words/*.json`, one file a language.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use pulmoav_model::text::TARGETS;

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

const LANGUAGES: [&str; 13] = [
    include_str!("words/english.json"),
    include_str!("words/latin.json"),
    include_str!("words/german.json"),
    include_str!("words/french.json"),
    include_str!("words/spanish.json"),
    include_str!("words/italian.json"),
    include_str!("words/portuguese.json"),
    include_str!("words/dutch.json"),
    include_str!("words/russian.json"),
    include_str!("words/chinese.json"),
    include_str!("words/japanese.json"),
    include_str!("words/korean.json"),
    include_str!("words/polish.json"),
];

impl Lexicon {
    /// The built-in words.
    pub(super) fn new() -> Self {
        let mut by_target: std::collections::BTreeMap<String, Vec<String>> =
            built_in(include_str!("words/abbreviations.json"));
        Self {
            languages: LANGUAGES.into_iter().map(built_in).collect(),
            abbreviations: TARGETS.iter().map(|target| by_target.remove(*target).unwrap_or_default()).collect(),
            refusals: built_in(include_str!("words/refusals.json")),
        }
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

fn built_in<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the built-in words are checked by the tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_words_and_every_pattern_a_place_for_the_rest() {
        let lexicon = Lexicon::new();
        assert!(lexicon.abbreviations.iter().all(|list| !list.is_empty()));
        for language in &lexicon.languages {
            assert!((0..3).all(|kind| !language.heads(kind).is_empty()) && !language.others.is_empty());
            for list in [&language.places, &language.left, &language.right, &language.both, &language.requests] {
                assert!(!list.is_empty() && list.iter().all(|pattern| pattern.matches("{}").count() == 1), "{list:?}");
            }
        }
    }
}
