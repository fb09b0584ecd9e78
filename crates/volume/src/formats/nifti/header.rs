//! What a NIfTI header means, and headers for output.

use std::path::Path;

use pulmoav_task::Warning;

use super::fields::Fields;
use super::label_table::{INTENT_LABEL, with_table};
use super::layout::{Cells, Layout, NIFTI1, NIFTI2};
use crate::error::VolumeError;
use crate::formats::check_size;
use crate::formats::output::Place;
use crate::formats::segments::Segment;
use crate::image::{Format, Header, NiftiBytes};
use crate::quaternion;
use crate::volume::{Affine, Grid, SAME_SPACING};
use crate::voxels::DataType;

/// Longest axis that a NIfTI-1 header can hold.
const LONGEST_NIFTI1: usize = i16::MAX as usize;
/// The bits of the units that tell the length's, and their value for mm.
const UNIT_OF_LENGTH: i32 = 7;
const MILLIMETRES: u8 = 2;
/// Form codes above this are not defined and mean 0.
const LAST_FORM_CODE: i32 = 5;
/// A quaternion may be this much too long, as ITK allows: it was rounded.
const QUATERNION_SPARE: f64 = 1e-4;
/// Directions of sform and qform that differ by more than this contradict each other.
const SAME_DIRECTION: f64 = 0.05;

/// Storage types and their codes.
const DATA_TYPES: [(i16, DataType); 16] = [
    (2, DataType::Uint8),
    (4, DataType::Int16),
    (8, DataType::Int32),
    (16, DataType::Float32),
    (32, DataType::Complex64),
    (64, DataType::Float64),
    (128, DataType::Rgb24),
    (256, DataType::Int8),
    (512, DataType::Uint16),
    (768, DataType::Uint32),
    (1024, DataType::Int64),
    (1280, DataType::Uint64),
    (1536, DataType::Float128),
    (1792, DataType::Complex128),
    (2048, DataType::Complex256),
    (2304, DataType::Rgba32),
];

/// What the fields say, as nibabel understands them.
///
/// # Errors
/// `ERR_FORMAT` for values that cannot be, `ERR_GEOMETRY` for a volume without voxels or a rotation that is none.
pub(super) fn understand(fields: &Fields, path: &Path) -> Result<Header, VolumeError> {
    let (shape, extra) = shape(fields, path)?;
    let data_type = DATA_TYPES
        .iter()
        .find(|(code, _)| *code == fields.data_type)
        .map(|&(_, data_type)| data_type)
        .ok_or_else(|| {
            VolumeError::format(
                path,
                format!("has data type {}; expected a code of the NIfTI standard such as 4 (int16)", fields.data_type),
            )
        })?;
    let known = |code: i32| if (0..=LAST_FORM_CODE).contains(&code) { code } else { 0 };
    let (sform_code, qform_code) = (known(fields.sform_code), known(fields.qform_code));
    let mut warnings = Vec::new();
    let mut affine = affine(fields, shape, sform_code, qform_code, path, &mut warnings)?;
    let oriented = sform_code != 0 || qform_code != 0;
    if !oriented {
        warnings.push(Warning::new(
            "NO_ORIENTATION",
            "the header has neither sform nor qform, so left and right are a guess",
        ));
    }
    let spacing = spacing(fields, &affine, path)?;
    let unit_mm = unit_mm(fields.units);
    if let Some(name) = unit_name(fields.units) {
        let message = format!("the header's lengths are in {name}; spacing and affine were converted to mm");
        warnings.push(Warning::new("UNITS", message));
        for entry in affine.0.iter_mut().take(3).flatten() {
            *entry *= unit_mm;
        }
    }
    Ok(Header {
        format: Format::Nifti1,
        grid: Grid { shape, spacing_mm: spacing.map(|step| step * unit_mm), affine },
        extra,
        data_type,
        little_endian: fields.little_endian,
        scaling: scaling(fields, path)?,
        sform_code: Some(sform_code),
        qform_code: Some(qform_code),
        oriented,
        warnings,
        nifti: None,
    })
}

