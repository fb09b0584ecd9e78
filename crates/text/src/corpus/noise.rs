//! How people's typing differs from the dictionary.

use pulmoav_random::Philox;

/// A phrase as somebody may have typed it: sometimes a slip, a lost accent, a lost hyphen or doubled blanks.
pub(super) fn mistype(text: &str, random: &mut Philox) -> String {
    let mut text = text.to_owned();
    if random.chance(0.15) {
        text = without_accents(&text);
    }
    if random.chance(0.05) {
        text = text.replace('-', " ");
    }
    if random.chance(0.18) {
        text = slip(&text, random);
    }
    text
}

fn without_accents(text: &str) -> String {
    let plain = |letter: char| match letter {
        'à' | 'á' | 'â' | 'ã' | 'ą' => "a",
        'ä' => "ae",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' | 'ę' => "e",
        'í' | 'ï' => "i",
        'ñ' => "n",
        'ó' | 'ô' | 'õ' => "o",
        'ö' | 'œ' => "oe",
        'ß' => "ss",
        'ú' => "u",
        'ü' => "ue",
        'ł' => "l",
        'ś' => "s",
        'ż' => "z",
        'ё' => "е",
        _ => "",
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match plain(letter) {
            "" => out.push(letter),
            other => out.push_str(other),
        }
        out
    })
}

/// One slip inside a word of at least five Latin letters: a letter lost, doubled, swapped with the next, or struck
/// beside.
fn slip(text: &str, random: &mut Philox) -> String {
    const SHORTEST: usize = 5;
    let words: Vec<&str> = text.split(' ').collect();
    let long = |word: &&&str| word.len() >= SHORTEST && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let count = words.iter().filter(long).count();
    if count == 0 {
        return text.to_owned();
    }
    let chosen = words.iter().enumerate().filter(|(_, word)| long(word)).nth(random.below(count)).map(|(at, _)| at);
    let slipped: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(at, word)| if Some(at) == chosen { slip_word(word, random) } else { (*word).to_owned() })
        .collect();
    slipped.join(" ")
}

fn slip_word(word: &str, random: &mut Philox) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    // The first letter is rarely wrong.
    let at = 1 + random.below(letters.len() - 2);
    match random.below(4) {
        0 => {
            letters.remove(at);
        }
        1 => letters.insert(at, letters[at]),
        2 => letters.swap(at, at + 1),
        _ => letters[at] = (b'a' + random.below(26) as u8) as char,
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_random::Stream;

    #[test]
    fn slips_change_little() {
        assert_eq!(without_accents("Lungengefäße"), "Lungengefaesse");
        for sample in 0..200 {
            let mut random = Philox::new(1, 0, sample, Stream::Sample);
            let slipped = slip("left artery", &mut random);
            assert!(slipped.starts_with("left a") && slipped.len().abs_diff(11) <= 1, "{slipped}");
            assert_eq!(slip("肺动脉", &mut random), "肺动脉");
        }
    }
}
