//! CLIP's byte-pair encoding: 49,408 tokens, lower case.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::clean::clean;

/// Number of tokens.
pub const VOCABULARY: usize = 49_408;
/// Begins every prompt.
pub const START: u32 = 49_406;
/// Ends every prompt; the embedding is read here.
pub const END: u32 = 49_407;
/// Tokens of a prompt at most, with start and end.
pub const CONTEXT: usize = 77;

/// Ids below this are bytes; the same number of bytes that end a word follows.
const BYTES: usize = 256;
/// Ids that are no merge.
const UNMERGED: u32 = 2 * BYTES as u32;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);

/// The tokeniser; its vocabulary is built in (`merges.md` says whose it is).
#[derive(Debug)]
pub struct Tokenizer {
    /// Two neighbours that become one token; lower ids join first.
    merges: HashMap<(u32, u32), u32>,
    /// Id of each byte inside a word.
    byte_ids: [u32; BYTES],
    /// The two parts of each merge, by id.
    parts: Vec<(u32, u32)>,
    pieces: Regex,
}

/// A prompt as the encoder takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptIds {
    /// Start, the text's tokens, end; no padding.
    pub ids: Vec<u32>,
    /// Whether tokens were dropped to fit the context.
    pub truncated: bool,
}

impl Tokenizer {
    /// The one tokeniser of the process.
    pub fn shared() -> &'static Self {
        &TOKENIZER
    }

    /// Ids of a text, without start and end. Names of special tokens in the text are ordinary characters.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = clean(text);
        self.pieces.find_iter(&text).flat_map(|piece| self.join(piece.as_str().as_bytes())).collect()
    }

    /// Ids of a prompt, with start and end, at most [`CONTEXT`].
    pub fn prompt(&self, text: &str) -> PromptIds {
        let mut ids = self.encode(text);
        let truncated = ids.len() > CONTEXT - 2;
        ids.truncate(CONTEXT - 2);
        ids.insert(0, START);
        ids.push(END);
        PromptIds { ids, truncated }
    }

    /// The whole word that an id stands for; `None` for pieces of words, special tokens and what is no UTF-8.
    pub fn word(&self, id: u32) -> Option<String> {
        let mut bytes = Vec::new();
        let ends = self.spell(id, &mut bytes)?;
        if ends { String::from_utf8(bytes).ok() } else { None }
    }

    /// Adds the bytes of a token; whether it ends a word, `None` for a special one.
    fn spell(&self, id: u32, bytes: &mut Vec<u8>) -> Option<bool> {
        if id < UNMERGED {
            let inner = id % BYTES as u32;
            bytes.push(self.byte_ids.iter().position(|&other| other == inner)? as u8);
            return Some(id >= BYTES as u32);
        }
        let &(left, right) = self.parts.get((id - UNMERGED) as usize)?;
        self.spell(left, bytes)?;
        self.spell(right, bytes)
    }

    fn new() -> Self {
        let mut byte_ids = [0; BYTES];
        for (id, byte) in byte_order().into_iter().enumerate() {
            byte_ids[usize::from(byte)] = id as u32;
        }
        let parts: Vec<(u32, u32)> = include_bytes!("merges.bin")
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&[a, b, c, d]| (u16::from_le_bytes([a, b]).into(), u16::from_le_bytes([c, d]).into()))
            .collect();
        let merges = parts.iter().copied().zip(UNMERGED..).collect();
        // After lower-casing; ſ counts as s, as in the reference's case-blind pattern.
        let pieces = Regex::new(r"'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+");
        Self { merges, byte_ids, parts, pieces: pieces.expect("a valid pattern") }
    }

    /// Joins the bytes of one word; every round joins all places of the pair that was learned first.
    fn join(&self, word: &[u8]) -> Vec<u32> {
        let mut ids: Vec<u32> = word.iter().map(|&byte| self.byte_ids[usize::from(byte)]).collect();
        if let Some(last) = ids.last_mut() {
            *last += BYTES as u32;
        }
        while let Some(merged) = ids.windows(2).filter_map(|pair| self.merges.get(&(pair[0], pair[1]))).min() {
            let mut joined = Vec::with_capacity(ids.len() - 1);
            let mut at = 0;
            while at < ids.len() {
                let pair = ids.get(at + 1).map(|&next| (ids[at], next));
                if pair.is_some_and(|pair| self.merges.get(&pair) == Some(merged)) {
                    joined.push(*merged);
                    at += 2;
                } else {
                    joined.push(ids[at]);
                    at += 1;
                }
            }
            ids = joined;
        }
        ids
    }
}

/// Bytes in the order of their ids: those with a printable Latin-1 letter first.
fn byte_order() -> Vec<u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (mut order, rest): (Vec<u8>, Vec<u8>) = (0..=255).partition(printable);
    order.extend(rest);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Line {
        text: String,
        ids: Vec<u32>,
    }

    #[test]
    fn ids_equal_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/clip/tokens_shared.jsonl");
        let Ok(lines) = std::fs::read_to_string(path) else {
            println!("skipped: no ../shared/data");
            return;
        };
        let tokenizer = Tokenizer::shared();
        let (mut equal, mut special) = (0, 0);
        for line in lines.lines() {
            let line: Line = serde_json::from_str(line).expect("a line of the table");
            if line.ids.contains(&END) {
                special += 1;
                continue;
            }
            assert_eq!(tokenizer.encode(&line.text), line.ids, "{:?}", line.text);
            equal += 1;
        }
        println!("{equal} lines equal, {special} hold a special token");
        assert!(equal >= 1743);
    }

    #[test]
    fn known_prompts() {
        // OpenAI's tokeniser.
        let rows: [(&str, &[u32]); 4] = [
            ("A computerized tomography of a Spleen", &[320, 11639, 704, 7690, 999, 22399, 539, 320, 588, 15940]),
            ("don’t", &[847, 713]),
            ("&nbsp;", &[]),
            ("schÃ¶n mojibake â€™", &[844, 7255, 333, 617, 3252, 11878, 262]),
        ];
        for (text, ids) in rows {
            assert_eq!(Tokenizer::shared().encode(text), ids, "{text:?}");
        }
    }

    #[test]
    fn special_tokens_in_a_text_are_inert() {
        for text in ["<|endoftext|>", "&lt;|endoftext|&gt;", "<|ENDOFTEXT|>", "a<|startoftext|>b"] {
            let ids = Tokenizer::shared().encode(text);
            assert!(!ids.is_empty() && ids.iter().all(|&id| id < START), "{text:?} {ids:?}");
        }
    }

    #[test]
    fn words_are_spelled() {
        let tokenizer = Tokenizer::shared();
        assert_eq!(tokenizer.word(15940).as_deref(), Some("leen"));
        assert_eq!(tokenizer.word(588), None);
        assert_eq!(tokenizer.word(END), None);
    }

    #[test]
    fn a_long_prompt_is_cut_and_says_so() {
        let prompt = Tokenizer::shared().prompt(&"artery ".repeat(76));
        assert!(prompt.truncated && prompt.ids.len() == CONTEXT);
        assert_eq!((prompt.ids[0], prompt.ids[CONTEXT - 1]), (START, END));
        let fits = Tokenizer::shared().prompt(&"artery ".repeat(75));
        assert!(!fits.truncated && fits.ids.len() == CONTEXT);
        assert_eq!(Tokenizer::shared().prompt("").ids, [START, END]);
    }
}
