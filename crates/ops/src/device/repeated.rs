//! Work that a device does again and again, each time on an input of the same shape. A card is given its launches as one
//! (a CUDA graph) from the second time on: the host has little to do then, and the card never waits for it.

use std::borrow::Cow;
use std::fmt::Display;

#[cfg(feature = "cuda")]
use candle_core::{DType, Shape};
use candle_core::{Device, Error, Tensor};

#[cfg(feature = "cuda")]
use super::graph::Graph;

/// Inputs of one shape that recording is worth: the first is answered launch by launch.
#[cfg(feature = "cuda")]
const MIN_TIMES: usize = 3;
/// Where it is 0, nothing is recorded.
#[cfg(feature = "cuda")]
const SWITCH: &str = "PULMOAV_CUDA_GRAPHS";

/// Work for inputs of one shape. Answers are those of the work itself, to the bit.
///
/// An answer lies where the next one will, so that none is there any more when the next input comes:
///
/// ```compile_fail,E0499
/// # use candle_core::{Device, Error, Tensor};
/// # use pulmoav_ops::device::Repeated;
/// # fn two(mut repeated: Repeated, inputs: [Tensor; 2]) -> Result<Tensor, Error> {
/// let [first, second] = inputs;
/// let first = repeated.run(first, |input| input.sqr())?;
/// let second = repeated.run(second, |input| input.sqr())?;
/// first.as_ref() + second.as_ref()
/// # }
/// ```
#[derive(Debug)]
pub struct Repeated {
    #[cfg(feature = "cuda")]
    state: State,
    refused: Option<String>,
}

#[cfg(feature = "cuda")]
#[derive(Debug)]
enum State {
    /// Launch by launch.
    Plain,
    /// To be recorded; shapes and types of the first input and its answer, once there was one.
    New(Option<[Kind; 2]>),
    Recorded(Graph),
}

/// Shape and type of a tensor.
#[cfg(feature = "cuda")]
pub(super) type Kind = (Shape, DType);

#[cfg(feature = "cuda")]
fn kind(tensor: &Tensor) -> Kind {
    (tensor.shape().clone(), tensor.dtype())
}

impl Repeated {
    /// For work on a device, of which so many inputs of one shape are expected. It is recorded on a card if they are
    /// enough and `PULMOAV_CUDA_GRAPHS` is not 0.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
    pub fn new(device: &Device, times: usize) -> Self {
        #[cfg(feature = "cuda")]
        let is_worth =
            device.is_cuda() && times >= MIN_TIMES && std::env::var_os(SWITCH).is_none_or(|value| value != "0");
        Self {
            #[cfg(feature = "cuda")]
            state: if is_worth { State::New(None) } else { State::Plain },
            refused: None,
        }
    }

    /// The answer to an input, which holds until the next input. The work must be the same each time but for the
    /// values of its input: launches on the input's device, which nothing comes back from to the host. From an input of
    /// another shape on there is no recording.
    ///
    /// # Errors
    /// What the work returns; a launch that the device refuses. What cannot be recorded is no error: see
    /// [`Repeated::refused`].
    #[cfg_attr(not(feature = "cuda"), allow(clippy::needless_pass_by_ref_mut))]
    pub fn run<E: From<Error> + Display>(
        &mut self,
        input: Tensor,
        work: impl Fn(Tensor) -> Result<Tensor, E>,
    ) -> Result<Cow<'_, Tensor>, E> {
        #[cfg(feature = "cuda")]
        {
            self.state = self.next(&input, &work);
            match &mut self.state {
                State::Recorded(graph) => return Ok(Cow::Borrowed(graph.replay(&input)?)),
                State::New(seen) => {
                    let of_input = kind(&input);
                    let answer = super::graph::prepared(&input, work)?;
                    *seen = Some([of_input, kind(&answer)]);
                    return Ok(Cow::Owned(answer));
                }
                State::Plain => {}
            }
        }
        Ok(Cow::Owned(work(input)?))
    }

    /// Why work that was to be recorded is launched piece by piece.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// How an input is to be answered.
    #[cfg(feature = "cuda")]
    fn next<E: From<Error> + Display>(&mut self, input: &Tensor, work: &impl Fn(Tensor) -> Result<Tensor, E>) -> State {
        match std::mem::replace(&mut self.state, State::Plain) {
            State::New(None) => State::New(None),
            State::New(Some([first, answer])) if first == kind(input) => {
                Graph::record(input, &answer, work).map(State::Recorded).unwrap_or_else(|why| {
                    self.refused = Some(why);
                    State::Plain
                })
            }
            State::Recorded(graph) if graph.takes(input) => State::Recorded(graph),
            // What a recording holds is free for the work itself now.
            State::New(Some(_)) | State::Recorded(_) | State::Plain => State::Plain,
        }
    }
}
