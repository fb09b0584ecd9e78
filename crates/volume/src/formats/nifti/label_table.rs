//! Names and colours of a label map's values, as a header extension: the label table of Connectome Workbench (Caret),
//! extension code 30. Workbench 1.5 reads it (`wb_command -file-information`), nibabel hands it on as text.
//!
//! Sources: the registry of extension codes, <https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/extension>;
//! `CaretVolumeExtension` and `GiftiLabelTable` of Connectome Workbench.

use std::fmt::Write;

use crate::formats::segments::Segment;

/// What the values of a volume with such a table are: labels.
pub(super) const INTENT_LABEL: i32 = 1002;
const CODE: i32 = 30;
/// Size and code before an extension's content.
const HEAD_BYTES: usize = 8;
/// Extensions are whole numbers of so many bytes.
const STEP: usize = 16;

/// Extender and extensions of a header: the table, then those that were there, but for an older table.
///
/// # Shapes
/// `before`: four bytes of extender and the extensions, checked when they were read.
pub(super) fn with_table(before: &[u8], segments: &[Segment], little_endian: bool) -> Vec<u8> {
    let mut out = vec![1, 0, 0, 0];
    let mut content = table(segments).into_bytes();
    // Spaces, since not every reader of XML takes zeros.
    content.resize((HEAD_BYTES + content.len()).next_multiple_of(STEP) - HEAD_BYTES, b' ');
    let mut push = |number: i32| {
        out.extend(if little_endian { number.to_le_bytes() } else { number.to_be_bytes() });
    };
    push((HEAD_BYTES + content.len()) as i32);
    push(CODE);
    out.extend(content);
    let Some((&[has_any, ..], mut rest)) = before.split_first_chunk::<4>() else { return out };
    while has_any != 0 && rest.len() >= HEAD_BYTES {
        let number = |at: usize| {
            let bytes = [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]];
            if little_endian { i32::from_le_bytes(bytes) } else { i32::from_be_bytes(bytes) }
        };
        let (size, code) = (number(0) as usize, number(4));
        if size < HEAD_BYTES || size > rest.len() {
            break;
        }
        if code != CODE {
            out.extend(&rest[..size]);
        }
        rest = &rest[size..];
    }
    // Voxels start on a multiple of 16, four bytes of extender and the header counted.
    out.resize((out.len() - 4).next_multiple_of(STEP) + 4, 0);
    out
}

fn table(segments: &[Segment]) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CaretExtension>\n<VolumeInformation Index=\"0\">\n<LabelTable>\n\
         <Label Key=\"0\" Red=\"0\" Green=\"0\" Blue=\"0\" Alpha=\"0\"><![CDATA[background]]></Label>\n",
    );
    for Segment { value, name, colour, .. } in segments {
        let [red, green, blue] = colour.map(|level| f64::from(level) / 255.0);
        let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let name = name.replace("]]>", "]]&gt;");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<Label Key=\"{value}\" Red=\"{red:.6}\" Green=\"{green:.6}\" Blue=\"{blue:.6}\" Alpha=\"1\"><![CDATA[{name}]]></Label>"
        );
    }
    text.push_str(
        "</LabelTable>\n<StudyMetaDataLinkSet>\n</StudyMetaDataLinkSet>\n<VolumeType><![CDATA[Label]]></VolumeType>\n\
         </VolumeInformation>\n</CaretExtension>\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(name: &str) -> Segment {
        Segment { value: 1, name: name.into(), colour: [255, 0, 51], code: None }
    }

    #[test]
    fn other_extensions_stay_and_an_older_table_goes() {
        let mut comment = vec![16, 0, 0, 0, 6, 0, 0, 0];
        comment.extend(b"a remark");
        let before = [&[1, 0, 0, 0][..], &comment].concat();
        let once = with_table(&before, &[segment("artery")], true);
        assert!(once.ends_with(&comment));
        assert_eq!((once.len() - 4) % 16, 0);
        let twice = with_table(&once, &[segment("vein")], true);
        let text = String::from_utf8_lossy(&twice);
        assert!(text.contains("[vein]") && !text.contains("artery") && text.contains("a remark"));
        assert!(text.contains("Red=\"1.000000\" Green=\"0.000000\" Blue=\"0.200000\""));
        // What follows an extender that says there is nothing is not carried on.
        assert_eq!(with_table(&[0; 4], &[segment("a")], true), with_table(&[0; 36], &[segment("a")], true));
        let big = with_table(&[0; 4], &[segment("a")], false);
        assert_eq!((big[4], big[11]), (0, 30));
    }
}
