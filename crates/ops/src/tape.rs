//! A backward pass that moves gradients instead of adding them to zeros.
//!
//! candle's own starts every gradient as a tensor of zeros and adds to it, on one thread: two more passes over memory
//! an operator, a fifth of a training step. While a [`Tape`] records, our operators note themselves on it; its backward
//! pass calls their `bwd` in reverse, hands the first gradient of a tensor on as it is, adds further ones in parallel,
//! and frees each activation after its last use. What candle's own operators do in between (small things: reshapes,
//! gates) stands in a [`region`] and takes candle's backward pass. The gradients are the same.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{CustomOp1, CustomOp2, CustomOp3, Error, Result, Tensor, TensorId, Var, bail};

use crate::dense::{collect_blocks, values};
use crate::products::{Kept, Products};

type Op1 = Arc<Box<dyn CustomOp1 + Send + Sync>>;
type Op2 = Arc<Box<dyn CustomOp2 + Send + Sync>>;
type Op3 = Arc<Box<dyn CustomOp3 + Send + Sync>>;

/// Values that one task adds.
const BLOCK: usize = 1 << 16;

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Recording {
    nodes: Vec<Node>,
    results: HashSet<TensorId>,
}

enum Node {
    One { op: Op1, x: Tensor, y: Tensor },
    Two { op: Op2, x: [Tensor; 2], y: Tensor },
    Three { op: Op3, x: [Tensor; 3], y: Tensor },
    Region { inputs: Vec<(Tensor, Var)>, outputs: Vec<Tensor> },
    Recomputed { inputs: Vec<Tensor>, output: Tensor, work: Work },
}

type Work = Box<dyn Fn(&[Tensor], Pass) -> Result<Tensor>>;

/// For which pass the work of [`recomputed`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// For its result alone: parameters may be detached.
    Forward,
    /// For gradients: every parameter must be tracked.
    Backward,
}

/// What was computed on this thread, in order.
pub struct Tape {
    nodes: Vec<Node>,
}

impl Tape {
    /// Runs `work` and records the operators that it applies on this thread.
    ///
    /// # Errors
    /// What `work` gives. An operator refuses a tensor that candle's own operators made outside of a [`region`], since
    /// its gradient would be lost.
    pub fn record<T, E>(work: impl FnOnce() -> std::result::Result<T, E>) -> std::result::Result<(T, Self), E> {
        let replaced = Replaced::by(Some(Recording::default()));
        let result = work()?;
        let recording = replaced.restore();
        Ok((result, Self { nodes: recording.map(|recording| recording.nodes).unwrap_or_default() }))
    }

    /// Gradients of every variable, given those of some recorded results: pairs of result and gradient.
    ///
    /// # Errors
    /// What an operator's backward pass gives.
    pub fn backward(mut self, seeds: Vec<(Tensor, Tensor)>) -> Result<GradStore> {
        let mut gradients = Gradients::default();
        for (result, gradient) in seeds {
            gradients.add(result.id(), gradient)?;
        }
        while let Some(node) = self.nodes.pop() {
            node.backward(&mut gradients)?;
        }
        let mut store = GradStore::default();
        for (id, gradient) in gradients.0 {
            store.insert_id(id, gradient);
        }
        Ok(store)
    }
}

/// Lets candle's own operators work on recorded tensors: `work` gets `inputs` and returns what is recorded as one step.
/// Without a tape it is a plain call.
///
/// Inputs are copied while a tape records, so they should be small.
///
/// # Errors
/// What `work` gives, or copying.
pub fn region<E: From<Error>>(
    inputs: &[&Tensor],
    work: impl FnOnce(&[Tensor]) -> std::result::Result<Vec<Tensor>, E>,
) -> std::result::Result<Vec<Tensor>, E> {
    let recording = RECORDING.with_borrow(Option::is_some);
    if !recording {
        let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        return work(&inputs);
    }
    let inner: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(&input.detach())).collect::<Result<_>>()?;
    let tensors: Vec<Tensor> = inner.iter().map(|var| var.as_tensor().clone()).collect();
    let replaced = Replaced::by(None);
    let outputs = work(&tensors)?;
    drop(replaced);
    let inputs = inputs.iter().map(|&input| input.clone()).zip(inner).collect::<Vec<_>>();
    let outer: Vec<&Tensor> = inputs.iter().map(|(outer, _)| outer).collect();
    note(&outer, &outputs, || Node::Region { inputs: inputs.clone(), outputs: outputs.clone() })?;
    Ok(outputs)
}