/// The three axes `[z, y, x]` and the sizes beyond them, without trailing ones.
fn shape(fields: &Fields, path: &Path) -> Result<([usize; 3], Vec<usize>), VolumeError> {
    let axes = fields.dim[0];
    if !(0..=7).contains(&axes) {
        return Err(VolumeError::format(path, format!("has {axes} axes; expected 1 to 7, so the header is damaged")));
    }
    let lengths = &fields.dim[1..=axes as usize];
    if axes == 0 || lengths.contains(&0) {
        return Err(VolumeError::geometry(
            path.display(),
            format!("has no voxels (axes {lengths:?}); expected at least one along each axis"),
        ));
    }
    if lengths.iter().any(|&length| length < 0) {
        return Err(VolumeError::format(
            path,
            format!("has a negative axis length in {lengths:?}; the header is damaged"),
        ));
    }
    let mut sizes: Vec<usize> = lengths.iter().map(|&length| length as usize).collect();
    check_size(path, &sizes)?;
    while sizes.len() > 3 && sizes.last() == Some(&1) {
        sizes.pop();
    }
    sizes.resize(sizes.len().max(3), 1);
    let extra = sizes.split_off(3);
    Ok(([sizes[2], sizes[1], sizes[0]], extra))
}

/// nibabel's choice: sform, else qform, else the spacing with x to the left and the centre at the origin. A sform
/// without three directions gives way to a qform.
fn affine(
    fields: &Fields,
    shape: [usize; 3],
    sform_code: i32,
    qform_code: i32,
    path: &Path,
    warnings: &mut Vec<Warning>,
) -> Result<Affine, VolumeError> {
    let mut affine = Affine::IDENTITY;
    affine.0[..3].copy_from_slice(&fields.srow);
    let is_flat = affine.determinant() == 0.0;
    if sform_code != 0 && !(is_flat && qform_code != 0) {
        let other = if qform_code == 0 { None } else { qform(fields, path).ok() };
        warnings.extend(other.and_then(|qform| contradiction(&affine, &qform)));
    } else if qform_code != 0 {
        affine = qform(fields, path)?;
    } else {
        let steps = pixdim(fields);
        for axis in 0..3 {
            let step = if axis == 0 { -steps[0] } else { steps[axis] };
            affine.0[axis][axis] = step;
            affine.0[axis][3] = -step * ((shape[2 - axis] - 1) as f64 / 2.0);
        }
    }
    if !affine.is_finite() {
        return Err(VolumeError::geometry(
            path.display(),
            format!(
                "has an affine that is not finite: {:?}; expected numbers, so set a valid sform or qform",
                affine.0
            ),
        ));
    }
    Ok(affine)
}

/// What to say where sform and qform turn the patient differently, the sform being taken.
fn contradiction(sform: &Affine, qform: &Affine) -> Option<Warning> {
    let direction = |affine: &Affine, axis: usize| {
        let column = [0, 1, 2].map(|row| affine.0[row][axis]);
        let length = column.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
        column.map(|entry| if length > 0.0 { entry / length } else { 0.0 })
    };
    let differs = |axis: usize| {
        let (a, b) = (direction(sform, axis), direction(qform, axis));
        a.iter().zip(b).any(|(a, b)| (a - b).abs() > SAME_DIRECTION)
    };
    if !(0..3).any(differs) {
        return None;
    }
    let mirrored = sform.determinant() * qform.determinant() < 0.0;
    let what =
        if mirrored { "mirror each other, so one has left and right wrong" } else { "turn the patient differently" };
    Some(Warning::new(
        "FORMS_DIFFER",
        format!(
            "sform ({}) and qform ({}) of the header {what}; the sform was taken, so check it",
            sform.axcodes(),
            qform.axcodes()
        ),
    ))
}

