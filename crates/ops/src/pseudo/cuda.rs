//! The kernel of [`super::label`].

use candle_core::{DType, Result, Tensor};

use super::{CLASSES, Counts, Role, Rules};
use crate::cuda::{Kernel, Operand, Output, Size, embedded, new_bytes, tensor_of_bytes, whole, with_bytes};
use crate::device::{from_host, to_host};
use crate::loss::Targets;

/// As in `kernels.cu`.
const THREADS: usize = 256;
const SPAN: usize = 4096;
const KINDS: usize = 6;
const SIDED: u8 = 8;

/// See [`super::cpu::label`]; counts of blocks are added on the host in their order.
pub(super) fn label(logits: &Tensor, codes: &Tensor, rules: &Rules) -> Result<(Targets, [Counts; CLASSES])> {
    let operand = Operand::new(logits);
    let (values, device) = (operand.values()?, operand.device()?);
    let (samples, maps) = (rules.samples.len(), rules.roles.len());
    let words = words(rules);
    let count = words.len();
    let words = from_host(words, count, logits.device())?;
    let blocks = rules.voxels.div_ceil(SPAN);
    let mut parts = Output::new(device, DType::F32, samples * blocks * CLASSES * KINDS)?;
    let mut targets = new_bytes(device, values.len())?;
    let (voxels, width, [none, first, second]) = (rules.voxels as i64, whole(maps)?, rules.thresholds);
    with_bytes(codes, |codes| {
        with_bytes(&words, |words| {
            let kernel = Kernel::of(device, &embedded::PSEUDO, &values.kernel("pseudo_label"))?;
            let launch = kernel.launch().input(&values).bytes(codes).bytes(words).new_bytes(&mut targets);
            let launch = launch.output(&mut parts).value(&voxels).value(&width);
            let launch = launch.value(&none).value(&first).value(&second);
            launch.run(Size::of_blocks([blocks, samples, 1], THREADS))
        })
    })?;
    let targets = Targets::of(tensor_of_bytes(targets, device, logits.shape()));
    let parts = to_host(&parts.into_tensor(device, samples * blocks * CLASSES * KINDS))?;
    let mut counts = [Counts::default(); CLASSES];
    for (at, part) in parts.chunks_exact(KINDS).enumerate() {
        counts[at % CLASSES].add(&Counts {
            voxels: part[0] as u64,
            accepted: part[1] as u64,
            confidence: f64::from(part[2]),
            referenced: part[3] as u64,
            predicted: part[4] as u64,
            agreed: part[5] as u64,
        });
    }
    Ok((targets, counts))
}

/// Of each sample: what is known, the roles, the tables.
fn words(rules: &Rules) -> Vec<u8> {
    let role = |role: &Role| role.class | role.side.map_or(0, |side| SIDED | side);
    let mut words = Vec::new();
    for sample in rules.samples {
        words.push(u8::from(sample.knows[0]) | u8::from(sample.knows[1]) << 1);
        words.extend(rules.roles.iter().map(role));
        words.extend(sample.table.iter().flatten());
    }
    words
}
