//! Grids from the way ITK's family of formats describes them: a direction, a spacing and an origin, towards L, P, S.

use crate::image::{Format, Header};
use crate::volume::{Affine, Grid};
use crate::voxels::DataType;
use crate::warning::Warning;

/// World axes of a file, as factors on their way to R, A, S.
pub(super) type Signs = [f64; 3];

/// Left, posterior, superior: also what is assumed where nothing is said.
pub(super) const LPS: Signs = [-1.0, -1.0, 1.0];

/// What a text header says about its volume.
pub(super) struct Placement {
    /// Axis lengths, the fastest first.
    pub(super) sizes: Vec<usize>,
    /// One step along each of the first three axes, in the file's world.
    pub(super) steps: [[f64; 3]; 3],
    /// Centre of the first voxel, in the file's world.
    pub(super) origin: [f64; 3],
    /// The file's world.
    pub(super) signs: Signs,
    /// Whether the file says which way the patient lies.
    pub(super) oriented: bool,
    /// Millimetres in the file's unit, and its name.
    pub(super) unit_mm: (f64, String),
}

impl Placement {
    /// The header of a file placed so.
    pub(super) fn header(mut self, format: Format, data_type: DataType, little_endian: bool) -> Header {
        while self.sizes.len() > 3 && self.sizes.last() == Some(&1) {
            self.sizes.pop();
        }
        self.sizes.resize(self.sizes.len().max(3), 1);
        let extra = self.sizes.split_off(3);
        let mut affine = Affine::IDENTITY;
        for row in 0..3 {
            for axis in 0..3 {
                affine.0[row][axis] = turned(self.signs[row], self.steps[axis][row]);
            }
            affine.0[row][3] = turned(self.signs[row], self.origin[row]);
        }
        let mut warnings = Vec::new();
        if !self.oriented {
            warnings.push(Warning::new(
                "NO_ORIENTATION",
                "the header does not say which way the patient lies, so left and right are a guess",
            ));
        }
        let (unit_mm, unit) = &self.unit_mm;
        if *unit_mm != 1.0 {
            warnings.push(Warning::new(
                "UNITS",
                format!(
                    "the header's lengths are in {unit}; spacing was converted to mm, the affine was left as it is"
                ),
            ));
        }
        let spacing = affine.spacing().map(|step| if step > 0.0 { step } else { 1.0 });
        Header {
            format,
            grid: Grid {
                shape: [self.sizes[2], self.sizes[1], self.sizes[0]],
                spacing_mm: spacing.map(|step| step * unit_mm),
                affine,
            },
            extra,
            data_type,
            little_endian,
            scaling: None,
            sform_code: None,
            qform_code: None,
            oriented: self.oriented,
            warnings,
            nifti: None,
        }
    }
}

/// Millimetres in a unit's name; names that are no length we know count as mm.
pub(super) fn unit_mm(name: &str) -> (f64, String) {
    let factor = match name.trim().trim_matches('"').to_ascii_lowercase().as_str() {
        "m" | "meter" | "meters" | "metre" | "metres" => 1000.0,
        "cm" | "centimeter" | "centimeters" => 10.0,
        "um" | "µm" | "micron" | "microns" | "micrometer" | "micrometers" => 0.001,
        _ => 1.0,
    };
    (factor, name.trim().to_owned())
}

/// A coordinate on its way to R, A, S, without making negative zeros.
fn turned(sign: f64, value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { sign * value }
}
