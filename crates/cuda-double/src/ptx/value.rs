//! What registers hold: one cell a lane, 32 lanes a register, in two banks of 32 and 64 bits; predicates are bit masks.

use half::{bf16, f16};

/// Threads that go together.
pub(crate) const WARP: usize = 32;
/// Every lane of a warp.
pub(crate) const ALL: u32 = u32::MAX;

/// The registers of a warp.
#[derive(Clone, Default)]
pub(crate) struct Registers {
    /// Values of up to 32 bits; narrower ones are extended with zeros.
    pub(crate) words: Vec<[u32; WARP]>,
    /// Values of 64 bits.
    pub(crate) longs: Vec<[u64; WARP]>,
    /// One bit a lane.
    pub(crate) predicates: Vec<u32>,
    /// The carry of `add.cc` and its kin, one bit a lane.
    pub(crate) carry: u32,
}

/// How a bank stores a lane.
pub(crate) trait Cell: Copy + Default + Send + Sync + 'static {
    fn bank(registers: &Registers) -> &[[Self; WARP]];
    fn bank_mut(registers: &mut Registers) -> &mut [[Self; WARP]];

    /// Writes the lanes of `mask`.
    #[inline(always)]
    fn put(registers: &mut Registers, register: usize, mask: u32, values: &[Self; WARP]) {
        let cells = &mut Self::bank_mut(registers)[register];
        if mask == ALL {
            *cells = *values;
        } else {
            for lane in 0..WARP {
                cells[lane] = if mask >> lane & 1 == 1 { values[lane] } else { cells[lane] };
            }
        }
    }
}

impl Cell for u32 {
    #[inline(always)]
    fn bank(registers: &Registers) -> &[[Self; WARP]] {
        &registers.words
    }
    #[inline(always)]
    fn bank_mut(registers: &mut Registers) -> &mut [[Self; WARP]] {
        &mut registers.words
    }
}

impl Cell for u64 {
    #[inline(always)]
    fn bank(registers: &Registers) -> &[[Self; WARP]] {
        &registers.longs
    }
    #[inline(always)]
    fn bank_mut(registers: &mut Registers) -> &mut [[Self; WARP]] {
        &mut registers.longs
    }
}

/// A type that instructions compute with, and how a cell holds it.
pub(crate) trait Value: Copy + 'static {
    type Cell: Cell;
    fn from_cell(cell: Self::Cell) -> Self;
    fn to_cell(self) -> Self::Cell;
}

macro_rules! integers {
    ($cell:ty: $($through:ty => $type:ty),*) => {$(
        impl Value for $type {
            type Cell = $cell;
            #[inline(always)]
            fn from_cell(cell: $cell) -> Self {
                cell as $type
            }
            #[inline(always)]
            fn to_cell(self) -> $cell {
                self as $through as $cell
            }
        }
    )*};
}
integers!(u32: u8 => u8, u8 => i8, u16 => u16, u16 => i16, u32 => u32, u32 => i32);
integers!(u64: u64 => u64, u64 => i64);

macro_rules! floats {
    ($($type:ty, $bits:ty, $cell:ty);*) => {$(
        impl Value for $type {
            type Cell = $cell;
            #[inline(always)]
            fn from_cell(cell: $cell) -> Self {
                Self::from_bits(cell as $bits)
            }
            #[inline(always)]
            fn to_cell(self) -> $cell {
                <$cell>::from(self.to_bits())
            }
        }
    )*};
}
floats!(f32, u32, u32; f64, u64, u64; f16, u16, u32; bf16, u16, u32);

/// Two halves in 32 bits, the first in the low ones.
#[derive(Clone, Copy)]
pub(crate) struct Pair<T>(pub(crate) T, pub(crate) T);

impl<T: Value<Cell = u32>> Value for Pair<T> {
    type Cell = u32;
    #[inline(always)]
    fn from_cell(cell: u32) -> Self {
        Pair(T::from_cell(cell & 0xffff), T::from_cell(cell >> 16))
    }
    #[inline(always)]
    fn to_cell(self) -> u32 {
        self.0.to_cell() | self.1.to_cell() << 16
    }
}

/// PTX's types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[rustfmt::skip]
pub(crate) enum Type { B8, B16, B32, B64, U8, U16, U32, U64, S8, S16, S32, S64, F16, F16x2, Bf16, Bf16x2, Tf32, F32, F64, Pred }

impl Type {
    #[rustfmt::skip]
    const NAMES: [(&'static str, Type); 20] = [
        ("b8", Type::B8), ("b16", Type::B16), ("b32", Type::B32), ("b64", Type::B64), ("u8", Type::U8),
        ("u16", Type::U16), ("u32", Type::U32), ("u64", Type::U64), ("s8", Type::S8), ("s16", Type::S16),
        ("s32", Type::S32), ("s64", Type::S64), ("f16", Type::F16), ("f16x2", Type::F16x2), ("bf16", Type::Bf16),
        ("bf16x2", Type::Bf16x2), ("tf32", Type::Tf32), ("f32", Type::F32), ("f64", Type::F64), ("pred", Type::Pred),
    ];

    pub(crate) fn of(name: &str) -> Option<Type> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Type::B8 | Type::U8 | Type::S8 | Type::Pred => 1,
            Type::B16 | Type::U16 | Type::S16 | Type::F16 | Type::Bf16 => 2,
            Type::B64 | Type::U64 | Type::S64 | Type::F64 => 8,
            _ => 4,
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Type::S8 | Type::S16 | Type::S32 | Type::S64)
    }

    /// Where a register of this type lives.
    pub(crate) fn bank(self) -> Bank {
        match self {
            Type::Pred => Bank::Predicate,
            _ if self.bytes() == 8 => Bank::Long,
            _ => Bank::Word,
        }
    }
}

/// A bank of registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Bank {
    Predicate,
    Word,
    Long,
}

/// A register: its bank and its place there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Register {
    pub(crate) bank: Bank,
    pub(crate) index: usize,
}
