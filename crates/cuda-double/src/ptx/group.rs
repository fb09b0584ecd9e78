//! `wgmma`: products by four warps at once, of matrices in shared memory. They are under way until they are waited for, and
//! read shared memory by a way of their own: what was written there counts once its writer has fenced it.

use super::block::{Access, Block, Copies, Space};
use super::decode::Decoded;
use super::fault::Fault;
use super::kernel::{Action, Outcome};
use super::matrix::{targets, whole};
use super::memory::get;
use super::names::Names;
use super::run::Warp;
use super::source::Statement;
use super::value::{ALL, Bank, Cell};

/// Values along k of one product.
const K: usize = 16;

/// Products of a warp that were begun and not yet waited for.
#[derive(Default)]
pub(crate) struct UnderWay {
    products: Vec<Product>,
    /// Groups that were committed.
    committed: u32,
    /// Whether a fence stands between the last wait and now.
    is_fenced: bool,
}

impl UnderWay {
    pub(crate) fn is_empty(&self) -> bool {
        self.products.is_empty()
    }
}

struct Product {
    /// Places of the sums.
    sums: Vec<usize>,
    left: Matrix,
    right: Matrix,
    /// Whether the sums go on from what they are.
    keeps: bool,
    group: u32,
    instruction: usize,
}

/// Where a matrix lies: k innermost, rows of 128 bytes, 16-byte chunk c of row r at c ^ r % 8.
#[derive(Clone, Copy)]
struct Matrix {
    start: u64,
    /// Bytes between groups of eight rows.
    stride: u64,
}

impl Matrix {
    /// Reads a descriptor: start in bits 0 to 13, stride in bits 32 to 45, both in 16 bytes; bits 62 and 63 the swizzle.
    fn of(descriptor: u64) -> Result<Matrix, Fault> {
        if descriptor >> 62 != 1 {
            return Err(Fault::new("a wgmma matrix without the swizzle of 128 bytes"));
        }
        if descriptor >> 49 & 7 != 0 {
            return Err(Fault::new("a wgmma matrix that begins within its pattern of 1024 bytes"));
        }
        let matrix = Matrix { start: (descriptor & 0x3fff) << 4, stride: (descriptor >> 32 & 0x3fff) << 4 };
        if matrix.start & 0x380 != 0 || !matrix.stride.is_multiple_of(1024) {
            return Err(Fault::new(format!(
                "a wgmma matrix at {:x}, its groups of rows {} bytes apart: both are to be at multiples of 1024",
                matrix.start, matrix.stride
            )));
        }
        Ok(matrix)
    }

    /// The values of a row, from k = 0 of the descriptor.
    fn row(self, warp: &mut Warp, block: &mut Block, row: usize, instruction: usize) -> Result<[f32; K], Fault> {
        let mut values = [0.0; K];
        for (chunk, values) in values.chunks_mut(8).enumerate() {
            let at = self.start + (row / 8) as u64 * self.stride + (row % 8 * 128 + chunk * 16) as u64;
            let at = at ^ (at >> 7 & 7) << 4;
            let place = block.place(warp, (Space::Shared, Access::Read), at, 16, (0, instruction))?;
            block.check_published(at as usize, 16)?;
            for (number, value) in values.iter_mut().enumerate() {
                *value = f32::from_bits((get(place.wrapping_add(number * 2), 2) as u32) << 16);
            }
        }
        Ok(values)
    }
}

impl Product {
    fn columns(&self) -> usize {
        self.sums.len() * 2
    }

    /// What the warp reads: 16 of the 64 rows, and all columns.
    fn read(&self, warp: &mut Warp, block: &mut Block) -> Result<[Vec<[f32; K]>; 2], Fault> {
        let first = usize::from(warp.number) % 4 * 16;
        let mut rows = |matrix: Matrix, rows: std::ops::Range<usize>| {
            rows.map(|row| matrix.row(warp, block, row, self.instruction)).collect::<Result<Vec<_>, _>>()
        };
        Ok([rows(self.left, first..first + 16)?, rows(self.right, 0..self.columns())?])
    }

    fn finish(&self, warp: &mut Warp, block: &mut Block) -> Outcome {
        let [left, right] = self.read(warp, block)?;
        for (at, register) in self.sums.iter().enumerate() {
            let before = warp.registers.words[*register];
            let values = std::array::from_fn(|lane| {
                let row = lane / 4 + at / 2 % 2 * 8;
                let column = at / 4 * 8 + lane % 4 * 2 + at % 2;
                let start = if self.keeps { f32::from_bits(before[lane]) } else { 0.0 };
                let products = left[row].iter().zip(&right[column]).map(|(x, y)| x * y);
                products.fold(start, |sum, product| sum + product).to_bits()
            });
            u32::put(&mut warp.registers, *register, ALL, &values);
        }
        Ok(())
    }
}

