//! Headers of `MetaImage` files to write (`.mha`).
//!
//! Source: the `MetaIO` format documentation, <https://itk.org/Wiki/ITK/MetaIO/Documentation>.

use super::output::Place;
use crate::voxels::DataType;

/// The header of one volume whose voxels follow as they are.
pub(super) fn header(data_type: DataType, place: &Place<'_>) -> Vec<u8> {
    let grid = place.grid;
    let [z, y, x] = grid.shape;
    let [spacing_z, spacing_y, spacing_x] = grid.spacing_mm;
    let spacing = [spacing_x, spacing_y, spacing_z];
    // From R, A, S to L, P, S.
    let turned = |row: usize, value: f64| if row < 2 && value != 0.0 { -value } else { value };
    let words = |values: [f64; 3]| values.map(|value| value.to_string()).join(" ");
    let steps = [0, 1, 2].map(|axis| [0, 1, 2].map(|row| turned(row, grid.affine.0[row][axis] / spacing[axis])));
    let is_plain = steps == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // A matrix says which way the patient lies.
    let direction = if is_plain && !place.is_oriented() {
        String::new()
    } else {
        format!("TransformMatrix = {}\n", steps.map(words).join(" "))
    };
    let origin = words([0, 1, 2].map(|row| turned(row, grid.affine.0[row][3])));
    format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n\
         {direction}Offset = {origin}\nCenterOfRotation = 0 0 0\nElementSpacing = {}\nDimSize = {x} {y} {z}\nElementType = {}\nElementDataFile = LOCAL\n",
        words(spacing),
        element_type(data_type),
    )
    .into_bytes()
}

fn element_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Int8 => "MET_CHAR",
        DataType::Int16 => "MET_SHORT",
        DataType::Uint16 => "MET_USHORT",
        DataType::Int32 => "MET_INT",
        DataType::Uint32 => "MET_UINT",
        DataType::Int64 => "MET_LONG_LONG",
        DataType::Uint64 => "MET_ULONG_LONG",
        DataType::Float32 => "MET_FLOAT",
        DataType::Float64 => "MET_DOUBLE",
        _ => "MET_UCHAR",
    }
}
