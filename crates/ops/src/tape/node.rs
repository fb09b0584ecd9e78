//! One step of a tape, and its backward pass.

use std::sync::Arc;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Tensor, TensorId, Var};

use super::gradients::Gradients;
use super::{Pass, Tape};

pub(super) type Op1 = Arc<Box<dyn CustomOp1 + Send + Sync>>;
pub(super) type Op2 = Arc<Box<dyn CustomOp2 + Send + Sync>>;
pub(super) type Op3 = Arc<Box<dyn CustomOp3 + Send + Sync>>;

/// What was computed, from what.
pub(super) enum Node {
    One { op: Op1, x: Tensor, y: Tensor },
    Two { op: Op2, x: [Tensor; 2], y: Tensor },
    Three { op: Op3, x: [Tensor; 3], y: Tensor },
    Region { inputs: Vec<(Tensor, Var)>, outputs: Vec<Tensor>, used: Vec<TensorId> },
    Recomputed { inputs: Vec<Tensor>, output: Tensor, work: Work, used: Vec<TensorId> },
}

/// What is computed again in the backward pass.
pub(super) type Work = Box<dyn Fn(&[Tensor], Pass) -> Result<Tensor>>;

/// A tensor that is a variable.
pub(super) fn variable(tensor: &Tensor) -> Option<TensorId> {
    tensor.is_variable().then(|| tensor.id())
}

impl Node {
    pub(super) fn results(&self) -> &[Tensor] {
        match self {
            Self::One { y, .. } | Self::Two { y, .. } | Self::Three { y, .. } | Self::Recomputed { output: y, .. } => {
                std::slice::from_ref(y)
            }
            Self::Region { outputs, .. } => outputs,
        }
    }

    /// Variables to whose gradients it may add.
    pub(super) fn variables(&self) -> Vec<TensorId> {
        match self {
            Self::One { x, .. } => variable(x).into_iter().collect(),
            Self::Two { x, .. } => x.iter().filter_map(variable).collect(),
            Self::Three { x, .. } => x.iter().filter_map(variable).collect(),
            Self::Region { inputs, used, .. } => {
                inputs.iter().filter_map(|(outer, _)| variable(outer)).chain(used.iter().copied()).collect()
            }
            Self::Recomputed { inputs, used, .. } => {
                inputs.iter().filter_map(variable).chain(used.iter().copied()).collect()
            }
        }
    }

    pub(super) fn backward(&self, gradients: &mut Gradients) -> Result<()> {
        match self {
            Self::One { op, x, y } => {
                let Some(gradient) = gradients.take(y) else { return Ok(()) };
                gradients.offer(x, op.bwd(x, y, &gradient)?)
            }
            Self::Two { op, x: [a, b], y } => {
                let Some(gradient) = gradients.take(y) else { return Ok(()) };
                let (to_a, to_b) = op.bwd(a, b, y, &gradient)?;
                gradients.offer(a, to_a)?;
                gradients.offer(b, to_b)
            }
            Self::Three { op, x: [a, b, c], y } => {
                let Some(gradient) = gradients.take(y) else { return Ok(()) };
                let (to_a, to_b, to_c) = op.bwd(a, b, c, y, &gradient)?;
                gradients.offer(a, to_a)?;
                gradients.offer(b, to_b)?;
                gradients.offer(c, to_c)
            }
            Self::Region { inputs, outputs, .. } => region_backward(inputs, outputs, gradients),
            Self::Recomputed { inputs, output, work, .. } => {
                let Some(gradient) = gradients.take(output) else { return Ok(()) };
                let inner: Vec<Var> =
                    inputs.iter().map(|input| Var::from_tensor(&input.detach())).collect::<Result<_>>()?;
                let tensors: Vec<Tensor> = inner.iter().map(|var| var.as_tensor().clone()).collect();
                let (again, tape) = Tape::record(|| work(&tensors, Pass::Backward))?;
                let mut seeds = vec![(again, gradient)];
                // What an input has already got comes first in the sum, as without recomputation.
                seeds.extend(
                    inputs.iter().zip(tensors).filter_map(|(outer, inner)| Some((inner, gradients.take(outer)?))),
                );
                let store = tape.backward(seeds)?;
                gradients.take_over(store, inputs.iter().zip(&inner))
            }
        }
    }
}

/// candle's backward pass through a region: from the products of its results and their gradients.
fn region_backward(inputs: &[(Tensor, Var)], outputs: &[Tensor], gradients: &mut Gradients) -> Result<()> {
    let mut total: Option<Tensor> = None;
    for output in outputs {
        let Some(gradient) = gradients.take(output) else { continue };
        let product = (output * gradient.detach())?.sum_all()?;
        total = Some(match total {
            None => product,
            Some(total) => (total + product)?,
        });
    }
    let Some(total) = total else { return Ok(()) };
    let store = total.backward()?;
    gradients.take_over(store, inputs.iter().map(|(outer, inner)| (outer, inner)))
}