fn qform(fields: &Fields, path: &Path) -> Result<Affine, VolumeError> {
    let [b, c, d] = fields.quaternion;
    let squared = b * b + c * c + d * d;
    let epsilon = if fields.single_precision { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rest = 1.0 - squared;
    if rest < -QUATERNION_SPARE || rest.is_nan() {
        return Err(VolumeError::geometry(
            path.display(),
            format!(
                "has a qform quaternion ({b}, {c}, {d}) longer than 1, which is no rotation; set a valid sform or qform"
            ),
        ));
    }
    let a = if rest < 3.0 * epsilon { 0.0 } else { rest.sqrt() };
    let length = (a * a + squared).sqrt();
    let rotation = quaternion::to_matrix([a, b, c, d].map(|part| part / length));
    let mut steps = pixdim(fields);
    if fields.pixdim[0] == -1.0 {
        steps[2] = -steps[2];
    }
    let mut affine = Affine::IDENTITY;
    for row in 0..3 {
        for column in 0..3 {
            affine.0[row][column] = rotation[row][column] * steps[column];
        }
        affine.0[row][3] = fields.offset[row];
    }
    Ok(affine)
}

/// Voxel steps along x, y, z as nibabel mends them: 0 is 1, signs are dropped, missing axes are 1.
fn pixdim(fields: &Fields) -> [f64; 3] {
    [1, 2, 3].map(|axis| {
        let step = fields.pixdim[axis].abs();
        if step == 0.0 || axis as i64 > fields.dim[0] { 1.0 } else { step }
    })
}

/// The affine's spacing `[z, y, x]`, told by pixdim where both mean the same; pixdim where the affine has none.
fn spacing(fields: &Fields, affine: &Affine, path: &Path) -> Result<[f64; 3], VolumeError> {
    let [x, y, z] = pixdim(fields);
    let stored = [z, y, x];
    let measured = affine.spacing();
    let spacing = [0, 1, 2].map(|axis| {
        let same = (measured[axis] - stored[axis]).abs() <= SAME_SPACING * stored[axis];
        if measured[axis] > 0.0 && !(same && stored[axis].is_finite()) { measured[axis] } else { stored[axis] }
    });
    if spacing.iter().all(|step| step.is_finite()) {
        return Ok(spacing);
    }
    Err(VolumeError::geometry(
        path.display(),
        format!("has voxels of {x} × {y} × {z} mm (pixdim); expected finite lengths, so mend the header"),
    ))
}

fn scaling(fields: &Fields, path: &Path) -> Result<Option<(f64, f64)>, VolumeError> {
    let (slope, inter) = (fields.slope, fields.inter);
    if slope == 0.0 || !slope.is_finite() || (slope == 1.0 && inter == 0.0) {
        return Ok(None);
    }
    if !inter.is_finite() {
        return Err(VolumeError::format(
            path,
            format!("scales voxels by {slope} and adds {inter}; expected a finite intercept, so the header is damaged"),
        ));
    }
    Ok(Some((slope, inter)))
}

/// The unit of length where it is not mm.
fn unit_name(units: i32) -> Option<&'static str> {
    match units & UNIT_OF_LENGTH {
        1 => Some("metres"),
        3 => Some("micrometres"),
        _ => None,
    }
}

/// Millimetres in a unit of length.
fn unit_mm(units: i32) -> f64 {
    match units & UNIT_OF_LENGTH {
        1 => 1000.0,
        3 => 0.001,
        _ => 1.0,
    }
}

