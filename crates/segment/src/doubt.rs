//! How far the network doubts which class a vessel is.
//!
//! Of the voxels in the lungs that the network calls vessel (probability a of artery or v of vein at least a half), the
//! mean share of the class that it finds less probable:
//!
//! ```text
//! doubt = mean of min(a, v) / (a + v)
//! ```
//!
//! 0 is certain of every voxel, 0.5 knows nothing. Were the probabilities calibrated, it would be the share of voxels
//! with the wrong class; how it follows that share in phantoms is in `docs/guides/sanity.md`.

use candle_core::{D, Tensor};
use pulmoav_ops::device::{from_host, is_out_of_memory, to_host};
use pulmoav_plan::{Plan, VesselClass};
use pulmoav_task::Warning;
use rayon::prelude::*;

use crate::error::SegmentError;
use crate::prepare::Prepared;
use crate::tiles::{Found, OnCard, Probabilities};

/// Above this a user should know: clearly more than any phantom has (`docs/guides/sanity.md`).
const UNCLEAR: f64 = 0.066;
/// A voxel is a vessel from this probability on.
const VESSEL: f32 = 0.5;
/// Planes that a card looks at together, which bounds what that takes.
const PLANES: usize = 16;

/// The doubt, by what each of the `maps` found speaks of; `None` without maps of both classes or without a vessel,
/// and where a card has no room for it.
///
/// # Errors
/// What a card returned.
pub(crate) fn doubt(
    found: &Found,
    prepared: &Prepared,
    plan: &Plan,
    maps: &[usize],
) -> Result<Option<f64>, SegmentError> {
    let of = |class: VesselClass| -> Vec<usize> {
        (0..maps.len()).filter(|&map| plan.targets[maps[map]].classes == [class]).collect()
    };
    let classes = [VesselClass::Artery, VesselClass::Vein].map(of);
    let Some(sides) = prepared.sides().filter(|_| classes.iter().all(|maps| !maps.is_empty())) else {
        return Ok(None);
    };
    let [shares, vessels] = match found {
        Found::OnHost(found) => on_host(found, &sides, &classes),
        Found::OnCard(found) => match on_card(found, &sides, &classes) {
            Err(error) if is_out_of_memory(&error) => return Ok(None),
            sums => sums?,
        },
    };
    Ok((vessels > 0.0).then(|| shares / vessels))
}

/// What a user should know of a large doubt.
pub(crate) fn warning(doubt: f64) -> Option<Warning> {
    (doubt > UNCLEAR).then(|| {
        let percent = 100.0 * doubt;
        Warning::new(
            "CLASSES_UNCLEAR",
            format!(
                "the network doubts which vessels are arteries and which veins: to the class that it finds less probable \
                 it gives {percent:.0} % on average; expect more of them to be exchanged than its card says, and look at \
                 the labels"
            ),
        )
    })
}

/// The sum of the shares, and the number of vessel voxels.
///
/// # Shapes
/// `sides`: `[z, y, x]` of the plan's grid.
fn on_host(found: &Probabilities, sides: &[u8], classes: &[Vec<usize>; 2]) -> [f64; 2] {
    let [_, height, width] = found.shape;
    let (low, high) = (found.part.low, found.part.high);
    // Summed plane by plane, so that the number of threads changes no bit.
    let planes: Vec<[f64; 2]> = (low[0]..high[0])
        .into_par_iter()
        .map(|z| {
            let mut sums = [0.0; 2];
            for y in low[1]..high[1] {
                let Some(row) = found.row(z, y) else { continue };
                let sides = &sides[(z * height + y) * width + low[2]..][..high[2] - low[2]];
                for (values, _) in row.chunks_exact(found.prompts).zip(sides).filter(|&(_, &side)| side != 0) {
                    let [artery, vein] =
                        [0, 1].map(|class: usize| classes[class].iter().fold(0f32, |most, &map| most.max(values[map])));
                    if artery.max(vein) >= VESSEL {
                        sums[0] += f64::from(artery.min(vein) / (artery + vein));
                        sums[1] += 1.0;
                    }
                }
            }
            sums
        })
        .collect();
    planes.iter().fold([0.0; 2], |sum, plane| [sum[0] + plane[0], sum[1] + plane[1]])
}