/// `wgmma.mma_async` of bf16 from shared memory. Late, as copies can be, it is done where it is waited for.
pub(crate) fn multiply(statement: &Statement, names: &mut Names, instruction: usize) -> Decoded {
    if statement.words.iter().filter(|word| **word == "bf16").count() != 2 || !statement.has("f32") {
        return Err("a group's product of this type".to_owned());
    }
    let sums = targets(statement, names, 0)?;
    let shape = format!("m64n{}k16", sums.len() * 2);
    if !statement.has(&shape) || !sums.len().is_multiple_of(4) || sums.len() > 128 {
        return Err(format!("a group's product with {} sums", sums.len()));
    }
    let a = names.source(statement.argument(1)?, Bank::Long)?;
    let b = names.source(statement.argument(2)?, Bank::Long)?;
    let scale = names.any_source(statement.argument(3)?, Bank::Word)?;
    let literals: Vec<_> = statement.arguments[4..].to_vec();
    if literals != ["1", "1", "0", "0"] {
        return Err(format!("a group's product with {}", literals.join(", ")));
    }
    Ok(Action::Together(
        None,
        Box::new(move |warp, block, mask| {
            whole(warp, mask)?;
            if !warp.under_way.is_fenced {
                return Err(Fault::new("wgmma without a wgmma.fence before, or behind the last wait"));
            }
            let keeps = match scale.bank {
                Bank::Predicate => warp.registers.predicates[scale.index] & 1 == 1,
                _ => warp.registers.words[scale.index][0] != 0,
            };
            let matrix = |place: usize| {
                let descriptors = warp.registers.longs[place];
                let is_same = descriptors.iter().all(|descriptor| *descriptor == descriptors[0]);
                if is_same { Matrix::of(descriptors[0]) } else { Err(Fault::new("a wgmma matrix a lane")) }
            };
            let (left, right) = (matrix(a)?, matrix(b)?);
            let product =
                Product { sums: sums.clone(), left, right, keeps, group: warp.under_way.committed, instruction };
            match block.launch.copies {
                Copies::Early => product.finish(warp, block)?,
                Copies::Late => {
                    // It may read from now on until it is waited for: both ends count as reads.
                    product.read(warp, block)?;
                }
            }
            warp.under_way.products.push(product);
            Ok(())
        }),
    ))
}

/// `wgmma.fence`, `wgmma.commit_group`, `wgmma.wait_group N`.
pub(crate) fn order(statement: &Statement) -> Decoded {
    let kind = statement.choice(&["fence", "commit_group", "wait_group"]).ok_or("this order of products")?;
    let left = match kind {
        "wait_group" => statement.argument(0)?.parse::<u32>().map_err(|_| "a wait without a number")?,
        _ => 0,
    };
    Ok(Action::Together(
        None,
        Box::new(move |warp, block, mask| {
            whole(warp, mask)?;
            match kind {
                "fence" => warp.under_way.is_fenced = true,
                "commit_group" => warp.under_way.committed += 1,
                _ => wait(warp, block, left)?,
            }
            Ok(())
        }),
    ))
}

/// Waits for all groups but the last `left`.
fn wait(warp: &mut Warp, block: &mut Block, left: u32) -> Outcome {
    let products = std::mem::take(&mut warp.under_way.products);
    let committed = warp.under_way.committed;
    let (due, rest) = products.into_iter().partition(|product| product.group + left < committed);
    warp.under_way.products = rest;
    warp.under_way.is_fenced = false;
    let due: Vec<Product> = due;
    match block.launch.copies {
        Copies::Early => Ok(()),
        Copies::Late => due.iter().try_for_each(|product| product.finish(warp, block)),
    }
}

