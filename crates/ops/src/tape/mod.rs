//! A backward pass that moves gradients instead of adding them to zeros.
//!
//! candle's own starts every gradient as a tensor of zeros and adds to it, on one thread: two more passes over memory
//! an operator, a fifth of a training step. While a [`Tape`] records, our operators note themselves on it; its backward
//! pass calls their `bwd` in reverse, hands the first gradient of a tensor on as it is, adds further ones in parallel,
//! and frees each activation after its last use. What candle's own operators do in between (small things: reshapes,
//! gates) stands in a [`region`] and takes candle's backward pass. The gradients are the same.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{CustomOp1, CustomOp2, CustomOp3, Error, Result, Tensor, TensorId, Var, bail};

use crate::products::{Kept, Products};

mod gradients;
mod node;

use gradients::{Gradients, Take, Uses};
use node::{Node, Op1, Op2, Op3, variable};

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
    /// What the work of [`recomputed`] uses while it runs for its result alone.
    static USED: RefCell<Option<Vec<TensorId>>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Recording {
    nodes: Vec<Node>,
    results: HashSet<TensorId>,
}

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
    pub fn backward(self, seeds: Vec<(Tensor, Tensor)>) -> Result<GradStore> {
        self.walk(seeds, None)
    }

    /// As [`Tape::backward`], but hands each variable's gradient to `take` as soon as no step is left that adds to it,
    /// while the pass goes on. What is left at the end is given back.
    ///
    /// # Errors
    /// As [`Tape::backward`]; what `take` gives; work of [`recomputed`] that uses a variable without [`note_use`].
    pub fn backward_into(
        self,
        seeds: Vec<(Tensor, Tensor)>,
        take: &mut dyn FnMut(TensorId, Tensor) -> Result<()>,
    ) -> Result<GradStore> {
        self.walk(seeds, Some(take))
    }

    fn walk(mut self, seeds: Vec<(Tensor, Tensor)>, mut take: Option<Take>) -> Result<GradStore> {
        let mut uses = take.is_some().then(|| Uses::of(&self.nodes));
        let mut gradients = Gradients::default();
        for (result, gradient) in seeds {
            gradients.add(result.id(), gradient)?;
        }
        while let Some(node) = self.nodes.pop() {
            node.backward(&mut gradients)?;
            if let (Some(uses), Some(take)) = (&mut uses, &mut take) {
                uses.end(&node, &mut gradients, take)?;
            }
        }
        Ok(gradients.into_store())
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
    let inner: Vec<TensorId> = inputs.iter().map(|(_, inner)| inner.id()).collect();
    let used = || {
        let all = each_once(outputs.iter().flat_map(Tensor::sorted_nodes).filter_map(variable));
        all.into_iter().filter(|id| !inner.contains(id)).collect()
    };
    note(&outer, &outputs, || Node::Region { inputs: inputs.clone(), outputs: outputs.clone(), used: used() })?;
    Ok(outputs)
}

/// Variables in the order of their first use, which is the same in every process: gradients are handed on in it.
fn each_once(ids: impl IntoIterator<Item = TensorId>) -> Vec<TensorId> {
    let mut seen = HashSet::new();
    ids.into_iter().filter(|&id| seen.insert(id)).collect()
}

/// Tells the tape that the work of [`recomputed`] uses a variable; for work that detaches it in [`Pass::Forward`].
pub fn note_use(parameter: &Var) {
    USED.with_borrow_mut(|used| {
        if let Some(used) = used {
            used.push(parameter.id());
        }
    });
}

/// Runs `work` for its result now, and again in the backward pass for its gradients: what it makes in between is not
/// kept, which costs a second forward pass of it. The same bits either way. Without a tape it is a plain call. In
/// [`Pass::Forward`] it tells the variables that it uses by [`note_use`].
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
    let before = USED.replace(Some(Vec::new()));
    let result = work(&detached, Pass::Forward);
    let used = each_once(USED.replace(before).unwrap_or_default());
    let result = result?;
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
        used,
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

    /// Each variable's gradient, in the order in which they are complete, and after how many steps of the tape.
    fn handed_over(tell: bool) -> Result<Vec<(TensorId, Vec<f32>)>> {
        let x = parameter(&[5, 4], 0.1).as_detached_tensor();
        let weights: Vec<Var> = (0..3).map(|i| parameter(&[4, 4], 0.1 * i as f32)).collect();
        let seed = parameter(&[5, 4], -0.2).as_detached_tensor();
        let run = |tell: bool| {
            Tape::record(|| -> Result<Tensor> {
                let (first, second, last) = (weights[0].clone(), weights[1].clone(), &weights[2]);
                // The first weight is used again at the end.
                let y = linear(&x, &first, None)?;
                let inner = second.clone();
                let y = recomputed(&[&y], move |inputs, pass| {
                    if tell {
                        note_use(&second);
                    }
                    let weight =
                        if pass == Pass::Forward { inner.as_detached_tensor() } else { inner.as_tensor().clone() };
                    linear(&gelu_erf(&linear(&inputs[0], &weight, None)?)?, &weight, None)
                })?;
                let y = region(&[&y], |inputs| -> Result<Vec<Tensor>> { Ok(vec![inputs[0].matmul(last)?]) })?;
                // Without a word of it, a further use of the recomputed weight looks like its only one.
                linear(&linear(&y[0], &first, None)?, &weights[1], None)
            })
        };
        let mut taken = Vec::new();
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (y, tape) = run(tell)?;
        let rest = tape.backward_into(vec![(y, seed.clone())], &mut |id, gradient| {
            taken.push((id, flat(&gradient)?));
            Ok(())
        })?;
        assert!(weights.iter().all(|weight| rest.get(weight).is_none()));
        let (y, tape) = run(true)?;
        let whole = tape.backward(vec![(y, seed)])?;
        for (id, gradient) in &taken {
            assert_eq!(gradient, &flat(whole.get_id(*id).unwrap())?);
        }
        let place = |weight: &Var| taken.iter().position(|(id, _)| *id == weight.id());
        assert_eq!([0, 1, 2].map(|at: usize| place(&weights[at])), [Some(2), Some(1), Some(0)]);
        Ok(taken)
    }

    #[test]
    fn gradients_are_handed_over_when_they_are_complete() {
        assert_eq!(handed_over(true).unwrap().len(), 3);
        let early = handed_over(false).unwrap_err().to_string();
        assert!(early.contains("came after it was taken for complete"), "{early}");
    }

    #[test]
    fn tensors_made_outside_are_refused() {
        let (x, weight) = (parameter(&[5, 4], 0.1), parameter(&[4, 4], 0.0));
        let lost = Tape::record(|| gelu_erf(&(linear(&x, &weight, None)? * 2.0)?));
        assert!(lost.err().unwrap().to_string().contains("tape::region"));
        assert!(RECORDING.with_borrow(Option::is_none));
    }
}
