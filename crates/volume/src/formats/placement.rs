//! Grids from the way ITK's family of formats describes them: a direction, a spacing and an origin, towards L, P, S.

use pulmoav_task::Warning;

use crate::image::{Format, Header};
use crate::volume::{Affine, Grid};
use crate::voxels::DataType;

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
    /// Units of length along the axes of the file's world.
    pub(super) units: [Unit; 3],
}

impl Placement {
    /// The header of a file placed so, its lengths in millimetres.
    pub(super) fn header(mut self, format: Format, data_type: DataType, little_endian: bool) -> Header {
        while self.sizes.len() > 3 && self.sizes.last() == Some(&1) {
            self.sizes.pop();
        }
        self.sizes.resize(self.sizes.len().max(3), 1);
        let extra = self.sizes.split_off(3);
        let mut affine = Affine::IDENTITY;
        for row in 0..3 {
            for axis in 0..3 {
                affine.0[row][axis] = turned(self.signs[row], self.steps[axis][row] * self.units[row].mm);
            }
            affine.0[row][3] = turned(self.signs[row], self.origin[row] * self.units[row].mm);
        }
        let mut warnings = Vec::new();
        if !self.oriented {
            warnings.push(Warning::new(
                "NO_ORIENTATION",
                "the header does not say which way the patient lies, so left and right are a guess",
            ));
        }
        if self.units.iter().any(|unit| unit.mm != 1.0) {
            let [x, y, z] = self.units.each_ref().map(|unit| unit.name.as_str());
            let names = if x == y && y == z { x.to_owned() } else { format!("{x}, {y} and {z}") };
            let message = format!("the header's lengths are in {names}; spacing and affine were converted to mm");
            warnings.push(Warning::new("UNITS", message));
        }
        let spacing = affine.spacing().map(|step| if step > 0.0 { step } else { 1.0 });
        Header {
            format,
            grid: Grid { shape: [self.sizes[2], self.sizes[1], self.sizes[0]], spacing_mm: spacing, affine },
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

/// A unit of length as a file names it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    name: String,
    /// Millimetres in one of it.
    mm: f64,
}

impl Unit {
    /// The unit of this name; names that are no length we know count as mm.
    pub(super) fn named(name: &str) -> Self {
        let name = name.trim();
        let mm = match name.to_ascii_lowercase().as_str() {
            "m" | "meter" | "meters" | "metre" | "metres" => 1000.0,
            "cm" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => 10.0,
            "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre" | "micrometres" => {
                0.001
            }
            _ => 1.0,
        };
        Self { name: name.to_owned(), mm }
    }
}

/// A coordinate on its way to R, A, S, without making negative zeros.
fn turned(sign: f64, value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { sign * value }
}
