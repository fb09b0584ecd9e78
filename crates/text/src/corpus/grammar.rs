//! The grammar that makes phrases: half of them mean a target, half mean none.

use std::collections::BTreeSet;

use pulmoav_random::{Philox, Stream};

use super::lexicon::{Language, Lexicon, LexiconError};
use super::noise::mistype;
use crate::head::REJECT;
use crate::tokenizer::START;
use crate::{TARGETS, Tokenizer, template};

/// Phrases that are never made, so that they can measure what was learned.
pub const HELD_OUT: &str = include_str!("held_out.tsv");

/// A phrase and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// What a user may type.
    pub text: String,
    /// Index into [`TARGETS`], or [`REJECT`].
    pub class: usize,
}

/// An endless supply of phrases; each depends on the seed and its own number alone.
#[derive(Debug)]
pub struct Corpus {
    seed: u64,
    lexicon: Lexicon,
    held_out: BTreeSet<Vec<u32>>,
    /// Ordinary words of the tokeniser's vocabulary.
    words: Vec<String>,
}

/// A table of phrases: `target TAB phrase` a line, `-` where it is to be refused; a line without a tab has no phrase.
pub fn read_table(table: &str) -> Vec<(Option<&str>, &str)> {
    table
        .lines()
        .map(|line| {
            let (target, text) = line.split_once('\t').unwrap_or((line, ""));
            ((target != "-").then_some(target), text)
        })
        .collect()
}

/// Makes a phrase of one kind.
type Maker = fn(&Corpus, &mut Philox) -> String;

impl Corpus {
    /// The corpus of a seed.
    ///
    /// # Errors
    /// [`LexiconError`] where the built-in words cannot be read.
    pub fn new(seed: u64) -> Result<Self, LexiconError> {
        let tokenizer = Tokenizer::shared();
        let held_out = read_table(HELD_OUT).into_iter().map(|(_, text)| tokenizer.encode(text)).collect();
        let lexicon = Lexicon::new()?;
        Ok(Self { seed, held_out, words: ordinary_words(tokenizer, lexicon.english()), lexicon })
    }

    /// Phrase `sample` of batch `step`.
    pub fn phrase(&self, step: u64, sample: u32) -> Phrase {
        let mut random = Philox::new(self.seed, step, sample, Stream::Sample);
        loop {
            let class = if random.chance(0.5) { REJECT } else { random.below(REJECT) };
            let text =
                if class == REJECT { self.refusal(&mut random) } else { wish(&self.lexicon, class, &mut random) };
            let text = mistype(&text, &mut random);
            if !self.held_out.contains(&Tokenizer::shared().encode(&text)) || text.is_empty() {
                return Phrase { text, class };
            }
        }
    }

    fn refusal(&self, random: &mut Philox) -> String {
        let kinds: [(u32, Maker); 9] = [
            (34, |corpus, random| other_thing(&corpus.lexicon, random)),
            (22, |corpus, random| other_vessel(&corpus.lexicon, random)),
            (10, Self::random_words),
            (8, Self::random_vessel),
            (5, |corpus, random| half_a_wish(&corpus.lexicon, random)),
            (8, |corpus, random| contradiction(&corpus.lexicon, random)),
            (5, |corpus, random| pick(&corpus.lexicon.refusals.chatter, random).to_owned()),
            (5, |_, random| gibberish(random)),
            (1, |_, _| String::new()),
        ];
        let (_, make) = weighted(&kinds, |(weight, _)| *weight, random);
        make(self, random)
    }

    /// `window guitar`.
    fn random_words(&self, random: &mut Philox) -> String {
        let count = 1 + random.below(5);
        let words: Vec<&str> = (0..count).map(|_| self.word(random)).collect();
        let text = words.join(" ");
        if random.chance(0.5) { request(self.lexicon.english(), &text, random) } else { text }
    }

    /// `guitar arteries`.
    fn random_vessel(&self, random: &mut Philox) -> String {
        let english = self.lexicon.english();
        let head = pick(english.heads(random.below(3)), random);
        let text = if random.chance(0.7) {
            format!("{} {head}", self.word(random))
        } else {
            format!("{head} of the {}", self.word(random))
        };
        let text = if random.chance(0.3) { side(english, random, &text) } else { text };
        maybe_request(english, &text, random)
    }

    fn word(&self, random: &mut Philox) -> &str {
        &self.words[random.below(self.words.len())]
    }
}

/// A phrase that means the class.
fn wish(lexicon: &Lexicon, class: usize, random: &mut Philox) -> String {
    if random.chance(0.12) {
        return plain_wish(lexicon, class, random);
    }
    if random.chance(0.08) {
        return maybe_request(lexicon.english(), pick(&lexicon.abbreviations[class], random), random);
    }
    let language = any_language(lexicon, random);
    let text = wish_in(language, class, random);
    maybe_request(language, &text, random)
}

