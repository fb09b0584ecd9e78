//! A data set to write, in explicit little endian. Source: DICOM PS3.5, section 7.

use std::collections::BTreeMap;

use super::tags::{self, Tag};

/// Elements in the order of their tags, whatever the order in which they are set.
#[derive(Debug, Default)]
pub(super) struct Elements(BTreeMap<Tag, (Vr, Vec<u8>)>);

/// Two letters: the type of an element.
type Vr = &'static str;

/// A term of a coding scheme.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) value: &'a str,
    pub(super) scheme: &'a str,
    pub(super) meaning: &'a str,
}

impl Elements {
    /// Text, numbers in decimal, dates or names.
    pub(super) fn text(&mut self, tag: Tag, vr: Vr, text: &str) {
        self.bytes(tag, vr, text.as_bytes());
    }

    /// A value as its bytes.
    pub(super) fn bytes(&mut self, tag: Tag, vr: Vr, bytes: &[u8]) {
        let mut value = bytes.to_vec();
        if !value.len().is_multiple_of(2) {
            value.push(if matches!(vr, "UI" | "OB") { 0 } else { b' ' });
        }
        self.0.insert(tag, (vr, value));
    }

    /// Numbers of 16 bits.
    pub(super) fn shorts(&mut self, tag: Tag, values: &[u16]) {
        self.0.insert(tag, ("US", values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }

    /// Numbers of 32 bits.
    pub(super) fn longs(&mut self, tag: Tag, values: &[u32]) {
        self.0.insert(tag, ("UL", values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }

    /// The name of another element.
    pub(super) fn pointer(&mut self, tag: Tag, (group, element): Tag) {
        self.0.insert(tag, ("AT", [group, element].iter().flat_map(|part| part.to_le_bytes()).collect()));
    }

    /// Items.
    pub(super) fn sequence(&mut self, tag: Tag, items: impl IntoIterator<Item = Self>) {
        let mut value = Vec::new();
        for item in items {
            let item = item.encoded();
            push_tag(&mut value, tags::ITEM);
            value.extend((item.len() as u32).to_le_bytes());
            value.extend(item);
        }
        self.0.insert(tag, ("SQ", value));
    }

    /// A coded term, which is a sequence of one item.
    pub(super) fn term(&mut self, tag: Tag, Term { value, scheme, meaning }: Term<'_>) {
        let mut item = Self::default();
        item.text(tags::CODE_VALUE, "SH", value);
        item.text(tags::CODE_SCHEME, "SH", scheme);
        item.text(tags::CODE_MEANING, "LO", meaning);
        self.sequence(tag, [item]);
    }

    /// All elements, one after the other.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (&tag, (vr, value)) in &self.0 {
            push_head(&mut out, tag, vr, value.len() as u32);
            out.extend(value);
        }
        out
    }
}

/// What stands before a value of `length` bytes.
pub(super) fn push_head(out: &mut Vec<u8>, tag: Tag, vr: Vr, length: u32) {
    push_tag(out, tag);
    out.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "SQ" | "UN" | "UT" | "UC" | "UR") {
        out.extend([0, 0]);
        out.extend(length.to_le_bytes());
    } else {
        out.extend((length as u16).to_le_bytes());
    }
}

fn push_tag(out: &mut Vec<u8>, (group, element): Tag) {
    out.extend(group.to_le_bytes());
    out.extend(element.to_le_bytes());
}

/// A decimal number in the 16 characters that DICOM gives it, as exact as they allow.
pub(super) fn decimal(number: f64) -> String {
    const MOST: usize = 16;
    let shortest = format!("{number}");
    if shortest.len() <= MOST {
        return shortest;
    }
    (0..MOST).rev().map(|digits| format!("{number:.digits$}")).find(|text| text.len() <= MOST).unwrap_or(shortest)
}

/// Several decimal numbers in one element.
pub(super) fn decimals(numbers: &[f64]) -> String {
    numbers.iter().map(|&number| decimal(number)).collect::<Vec<_>>().join("\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_into_their_characters() {
        let cases = [
            (0.5, "0.5"),
            (-128.414, "-128.414"),
            (1.0 / 3.0, "0.33333333333333"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (1e-17, "0.00000000000000"),
            (-123_456.789_012_345_67, "-123456.78901235"),
        ];
        for (number, want) in cases {
            assert_eq!(decimal(number), want);
        }
    }

    #[test]
    fn elements_stand_in_the_order_of_their_tags() {
        let mut inner = Elements::default();
        inner.text((0x0008, 0x0100), "SH", "A");
        let mut data = Elements::default();
        data.sequence((0x0040, 0xa170), [inner]);
        data.shorts((0x0028, 0x0010), &[512]);
        let want = [
            &[0x28, 0, 0x10, 0][..],
            b"US\x02\0\0\x02",
            &[0x40, 0, 0x70, 0xa1],
            b"SQ\0\0\x12\0\0\0",
            &[0xfe, 0xff, 0, 0xe0, 10, 0, 0, 0],
            &[8, 0, 0, 1],
            b"SH\x02\0A ",
        ]
        .concat();
        assert_eq!(data.encoded(), want);
    }
}
