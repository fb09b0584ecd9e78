//! Boundary refinement: where vessels end in the lungs, on the scan's own grid.
//!
//! The plan's grid is as coarse as a small vessel is wide, and what the network says there is blurred further. Where
//! lung meets blood the scan itself tells which voxels are at least half filled: those above the value half-way between
//! the lung and the vessel, as bright as it gets there (its half maximum). So a label ends there, and reaches there.
//! Outside the lungs vessels lie in tissue as bright as they are: what the network says stands.

use std::ops::Range;

use pulmoav_ops::labels::Walls;
use pulmoav_plan::BoundaryRefinement;
use pulmoav_volume::Voxel;
use pulmoav_volume::crop::View;
use rayon::prelude::*;

/// Lung without vessels, and blood; more than that is contrast or noise, and would hide the wall of what lies beside.
const LUNG_HU: f32 = -870.0;
const BRIGHTEST_HU: f32 = 70.0;
/// A vessel is as bright as its brightest voxel this near.
const PEAK_MM: f64 = 2.0;
/// No wall is darker than this: half of a vessel that a blurred scan shows at -430 HU.
const DARKEST_HU: f32 = -650.0;
/// Planes that are refined at a time.
const BLOCK: usize = 32;
/// In thicker slices a dim voxel is not blurred but less than half filled.
const THICK_MM: f64 = 3.0;

/// Clears labels of lung voxels below half their vessel's maximum; gives voxels that have no label, but are above that
/// and above `settings.hu`, the nearest label within `settings.reach_mm`, of equally near ones the lowest.
///
/// # Shapes
/// `labels` and `hu`: `[z, y, x]` on one grid of `spacing_mm`; `lungs(z)`: `[y, x]`, 0 outside the lungs.
pub fn refine(
    labels: &mut [u8],
    hu: &View<'_, impl Voxel>,
    lungs: impl Fn(usize) -> Vec<u8> + Sync,
    settings: BoundaryRefinement,
    spacing_mm: [f64; 3],
) {
    let [depth, height, width] = hu.shape();
    let mut found = Found::new(hu.shape(), near(settings.reach_mm, spacing_mm));
    let peak = Peak { around: near(PEAK_MM, spacing_mm), darkest_hu: darkest_hu(settings, spacing_mm) };
    let refine_row = |[z, y]: [usize; 2], found: &Found, row: &[f32], labels: &mut [u8], lungs: &[u8]| {
        for x in (0..width).filter(|&x| lungs[x] != 0) {
            let place = [z, y, x];
            if labels[x] != 0 {
                if peak.is_below_half(row[x], hu, place) {
                    labels[x] = 0;
                }
            } else if f64::from(row[x]) > settings.hu {
                let nearest = found.nearest(place);
                if nearest != 0 && !peak.is_below_half(row[x], hu, place) {
                    labels[x] = nearest;
                }
            }
        }
    };
    let plane = height * width;
    for first in (0..depth).step_by(BLOCK) {
        let block = first..(first + BLOCK).min(depth);
        found.go_to(&block, labels);
        let planes = labels[block.start * plane..block.end * plane].par_chunks_mut(plane).zip(block);
        planes.for_each_init(
            || vec![0f32; width],
            |buffer, (labels, z)| {
                let lungs = lungs(z);
                for (y, (labels, lungs)) in labels.chunks_exact_mut(width).zip(lungs.chunks_exact(width)).enumerate() {
                    refine_row([z, y], &found, hu.values(z, y, buffer), labels, lungs);
                }
            },
        );
    }
}

/// The same for a device, which knows lungs by this bit of its table.
pub(crate) fn for_card(settings: BoundaryRefinement, spacing_mm: [f64; 3], lung: u8) -> Walls {
    let nearest = settings.hu as f32;
    Walls {
        // The largest f32 that is not above: the same voxels are above it.
        above: if f64::from(nearest) > settings.hu { nearest.next_down() } else { nearest },
        darkest: darkest_hu(settings, spacing_mm),
        dim: LUNG_HU,
        bright: BRIGHTEST_HU,
        near: ranked(&near(settings.reach_mm, spacing_mm)),
        peak: ranked(&near(PEAK_MM, spacing_mm)),
        mask: lung,
    }
}