/// Runs `work` for its result now, and again in the backward pass for its gradients: what it makes in between is not
/// kept, which costs a second forward pass of it. The same bits either way. Without a tape it is a plain call.
///
/// # Errors
/// What `work` gives, or copying its result.
pub fn recomputed(inputs: &[&Tensor], work: impl Fn(&[Tensor], Pass) -> Result<Tensor> + 'static) -> Result<Tensor> {
    if !RECORDING.with_borrow(Option::is_some) {
        let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        return work(&inputs, Pass::Backward);
    }
    let detached: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
    let replaced = Replaced::by(None);
    let result = work(&detached, Pass::Forward)?;
    drop(replaced);
    // A variable of its own: what is computed from it is tracked.
    let output = Var::from_tensor(&result)?.as_tensor().clone();
    let kept = || inputs.iter().map(|&input| input.clone()).collect();
    let products = Products::now();
    let work = move |inputs: &[Tensor], pass: Pass| products.during(|| work(inputs, pass));
    note(inputs, std::slice::from_ref(&output), || Node::Recomputed {
        inputs: kept(),
        output: output.clone(),
        work: Box::new(work),
    })?;
    Ok(output)
}

/// [`Tensor::apply_op1`], recorded.
pub(crate) fn apply1(x: &Tensor, op: impl CustomOp1 + Send + Sync + 'static) -> Result<Tensor> {
    let op: Op1 = Arc::new(Box::new(Kept::new(op)));
    let y = x.apply_op1_arc(Arc::clone(&op))?;
    note(&[x], std::slice::from_ref(&y), || Node::One { op, x: x.clone(), y: y.clone() })?;
    Ok(y)
}

/// [`Tensor::apply_op2`], recorded.
pub(crate) fn apply2(a: &Tensor, b: &Tensor, op: impl CustomOp2 + Send + Sync + 'static) -> Result<Tensor> {
    let op: Op2 = Arc::new(Box::new(Kept::new(op)));
    let y = a.apply_op2_arc(b, Arc::clone(&op))?;
    note(&[a, b], std::slice::from_ref(&y), || Node::Two { op, x: [a.clone(), b.clone()], y: y.clone() })?;
    Ok(y)
}

/// [`Tensor::apply_op3`], recorded.
pub(crate) fn apply3(a: &Tensor, b: &Tensor, c: &Tensor, op: impl CustomOp3 + Send + Sync + 'static) -> Result<Tensor> {
    let op: Op3 = Arc::new(Box::new(Kept::new(op)));
    let y = a.apply_op3_arc(b, c, Arc::clone(&op))?;
    let node = || Node::Three { op, x: [a.clone(), b.clone(), c.clone()], y: y.clone() };
    note(&[a, b, c], std::slice::from_ref(&y), node)?;
    Ok(y)
}

/// Puts a node on the tape if one records and the results have gradients.
fn note(inputs: &[&Tensor], outputs: &[Tensor], node: impl FnOnce() -> Node) -> Result<()> {
    RECORDING.with_borrow_mut(|recording| {
        let Some(recording) = recording else { return Ok(()) };
        if !outputs.iter().any(Tensor::track_op) {
            return Ok(());
        }
        for input in inputs {
            if input.track_op() && !input.is_variable() && !recording.results.contains(&input.id()) {
                bail!("tape: a tensor of shape {:?} was made outside; wrap what made it in tape::region", input.dims());
            }
        }
        recording.results.extend(outputs.iter().map(Tensor::id));
        recording.nodes.push(node());
        Ok(())
    })
}

/// Puts the thread's recording back, also when a panic passes.
struct Replaced {
    before: Option<Recording>,
    restored: bool,
}

impl Replaced {
    fn by(recording: Option<Recording>) -> Self {
        Self { before: RECORDING.replace(recording), restored: false }
    }

    /// What was recorded meanwhile.
    fn restore(mut self) -> Option<Recording> {
        self.restored = true;
        RECORDING.replace(self.before.take())
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if !self.restored {
            RECORDING.set(self.before.take());
        }
    }
}

