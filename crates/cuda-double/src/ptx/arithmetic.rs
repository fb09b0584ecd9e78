//! Sums, products, quotients, extremes; integers wrap around as PTX's do.

use super::decode::Decoded;
use super::map::{floats, integers, is_float, map1, map2, map3};
use super::names::Names;
use super::source::Statement;
use super::value::Type;

/// Flushes a subnormal to zero, as `.ftz` demands of operands and results.
#[inline(always)]
pub(crate) fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

/// A sum in the direction that the opcode names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Nearest,
    Zero,
    Down,
    Up,
}

impl Rounding {
    fn of(statement: &Statement) -> Rounding {
        match statement.choice(&["rz", "rm", "rp"]) {
            Some("rz") => Rounding::Zero,
            Some("rm") => Rounding::Down,
            Some("rp") => Rounding::Up,
            _ => Rounding::Nearest,
        }
    }

    /// The neighbour of `near` that the direction asks for, where the exact value lies `excess` above it.
    fn apply(self, near: f64, excess: f64) -> f64 {
        let down = excess < 0.0;
        let up = excess > 0.0;
        match self {
            Rounding::Down if down => near.next_down(),
            Rounding::Up if up => near.next_up(),
            Rounding::Zero if near > 0.0 && down => near.next_down(),
            Rounding::Zero if near < 0.0 && up => near.next_up(),
            _ => near,
        }
    }

    /// Rounds a value that f64 holds exactly to f32.
    fn single(self, exact: f64) -> f32 {
        let near = exact as f32;
        self.towards(near, exact - f64::from(near))
    }

    /// As `apply`, of f32.
    fn towards(self, near: f32, excess: f64) -> f32 {
        match self {
            Rounding::Down if excess < 0.0 => near.next_down(),
            Rounding::Up if excess > 0.0 => near.next_up(),
            Rounding::Zero if near > 0.0 && excess < 0.0 => near.next_down(),
            Rounding::Zero if near < 0.0 && excess > 0.0 => near.next_up(),
            _ => near,
        }
    }
}

pub(crate) fn add_or_subtract(statement: &Statement, names: &mut Names) -> Decoded {
    let rounding = Rounding::of(statement);
    let subtracts = statement.opcode == "sub";
    if rounding != Rounding::Nearest {
        let sign = if subtracts { -1.0 } else { 1.0 };
        return directed_sum(statement, names, rounding, sign);
    }
    if !is_float(statement) {
        return if statement.has("sat") {
            map2(
                statement,
                names,
                move |x: i32, y: i32| if subtracts { x.saturating_sub(y) } else { x.saturating_add(y) },
            )
        } else if subtracts {
            integers!(map2, statement, names, |x, y| x.wrapping_sub(y))
        } else {
            integers!(map2, statement, names, |x, y| x.wrapping_add(y))
        };
    }
    if statement.has("ftz") && statement.kind()? == Type::F32 {
        let sign = if subtracts { -1.0 } else { 1.0 };
        return map2(statement, names, move |x: f32, y: f32| flush(flush(x) + sign * flush(y)));
    }
    if statement.has("sat") {
        return map2(statement, names, move |x: f32, y: f32| saturate(if subtracts { x - y } else { x + y }));
    }
    if subtracts {
        floats!(map2, statement, names, |x, y| x - y)
    } else {
        floats!(map2, statement, names, |x, y| x + y)
    }
}

/// A sum of f32 is exact in f64; one of f64 is rounded by what was lost (Knuth's two-sum).
fn directed_sum(statement: &Statement, names: &mut Names, rounding: Rounding, sign: f64) -> Decoded {
    match statement.kind()? {
        Type::F32 => map2(statement, names, move |x: f32, y: f32| rounding.single(f64::from(x) + sign * f64::from(y))),
        _ => map2(statement, names, move |x: f64, y: f64| {
            let y = sign * y;
            let near = x + y;
            let part = near - x;
            rounding.apply(near, (x - (near - part)) + (y - part))
        }),
    }
}

/// Into 0 to 1, NaN to 0.
pub(crate) fn saturate(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }
}

