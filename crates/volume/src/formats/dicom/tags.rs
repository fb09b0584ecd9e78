//! The elements that are looked at. Source: DICOM PS3.6.

/// Group and element.
pub(super) type Tag = (u16, u16);

pub(super) const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
pub(super) const IMAGE_TYPE: Tag = (0x0008, 0x0008);
pub(super) const SOP_CLASS: Tag = (0x0008, 0x0016);
pub(super) const SOP_INSTANCE: Tag = (0x0008, 0x0018);
pub(super) const MODALITY: Tag = (0x0008, 0x0060);
pub(super) const STUDY_DESCRIPTION: Tag = (0x0008, 0x1030);
pub(super) const SERIES_DESCRIPTION: Tag = (0x0008, 0x103e);
pub(super) const PATIENT_ID: Tag = (0x0010, 0x0020);
pub(super) const BODY_PART: Tag = (0x0018, 0x0015);
pub(super) const SLICE_THICKNESS: Tag = (0x0018, 0x0050);
pub(super) const SPACING_BETWEEN: Tag = (0x0018, 0x0088);
pub(super) const PROTOCOL: Tag = (0x0018, 0x1030);
pub(super) const KERNEL: Tag = (0x0018, 0x1210);
pub(super) const STUDY: Tag = (0x0020, 0x000d);
pub(super) const SERIES: Tag = (0x0020, 0x000e);
pub(super) const SERIES_NUMBER: Tag = (0x0020, 0x0011);
pub(super) const POSITION: Tag = (0x0020, 0x0032);
pub(super) const ORIENTATION: Tag = (0x0020, 0x0037);
pub(super) const PLANE_POSITION: Tag = (0x0020, 0x9113);
pub(super) const PLANE_ORIENTATION: Tag = (0x0020, 0x9116);
pub(super) const SAMPLES: Tag = (0x0028, 0x0002);
pub(super) const PHOTOMETRIC: Tag = (0x0028, 0x0004);
pub(super) const FRAMES: Tag = (0x0028, 0x0008);
pub(super) const ROWS: Tag = (0x0028, 0x0010);
pub(super) const COLUMNS: Tag = (0x0028, 0x0011);
pub(super) const PIXEL_SPACING: Tag = (0x0028, 0x0030);
pub(super) const BITS_ALLOCATED: Tag = (0x0028, 0x0100);
pub(super) const BITS_STORED: Tag = (0x0028, 0x0101);
pub(super) const HIGH_BIT: Tag = (0x0028, 0x0102);
pub(super) const SIGNED: Tag = (0x0028, 0x0103);
pub(super) const PADDING: Tag = (0x0028, 0x0120);
pub(super) const PADDING_LIMIT: Tag = (0x0028, 0x0121);
pub(super) const INTERCEPT: Tag = (0x0028, 0x1052);
pub(super) const SLOPE: Tag = (0x0028, 0x1053);
pub(super) const MODALITY_TABLE: Tag = (0x0028, 0x3000);
pub(super) const PIXEL_MEASURES: Tag = (0x0028, 0x9110);
pub(super) const VALUE_TRANSFORMATION: Tag = (0x0028, 0x9145);
pub(super) const SHARED_GROUPS: Tag = (0x5200, 0x9229);
pub(super) const FRAME_GROUPS: Tag = (0x5200, 0x9230);
pub(super) const PIXELS: Tag = (0x7fe0, 0x0010);
/// Pixels as real numbers, which no CT in Hounsfield units has.
pub(super) const FLOAT_PIXELS: [Tag; 2] = [(0x7fe0, 0x0008), (0x7fe0, 0x0009)];

pub(super) const ITEM: Tag = (0xfffe, 0xe000);
pub(super) const ITEM_END: Tag = (0xfffe, 0xe00d);
pub(super) const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);

/// Sequences whose items are looked into.
pub(super) const SEQUENCES: [Tag; 7] = [
    PLANE_POSITION,
    PLANE_ORIENTATION,
    PIXEL_MEASURES,
    VALUE_TRANSFORMATION,
    MODALITY_TABLE,
    SHARED_GROUPS,
    FRAME_GROUPS,
];

/// Elements whose values are kept.
pub(super) const VALUES: [Tag; 32] = [
    TRANSFER_SYNTAX,
    IMAGE_TYPE,
    SOP_CLASS,
    SOP_INSTANCE,
    MODALITY,
    STUDY_DESCRIPTION,
    SERIES_DESCRIPTION,
    PATIENT_ID,
    BODY_PART,
    SLICE_THICKNESS,
    SPACING_BETWEEN,
    PROTOCOL,
    KERNEL,
    STUDY,
    SERIES,
    SERIES_NUMBER,
    POSITION,
    ORIENTATION,
    SAMPLES,
    PHOTOMETRIC,
    FRAMES,
    ROWS,
    COLUMNS,
    PIXEL_SPACING,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    SIGNED,
    PADDING,
    PADDING_LIMIT,
    INTERCEPT,
    SLOPE,
];
