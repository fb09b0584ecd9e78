//! What is done to a text before it is cut into tokens.
//!
//! The same steps as CLIP's reference takes with the Python package `ftfy`: entities, broken encodings, ligatures and
//! widths, quotes, line breaks, control characters, normal form C; then entities once more, white space and case.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Cleans, folds white space to single blanks and lower-cases, as CLIP's tokeniser does.
pub(super) fn clean(text: &str) -> String {
    let repaired: String = text.split_inclusive('\n').map(repair).collect();
    let plain = htmlize::unescape(htmlize::unescape(repaired.as_str()).into_owned()).into_owned();
    let words: Vec<&str> = plain.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase()
}

/// What Python calls a space.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\u{1c}'..='\u{1f}')
}

/// Repeats the repairs until nothing changes; each pass shortens the text or settles it.
fn repair(line: &str) -> String {
    const PASSES: usize = 8;
    let mut text = line.to_owned();
    for _ in 0..PASSES {
        let next = repair_once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn repair_once(text: &str) -> String {
    let unescaped = if text.contains('<') { Cow::Borrowed(text) } else { unescape_closed(text) };
    let decoded = fix_encoding(&unescaped);
    let mut plain = String::with_capacity(decoded.len());
    let mut letters = decoded.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\u{1b}' if letters.peek() == Some(&'[') => skip_terminal_escape(&mut letters),
            _ => push_plain(letter, &mut plain),
        }
    }
    plain.nfc().collect()
}

/// Entities that end in a semicolon; `this&not that` stays.
fn unescape_closed(text: &str) -> Cow<'_, str> {
    const LONGEST_NAME: usize = 32;
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let end = tail.bytes().take(LONGEST_NAME).position(|byte| byte == b';').map_or(1, |end| end + 1);
        let entity = &tail[..end];
        let named = entity[1..].bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b';'));
        let decoded = if named { htmlize::unescape(entity) } else { Cow::Borrowed(entity) };
        // Only a prefix was known: leave it.
        out.push_str(if decoded.ends_with(';') && decoded.len() > 1 { entity } else { &decoded });
        rest = &tail[end..];
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Letters that were UTF-8 and have been read as Windows-1252: `Ã¶` was `ö`, `â€™` was `’`.
fn fix_encoding(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        if let Some((letter, length)) = misread(&letters[at..]) {
            out.push(letter);
            at += length;
        } else {
            out.push(letters[at]);
            at += 1;
        }
    }
    Cow::Owned(out)
}

/// The letter whose UTF-8 bytes stand here, if they do, and how many there are.
fn misread(letters: &[char]) -> Option<(char, usize)> {
    // The first bytes that occur in text by mistake far more often than on purpose.
    let length = match *letters.first()? {
        'Â' | 'Ã' => 2,
        'â' | 'ï' => 3,
        'ð' => 4,
        _ => return None,
    };
    let bytes: Vec<u8> =
        letters.get(..length)?.iter().map(|&letter| windows_1252_byte(letter)).collect::<Option<_>>()?;
    std::str::from_utf8(&bytes).ok()?.chars().next().map(|letter| (letter, length))
}

fn windows_1252_byte(letter: char) -> Option<u8> {
    const UPPER: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    let code = u32::from(letter);
    match UPPER.chars().position(|upper| upper == letter) {
        Some(at) => Some(0x80 + at as u8),
        None => u8::try_from(code).ok(),
    }
}

/// The rest of `ESC [ 1 ; 31 m`.
fn skip_terminal_escape(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    letters.next();
    while letters.next_if(|letter| letter.is_ascii_digit() || *letter == ';').is_some() {}
    letters.next_if(char::is_ascii_alphabetic);
}

/// One letter without its typography.
fn push_plain(letter: char, out: &mut String) {
    match letter {
        'Ĳ' | 'ĳ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | '\u{3000}' | '\u{ff01}'..='\u{ffef}' => {
            out.extend(std::iter::once(letter).nfkc());
        }
        'ﬅ' => out.push_str("ſt"),
        'ﬀ'..='ﬆ' => out.extend(std::iter::once(letter).nfkc()),
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
        '\u{80}'..='\u{9f}' => out.push(windows_1252_letter(letter)),
        '\0'..='\u{8}'
        | '\u{b}'
        | '\u{e}'..='\u{1f}'
        | '\u{7f}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}' => {}
        _ => out.push(letter),
    }
}

/// A C1 control character as Windows-1252 would show it.
fn windows_1252_letter(control: char) -> char {
    let code = u32::from(control);
    ('\u{a0}'..='\u{2122}')
        .find(|&letter| windows_1252_byte(letter).is_some_and(|byte| u32::from(byte) == code))
        .unwrap_or(control)
}

#[cfg(test)]
mod tests {
    use super::clean;

    /// Expected values: `whitespace_clean(basic_clean(text)).lower()` of CLIP's reference with ftfy 6.3.1.
    #[test]
    fn cleans_as_the_reference() {
        let rows = [
            ("  Left\tPulmonary \n ARTERY ", "left pulmonary artery"),
            ("&lt;b&gt; &amp;amp; &nbsp;", "<b> &"),
            ("this&not; that &eacute;", "this¬ that é"),
            ("schÃ¶n â€™", "schön '"),
            ("ﬁssure ﬂow Ｌｅｆｔ", "fissure flow left"),
            ("\u{feff}bom bell\u{7}", "bom bell"),
            ("“curly” ‘quotes’ don’t", "\"curly\" 'quotes' don't"),
            ("e\u{301}\u{1b}[31mred\u{1b}[0m", "éred"),
            ("a\r\nb\u{2028}c\u{85}d", "a b c d"),
            ("don\u{92}t", "don't"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