/// `fence.proxy.async`: products may read what the warp has written so far.
pub(crate) fn publish() -> Action {
    Action::Touching(Box::new(|warp, block, _| {
        block.publish(warp.number);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::super::block::{Copies, Order};
    use super::super::fault::Fault;
    use super::super::tests::{Run, run};

    /// Four bf16 values whose numbers are small, so that sums are exact.
    fn values(at: usize) -> [f32; 4] {
        std::array::from_fn(|k| ((at * 7 + k * 3) % 5) as f32 - 2.0)
    }

    fn packed(at: usize) -> u64 {
        values(at).iter().rev().fold(0, |all, value| all << 16 | u64::from(half::bf16::from_f32(*value).to_bits()))
    }

    /// Thread t writes chunk t % 2 of row t / 2 of a, the first 16 threads likewise of b at 8192, each value twice; `steps`
    /// make the product, and each thread gives its first and its last sum.
    fn product(steps: &str, copies: Copies) -> Result<Vec<[f32; 2]>, Fault> {
        let body = format!(
            "shr.u32 %r4, %t, 1; and.b32 %r5, %t, 1; and.b32 %r6, %r4, 7; xor.b32 %r5, %r5, %r6; shl.b32 %r5, %r5, 4;
             shl.b32 %r4, %r4, 7; add.u32 %r4, %r4, %r5; mov.u32 %r7, dynamic; add.u32 %r4, %r4, %r7;
             st.shared.u64 [%r4], %d1; st.shared.u64 [%r4+8], %d1; setp.lt.u32 %p1, %t, 16;
             @%p1 st.shared.u64 [%r4+8192], %d2; @%p1 st.shared.u64 [%r4+8200], %d2;
             mov.f32 %f4, 0f3f800000; mov.f32 %f5, %f4; mov.f32 %f6, %f4; mov.f32 %f7, %f4;
             mov.u64 %d4, {A}; mov.u64 %d5, {B}; setp.ne.u32 %p2, %t, %t; {steps}
             mov.b32 %r8, %f4; mov.b32 %r9, %f7; mov.b64 %d0, {{%r8, %r9}};"
        );
        let inputs: Vec<u64> = (0..128).map(packed).collect();
        let mut both = vec![];
        for order in [Order::First, Order::Last] {
            let setting = Run { threads: 128, dynamic_bytes: 9216, order, copies };
            let words = run(&setting, &body, [&inputs, &inputs, &[0]])?;
            both.push(words.iter().map(|&w| [w as u32, (w >> 32) as u32].map(f32::from_bits)).collect::<Vec<_>>());
        }
        assert_eq!(both[0], both[1]);
        Ok(both.remove(0))
    }

    const A: u64 = 1 << 16 | 64 << 32 | 1 << 62;
    const B: u64 = A | 8192 >> 4;
    const PUBLISH: &str = "fence.proxy.async.shared::cta; bar.sync 0;";
    const BEGIN: &str = "wgmma.fence.sync.aligned;";
    const MULTIPLY: &str =
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f4, %f5, %f6, %f7}, %d4, %d5, 1, 1, 1, 0, 0;";
    const COMMIT: &str = "wgmma.commit_group.sync.aligned;";
    const WAIT: &str = "wgmma.wait_group.sync.aligned 0;";

    fn expected(start: f32) -> Vec<[f32; 2]> {
        let sum = |row: usize, column: usize| {
            let value = |of: usize, k: usize| values(of * 2 + k / 8)[k % 4];
            (0..16).map(|k| value(row, k) * value(column, k)).sum::<f32>()
        };
        let of = |thread: usize| {
            let (row, column) = (thread / 32 * 16 + thread % 32 / 4, thread % 4 * 2);
            [start + sum(row, column), start + sum(row + 8, column + 1)]
        };
        (0..128).map(of).collect()
    }

    #[test]
    fn four_warps_multiply() {
        let right = [PUBLISH, BEGIN, MULTIPLY, COMMIT, WAIT].concat();
        let twice = [PUBLISH, BEGIN, MULTIPLY, COMMIT, MULTIPLY, COMMIT, WAIT].concat();
        let anew = right.replace("%d5, 1,", "%d5, %p2,");
        for copies in [Copies::Late, Copies::Early] {
            assert_eq!(product(&right, copies).unwrap(), expected(1.0));
            assert_eq!(product(&anew, copies).unwrap(), expected(0.0));
            let sums = product(&twice, copies).unwrap();
            let (once, start) = (expected(0.0), 1.0);
            assert!(sums.iter().zip(once).all(|(sum, [a, b])| *sum == [start + 2.0 * a, start + 2.0 * b]));
        }
    }

    #[test]
    fn what_a_card_would_not_say_is_a_fault() {
        let overwrite = "st.shared.u64 [%r4+16], %d1;";
        let cases: &[(&[&str], &str)] = &[
            (&["bar.sync 0;", BEGIN, MULTIPLY, COMMIT, WAIT], "without a fence.proxy.async"),
            (&[PUBLISH, MULTIPLY, COMMIT, WAIT], "without a wgmma.fence"),
            (&["fence.proxy.async.shared::cta;", BEGIN, MULTIPLY, COMMIT, WAIT], "race on shared byte"),
            (&[PUBLISH, BEGIN, MULTIPLY, COMMIT, overwrite, WAIT], "wgmma reads shared byte 16"),
            (&[PUBLISH, BEGIN, MULTIPLY, COMMIT], "under way"),
            (&[PUBLISH, BEGIN, MULTIPLY, WAIT], "under way"),
            (&[PUBLISH, "add.s64 %d4, %d4, 8;", BEGIN, MULTIPLY, COMMIT, WAIT], "multiples of 1024"),
            (&[PUBLISH, "add.s64 %d5, %d5, 64;", BEGIN, MULTIPLY, COMMIT, WAIT], "shared bytes"),
        ];
        for (steps, words) in cases {
            let found = product(&steps.concat(), Copies::Late).unwrap_err().to_string();
            assert!(found.contains(words), "{steps:?}: {found}");
        }
    }
}
