//! The gradients of one step: of this process's batches, and with the last of them their sums over all ranks, which are
//! taken while the backward pass goes on.

use candle_core::{Result, Tensor, Var, backprop::GradStore};
use pulmoav_ops::{Exchange, Ranks, tape::Tape};

use crate::optimizer::Slot;

/// What was gathered so far.
pub(crate) struct StepGradients<'a> {
    own: GradStore,
    /// With other ranks.
    sums: Option<Sums<'a>>,
}

struct Sums<'a> {
    /// The parameters that are trained, in the order of the slots.
    trained: Vec<Var>,
    exchange: Exchange<'a, Var>,
}

impl<'a> StepGradients<'a> {
    /// None yet.
    pub(crate) fn new(ranks: Option<&'a Ranks>, slots: &[Slot]) -> Self {
        let sums = ranks.map(|ranks| Sums {
            trained: slots.iter().map(|slot| slot.var.clone()).collect(),
            exchange: ranks.exchange(slots.iter().map(|slot| slot.var.elem_count()).sum()),
        });
        Self { own: GradStore::default(), sums }
    }

    /// Takes the gradients of a batch. Those of the `last` one complete what this process has to give, so each goes out
    /// to the other ranks as soon as it is computed.
    pub(crate) fn take(&mut self, tape: Tape, seeds: Vec<(Tensor, Tensor)>, last: bool) -> Result<()> {
        let own = &mut self.own;
        let Some(Sums { trained, exchange }) = self.sums.as_mut().filter(|_| last) else {
            return own.extend(tape.backward(seeds)?);
        };
        tape.backward_into(seeds, &mut |id, gradient| {
            let Some(var) = trained.iter().find(|var| var.id() == id) else { return Ok(()) };
            let gradient = match own.remove(var) {
                Some(before) => (before + gradient)?,
                None => gradient,
            };
            exchange.add(var.clone(), gradient.detach())
        })?;
        Ok(())
    }

    /// Every gradient, summed over all ranks where there are several.
    pub(crate) fn finish(mut self) -> Result<GradStore> {
        let Some(Sums { trained, mut exchange }) = self.sums else { return Ok(self.own) };
        for var in trained {
            // Of a parameter that the last batch had no use for.
            if let Some(gradient) = self.own.remove(&var) {
                exchange.add(var, gradient)?;
            }
        }
        let mut sums = GradStore::default();
        for (var, sum) in exchange.finish()? {
            sums.insert(&var, sum);
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use pulmoav_ops::{linear, optimizer::State};

    use super::*;

    fn slots() -> Vec<Slot> {
        let slot = |number: u8| {
            let values: Vec<f32> = (0..9).map(|at| ((at * 7 + usize::from(number)) % 5) as f32 - 2.0).collect();
            let var = Var::from_vec(values, (3, 3), &Device::Cpu).unwrap();
            Slot { name: number.to_string(), var, first: State::zeros(9, &Device::Cpu).unwrap(), second: None }
        };
        (0..5).map(slot).collect()
    }

    /// A chain of the layers, but for the last one where a batch leaves it out.
    fn batch(slots: &[Slot], without_last: bool) -> (Tape, Vec<(Tensor, Tensor)>) {
        let x = Tensor::new(&[[1.0_f32, -2.0, 0.5]], &Device::Cpu).unwrap();
        let used = &slots[..slots.len() - usize::from(without_last)];
        let (y, tape) =
            Tape::record(|| used.iter().try_fold(x.clone(), |x, slot| linear(&x, &slot.var, None))).unwrap();
        (tape, vec![(y, x)])
    }

    #[test]
    fn sums_are_those_after_the_pass_and_start_before_its_end() {
        let slots = slots();
        let gather = |ranks: Option<&Ranks>| {
            let mut gradients = StepGradients::new(ranks, &slots);
            for (number, without_last) in [false, false, true].into_iter().enumerate() {
                let (tape, seeds) = batch(&slots, without_last);
                gradients.take(tape, seeds, number == 2).unwrap();
            }
            let sent = gradients.sums.as_ref().map(|sums| sums.exchange.sent());
            let store = gradients.finish().unwrap();
            let flat = |slot: &Slot| store.get(&slot.var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (slots.iter().map(flat).collect::<Vec<_>>(), sent)
        };
        let (alone, none) = gather(None);
        let (together, sent) = gather(Some(&Ranks::alone()));
        assert_eq!(alone, together);
        // The gradient of the last layer comes from the batches before.
        assert_eq!((none, sent), (None, Some(4)));
    }
}