/// The target by its own name, and as the plan spells it.
fn plain_wish(lexicon: &Lexicon, class: usize, random: &mut Philox) -> String {
    let name = TARGETS[class];
    match random.below(4) {
        0 => template(name),
        1 => name.to_owned(),
        2 => format!("{name} in the lungs"),
        _ => maybe_request(lexicon.english(), name, random),
    }
}

fn wish_in(language: &Language, class: usize, random: &mut Philox) -> String {
    // TARGETS: artery, vein, left artery, right artery, left vein, right vein, vessels, left vessels, right vessels.
    let (kind, sides) = match class {
        0 => (0, None),
        1 => (1, None),
        2 => (0, Some(&language.left)),
        3 => (0, Some(&language.right)),
        4 => (1, Some(&language.left)),
        5 => (1, Some(&language.right)),
        6 => (2, None),
        7 => (2, Some(&language.left)),
        _ => (2, Some(&language.right)),
    };
    let head = pick(language.heads(kind), random);
    let place = pick(&language.places, random);
    let sides = match sides {
        Some(sides) => Some(sides),
        None => random.chance(0.25).then_some(&language.both),
    };
    match sides {
        None => fill(place, head),
        Some(sides) if random.chance(0.5) => fill(pick(sides, random), &fill(place, head)),
        Some(sides) => fill(place, &fill(pick(sides, random), head)),
    }
}

/// `spleen`, with the same sides and requests that targets have.
fn other_thing(lexicon: &Lexicon, random: &mut Philox) -> String {
    let language = any_language(lexicon, random);
    let thing = pick(&language.others, random);
    let text = if random.chance(0.3) { side(language, random, thing) } else { thing.to_owned() };
    maybe_request(language, &text, random)
}

/// `hepatic veins`, `arteries of the leg`.
fn other_vessel(lexicon: &Lexicon, random: &mut Philox) -> String {
    let english = lexicon.english();
    let head = pick(english.heads(random.below(3)), random);
    let text = match random.below(3) {
        0 => format!("{head} of the {}", pick(&lexicon.refusals.other_places, random)),
        1 if random.chance(0.3) => format!("{head} in the {}", pick(&lexicon.refusals.other_places, random)),
        _ => format!("{} {head}", pick(&lexicon.refusals.other_vessels, random)),
    };
    let text = if random.chance(0.4) { side(english, random, &text) } else { text };
    maybe_request(english, &text, random)
}

/// A request without its object, a side or a place without a vessel.
fn half_a_wish(lexicon: &Lexicon, random: &mut Philox) -> String {
    let language = any_language(lexicon, random);
    let sided = if random.chance(0.5) { &language.left } else { &language.right };
    let text = match random.below(4) {
        0 => String::new(),
        1 => fill(pick(sided, random), ""),
        2 if language.places.len() > 1 => fill(pick(&language.places, random), ""),
        _ => pick(&["one", "thing", "part", "structure", "object", "area", "organ", "region"], random).to_owned(),
    };
    request(language, &text, random)
}

/// `left right artery`, `no veins`, `left artery and right vein`: not one target.
fn contradiction(lexicon: &Lexicon, random: &mut Philox) -> String {
    let language = any_language(lexicon, random);
    let english = lexicon.english();
    let text = match random.below(4) {
        0 => {
            let head = fill(pick(&language.places, random), pick(language.heads(random.below(3)), random));
            let inner = fill(pick(&language.left, random), &head);
            return maybe_request(language, &swap_sides(language, random, &inner, &head), random);
        }
        1 => {
            let class = random.below(REJECT);
            let wish = wish_in(english, class, random);
            let pattern = pick(
                &[
                    "no {}",
                    "not the {}",
                    "not {}",
                    "everything but the {}",
                    "everything except {}",
                    "without {}",
                    "anything but {}",
                    "remove the {}",
                    "exclude the {}",
                    "don't segment the {}",
                ],
                random,
            );
            fill(pattern, &wish)
        }
        2 => {
            // Opposite sides of opposite classes.
            let classes = if random.chance(0.5) { [2, 5] } else { [3, 4] };
            let [a, b] = classes.map(|class| wish_in(english, class, random));
            if random.chance(0.5) { format!("{a} and {b}") } else { format!("{b} and {a}") }
        }
        _ => {
            let head = pick(english.heads(random.below(3)), random);
            let pattern = pick(
                &[
                    "left right {}",
                    "right left {}",
                    "left pulmonary right {}",
                    "left {} right",
                    "right {} left",
                    "right {} of the left lung",
                    "left {} in the right lung",
                    "left {} on the right",
                    "right {} on the left side",
                ],
                random,
            );
            fill(pattern, &fill(pick(&["{}", "pulmonary {}", "lung {}"], random), head))
        }
    };
    maybe_request(english, &text, random)
}

