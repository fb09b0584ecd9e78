//! The elements that are looked at. Source: DICOM PS3.6.

/// Group and element.
pub(super) type Tag = (u16, u16);

pub(super) const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
pub(super) const CHARACTER_SET: Tag = (0x0008, 0x0005);
pub(super) const IMAGE_TYPE: Tag = (0x0008, 0x0008);
pub(super) const SOP_CLASS: Tag = (0x0008, 0x0016);
pub(super) const SOP_INSTANCE: Tag = (0x0008, 0x0018);
pub(super) const STUDY_DATE: Tag = (0x0008, 0x0020);
pub(super) const CONTENT_DATE: Tag = (0x0008, 0x0023);
pub(super) const STUDY_TIME: Tag = (0x0008, 0x0030);
pub(super) const CONTENT_TIME: Tag = (0x0008, 0x0033);
pub(super) const ACCESSION: Tag = (0x0008, 0x0050);
pub(super) const MODALITY: Tag = (0x0008, 0x0060);
pub(super) const MANUFACTURER: Tag = (0x0008, 0x0070);
pub(super) const REFERRING: Tag = (0x0008, 0x0090);
pub(super) const CODE_VALUE: Tag = (0x0008, 0x0100);
pub(super) const CODE_SCHEME: Tag = (0x0008, 0x0102);
pub(super) const CODE_MEANING: Tag = (0x0008, 0x0104);
pub(super) const STUDY_DESCRIPTION: Tag = (0x0008, 0x1030);
pub(super) const SERIES_DESCRIPTION: Tag = (0x0008, 0x103e);
pub(super) const MODEL_NAME: Tag = (0x0008, 0x1090);
pub(super) const REFERENCED_SERIES: Tag = (0x0008, 0x1115);
pub(super) const REFERENCED_INSTANCES: Tag = (0x0008, 0x114a);
pub(super) const REFERENCED_CLASS: Tag = (0x0008, 0x1150);
pub(super) const REFERENCED_INSTANCE: Tag = (0x0008, 0x1155);
pub(super) const REFERENCED_FRAME: Tag = (0x0008, 0x1160);
pub(super) const SOURCE_IMAGES: Tag = (0x0008, 0x2112);
pub(super) const DERIVATION_IMAGES: Tag = (0x0008, 0x9124);
pub(super) const DERIVATION_CODE: Tag = (0x0008, 0x9215);
pub(super) const PATIENT_NAME: Tag = (0x0010, 0x0010);
pub(super) const PATIENT_ID: Tag = (0x0010, 0x0020);
pub(super) const BIRTH_DATE: Tag = (0x0010, 0x0030);
pub(super) const SEX: Tag = (0x0010, 0x0040);
pub(super) const AGE: Tag = (0x0010, 0x1010);
pub(super) const IDENTITY_REMOVED: Tag = (0x0012, 0x0062);
pub(super) const REMOVAL_METHOD: Tag = (0x0012, 0x0063);
pub(super) const BODY_PART: Tag = (0x0018, 0x0015);
pub(super) const SLICE_THICKNESS: Tag = (0x0018, 0x0050);
pub(super) const SPACING_BETWEEN: Tag = (0x0018, 0x0088);
pub(super) const DEVICE_NUMBER: Tag = (0x0018, 0x1000);
pub(super) const SOFTWARE: Tag = (0x0018, 0x1020);
pub(super) const PROTOCOL: Tag = (0x0018, 0x1030);
pub(super) const KERNEL: Tag = (0x0018, 0x1210);
pub(super) const STUDY: Tag = (0x0020, 0x000d);
pub(super) const SERIES: Tag = (0x0020, 0x000e);
pub(super) const STUDY_ID: Tag = (0x0020, 0x0010);
pub(super) const SERIES_NUMBER: Tag = (0x0020, 0x0011);
pub(super) const INSTANCE_NUMBER: Tag = (0x0020, 0x0013);
pub(super) const POSITION: Tag = (0x0020, 0x0032);
pub(super) const ORIENTATION: Tag = (0x0020, 0x0037);
pub(super) const FRAME_OF_REFERENCE: Tag = (0x0020, 0x0052);
pub(super) const REFERENCE_INDICATOR: Tag = (0x0020, 0x1040);
pub(super) const FRAME_CONTENT: Tag = (0x0020, 0x9111);
pub(super) const PLANE_POSITION: Tag = (0x0020, 0x9113);
pub(super) const PLANE_ORIENTATION: Tag = (0x0020, 0x9116);
pub(super) const INDEX_VALUES: Tag = (0x0020, 0x9157);
pub(super) const DIMENSION_UID: Tag = (0x0020, 0x9164);
pub(super) const INDEX_POINTER: Tag = (0x0020, 0x9165);
pub(super) const GROUP_POINTER: Tag = (0x0020, 0x9167);
pub(super) const DIMENSIONS: Tag = (0x0020, 0x9221);
pub(super) const DIMENSION_INDEX: Tag = (0x0020, 0x9222);
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
pub(super) const LOSSY: Tag = (0x0028, 0x2110);
pub(super) const LOSSY_RATIO: Tag = (0x0028, 0x2112);
pub(super) const LOSSY_METHOD: Tag = (0x0028, 0x2114);
pub(super) const MODALITY_TABLE: Tag = (0x0028, 0x3000);
pub(super) const PIXEL_MEASURES: Tag = (0x0028, 0x9110);
pub(super) const VALUE_TRANSFORMATION: Tag = (0x0028, 0x9145);
pub(super) const SPATIAL_PRESERVED: Tag = (0x0028, 0x135a);
pub(super) const PURPOSE: Tag = (0x0040, 0xa170);
pub(super) const SEGMENTATION_TYPE: Tag = (0x0062, 0x0001);
pub(super) const SEGMENTS: Tag = (0x0062, 0x0002);
pub(super) const SEGMENT_CATEGORY: Tag = (0x0062, 0x0003);
pub(super) const SEGMENT_NUMBER: Tag = (0x0062, 0x0004);
pub(super) const SEGMENT_LABEL: Tag = (0x0062, 0x0005);
pub(super) const ALGORITHM_TYPE: Tag = (0x0062, 0x0008);
pub(super) const ALGORITHM_NAME: Tag = (0x0062, 0x0009);
pub(super) const SEGMENT_IDENTIFICATION: Tag = (0x0062, 0x000a);
pub(super) const REFERENCED_SEGMENT: Tag = (0x0062, 0x000b);
pub(super) const DISPLAY_COLOUR: Tag = (0x0062, 0x000d);
pub(super) const SEGMENT_TYPE: Tag = (0x0062, 0x000f);
pub(super) const SEGMENT_SIDE: Tag = (0x0062, 0x0011);
pub(super) const SEGMENTS_OVERLAP: Tag = (0x0062, 0x0013);
/// Our own: which value of a label map a segment is.
pub(super) const PRIVATE_CREATOR: Tag = (0x0063, 0x0010);
pub(super) const LABEL_VALUE: Tag = (0x0063, 0x1001);
pub(super) const CONTENT_LABEL: Tag = (0x0070, 0x0080);
pub(super) const CONTENT_DESCRIPTION: Tag = (0x0070, 0x0081);
pub(super) const CONTENT_CREATOR: Tag = (0x0070, 0x0084);
pub(super) const SHARED_GROUPS: Tag = (0x5200, 0x9229);
pub(super) const FRAME_GROUPS: Tag = (0x5200, 0x9230);
pub(super) const PIXELS: Tag = (0x7fe0, 0x0010);
/// Pixels as real numbers, which no CT in Hounsfield units has.
pub(super) const FLOAT_PIXELS: [Tag; 2] = [(0x7fe0, 0x0008), (0x7fe0, 0x0009)];

