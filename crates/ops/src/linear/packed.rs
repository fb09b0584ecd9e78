//! A linear layer for use without training: its weights lie in the order in which they are read, so that a few rows (a
//! text tower's tokens) cost one pass over them.
#![allow(unsafe_code)] // Panels of columns are written by many threads.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::panel::{PANEL, Panel};
use crate::channelwise::{check, or_filled};
use crate::dense::{cpu_values, values, with_channels};
use crate::linear;
use crate::memory::{Aligned, Results};
use crate::simd::Level;

/// At most so many rows share one pass over the weights.
const ROWS: usize = 256;

/// x w + bias over the last dimension, with w and bias laid out once; no gradients.
pub struct PackedLinear {
    layer: Layer,
    ci: usize,
    co: usize,
}

enum Layer {
    Packed(Panels),
    /// On a card, as they came.
    Whole {
        weight: Tensor,
        bias: Tensor,
    },
}

/// A layer's parameters, panel after panel.
struct Panels {
    /// `[panels, ci, PANEL]`; zeros beyond the last column.
    weight: Aligned,
    /// `[panels, PANEL]`.
    bias: Aligned,
    ci: usize,
    co: usize,
}

impl PackedLinear {
    /// Copies a layer's parameters.
    ///
    /// # Shapes
    /// `weight` `[ci, co]`, `bias` `[co]` or none.
    ///
    /// # Errors
    /// A tensor of another shape, empty, or not f32.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (ci, co) = weight.dims2()?;
        if ci == 0 || co == 0 {
            bail!("PackedLinear: weight has shape {:?}, expected at least one row and one column", weight.dims());
        }
        if let Some(bias) = bias {
            check("PackedLinear", "bias", bias, co, format_args!("the outputs of weight {:?}", weight.dims()))?;
        }
        let (weight, bias) = (weight.contiguous()?, or_filled(bias, 0.0, co, weight)?);
        if !weight.device().is_cpu() {
            let layer = Layer::Whole { weight: weight.detach(), bias: bias.detach() };
            return Ok(Self { layer, ci, co });
        }
        let (weight_storage, weight_layout) = weight.storage_and_layout();
        let (bias_storage, bias_layout) = bias.storage_and_layout();
        let (weight, bias) = (values(&weight_storage, weight_layout)?, values(&bias_storage, bias_layout)?);
        let mut panels = Panels {
            weight: Aligned::zeros(co.div_ceil(PANEL) * ci * PANEL),
            bias: Aligned::zeros(co.div_ceil(PANEL) * PANEL),
            ci,
            co,
        };
        panels.bias[..co].copy_from_slice(bias);
        panels.weight.par_chunks_exact_mut(ci * PANEL).enumerate().for_each(|(panel, to)| {
            let columns = panel * PANEL..co.min((panel + 1) * PANEL);
            for (to, row) in to.chunks_exact_mut(PANEL).zip(weight.chunks_exact(co)) {
                to[..columns.len()].copy_from_slice(&row[columns.clone()]);
            }
        });
        Ok(Self { layer: Layer::Packed(panels), ci, co })
    }

    /// x w + bias.
    ///
    /// # Shapes
    /// `x` `[.., ci]` → `[.., co]`.
    ///
    /// # Errors
    /// `x` has another last dimension, is not f32, or not on the parameters' device.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.dims().last() != Some(&self.ci) {
            bail!("PackedLinear: x has shape {:?}, expected [.., {}]", x.dims(), self.ci);
        }
        match &self.layer {
            Layer::Packed(panels) => x.contiguous()?.apply_op1_no_bwd(panels),
            Layer::Whole { weight, bias } => linear(x, weight, Some(bias)),
        }
    }
}