/// Both sides around one head, one inside the other.
fn swap_sides(language: &Language, random: &mut Philox, left: &str, head: &str) -> String {
    if random.chance(0.5) {
        fill(pick(&language.right, random), left)
    } else {
        fill(pick(&language.left, random), &fill(pick(&language.right, random), head))
    }
}

/// Letters, digits and signs without sense.
fn gibberish(random: &mut Philox) -> String {
    let alphabet: &[u8] = match random.below(4) {
        0 => b"0123456789",
        1 => b"?!.,;:-_#*+/()&%$",
        2 => b"asdfghjkl",
        _ => b"abcdefghijklmnopqrstuvwxyz ",
    };
    (0..=random.below(14)).map(|_| alphabet[random.below(alphabet.len())] as char).collect()
}

fn side(language: &Language, random: &mut Philox, text: &str) -> String {
    let sides = [&language.left, &language.right, &language.both][random.below(3)];
    fill(pick(sides, random), text)
}

fn maybe_request(language: &Language, text: &str, random: &mut Philox) -> String {
    if random.chance(0.5) { request(language, text, random) } else { text.to_owned() }
}

fn request(language: &Language, text: &str, random: &mut Philox) -> String {
    fill(pick(&language.requests, random), text)
}

fn fill(pattern: &str, text: &str) -> String {
    pattern.replacen("{}", text, 1)
}

fn pick<'a, S: AsRef<str>>(choices: &'a [S], random: &mut Philox) -> &'a str {
    choices[random.below(choices.len())].as_ref()
}

fn any_language<'a>(lexicon: &'a Lexicon, random: &mut Philox) -> &'a Language {
    weighted(&lexicon.languages, |language| language.weight, random)
}

/// One of `choices`, of which there is at least one: each as likely as its share of all weight.
fn weighted<'a, T>(choices: &'a [T], weight: impl Fn(&T) -> u32, random: &mut Philox) -> &'a T {
    let total: u32 = choices.iter().map(&weight).sum();
    let mark = random.below(total as usize) as u32;
    let mut passed = 0;
    let place = choices.iter().take_while(|choice| {
        passed += weight(choice);
        passed <= mark
    });
    &choices[place.count()]
}

/// Whole words of the vocabulary that no target's phrase uses.
fn ordinary_words(tokenizer: &Tokenizer, english: &Language) -> Vec<String> {
    let patterns = [&english.places, &english.left, &english.right, &english.both, &english.requests];
    let heads = (0..3).flat_map(|kind| english.heads(kind));
    let ours: BTreeSet<u32> =
        heads.chain(patterns.into_iter().flatten()).flat_map(|text| tokenizer.encode(text)).collect();
    let is_ordinary = |word: &String| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let word = |id: u32| tokenizer.word(id).filter(is_ordinary);
    let mut words: Vec<String> = (0..START).filter(|id| !ours.contains(id)).filter_map(word).collect();
    words.extend(english.others.iter().filter(|text| !text.contains(' ')).cloned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_reproducible_and_half_are_refusals() {
        let corpus = |seed| Corpus::new(seed).expect("built-in words");
        let (one, two, other) = (corpus(1), corpus(1), corpus(2));
        let phrases: Vec<Phrase> = (0..2000).map(|sample| one.phrase(3, sample)).collect();
        assert_eq!(phrases[7], two.phrase(3, 7));
        assert_ne!(phrases[..50], (0..50).map(|sample| other.phrase(3, sample)).collect::<Vec<_>>()[..]);
        let refusals = phrases.iter().filter(|phrase| phrase.class == REJECT).count();
        assert!(refusals.abs_diff(1000) < 100, "{refusals}");
        assert!((0..TARGETS.len()).all(|class| phrases.iter().any(|phrase| phrase.class == class)));
    }

    #[test]
    fn choices_come_as_often_as_they_weigh() {
        let mut random = Philox::new(1, 0, 0, Stream::Sample);
        let mut counts = [0; 4];
        for _ in 0..6000 {
            counts[*weighted(&[0, 1, 2, 3], |&place| [3, 0, 2, 1][place], &mut random)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([3000_i32, 0, 2000, 1000]) {
            assert!((count - expected).abs() <= expected / 10, "{counts:?}");
        }
    }

    #[test]
    fn the_held_out_table_is_well_formed_and_never_made() {
        let table = read_table(HELD_OUT);
        assert_eq!(table.len(), 100);
        assert_eq!(table.iter().filter(|(target, _)| target.is_none()).count(), 50);
        assert!(table.iter().all(|(target, _)| target.is_none_or(|target| TARGETS.contains(&target))));
        let corpus = Corpus::new(5).expect("built-in words");
        for sample in 0..3000 {
            let phrase = corpus.phrase(0, sample);
            assert!(phrase.text.is_empty() || table.iter().all(|(_, text)| *text != phrase.text), "{phrase:?}");
        }
    }
}