/// As [`on_host`].
fn on_card(found: &OnCard, sides: &[u8], classes: &[Vec<usize>; 2]) -> candle_core::Result<[f64; 2]> {
    let [_, height, width] = found.shape;
    let (low, size) = (found.part.low, found.part.shape());
    let inside = |index: usize| {
        let (z, y, x) = (index / (size[1] * size[2]), index / size[2] % size[1], index % size[2]);
        let at = ((low[0] + z) * height + low[1] + y) * width + low[2] + x;
        f32::from(u8::from(sides[at] != 0))
    };
    let inside: Vec<f32> = (0..size.iter().product()).into_par_iter().map(inside).collect();
    let inside = from_host(inside, (size[0], size[1], size[2]), found.values.device())?;
    let mut sums: Vec<Tensor> = Vec::new();
    for first in (0..size[0]).step_by(PLANES) {
        let count = PLANES.min(size[0] - first);
        let values = found.values.narrow(0, first, count)?;
        let of = |class: usize| -> candle_core::Result<Tensor> {
            let maps: Vec<Tensor> =
                classes[class].iter().map(|&map| values.narrow(D::Minus1, map, 1)).collect::<Result<_, _>>()?;
            Tensor::cat(&maps, D::Minus1)?.max(D::Minus1)
        };
        let (artery, vein) = (of(0)?, of(1)?);
        let vessel = artery.maximum(&vein)?.ge(f64::from(VESSEL))?.to_dtype(artery.dtype())?;
        let counted = (vessel * inside.narrow(0, first, count)?)?;
        let total = ((&artery + &vein)? + f64::from(f32::MIN_POSITIVE))?;
        let share = (artery.minimum(&vein)? / total)?;
        sums.push(Tensor::stack(&[(share * &counted)?.sum_all()?, counted.sum_all()?], 0)?);
    }
    let sums = to_host(&Tensor::cat(&sums, 0)?)?;
    let of = |which: usize| sums.iter().skip(which).step_by(2).map(|&sum: &f32| f64::from(sum)).sum();
    Ok([of(0), of(1)])
}

#[cfg(test)]
mod tests {
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::VoxelBox;

    use super::*;
    use crate::fixture::{chest, plan};
    use crate::prepare::prepare;

    /// Probabilities that are the same everywhere.
    fn everywhere(prepared: &Prepared, values: &[f32]) -> Found {
        let shape = prepared.shape;
        let voxels: usize = shape.iter().product();
        let part = VoxelBox::whole(shape);
        Found::OnHost(Probabilities { values: values.repeat(voxels), part, shape, prompts: values.len() })
    }

    #[test]
    fn the_share_of_the_other_class_is_the_doubt() {
        let (ct, plan) = (chest(), plan());
        let prepared = prepare(&ct, &plan, &Silent).unwrap();
        let of =
            |maps: &[usize], values: &[f32]| doubt(&everywhere(&prepared, values), &prepared, &plan, maps).unwrap();
        let named = |name: &str| plan.targets.iter().position(|target| target.name == name).unwrap();
        let (artery, vein) = (named("artery"), named("vein"));
        assert!((of(&[artery, vein], &[0.6, 0.2]).unwrap() - 0.25).abs() < 1e-6);
        assert!((of(&[vein, artery], &[0.9, 0.9]).unwrap() - 0.5).abs() < 1e-6);
        assert_eq!(of(&[artery, vein], &[0.4, 0.4]), None, "no vessel");
        assert_eq!(of(&[artery], &[0.9]), None, "one class");
        // The most probable map of a class speaks for it.
        let sided = [named("left artery"), named("right artery"), vein];
        assert!((of(&sided, &[0.1, 0.6, 0.2]).unwrap() - 0.25).abs() < 1e-6);
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn a_card_doubts_as_the_host_does() {
        let Some(card) = crate::fixture::card() else { return };
        let (ct, plan) = (chest(), plan());
        let prepared = prepare(&ct, &plan, &Silent).unwrap();
        let shape = prepared.shape;
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>() * 2).map(|i| (i * 7919 % 1000) as f32 / 999.0).collect();
        let part = VoxelBox { low: [3, 0, 2], high: [shape[0], shape[1] - 1, shape[2]] };
        let [depth, height, width] = part.shape();
        let values = values[..depth * height * width * 2].to_vec();
        let on_card = from_host(values.clone(), (depth, height, width, 2), &card).unwrap();
        let host = Found::OnHost(Probabilities { values, part, shape, prompts: 2 });
        let other = Found::OnCard(OnCard { values: on_card, part, shape, scan: None });
        let [host, other] = [host, other].map(|found| doubt(&found, &prepared, &plan, &[0, 1]).unwrap().unwrap());
        assert!((host - other).abs() < 1e-4, "{host} {other}");
    }
}
