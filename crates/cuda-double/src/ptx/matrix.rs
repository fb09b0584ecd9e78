//! Matrix instructions: `ldmatrix`, `stmatrix`, `mma.sync`. Products are exact in f32 and summed in it, in the order of k;
//! a card's own order is not documented.

use super::block::{Access, Space};
use super::decode::Decoded;
use super::fault::Fault;
use super::kernel::{Action, Outcome};
use super::memory::{Address, get, is_whole, put};
use super::names::Names;
use super::run::Warp;
use super::source::Statement;
use super::value::{ALL, Bank, Cell, WARP};

pub(super) fn whole(warp: &Warp, mask: u32) -> Outcome {
    if is_whole(warp, mask) {
        return Ok(());
    }
    Err(Fault::new("a matrix instruction without the whole warp"))
}

pub(super) fn targets(statement: &Statement, names: &mut Names, at: usize) -> Result<Vec<usize>, String> {
    Names::list(statement.argument(at)?).into_iter().map(|text| names.target(text, Bank::Word)).collect()
}

fn sources(statement: &Statement, names: &mut Names, at: usize) -> Result<Vec<usize>, String> {
    Names::list(statement.argument(at)?).into_iter().map(|text| names.source(text, Bank::Word)).collect()
}

/// How many 8×8 matrices of 16-bit values an opcode moves.
fn count(statement: &Statement) -> Result<usize, String> {
    match statement.choice(&["x1", "x2", "x4"]) {
        Some("x1") if statement.has("m8n8") => Ok(1),
        Some("x2") if statement.has("m8n8") => Ok(2),
        Some("x4") if statement.has("m8n8") => Ok(4),
        _ => Err("this form of a matrix".to_owned()),
    }
}

/// `ldmatrix`: lane 8 i + r gives the address of row r of matrix i; lane l gets columns 2 (l % 4) and the next of row l / 4.
pub(crate) fn load(statement: &Statement, names: &mut Names, instruction: usize) -> Decoded {
    let (count, is_transposed) = (count(statement)?, statement.has("trans"));
    let d = targets(statement, names, 0)?;
    if d.len() != count {
        return Err("another count of registers".to_owned());
    }
    let address = Address::decode(names, statement.argument(1)?)?;
    Ok(Action::Together(
        None,
        Box::new(move |warp, block, mask| {
            whole(warp, mask)?;
            let addresses = address.of(warp);
            let givers = if count == 4 { ALL } else { (1 << (count * 8)) - 1 };
            let rows = block.places(warp, (Space::Shared, Access::Read), (&addresses, givers), 16, instruction)?;
            for (matrix, register) in d.iter().enumerate() {
                block.bank_conflicts += conflicts(&addresses[matrix * 8..][..8]);
                let element =
                    |row: usize, column: usize| get(rows[matrix * 8 + row].wrapping_add(column * 2), 2) as u32;
                let values = std::array::from_fn(|lane| {
                    let (row, column) = (lane / 4, lane % 4 * 2);
                    if is_transposed {
                        element(column, row) | element(column + 1, row) << 16
                    } else {
                        get(rows[matrix * 8 + row].wrapping_add(column * 2), 4) as u32
                    }
                });
                u32::put(&mut warp.registers, *register, ALL, &values);
            }
            Ok(())
        }),
    ))
}

/// Eight rows of 16 bytes are read at once, each from four banks: how many have to wait.
fn conflicts(rows: &[u64]) -> u64 {
    let mut hits = [0; 8];
    for address in rows {
        hits[(address / 16 % 8) as usize] += 1;
    }
    hits.into_iter().max().unwrap_or(1) - 1
}

/// `stmatrix`, the other way.
pub(crate) fn store(statement: &Statement, names: &mut Names, instruction: usize) -> Decoded {
    let (count, is_transposed) = (count(statement)?, statement.has("trans"));
    let address = Address::decode(names, statement.argument(0)?)?;
    let a = sources(statement, names, 1)?;
    if a.len() != count {
        return Err("another count of registers".to_owned());
    }
    Ok(Action::Together(
        None,
        Box::new(move |warp, block, mask| {
            whole(warp, mask)?;
            let addresses = address.of(warp);
            let givers = if count == 4 { ALL } else { (1 << (count * 8)) - 1 };
            let rows = block.places(warp, (Space::Shared, Access::Write), (&addresses, givers), 16, instruction)?;
            for (matrix, register) in a.iter().enumerate() {
                for (lane, value) in warp.registers.words[*register].iter().enumerate() {
                    for half in 0..2 {
                        let (row, column) = (lane / 4, lane % 4 * 2 + half);
                        let (row, column) = if is_transposed { (column, row) } else { (row, column) };
                        let place = rows[matrix * 8 + row].wrapping_add(column * 2);
                        put(place, 2, u64::from(value >> (half * 16) & 0xffff));
                    }
                }
            }
            Ok(())
        }),
    ))
}