pub(crate) fn multiply(statement: &Statement, names: &mut Names) -> Decoded {
    if statement.has("wide") {
        return match statement.kind()? {
            Type::U16 => map2(statement, names, |x: u16, y: u16| u32::from(x) * u32::from(y)),
            Type::S16 => map2(statement, names, |x: i16, y: i16| i32::from(x) * i32::from(y)),
            Type::U32 => map2(statement, names, |x: u32, y: u32| u64::from(x) * u64::from(y)),
            _ => map2(statement, names, |x: i32, y: i32| i64::from(x) * i64::from(y)),
        };
    }
    if statement.has("hi") {
        return match statement.kind()? {
            Type::U16 => map2(statement, names, |x: u16, y: u16| ((u32::from(x) * u32::from(y)) >> 16) as u16),
            Type::S16 => map2(statement, names, |x: i16, y: i16| ((i32::from(x) * i32::from(y)) >> 16) as i16),
            Type::U32 => map2(statement, names, |x: u32, y: u32| ((u64::from(x) * u64::from(y)) >> 32) as u32),
            Type::S32 => map2(statement, names, |x: i32, y: i32| ((i64::from(x) * i64::from(y)) >> 32) as i32),
            Type::U64 => map2(statement, names, |x: u64, y: u64| ((u128::from(x) * u128::from(y)) >> 64) as u64),
            _ => map2(statement, names, |x: i64, y: i64| ((i128::from(x) * i128::from(y)) >> 64) as i64),
        };
    }
    if !is_float(statement) {
        return integers!(map2, statement, names, |x, y| x.wrapping_mul(y));
    }
    let rounding = Rounding::of(statement);
    match statement.kind()? {
        Type::F32 if rounding != Rounding::Nearest => {
            map2(statement, names, move |x: f32, y: f32| rounding.single(f64::from(x) * f64::from(y)))
        }
        Type::F64 if rounding != Rounding::Nearest => map2(statement, names, move |x: f64, y: f64| {
            let near = x * y;
            rounding.apply(near, x.mul_add(y, -near))
        }),
        Type::F32 if statement.has("ftz") => map2(statement, names, |x: f32, y: f32| flush(flush(x) * flush(y))),
        Type::F32 if statement.has("sat") => map2(statement, names, |x: f32, y: f32| saturate(x * y)),
        _ => floats!(map2, statement, names, |x, y| x * y),
    }
}

/// `mad` of integers.
pub(crate) fn multiply_add(statement: &Statement, names: &mut Names) -> Decoded {
    if is_float(statement) {
        return fused(statement, names);
    }
    if statement.has("wide") {
        return match statement.kind()? {
            Type::U16 => map3(statement, names, |x: u16, y: u16, z: u32| (u32::from(x) * u32::from(y)).wrapping_add(z)),
            Type::S16 => map3(statement, names, |x: i16, y: i16, z: i32| (i32::from(x) * i32::from(y)).wrapping_add(z)),
            Type::U32 => map3(statement, names, |x: u32, y: u32, z: u64| (u64::from(x) * u64::from(y)).wrapping_add(z)),
            _ => map3(statement, names, |x: i32, y: i32, z: i64| (i64::from(x) * i64::from(y)).wrapping_add(z)),
        };
    }
    if statement.has("hi") {
        return match statement.kind()? {
            Type::U32 => map3(statement, names, |x: u32, y: u32, z: u32| {
                (((u64::from(x) * u64::from(y)) >> 32) as u32).wrapping_add(z)
            }),
            Type::S32 => map3(statement, names, |x: i32, y: i32, z: i32| {
                (((i64::from(x) * i64::from(y)) >> 32) as i32).wrapping_add(z)
            }),
            Type::U64 => map3(statement, names, |x: u64, y: u64, z: u64| {
                (((u128::from(x) * u128::from(y)) >> 64) as u64).wrapping_add(z)
            }),
            _ => map3(statement, names, |x: i64, y: i64, z: i64| {
                (((i128::from(x) * i128::from(y)) >> 64) as i64).wrapping_add(z)
            }),
        };
    }
    integers!(map3, statement, names, |x, y, z| x.wrapping_mul(y).wrapping_add(z))
}

/// `fma`: rounded once. A product of halves is exact in f64, and their sum all but exact.
pub(crate) fn fused(statement: &Statement, names: &mut Names) -> Decoded {
    use super::value::Pair;
    use half::{bf16, f16};
    let rounding = Rounding::of(statement);
    let relu = statement.has("relu");
    match statement.kind()? {
        Type::F32 if rounding != Rounding::Nearest => {
            map3(statement, names, move |x: f32, y: f32, z: f32| directed_fused(rounding, x, y, z))
        }
        Type::F64 if rounding != Rounding::Nearest => Err("a directed fma of f64".to_owned()),
        Type::F32 if statement.has("ftz") => {
            map3(statement, names, |x: f32, y: f32, z: f32| flush(flush(x).mul_add(flush(y), flush(z))))
        }
        Type::F32 if statement.has("sat") => map3(statement, names, |x: f32, y: f32, z: f32| saturate(x.mul_add(y, z))),
        Type::F32 => map3(statement, names, f32::mul_add),
        Type::F64 => map3(statement, names, f64::mul_add),
        Type::F16 => {
            map3(statement, names, |x: f16, y: f16, z: f16| f16::from_f64(x.to_f64().mul_add(y.to_f64(), z.to_f64())))
        }
        Type::Bf16 => map3(statement, names, move |x: bf16, y: bf16, z: bf16| fused_bf16(x, y, z, relu)),
        Type::F16x2 => map3(statement, names, |x: Pair<f16>, y: Pair<f16>, z: Pair<f16>| {
            let one = |x: f16, y: f16, z: f16| f16::from_f64(x.to_f64().mul_add(y.to_f64(), z.to_f64()));
            Pair(one(x.0, y.0, z.0), one(x.1, y.1, z.1))
        }),
        _ => map3(statement, names, move |x: Pair<bf16>, y: Pair<bf16>, z: Pair<bf16>| {
            Pair(fused_bf16(x.0, y.0, z.0, relu), fused_bf16(x.1, y.1, z.1, relu))
        }),
    }
}

