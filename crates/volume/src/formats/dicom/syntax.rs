//! Transfer syntaxes: how a file's elements and its pixels are written. Source: DICOM PS3.5 and PS3.6, table A-1.

/// How the elements of a data set are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Whether each element names its type.
    pub(super) is_explicit: bool,
    /// Byte order.
    pub(super) is_big_endian: bool,
}

impl Encoding {
    pub(super) const IMPLICIT: Self = Self { is_explicit: false, is_big_endian: false };
    pub(super) const EXPLICIT: Self = Self { is_explicit: true, is_big_endian: false };
    const BIG_ENDIAN: Self = Self { is_explicit: true, is_big_endian: true };

    /// The transfer syntax of unpacked pixels that is written so.
    pub(super) fn uid(self) -> &'static str {
        match (self.is_explicit, self.is_big_endian) {
            (false, _) => "1.2.840.10008.1.2",
            (true, false) => "1.2.840.10008.1.2.1",
            (true, true) => "1.2.840.10008.1.2.2",
        }
    }
}

/// How the pixels are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they are.
    Native,
    /// Run lengths, byte planes apart.
    Rle,
    /// JPEG: baseline, extended with 8 bits, lossless.
    Jpeg,
    /// JPEG-LS.
    JpegLs,
    /// JPEG 2000, part 1.
    Jpeg2000,
    /// Something that is not read here.
    Foreign,
}

/// One transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Its UID as the file has it.
    pub(super) uid: String,
    pub(super) encoding: Encoding,
    pub(super) packing: Packing,
    /// Whether the data set is deflated as a whole.
    pub(super) is_deflated: bool,
}

impl Syntax {
    /// The syntax of this UID. One that nobody knows still has elements in explicit little endian, as all since 2004.
    pub(super) fn of(uid: &str) -> Self {
        let (encoding, packing) = match uid {
            "1.2.840.10008.1.2" => (Encoding::IMPLICIT, Packing::Native),
            "1.2.840.10008.1.2.1" | "1.2.840.10008.1.2.1.99" => (Encoding::EXPLICIT, Packing::Native),
            "1.2.840.10008.1.2.2" => (Encoding::BIG_ENDIAN, Packing::Native),
            "1.2.840.10008.1.2.5" => (Encoding::EXPLICIT, Packing::Rle),
            "1.2.840.10008.1.2.4.50"
            | "1.2.840.10008.1.2.4.51"
            | "1.2.840.10008.1.2.4.57"
            | "1.2.840.10008.1.2.4.70" => (Encoding::EXPLICIT, Packing::Jpeg),
            "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => (Encoding::EXPLICIT, Packing::JpegLs),
            "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => (Encoding::EXPLICIT, Packing::Jpeg2000),
            _ => (Encoding::EXPLICIT, Packing::Foreign),
        };
        Self { uid: uid.to_owned(), encoding, packing, is_deflated: uid == "1.2.840.10008.1.2.1.99" }
    }

    /// Its name with its UID, for messages.
    pub(super) fn name(&self) -> String {
        let name = match self.uid.as_str() {
            "1.2.840.10008.1.2" => "implicit little endian",
            "1.2.840.10008.1.2.1" => "explicit little endian",
            "1.2.840.10008.1.2.1.99" => "deflated explicit little endian",
            "1.2.840.10008.1.2.2" => "explicit big endian",
            "1.2.840.10008.1.2.5" => "RLE",
            "1.2.840.10008.1.2.4.50" => "JPEG baseline",
            "1.2.840.10008.1.2.4.51" => "JPEG extended",
            "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => "JPEG lossless",
            "1.2.840.10008.1.2.4.80" => "JPEG-LS lossless",
            "1.2.840.10008.1.2.4.81" => "JPEG-LS near-lossless",
            "1.2.840.10008.1.2.4.90" => "JPEG 2000 lossless",
            "1.2.840.10008.1.2.4.91" => "JPEG 2000",
            "1.2.840.10008.1.2.4.92" | "1.2.840.10008.1.2.4.93" => "JPEG 2000 part 2",
            "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => "JPEG XL",
            "1.2.840.10008.1.2.4.201" | "1.2.840.10008.1.2.4.202" | "1.2.840.10008.1.2.4.203" => {
                "high-throughput JPEG 2000"
            }
            uid if uid.starts_with("1.2.840.10008.1.2.4.10") => "MPEG",
            uid if uid.starts_with("1.2.840.10008.1.2.4.9") => "JPIP",
            _ => "unknown transfer syntax",
        };
        format!("{name} ({})", self.uid)
    }
}
