//! The gradients of a backward pass while it goes on, and which of them are complete.

use std::collections::{HashMap, HashSet};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId, Var, bail};

use super::node::Node;
use crate::dense::{collect_blocks, values};

/// Values that one task adds.
const BLOCK: usize = 1 << 16;

/// Takes the complete gradient of a variable.
pub(super) type Take<'a> = &'a mut dyn FnMut(TensorId, Tensor) -> Result<()>;

/// How many steps of a tape may still add to the gradient of each variable.
pub(super) struct Uses(HashMap<TensorId, usize>);

impl Uses {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let results: HashSet<TensorId> = nodes.iter().flat_map(Node::results).map(Tensor::id).collect();
        let mut uses = HashMap::new();
        for id in nodes.iter().flat_map(Node::variables).filter(|id| !results.contains(id)) {
            *uses.entry(id).or_default() += 1;
        }
        Self(uses)
    }

    /// Ends a step, and hands on the gradients that are complete now.
    pub(super) fn end(&mut self, node: &Node, gradients: &mut Gradients, take: Take) -> Result<()> {
        for id in node.variables() {
            let Some(left) = self.0.get_mut(&id) else { continue };
            *left -= 1;
            if *left == 0
                && let Some(gradient) = gradients.hand_over(id)
            {
                take(id, gradient)?;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Gradients {
    held: HashMap<TensorId, Tensor>,
    /// Whose gradients were handed on: nothing may be added to them any more.
    gone: HashSet<TensorId>,
}

impl Gradients {
    pub(super) fn take(&mut self, result: &Tensor) -> Option<Tensor> {
        self.held.remove(&result.id())
    }

    fn hand_over(&mut self, id: TensorId) -> Option<Tensor> {
        self.gone.insert(id);
        self.held.remove(&id)
    }

    /// What is left at the end.
    pub(super) fn into_store(self) -> GradStore {
        let mut store = GradStore::default();
        for (id, gradient) in self.held {
            store.insert_id(id, gradient);
        }
        store
    }

    /// Takes the gradients of a part that was walked through apart; `inputs` are its own inputs, outside and inside.
    pub(super) fn take_over<'a>(
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

    pub(super) fn offer(&mut self, to: &Tensor, gradient: Option<Tensor>) -> Result<()> {
        match gradient {
            Some(gradient) if to.track_op() => self.add(to.id(), gradient),
            _ => Ok(()),
        }
    }

    pub(super) fn add(&mut self, id: TensorId, gradient: Tensor) -> Result<()> {
        if self.gone.contains(&id) {
            bail!("tape: a gradient of shape {:?} came after it was taken for complete", gradient.dims());
        }
        let sum = match self.held.remove(&id) {
            None => gradient,
            Some(before) => sum(&before.contiguous()?, &gradient.contiguous()?)?,
        };
        self.held.insert(id, sum);
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