/// Steps with the rank of their length.
fn ranked(steps: &[(f64, [isize; 3])]) -> Vec<[i32; 4]> {
    let mut rank = 0;
    let lengths = steps.iter().enumerate().map(|(at, step)| {
        rank += i32::from(at > 0 && step.0 > steps[at - 1].0);
        let [z, y, x] = step.1.map(|by| by as i32);
        [z, y, x, rank]
    });
    lengths.collect()
}

fn darkest_hu(settings: BoundaryRefinement, spacing_mm: [f64; 3]) -> f32 {
    if spacing_mm.iter().any(|&mm| mm > THICK_MM) { settings.hu as f32 } else { DARKEST_HU }
}

/// How bright a vessel is where it is brightest.
struct Peak {
    around: Vec<(f64, [isize; 3])>,
    darkest_hu: f32,
}

impl Peak {
    /// Whether a voxel is at most half as bright as its vessel. Most voxels tell without a look around.
    fn is_below_half(&self, value: f32, hu: &View<'_, impl Voxel>, place: [usize; 3]) -> bool {
        let highest = f32::midpoint(LUNG_HU, BRIGHTEST_HU).max(self.darkest_hu);
        value <= self.darkest_hu || (value <= highest && value <= self.half(hu, place))
    }

    /// Half-way between the lung and the brightest voxel around, HU.
    fn half(&self, hu: &View<'_, impl Voxel>, place: [usize; 3]) -> f32 {
        let inside = self.around.iter().filter_map(|&(_, step)| moved(place, step, hu.shape()));
        let brightest = inside.map(|[z, y, x]| hu.value(z, y, x)).fold(f32::MIN, f32::max);
        f32::midpoint(LUNG_HU, brightest.min(BRIGHTEST_HU)).max(self.darkest_hu)
    }
}

/// The voxel a step away, if it is inside.
fn moved(place: [usize; 3], step: [isize; 3], shape: [usize; 3]) -> Option<[usize; 3]> {
    let to: [usize; 3] = std::array::from_fn(|axis| place[axis].wrapping_add_signed(step[axis]));
    (0..3).all(|axis| to[axis] < shape[axis]).then_some(to)
}

/// Steps to every voxel within `reach_mm`, nearest first, each with its squared length.
fn near(reach_mm: f64, spacing_mm: [f64; 3]) -> Vec<(f64, [isize; 3])> {
    let [z, y, x] = spacing_mm.map(|mm| (reach_mm / mm) as isize);
    let steps = (-z..=z).flat_map(|z| (-y..=y).flat_map(move |y| (-x..=x).map(move |x| [z, y, x])));
    let length2 = |step: [isize; 3]| step.iter().zip(spacing_mm).map(|(&n, mm)| (n as f64 * mm).powi(2)).sum::<f64>();
    let mut near: Vec<_> = steps.map(|step| (length2(step), step)).filter(|near| near.0 <= reach_mm.powi(2)).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near
}

/// The labels as the network gave them, around a block of planes.
struct Found {
    /// `[z, y, x]` from plane `first` on.
    labels: Vec<u8>,
    first: usize,
    shape: [usize; 3],
    near: Vec<(f64, [isize; 3])>,
}

impl Found {
    fn new(shape: [usize; 3], near: Vec<(f64, [isize; 3])>) -> Self {
        Self { labels: Vec::new(), first: 0, shape, near }
    }

    /// Takes over what the planes of a block look at; those before it are changed already, so they are kept from the
    /// block before.
    fn go_to(&mut self, block: &Range<usize>, labels: &[u8]) {
        let plane = self.shape[1] * self.shape[2];
        let reach = self.near.iter().map(|(_, [z, ..])| z.unsigned_abs()).max().unwrap_or(0);
        let first = block.start.saturating_sub(reach);
        self.labels.drain(..((first - self.first) * plane).min(self.labels.len()));
        let known = first + self.labels.len() / plane.max(1);
        self.labels.extend_from_slice(&labels[known * plane..(block.end + reach).min(self.shape[0]) * plane]);
        self.first = first;
    }

