//! Where the fields of the two header versions stand, and how to change them in place.

/// Positions of a header version's fields.
#[derive(Debug)]
pub(super) struct Layout {
    /// Size of the header.
    pub(super) bytes: usize,
    pub(super) dim: usize,
    pub(super) intent: usize,
    pub(super) data_type: usize,
    pub(super) bits: usize,
    pub(super) pixdim: usize,
    pub(super) voxel_offset: usize,
    pub(super) slope: usize,
    pub(super) inter: usize,
    pub(super) cal_max: usize,
    pub(super) cal_min: usize,
    pub(super) units: usize,
    pub(super) qform_code: usize,
    pub(super) sform_code: usize,
    pub(super) quaternion: usize,
    pub(super) offset: usize,
    pub(super) srow: usize,
    pub(super) magic: usize,
    /// Bytes of a real number: 4 or 8.
    real: usize,
    /// Bytes of an axis length: 2 or 8.
    length: usize,
    /// Bytes of a form code and of the units: 2 and 1, or 4.
    code: usize,
    unit: usize,
    /// Magic of a single file.
    pub(super) single: &'static [u8],
}

pub(super) const NIFTI1: Layout = Layout {
    bytes: 348,
    dim: 40,
    intent: 68,
    data_type: 70,
    bits: 72,
    pixdim: 76,
    voxel_offset: 108,
    slope: 112,
    inter: 116,
    cal_max: 124,
    cal_min: 128,
    units: 123,
    qform_code: 252,
    sform_code: 254,
    quaternion: 256,
    offset: 268,
    srow: 280,
    magic: 344,
    real: 4,
    length: 2,
    code: 2,
    unit: 1,
    single: b"n+1\0",
};

pub(super) const NIFTI2: Layout = Layout {
    bytes: 540,
    dim: 16,
    intent: 504,
    data_type: 12,
    bits: 14,
    pixdim: 104,
    voxel_offset: 168,
    slope: 176,
    inter: 184,
    cal_max: 192,
    cal_min: 200,
    units: 500,
    qform_code: 344,
    sform_code: 348,
    quaternion: 352,
    offset: 376,
    srow: 400,
    magic: 4,
    real: 8,
    length: 8,
    code: 4,
    unit: 4,
    single: b"n+2\0\r\n\x1a\n",
};

/// A header's bytes with their layout and byte order.
pub(super) struct Cells<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) layout: &'static Layout,
    pub(super) little_endian: bool,
}

impl Cells<'_> {
    /// Sets real number `index` of the field at `at`.
    pub(super) fn set_real(&mut self, at: usize, index: usize, value: f64) {
        let size = self.layout.real;
        if size == 4 {
            self.put(at + index * size, (value as f32).to_bits() as u64, size);
        } else {
            self.put(at + index * size, value.to_bits(), size);
        }
    }

    /// Reads real number `index` of the field at `at`.
    pub(super) fn real(&self, at: usize, index: usize) -> f64 {
        let size = self.layout.real;
        let bits = self.get(at + index * size, size);
        if size == 4 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) }
    }

    /// Reads `dim[index]`.
    pub(super) fn dim(&self, index: usize) -> usize {
        let size = self.layout.length;
        self.get(self.layout.dim + index * size, size) as usize
    }

    /// Reads the units of space and time.
    pub(super) fn units(&self) -> u8 {
        self.get(self.layout.units, self.layout.unit) as u8
    }

    /// Sets `dim[index]`.
    pub(super) fn set_dim(&mut self, index: usize, value: usize) {
        let size = self.layout.length;
        self.put(self.layout.dim + index * size, value as u64, size);
    }

    /// Sets the storage type and its bits.
    pub(super) fn set_data_type(&mut self, code: i16, bits: usize) {
        self.put(self.layout.data_type, u64::from(code.cast_unsigned()), 2);
        self.put(self.layout.bits, bits as u64, 2);
    }

    /// Sets where the voxels start: a real number in NIfTI-1, an integer in NIfTI-2.
    pub(super) fn set_voxel_offset(&mut self, offset: usize) {
        if self.layout.real == 4 {
            self.set_real(self.layout.voxel_offset, 0, offset as f64);
        } else {
            self.put(self.layout.voxel_offset, offset as u64, 8);
        }
    }

    /// Sets a form code.
    pub(super) fn set_code(&mut self, at: usize, code: i32) {
        self.put(at, u64::from(code.cast_unsigned()), self.layout.code);
    }

    /// Sets the units of space and time.
    pub(super) fn set_units(&mut self, units: u8) {
        self.put(self.layout.units, u64::from(units), self.layout.unit);
    }

    /// Sets the size field, the magic of a single file.
    pub(super) fn set_single(&mut self) {
        self.put(0, self.layout.bytes as u64, 4);
        let at = self.layout.magic;
        self.bytes[at..at + self.layout.single.len()].copy_from_slice(self.layout.single);
    }

    fn get(&self, at: usize, size: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.bytes[at..at + size]);
        if !self.little_endian {
            bytes[..size].reverse();
        }
        u64::from_le_bytes(bytes)
    }

    fn put(&mut self, at: usize, value: u64, size: usize) {
        let bytes = value.to_le_bytes();
        let cell = &mut self.bytes[at..at + size];
        cell.copy_from_slice(&bytes[..size]);
        if !self.little_endian {
            cell.reverse();
        }
    }
}