impl Node {
    fn backward(&self, gradients: &mut Gradients) -> Result<()> {
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
            Self::Region { inputs, outputs } => region_backward(inputs, outputs, gradients),
            Self::Recomputed { inputs, output, work } => {
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

#[derive(Default)]
struct Gradients(HashMap<TensorId, Tensor>);

impl Gradients {
    fn take(&mut self, result: &Tensor) -> Option<Tensor> {
        self.0.remove(&result.id())
    }

    /// Takes the gradients of a part that was walked through apart; `inputs` are its own inputs, outside and inside.
    fn take_over<'a>(
        &mut self,
        mut store: GradStore,
        inputs: impl Iterator<Item = (&'a Tensor, &'a Var)>,
    ) -> Result<()> {
        for (outer, inner) in inputs {
            self.offer(outer, store.remove(inner))?;
        }
        let rest: Vec<TensorId> = store.get_ids().copied().collect();
        for id in rest {
            if let Some(gradient) = store.get_id(id) {
                self.add(id, gradient.clone())?;
            }
        }
        Ok(())
    }

    fn offer(&mut self, to: &Tensor, gradient: Option<Tensor>) -> Result<()> {
        match gradient {
            Some(gradient) if to.track_op() => self.add(to.id(), gradient),
            _ => Ok(()),
        }
    }

    fn add(&mut self, id: TensorId, gradient: Tensor) -> Result<()> {
        let sum = match self.0.remove(&id) {
            None => gradient,
            Some(before) => sum(&before.contiguous()?, &gradient.contiguous()?)?,
        };
        self.0.insert(id, sum);
        Ok(())
    }
}

fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        bail!("tape: gradients of shapes {:?} and {:?} meet", a.dims(), b.dims());
    }
    if !a.device().is_cpu() {
        return a + b;
    }
    let (a_storage, a_layout) = a.storage_and_layout();
    let (b_storage, b_layout) = b.storage_and_layout();
    let (a_values, b_values) = (values(&a_storage, a_layout)?, values(&b_storage, b_layout)?);
    let len = a_values.len();
    let total = collect_blocks(len, len.max(1), BLOCK, |_, start, out| {
        let parts = a_values[start..].iter().zip(&b_values[start..]);
        out.iter_mut().zip(parts).for_each(|(out, (a, b))| *out = a + b);
    });
    Tensor::from_vec(total, a.shape(), a.device())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::{Activation, activate, add_activate, gelu_erf, linear};

    fn parameter(shape: &[usize], first: f32) -> Var {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| first + ((i * 37) % 11) as f32 / 7.0 - 0.7).collect();
        Var::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// A residual layer, a region of candle's operators, and a second use of its input.
    fn network(x: &Tensor, weight: &Var, gate: &Var) -> Result<Tensor> {
        let y = gelu_erf(&linear(x, weight, None)?)?;
        let gated = region(&[&y], |inputs| -> Result<Vec<Tensor>> {
            Ok(vec![inputs[0].broadcast_mul(gate)?.reshape(inputs[0].shape())?])
        })?;
        let z = activate(&gated[0], Activation::LeakyRelu(0.1))?;
        add_activate(&z, &y, Activation::None)
    }

    #[test]
    fn gradients_are_candle_s() {
        let x = parameter(&[5, 4], 0.1).as_detached_tensor();
        let (weight, gate) = (parameter(&[4, 4], 0.0), parameter(&[4], 0.5));
        let seed = parameter(&[5, 4], -0.2).as_detached_tensor();
        let (y, tape) = Tape::record(|| network(&x, &weight, &gate)).unwrap();
        let ours = tape.backward(vec![(y, seed.clone())]).unwrap();
        let y = network(&x, &weight, &gate).unwrap();
        let theirs = (y * seed).unwrap().sum_all().unwrap().backward().unwrap();
        for var in [&weight, &gate] {
            let flat = |store: &GradStore| store.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(flat(&ours), flat(&theirs));
        }
    }

    #[test]
    fn what_is_recomputed_has_the_same_gradients() {
        let x = parameter(&[5, 4], 0.1).as_detached_tensor();
        let (weight, gate) = (parameter(&[4, 4], 0.0), parameter(&[4], 0.5));
        let seed = parameter(&[5, 4], -0.2).as_detached_tensor();
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let gradients = |recompute: bool| {
            let (y, tape) = Tape::record(|| -> Result<Tensor> {
                let first = linear(&x, &weight, None)?;
                if !recompute {
                    return network(&first, &weight, &gate);
                }
                let (weight, gate) = (weight.clone(), gate.clone());
                recomputed(&[&first], move |inputs, _| network(&inputs[0], &weight, &gate))
            })
            .unwrap();
            let store = tape.backward(vec![(y.clone(), seed.clone())]).unwrap();
            (flat(&y), flat(store.get(&weight).unwrap()), flat(store.get(&gate).unwrap()))
        };
        assert_eq!(gradients(true), gradients(false));
    }

    #[test]
    fn tensors_made_outside_are_refused() {
        let (x, weight) = (parameter(&[5, 4], 0.1), parameter(&[4, 4], 0.0));
        let lost = Tape::record(|| gelu_erf(&(linear(&x, &weight, None)? * 2.0)?));
        assert!(lost.err().unwrap().to_string().contains("tape::region"));
        assert!(RECORDING.with_borrow(Option::is_none));
    }
}