    /// The nearest label, of equally near ones the lowest; 0 where none is near.
    fn nearest(&self, place: [usize; 3]) -> u8 {
        let (mut nearest, mut least) = (0, f64::INFINITY);
        for &(length2, step) in &self.near {
            if length2 > least {
                break;
            }
            let Some([z, y, x]) = moved(place, step, self.shape) else { continue };
            let label = self.labels[((z - self.first) * self.shape[1] + y) * self.shape[2] + x];
            if label != 0 && (nearest == 0 || label < nearest) {
                (nearest, least) = (label, length2);
            }
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BoundaryRefinement = BoundaryRefinement { hu: -400.0, reach_mm: 1.5 };

    fn refined(labels: &[u8], hu: &[f32], lungs: &[u8], spacing_mm: f64) -> Vec<u8> {
        let mut labels = labels.to_vec();
        let shape = [1, 1, hu.len()];
        refine(&mut labels, &View::new(hu, shape), |_| lungs.to_vec(), SETTINGS, [1.0, 1.0, spacing_mm]);
        labels
    }

    #[test]
    fn labels_end_and_reach_where_the_lung_begins() {
        let hu = [-870.0, -300.0, 40.0, 40.0, -300.0, -870.0, -870.0, 40.0];
        let labels = [0, 0, 1, 1, 0, 0, 2, 0];
        assert_eq!(refined(&labels, &hu, &[1; 8], 1.0), [0, 1, 1, 1, 1, 0, 0, 2]);
        assert_eq!(refined(&labels, &hu, &[0; 8], 1.0), labels);
        assert_eq!(refined(&labels, &hu, &[1; 8], 2.0), [0, 0, 1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_dim_vessel_stays_and_a_bright_one_ends_half_way() {
        let dim = [-870.0, -640.0, -500.0, -640.0, -700.0, -870.0];
        assert_eq!(refined(&[1; 6], &dim, &[1; 6], 1.0), [0, 1, 1, 1, 0, 0]);
        let mut thick = [1; 6];
        refine(&mut thick, &View::new(&dim, [1, 1, 6]), |_| vec![1; 6], SETTINGS, [4.0, 1.0, 1.0]);
        assert_eq!(thick, [0; 6]);
        let bright = [-870.0, -410.0, 300.0, -410.0, -390.0, -870.0];
        assert_eq!(refined(&[0, 0, 1, 1, 0, 0], &bright, &[1; 6], 1.0), [0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn the_nearest_label_wins_and_of_equals_the_lowest() {
        let hu = [40.0; 7];
        assert_eq!(refined(&[2, 0, 1, 0, 0, 0, 0], &hu, &[1; 7], 1.0), [2, 1, 1, 1, 0, 0, 0]);
        assert_eq!(refined(&[0, 0, 0, 1, 0, 0, 2], &hu, &[1; 7], 0.7), [0, 1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn blocks_of_planes_are_as_one() {
        let shape = [2 * BLOCK + 7, 5, 6];
        let count = shape.iter().product::<usize>();
        let mut state = 1u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let labels: Vec<u8> = (0..count).map(|_| next(4).saturating_sub(1) as u8).collect();
        let hu: Vec<i16> = (0..count).map(|_| next(1200) as i16 - 900).collect();
        let lungs: Vec<u8> = (0..count).map(|_| next(3) as u8).collect();
        let plane = shape[1] * shape[2];
        let refined = |labels: &[u8], hu: &View<'_, i16>, lungs: &[u8]| {
            let mut labels = labels.to_vec();
            let lungs = |z: usize| lungs[z * plane..][..plane].to_vec();
            refine(&mut labels, hu, lungs, BoundaryRefinement { hu: -400.0, reach_mm: 2.5 }, [1.0; 3]);
            labels
        };
        // From the other end blocks begin elsewhere.
        let upside_down = |values: &[u8]| -> Vec<u8> { values.chunks_exact(plane).rev().flatten().copied().collect() };
        let view = View::new(&hu, shape);
        let turned = view.reordered([0, 1, 2], [true, false, false]);
        let found = refined(&labels, &view, &lungs);
        assert!(found != labels);
        assert_eq!(found, upside_down(&refined(&upside_down(&labels), &turned, &upside_down(&lungs))));
    }

    #[test]
    fn steps_are_a_ball() {
        let near = near(1.5, [1.0, 1.0, 0.7]);
        assert_eq!(near[0], (0.0, [0, 0, 0]));
        assert!(near.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert!(near.iter().any(|step| step.1 == [0, 0, 2]));
        assert!(near.iter().all(|step| step.1 != [1, 1, 1] && step.1 != [0, 1, 2]));
    }
}