fn fused_bf16(x: half::bf16, y: half::bf16, z: half::bf16, relu: bool) -> half::bf16 {
    let sum = x.to_f64().mul_add(y.to_f64(), z.to_f64());
    half::bf16::from_f64(if relu { sum.max(0.0) } else { sum })
}

/// The product is exact in f64; two-sum tells on which side of the rounded sum the exact one lies.
fn directed_fused(rounding: Rounding, x: f32, y: f32, z: f32) -> f32 {
    let (product, z) = (f64::from(x) * f64::from(y), f64::from(z));
    let sum = product + z;
    let part = sum - product;
    let lost = (product - (sum - part)) + (z - part);
    let near = sum as f32;
    rounding.towards(near, (sum - f64::from(near)) + lost)
}

pub(crate) fn divide(statement: &Statement, names: &mut Names) -> Decoded {
    if is_float(statement) {
        if statement.has("ftz") {
            return map2(statement, names, |x: f32, y: f32| flush(flush(x) / flush(y)));
        }
        return floats!(map2, statement, names, |x, y| x / y);
    }
    integers!(map2, statement, names, |x, y| if y == 0 { !0 } else { x.wrapping_div(y) })
}

pub(crate) fn remainder(statement: &Statement, names: &mut Names) -> Decoded {
    integers!(map2, statement, names, |x, y| if y == 0 { !0 } else { x.wrapping_rem(y) })
}

/// The number where the other operand is NaN; NaN with `.NaN`.
pub(crate) fn extreme(statement: &Statement, names: &mut Names) -> Decoded {
    let is_max = statement.opcode == "max";
    if statement.arguments.len() == 4 {
        return Err("three operands".to_owned());
    }
    match (is_float(statement), is_max, statement.has("NaN")) {
        (false, true, _) => integers!(map2, statement, names, |x, y| x.max(y)),
        (false, false, _) => integers!(map2, statement, names, |x, y| x.min(y)),
        (true, true, false) => floats!(map2, statement, names, |x, y| x.max(y)),
        (true, false, false) => floats!(map2, statement, names, |x, y| x.min(y)),
        (true, true, true) => {
            floats!(map2, statement, names, |x, y| if x.is_nan() || y.is_nan() { x + y } else { x.max(y) })
        }
        (true, false, true) => {
            floats!(map2, statement, names, |x, y| if x.is_nan() || y.is_nan() { x + y } else { x.min(y) })
        }
    }
}

pub(crate) fn absolute(statement: &Statement, names: &mut Names) -> Decoded {
    match statement.kind()? {
        Type::S16 => map1(statement, names, i16::wrapping_abs),
        Type::S32 => map1(statement, names, i32::wrapping_abs),
        Type::S64 => map1(statement, names, i64::wrapping_abs),
        Type::F32 if statement.has("ftz") => map1(statement, names, |x: f32| flush(x).abs()),
        _ => floats!(map1, statement, names, |x| x.abs()),
    }
}

pub(crate) fn negate(statement: &Statement, names: &mut Names) -> Decoded {
    if is_float(statement) {
        return floats!(map1, statement, names, |x| -x);
    }
    integers!(map1, statement, names, |x| x.wrapping_neg())
}

/// Functions of one number. The approximate ones are computed as well as f32 can: a card's differ in the last bits.
pub(crate) fn function(statement: &Statement, names: &mut Names) -> Decoded {
    let ftz = statement.has("ftz") && statement.kind()? == Type::F32;
    if ftz {
        let f: fn(f32) -> f32 = match statement.opcode {
            "sqrt" => f32::sqrt,
            "rsqrt" => |x| 1.0 / x.sqrt(),
            "rcp" => f32::recip,
            "ex2" => f32::exp2,
            "lg2" => f32::log2,
            "sin" => f32::sin,
            "cos" => f32::cos,
            _ => f32::tanh,
        };
        return map1(statement, names, move |x: f32| flush(f(flush(x))));
    }
    match statement.opcode {
        "sqrt" => floats!(map1, statement, names, |x| x.sqrt()),
        "rsqrt" => floats!(map1, statement, names, |x| 1.0 / x.sqrt()),
        "rcp" => floats!(map1, statement, names, |x| 1.0 / x),
        "ex2" => floats!(map1, statement, names, |x| x.exp2()),
        "lg2" => floats!(map1, statement, names, |x| x.log2()),
        "sin" => floats!(map1, statement, names, |x| x.sin()),
        "cos" => floats!(map1, statement, names, |x| x.cos()),
        _ => floats!(map1, statement, names, |x| x.tanh()),
    }
}

/// `copysign d, a, b`: the sign of a on the magnitude of b.
pub(crate) fn copy_sign(statement: &Statement, names: &mut Names) -> Decoded {
    floats!(map2, statement, names, |sign, magnitude| magnitude.copysign(sign))
}