/// What the elements of a product are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Bf16,
    F16,
    Tf32,
}

impl Element {
    fn half(self, bits: u32) -> f32 {
        match self {
            Element::F16 => half::f16::from_bits(bits as u16).to_f32(),
            _ => f32::from_bits(bits << 16),
        }
    }
}

/// `mma.sync.m16n8kK`: bf16 and f16 with k = 8 or 16, tf32 with k = 4 or 8; f32 sums.
pub(crate) fn multiply(statement: &Statement, names: &mut Names) -> Decoded {
    let element = match statement.choice(&["bf16", "tf32", "f16"]) {
        Some("bf16") => Element::Bf16,
        Some("tf32") => Element::Tf32,
        Some(_) => Element::F16,
        None => return Err("elements of this type".to_owned()),
    };
    let k = match statement.choice(&["m16n8k16", "m16n8k8", "m16n8k4"]) {
        Some("m16n8k16") if element != Element::Tf32 => 16,
        Some("m16n8k8") => 8,
        Some("m16n8k4") if element == Element::Tf32 => 4,
        _ => return Err("a product of this shape".to_owned()),
    };
    if statement.words.iter().filter(|word| **word == "f32").count() != 2 || !statement.has("row") {
        return Err("a product with such sums".to_owned());
    }
    let d = targets(statement, names, 0)?;
    let (a, b, c) = (sources(statement, names, 1)?, sources(statement, names, 2)?, sources(statement, names, 3)?);
    let registers = if element == Element::Tf32 { k / 2 } else { k / 4 };
    if (a.len(), b.len(), c.len(), d.len()) != (registers, registers / 2, 4, 4) {
        return Err("another count of registers".to_owned());
    }
    Ok(Action::Together(
        None,
        Box::new(move |warp, _, mask| {
            whole(warp, mask)?;
            let words = &warp.registers.words;
            // Row k of `left` holds column k of a.
            let mut left = [[0f32; 16]; 16];
            let mut right = [[0f32; 8]; 16];
            for lane in 0..WARP {
                let (group, member) = (lane / 4, lane % 4);
                for (at, register) in a.iter().enumerate() {
                    fill(element, words[*register][lane], at / 2, member, |k, value| {
                        left[k][group + at % 2 * 8] = value;
                    });
                }
                for (at, register) in b.iter().enumerate() {
                    fill(element, words[*register][lane], at, member, |k, value| right[k][group] = value);
                }
            }
            let mut sums = [[0f32; 8]; 16];
            each(|lane, at, row, column| sums[row][column] = f32::from_bits(words[c[at]][lane]));
            for (left, right) in left.iter().zip(&right).take(k) {
                for (sums, x) in sums.iter_mut().zip(left) {
                    for (sum, y) in sums.iter_mut().zip(right) {
                        *sum += x * y;
                    }
                }
            }
            let mut values = [[0; WARP]; 4];
            each(|lane, at, row, column| values[at][lane] = sums[row][column].to_bits());
            for (register, values) in d.iter().zip(&values) {
                u32::put(&mut warp.registers, *register, ALL, values);
            }
            Ok(())
        }),
    ))
}

/// The elements of one lane's register, each with its k: two halves side by side, or one tf32. `part` counts registers
/// along k.
fn fill(element: Element, bits: u32, part: usize, member: usize, mut put: impl FnMut(usize, f32)) {
    if element == Element::Tf32 {
        put(part * 4 + member, f32::from_bits(bits & !0x1fff)); // a card reads the upper 19 bits
    } else {
        let k = part * 8 + member * 2;
        put(k, element.half(bits & 0xffff));
        put(k + 1, element.half(bits >> 16));
    }
}

/// Lane, register, row and column of each sum.
fn each(mut visit: impl FnMut(usize, usize, usize, usize)) {
    for lane in 0..WARP {
        for at in 0..4 {
            visit(lane, at, lane / 4 + at / 2 * 8, lane % 4 * 2 + at % 2);
        }
    }
}
