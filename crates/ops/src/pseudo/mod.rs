//! Labels that a network gives to voxels which nobody labelled, where it is sure enough; what they say of targets, and
//! what was seen of each class.
//!
//! A voxel's code tells its label (bits 0–1: 0 none, 1 and 2 the two classes), its side ([`RIGHT_BIT`]), whether a
//! reference speaks of it ([`SUPERVISED_BIT`]), and whether it is left out ([`IGNORE_BIT`]). With the probabilities a and b
//! of the classes, each the largest of the maps that speak of it on that side,
//!
//! ```text
//! odds of none : first : second = (1 − a)(1 − b) : a (1 − b) : b (1 − a)
//! ```
//!
//! give the label and, as shares of their sum, its confidence. Of a device only counts come back.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;

use candle_core::{Result, Tensor, bail};

use crate::device::{from_host, to_host_bytes, with_host};
pub use crate::loss::CODES;
use crate::loss::Targets;

/// The bits of the label.
pub const LABEL_BITS: u8 = 0b0011;
/// Set on the right side.
pub const RIGHT_BIT: u8 = 0b0100;
/// Set where a reference speaks.
pub const SUPERVISED_BIT: u8 = 0b1000;
/// In codes that come out: the label counts.
pub const ACCEPTED_BIT: u8 = 0b1_0000;
/// Set where nothing is learnt.
pub const IGNORE_BIT: u8 = 0b100_0000;
/// None, first and second.
pub const CLASSES: usize = 3;

/// What a map of the network speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// Its class, 1 or 2; 0 where it speaks of no class alone.
    pub class: u8,
    /// The side that it is confined to, as the code's bit.
    pub side: Option<u8>,
}

/// What is known of a sample.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Whether the reference knows the first class, and the second.
    pub knows: [bool; 2],
    /// Of each map, the target's byte of each code that comes out.
    pub table: Vec<[u8; CODES]>,
}

/// What was seen of one class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// Voxels without a reference that were given the class.
    pub voxels: u64,
    /// How many of them count.
    pub accepted: u64,
    /// The sum of their confidences.
    pub confidence: f64,
    /// Voxels whose reference knows the class and gives it.
    pub referenced: u64,
    /// Voxels whose reference knows the class and the network gives it.
    pub predicted: u64,
    /// Those that both give it.
    pub agreed: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.voxels += other.voxels;
        self.accepted += other.accepted;
        self.confidence += other.confidence;
        self.referenced += other.referenced;
        self.predicted += other.predicted;
        self.agreed += other.agreed;
    }
}

/// What is asked of every voxel.
struct Rules<'a> {
    roles: &'a [Role],
    samples: &'a [Sample],
    /// Least confidence of each class.
    thresholds: [f64; CLASSES],
    voxels: usize,
}

/// Labels voxels; targets lie beside the logits, in their shape.
///
/// # Shapes
/// `logits` `[n, z, y, x, maps]`, `codes` u8 `[n, z, y, x]`; n samples, maps roles and tables.
///
/// # Errors
/// Shapes or devices that differ; logits that are not contiguous; a device without room.
pub fn label(
    logits: &Tensor,
    codes: &Tensor,
    roles: &[Role],
    samples: &[Sample],
    thresholds: [f64; CLASSES],
) -> Result<(Targets, [Counts; CLASSES])> {
    let &[n, z, y, x, maps] = logits.dims() else { bail!("pseudo: logits have shape {:?}", logits.dims()) };
    let voxels = z * y * x;
    let fits = samples.iter().all(|sample| sample.table.len() == maps);
    if codes.dims() != [n, z, y, x] || samples.len() != n || roles.len() != maps || !fits {
        let (logits, codes) = (logits.dims(), codes.dims());
        bail!(
            "pseudo: logits of {logits:?} met codes of {codes:?}, {} samples and {} roles",
            samples.len(),
            roles.len()
        );
    }
    let rules = Rules { roles, samples, thresholds, voxels };
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() {
        return cuda::label(logits, codes, &rules);
    }
    let codes = to_host_bytes(codes)?;
    let (bytes, counts) = with_host(logits, |logits| cpu::label(logits, &codes, &rules))?;
    Ok((Targets::of(from_host(bytes, logits.shape(), logits.device())?), counts))
}