/// The input's header with what has to change for `volumes` volumes of `data_type` on the same grid, as one file;
/// lengths become mm.
pub(in crate::formats) fn like(
    source: &NiftiBytes,
    little_endian: bool,
    data_type: DataType,
    volumes: usize,
    segments: &[Segment],
) -> Vec<u8> {
    let extensions = if segments.is_empty() {
        source.extensions.clone()
    } else {
        with_table(&source.extensions, segments, little_endian)
    };
    let layout: &'static Layout = if source.header.len() == NIFTI1.bytes { &NIFTI1 } else { &NIFTI2 };
    let mut bytes = source.header.clone();
    let mut cells = Cells { bytes: &mut bytes, layout, little_endian };
    set_storage(&mut cells, data_type, extensions.len());
    if !segments.is_empty() {
        cells.set_code(layout.intent, INTENT_LABEL);
    }
    let unit_mm = unit_mm(i32::from(cells.units()));
    if unit_mm != 1.0 {
        let real = [(layout.pixdim, 1..4), (layout.srow, 0..12), (layout.offset, 0..3)];
        for (at, index) in real.into_iter().flat_map(|(at, range)| range.map(move |index| (at, index))) {
            let value = cells.real(at, index);
            cells.set_real(at, index, value * unit_mm);
        }
        let others = cells.units() & !(UNIT_OF_LENGTH as u8);
        cells.set_units(others | MILLIMETRES);
    }
    let axes = cells.dim(0);
    let had: usize = (4..=axes).map(|axis| cells.dim(axis)).product();
    if had != volumes {
        cells.set_dim(0, if volumes > 1 { 4 } else { 3 });
        for axis in axes.min(3) + 1..8 {
            cells.set_dim(axis, if axis == 4 { volumes } else { 1 });
        }
    }
    bytes.extend_from_slice(&extensions);
    bytes
}

/// A new header for a grid that did not come from NIfTI: NIfTI-1, or NIfTI-2 where an axis is too long for it.
/// Real numbers of NIfTI-1 are rounded to f32. Where it is not known which way the patient lies, both form codes are 0.
pub(in crate::formats) fn fresh(place: &Place<'_>, data_type: DataType, volumes: usize) -> Vec<u8> {
    let (grid, oriented, segments) = (place.grid, place.is_oriented(), place.segments);
    let extensions = if segments.is_empty() { vec![0; 4] } else { with_table(&[0; 4], segments, true) };
    let long = grid.shape.iter().any(|&length| length > LONGEST_NIFTI1) || volumes > LONGEST_NIFTI1;
    let layout: &'static Layout = if long { &NIFTI2 } else { &NIFTI1 };
    let mut bytes = vec![0; layout.bytes];
    let mut cells = Cells { bytes: &mut bytes, layout, little_endian: true };
    set_storage(&mut cells, data_type, extensions.len());
    if !segments.is_empty() {
        cells.set_code(layout.intent, INTENT_LABEL);
    }
    cells.set_dim(0, if volumes > 1 { 4 } else { 3 });
    for axis in 1..8 {
        let length = match axis {
            1..=3 => grid.shape[3 - axis],
            4 => volumes,
            _ => 1,
        };
        cells.set_dim(axis, length);
        let step = if axis <= 3 { grid.spacing_mm[3 - axis] } else { 1.0 };
        cells.set_real(layout.pixdim, axis, step);
    }
    cells.set_units(MILLIMETRES);
    for row in 0..3 {
        for column in 0..4 {
            cells.set_real(layout.srow, row * 4 + column, grid.affine.0[row][column]);
        }
        cells.set_real(layout.offset, row, grid.affine.0[row][3]);
    }
    cells.set_code(layout.sform_code, i32::from(oriented));
    let (rotation, handedness) = quaternion::of_affine(&grid.affine);
    cells.set_real(layout.pixdim, 0, handedness);
    if let Some([_, b, c, d]) = rotation {
        for (index, part) in [b, c, d].into_iter().enumerate() {
            cells.set_real(layout.quaternion, index, part);
        }
        cells.set_code(layout.qform_code, i32::from(oriented));
    }
    bytes.extend_from_slice(&extensions);
    bytes
}

fn set_storage(cells: &mut Cells<'_>, data_type: DataType, extension_bytes: usize) {
    let layout = cells.layout;
    let code = DATA_TYPES.iter().find(|(_, known)| *known == data_type).map_or(0, |&(code, _)| code);
    cells.set_single();
    cells.set_data_type(code, data_type.bytes() * 8);
    cells.set_voxel_offset(layout.bytes + extension_bytes);
    cells.set_real(layout.slope, 0, 1.0);
    cells.set_real(layout.inter, 0, 0.0);
    cells.set_real(layout.cal_max, 0, 0.0);
    cells.set_real(layout.cal_min, 0, 0.0);
}
