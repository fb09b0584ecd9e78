//! Labels decided on the card that found the probabilities.

use candle_core::Result;
use pulmoav_anatomy::marks;
use pulmoav_ops::device::to_host_bytes;
use pulmoav_ops::labels::{decide, refine};
use pulmoav_ops::resample::Lines;
use pulmoav_plan::{Crop, Plan};

use super::decide::Rules;
use super::planes::ways;
use super::walls;
use crate::boundary;
use crate::on_card::table;
use crate::prepare::Prepared;
use crate::tiles::OnCard;

/// As [`super::restore`] decides, walls following the scan where the plan says so.
///
/// # Shapes
/// → `[z, y, x]` of the canonical part.
///
/// # Errors
/// A card without room.
pub(super) fn labels(found: &OnCard, prepared: &Prepared, plan: &Plan, asked: &[usize]) -> Result<Vec<u8>> {
    let (inverse, device) = (&prepared.inverse, found.values.device());
    let size = inverse.part.shape();
    let lines = ways(inverse, found.shape);
    let lines = Lines::new(&[0, 1, 2].map(|axis| lines[axis].line(size[axis])), device)?;
    let table = table(prepared.anatomy.marks_in(&inverse.part, size), device)?;
    let limited = matches!(plan.crop, Crop::Lungs { .. });
    let rules = Rules::new(plan, asked).for_card(limited, prepared.lungs().is_some());
    let mut labels = decide(&found.values, found.part.low, &lines, &table, &rules)?;
    let spacing_mm = inverse.canonical.spacing_mm;
    if let (Some(settings), Some(scan), Some(_)) =
        (walls(plan, &prepared.inverse.canonical), &found.scan, prepared.lungs())
    {
        labels = refine(&labels, scan, &table, &boundary::for_card(settings, spacing_mm, marks::LUNG))?;
    }
    to_host_bytes(&labels)
}

#[cfg(all(test, feature = "cuda"))]
mod tests {
    use candle_core::{Device, Tensor};
    use pulmoav_ops::device::{Transfers, from_host};
    use pulmoav_plan::BoundaryRefinement;
    use pulmoav_task::Silent;
    use pulmoav_volume::{Orientation, Volume, Voxel};

    use super::*;
    use crate::fixture::{FakeNetwork, card, chest, plan};
    use crate::on_card::take;
    use crate::prepare::{part_of, prepare};
    use crate::restore::restore;
    use crate::tiles::{self, Shown};

    /// Asserts that a card decides as the host does, and gives the number of labelled voxels.
    fn check<T: Voxel>(ct: &Volume<T>, plan: &Plan, asked: &[usize], card: &Device, name: &str) -> usize {
        // Groups outside of the lungs are cleared by the host in either case.
        let plan = &Plan { postprocess: Some(plan.postprocesses()), ..plan.clone() };
        let prepared = prepare(ct, plan, &Silent).unwrap();
        let needed = tiles::needed(&prepared, plan);
        let shown = Shown { tile: plan.tiles.tile, batch: 1 };
        let found = tiles::run(&prepared, &needed, plan, shown, &[&FakeNetwork], asked, &Silent).unwrap();
        let expected = restore(ct, &found, &prepared, plan, asked, false).labels;
        let [depth, height, width] = found.part.shape();
        let values = from_host(found.values, (depth, height, width, asked.len()), card).unwrap();
        let scan = Some(take(&part_of(ct, &prepared.inverse).lying(), card).unwrap());
        let on_card = OnCard { values, part: found.part, shape: found.shape, scan };
        let before = Transfers::so_far();
        let mut labels = labels(&on_card, &prepared, plan, asked).unwrap();
        let moved = before.since();
        assert!(moved.downloads == 1 && moved.uploads <= 6, "{name}: {moved:?}");
        super::super::remove_strays(&mut labels, &prepared, plan);
        let differ = labels.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{name}: {differ} of {} voxels differ", labels.len());
        labels.iter().filter(|&&label| label != 0).count()
    }

    #[test]
    fn a_card_decides_as_the_host_does() {
        let Some(card) = card() else { return };
        let (ct, plan) = (chest(), plan());
        let mut raw = plan.clone();
        raw.postprocess = Some(false);
        for (name, plan, asked) in [
            ("artery and vein", plan.clone(), &[0, 1][..]),
            ("sides within wholes", plan.clone(), &[4, 3, 0, 2]),
            ("sides as the network sees them", raw, &[2, 3]),
            ("everywhere", Plan { crop: Crop::None, ..plan.clone() }, &[1, 0]),
            ("coarse voxels", Plan { spacing_mm: [1.7, 2.0, 2.5], ..plan.clone() }, &[0, 1, 4]),
        ] {
            assert!(check(&ct, &plan, asked, &card, name) > 500, "{name}");
        }
    }

    #[test]
    fn walls_follow_the_scan_as_on_the_host() {
        let Some(card) = card() else { return };
        let mut ct = chest();
        for (mm, axis) in [(3.0, 0), (2.9, 1), (2.9, 2)] {
            let share = mm / ct.grid.spacing_mm[axis];
            ct.grid.spacing_mm[axis] = mm;
            ct.grid.affine.0.iter_mut().take(3).for_each(|row| row[2 - axis] *= share);
        }
        let narrow = Volume { data: ct.data.iter().map(|&hu| hu as i16).collect::<Vec<_>>(), grid: ct.grid };
        let turned = Orientation { source: [1, 2, 0], flipped: [true, false, true] }.orient(&narrow);
        for (hu, reach_mm) in [(-400.0, 3.1), (-200.05, 9.0)] {
            let plan = Plan { walls: Some(BoundaryRefinement { hu, reach_mm }), ..plan() };
            let plain = Plan { walls: None, ..plan.clone() };
            let refined = check(&ct, &plan, &[0, 1], &card, "f32");
            assert_ne!(refined, check(&ct, &plain, &[0, 1], &card, "no walls"));
            assert_eq!(check(&narrow, &plan, &[0, 1], &card, "i16"), refined);
            check(&turned, &plan, &[0, 1], &card, "turned");
        }
    }

    #[test]
    fn values_beyond_the_box_are_none() {
        let Some(card) = card() else { return };
        let found = Tensor::ones((1, 1, 2, 1), candle_core::DType::F32, &card).unwrap();
        let line = |voxels: usize| pulmoav_ops::resample::Line::sums((0..voxels).map(|at| ([at; 2], [1.0, 0.0])));
        let lines = Lines::new(&[line(1), line(2), line(5)], &card).unwrap();
        let marks = marks::Marks { values: vec![4], shape: [1; 3], places: [1, 2, 5].map(|size| vec![Some(0); size]) };
        let rule = pulmoav_ops::labels::Rule { value: 9, narrower: 0, mask: 4, code: 4 };
        let labels = decide(&found, [0, 1, 2], &lines, &table(marks, &card).unwrap(), &[rule]).unwrap();
        assert_eq!(to_host_bytes(&labels).unwrap(), [0, 0, 0, 0, 0, 0, 0, 9, 9, 0]);
    }
}
