//! Voxels of any scalar type, as files hold them.

use rayon::prelude::*;

/// Values that one task converts or swaps at a time.
const BLOCK: usize = 1 << 16;

/// How a file stores one voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DataType {
    Uint8,
    Int8,
    Uint16,
    Int16,
    Uint32,
    Int32,
    Uint64,
    Int64,
    Float32,
    Float64,
    Float128,
    Complex64,
    Complex128,
    Complex256,
    Rgb24,
    Rgba32,
}

impl DataType {
    /// The name numpy and our JSON use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
            Self::Uint32 => "uint32",
            Self::Int32 => "int32",
            Self::Uint64 => "uint64",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Float128 => "float128",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
            Self::Complex256 => "complex256",
            Self::Rgb24 => "rgb24",
            Self::Rgba32 => "rgba32",
        }
    }

    /// Bytes of one voxel.
    pub fn bytes(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 => 2,
            Self::Rgb24 => 3,
            Self::Uint32 | Self::Int32 | Self::Float32 | Self::Rgba32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 | Self::Complex64 => 8,
            Self::Float128 | Self::Complex128 => 16,
            Self::Complex256 => 32,
        }
    }
}

/// A scalar type that [`Voxels`] can hold.
pub trait Voxel: bytemuck::Pod + Default + PartialOrd + Send + Sync {
    /// Its name in files.
    const DATA_TYPE: DataType;

    /// The value, rounded to the nearest f64.
    fn to_f64(self) -> f64;

    /// The value, rounded to the nearest f32.
    fn to_f32(self) -> f32;
}

/// Runs one generic expression on whichever typed array a [`Voxels`] holds.
#[macro_export]
macro_rules! with_voxels {
    ($voxels:expr, $values:ident => $body:expr) => {
        match $voxels {
            $crate::voxels::Voxels::U8($values) => $body,
            $crate::voxels::Voxels::I8($values) => $body,
            $crate::voxels::Voxels::U16($values) => $body,
            $crate::voxels::Voxels::I16($values) => $body,
            $crate::voxels::Voxels::U32($values) => $body,
            $crate::voxels::Voxels::I32($values) => $body,
            $crate::voxels::Voxels::U64($values) => $body,
            $crate::voxels::Voxels::I64($values) => $body,
            $crate::voxels::Voxels::F32($values) => $body,
            $crate::voxels::Voxels::F64($values) => $body,
        }
    };
}

/// Defines the enum and what differs only by type; one line a type.
macro_rules! voxel_types {
    ($($variant:ident $type:ty, $data_type:ident;)*) => {
        /// A typed array of voxels, z slowest.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub enum Voxels {
            $($variant(Vec<$type>),)*
        }

        $(
            impl Voxel for $type {
                const DATA_TYPE: DataType = DataType::$data_type;

                fn to_f64(self) -> f64 {
                    self as f64
                }

                #[inline]
                fn to_f32(self) -> f32 {
                    self as f32
                }
            }

            impl From<Vec<$type>> for Voxels {
                fn from(values: Vec<$type>) -> Self {
                    Self::$variant(values)
                }
            }
        )*
    };
}

voxel_types! {
    U8 u8, Uint8;
    I8 i8, Int8;
    U16 u16, Uint16;
    I16 i16, Int16;
    U32 u32, Uint32;
    I32 i32, Int32;
    U64 u64, Uint64;
    I64 i64, Int64;
    F32 f32, Float32;
    F64 f64, Float64;
}

impl Voxels {
    /// Number of voxels.
    pub fn len(&self) -> usize {
        with_voxels!(self, values => values.len())
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scalar type.
    pub fn data_type(&self) -> DataType {
        fn of<T: Voxel>(_: &[T]) -> DataType {
            T::DATA_TYPE
        }
        with_voxels!(self, values => of(values))
    }

    /// Every value as f32, as near as it comes.
    pub fn to_f32(&self) -> Vec<f32> {
        with_voxels!(self, values => map(values, Voxel::to_f32))
    }

    /// Every value times `slope` plus `inter`, computed in f64: f64 for types whose values f32 cannot hold, else f32.
    pub(crate) fn scaled(self, slope: f64, inter: f64) -> Self {
        let wide = matches!(self, Self::U32(_) | Self::I32(_) | Self::U64(_) | Self::I64(_) | Self::F64(_));
        if wide {
            Self::F64(with_voxels!(&self, values => map(values, |value| value.to_f64() * slope + inter)))
        } else {
            Self::F32(with_voxels!(&self, values => map(values, |value| (value.to_f64() * slope + inter) as f32)))
        }
    }
}

/// `convert` of every value, on all threads.
pub(crate) fn map<T: Voxel, U: Voxel>(values: &[T], convert: impl Fn(T) -> U + Send + Sync) -> Vec<U> {
    let mut converted = vec![U::default(); values.len()];
    converted.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK)).for_each(|(out, values)| {
        for (out, &value) in out.iter_mut().zip(values) {
            *out = convert(value);
        }
    });
    converted
}

/// Turns the byte order of every value around.
pub(crate) fn swap_bytes<T: Voxel>(values: &mut [T]) {
    values.par_chunks_mut(BLOCK).for_each(|block| match size_of::<T>() {
        2 => swap_words::<T, u16>(block, u16::swap_bytes),
        4 => swap_words::<T, u32>(block, u32::swap_bytes),
        8 => swap_words::<T, u64>(block, u64::swap_bytes),
        _ => {}
    });
}

fn swap_words<T: Voxel, W: bytemuck::Pod>(values: &mut [T], swap: impl Fn(W) -> W) {
    for word in bytemuck::cast_slice_mut::<T, W>(values) {
        *word = swap(*word);
    }
}