pub(super) const ITEM: Tag = (0xfffe, 0xe000);
pub(super) const ITEM_END: Tag = (0xfffe, 0xe00d);
pub(super) const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);

/// Sequences whose items are looked into.
pub(super) const SEQUENCES: [Tag; 9] = [
    SEGMENTS,
    SEGMENT_IDENTIFICATION,
    PLANE_POSITION,
    PLANE_ORIENTATION,
    PIXEL_MEASURES,
    VALUE_TRANSFORMATION,
    MODALITY_TABLE,
    SHARED_GROUPS,
    FRAME_GROUPS,
];

/// Elements whose values are kept.
pub(super) const VALUES: [Tag; 55] = [
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
    CHARACTER_SET,
    STUDY_DATE,
    STUDY_TIME,
    ACCESSION,
    REFERRING,
    PATIENT_NAME,
    BIRTH_DATE,
    SEX,
    AGE,
    IDENTITY_REMOVED,
    REMOVAL_METHOD,
    STUDY_ID,
    FRAME_OF_REFERENCE,
    REFERENCE_INDICATOR,
    LOSSY,
    LOSSY_RATIO,
    LOSSY_METHOD,
    SEGMENTATION_TYPE,
    SEGMENT_NUMBER,
    SEGMENT_LABEL,
    REFERENCED_SEGMENT,
    PRIVATE_CREATOR,
    LABEL_VALUE,
];