impl Panels {
    fn multiply(&self, x: &[f32]) -> Vec<f32> {
        let (ci, co) = (self.ci, self.co);
        let fill = |y: Results| {
            for (chunk, x) in x.chunks(ROWS * ci).enumerate() {
                let panels = self.weight.par_chunks_exact(ci * PANEL).zip(self.bias.par_chunks_exact(PANEL));
                panels.enumerate().for_each(|(panel, (weight, bias))| {
                    let mut part = bias.repeat(x.len() / ci);
                    Level::current().run(Panel { x, weight, y: &mut part });
                    let columns = PANEL.min(co - panel * PANEL);
                    for (row, part) in part.chunks_exact(PANEL).enumerate() {
                        let at = (chunk * ROWS + row) * co + panel * PANEL;
                        let to = y.from(at).place(columns);
                        // SAFETY: `place` found room for the columns, which are at most those of `part`; no other task
                        // has these columns of this row, and `part` is this task's own.
                        unsafe { part.as_ptr().copy_to_nonoverlapping(to, columns) };
                    }
                });
            }
        };
        // SAFETY: `chunks` goes through all rows, and the panels' columns together are all `co` of a row: so every
        // value is written, and by one task. `for_each` returns after the last task.
        unsafe { Results::collect(x.len() / ci * co, fill) }
    }
}

impl std::fmt::Debug for PackedLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedLinear[{}, {}]", self.ci, self.co)
    }
}

impl CustomOp1 for Panels {
    fn name(&self) -> &'static str {
        "packed_linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.multiply(cpu_values(storage, layout)?);
        Ok((CpuStorage::F32(y), with_channels(layout.dims(), self.co)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::linear;
    use crate::simd::with_level;

    /// Small whole numbers: every order of summing gives the same.
    fn noise(shape: &[usize], step: usize) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i * step % 17) as f32 - 8.0).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn it_is_the_linear_layer_at_every_level() {
        for (rows, ci, co) in
            [(0, 3, 5), (1, 1, 1), (2, 63, 64), (5, 64, 65), (6, 65, 130), (35, 200, 257), (600, 7, 3)]
        {
            let (x, weight, bias) = (noise(&[rows, ci], 7), noise(&[ci, co], 5), noise(&[co], 3));
            for bias in [None, Some(&bias)] {
                let expected = linear(&x, &weight, bias).unwrap();
                for level in Level::present() {
                    let packed = PackedLinear::new(&weight, bias).unwrap();
                    let found = with_level(level, || packed.forward(&x)).unwrap();
                    assert_eq!(found.dims(), expected.dims());
                    assert_eq!(numbers(&found), numbers(&expected), "{rows} {ci} {co} {level:?}");
                }
            }
        }
    }

    #[test]
    fn a_row_s_bits_depend_on_no_other_row() {
        let (x, weight) = (noise(&[40, 90], 7).affine(0.37, 0.1).unwrap().sin().unwrap(), noise(&[90, 70], 5));
        let packed = PackedLinear::new(&weight.affine(0.21, 0.03).unwrap(), None).unwrap();
        with_level(Level::current(), || {
            let all = numbers(&packed.forward(&x).unwrap());
            for row in [0, 5, 6, 39] {
                let alone = numbers(&packed.forward(&x.narrow(0, row, 1).unwrap()).unwrap());
                assert_eq!(alone, all[row * 70..][..70], "{row}");
            }
        });
    }

    #[test]
    fn wrong_shapes_are_named() {
        let weight = noise(&[5, 4], 3);
        let packed = PackedLinear::new(&weight, None).unwrap();
        let cases = [
            (packed.forward(&noise(&[2, 4], 1)).err(), "PackedLinear: x has shape [2, 4], expected [.., 5]"),
            (PackedLinear::new(&weight, Some(&noise(&[5], 1))).map(drop).err(), "PackedLinear: bias has shape [5]"),
            (PackedLinear::new(&noise(&[0, 4], 1), None).map(drop).err(), "PackedLinear: weight has shape [0, 4]"),
        ];
        for (error, message) in cases {
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with(message), "`{error}` should start with `{message}`");
        }
    }
}
