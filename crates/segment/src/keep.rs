//! Lungs and airways beside the vessels in a label map.

use pulmoav_anatomy::Structure;
use pulmoav_plan::Plan;
use pulmoav_volume::crop::View;
use pulmoav_volume::{Volume, Voxel};
use rayon::prelude::*;

use crate::error::SegmentError;
use crate::prepare::Prepared;

/// What can be kept, in the order of the values that it gets.
pub const KEEPABLE: [Structure; 3] = [Structure::LeftLung, Structure::RightLung, Structure::Airways];

/// Voxels that one task fills.
const BLOCK: usize = 1 << 16;

/// A structure that was kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Value in the label map.
    pub value: u8,
    /// Which.
    pub structure: Structure,
    /// Voxels with this value: a lung without the vessels that were found in it.
    pub voxels: u64,
    /// Their volume, ml.
    pub volume_ml: f64,
}

/// Fills label 0 with the structures of `values`, where they are.
///
/// # Shapes
/// `labels` and `ct`: `[z, y, x]` on the scan's own grid.
pub fn keep(labels: &mut Volume<u8>, ct: &Volume<impl Voxel>, prepared: &Prepared, values: &[(Structure, u8)]) {
    if values.is_empty() {
        return;
    }
    let mut value_of = [0u8; 256];
    for &(structure, value) in values {
        value_of[structure.value() as usize] = value;
    }
    let structures = structures_of(ct, prepared);
    labels.data.par_iter_mut().zip(structures).with_min_len(BLOCK).for_each(|(label, structure)| {
        if *label == 0 {
            *label = value_of[structure as usize];
        }
    });
}

/// The values of what is asked for, the first ones above all of the plan's: each structure has the same one in every
/// label map of a model, whatever else is kept.
///
/// # Errors
/// `ERR_USAGE` for anything but lungs and airways, and where the plan leaves no values for them.
pub fn values(asked: &[Structure], plan: &Plan) -> Result<Vec<(Structure, u8)>, SegmentError> {
    let refused = |structure: Structure, reason| SegmentError::Keep { name: structure.name(), reason };
    if let Some(&other) = asked.iter().find(|structure| !KEEPABLE.contains(structure)) {
        return Err(refused(other, "only lungs and airways can be"));
    }
    let highest = plan.targets.iter().map(|target| target.value).max().unwrap_or(0);
    let places = KEEPABLE.into_iter().zip(1u8..).filter(|(structure, _)| asked.contains(structure));
    places
        .map(|(structure, place)| match highest.checked_add(place) {
            Some(value) => Ok((structure, value)),
            None => Err(refused(structure, "the model's own values reach too close to 255")),
        })
        .collect()
}

/// How much was kept; `counts` are the voxels of each label.
pub fn measured(values: &[(Structure, u8)], counts: &[u64; 256], voxel_ml: f64) -> Vec<Kept> {
    let kept = values.iter().map(|&(structure, value)| {
        let voxels = counts[value as usize];
        Kept { value, structure, voxels, volume_ml: voxels as f64 * voxel_ml }
    });
    kept.collect()
}

/// Values of [`Structure`] on the scan's own grid.
fn structures_of(ct: &Volume<impl Voxel>, prepared: &Prepared) -> Vec<u8> {
    let (moves, canonical) = (prepared.inverse.orientation, prepared.inverse.canonical);
    let hu = View::new(&ct.data, ct.grid.shape).reordered(moves.source, moves.flipped);
    moves.inverse().orient_data(&prepared.anatomy.label_map(&hu), canonical.shape, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;
    use crate::fixture::{FakeNetwork, chest, plan};
    use crate::pipeline::{Segmentation, segment};
    use pulmoav_task::Silent;
    use pulmoav_volume::Orientation;

    fn run(ct: &Volume<f32>, keep: &[Structure]) -> Segmentation {
        let request = Request { keep: keep.to_vec(), ..Request::default() };
        segment(ct, &plan(), &[&FakeNetwork], &request, &Silent).unwrap()
    }

    #[test]
    fn lungs_fill_what_vessels_leave() {
        let ct = chest();
        let (alone, beside) = (run(&ct, &[]), run(&ct, &[Structure::RightLung, Structure::LeftLung]));
        assert!(alone.structures.is_empty());
        assert_eq!(alone.targets, beside.targets);
        let middle = ct.grid.shape[2] / 2;
        for (index, (&alone, &beside)) in alone.labels.data.iter().zip(&beside.labels.data).enumerate() {
            let x = index % ct.grid.shape[2];
            match beside {
                8 => assert!(alone == 0 && x < middle + 2),
                9 => assert!(alone == 0 && x > middle - 2),
                _ => assert_eq!(alone, beside),
            }
        }
        let kept: Vec<(u8, &str)> = beside.structures.iter().map(|kept| (kept.value, kept.structure.name())).collect();
        assert_eq!(kept, [(8, "left lung"), (9, "right lung")]);
        for kept in &beside.structures {
            let voxels: u64 = beside.labels.data.iter().map(|&label| u64::from(label == kept.value)).sum();
            assert!(voxels > 10_000 && kept.voxels == voxels, "{kept:?}");
            assert!((kept.volume_ml - voxels as f64 * ct.grid.voxel_ml()).abs() < 1e-9);
        }
    }

    #[test]
    fn orientation_changes_nothing() {
        let (ct, all) = (chest(), KEEPABLE);
        let expected = run(&ct, &all);
        let moves = Orientation { source: [2, 0, 1], flipped: [true, false, true] };
        let found = run(&moves.orient(&ct), &all);
        assert!(found.labels.data == moves.orient(&expected.labels).data);
        assert_eq!(found.structures, expected.structures);
    }

    #[test]
    fn values_stand_above_the_plans_and_depend_on_nothing_else() {
        let mut plan = plan();
        let [left, right, airways] = KEEPABLE;
        assert_eq!(values(&[], &plan).unwrap(), []);
        assert_eq!(values(&[airways], &plan).unwrap(), [(airways, 10)]);
        assert_eq!(values(&[airways, left, right], &plan).unwrap(), [(left, 8), (right, 9), (airways, 10)]);
        assert_eq!(values(&[Structure::Body], &plan).unwrap_err().code(), "ERR_USAGE");
        plan.targets[0].value = 253;
        assert_eq!(values(&[left, right], &plan).unwrap(), [(left, 254), (right, 255)]);
        assert!(values(&[airways], &plan).unwrap_err().to_string().contains("255"));
    }
}
