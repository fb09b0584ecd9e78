//! Air of the lungs parted into the patient's left and right.

use std::collections::VecDeque;

use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::dilation::dilated;
use rayon::prelude::*;

use crate::body::Body;
use crate::coarse::Coarse;
use crate::side::{LEFT, MIN_LUNG_ML, RIGHT};

/// Depths below the surface at which lungs that touch are tried to come apart.
const DEPTHS_MM: [f64; 9] = [2.0, 4.0, 6.0, 8.0, 10.0, 13.0, 17.0, 24.0, 34.0];
/// Each half holds at least this share of what is left at that depth.
const MIN_SHARE: f64 = 0.15;
/// A second body of at least this share of the first is the other lung.
const PAIR_SHARE: f64 = 0.3;
/// Where a scan holds one half of the chest, the share of rows through a lung that are cut on one side is larger by
/// this than on the other.
const CUT_SHARE: f64 = 0.15;
/// One lung is less wide than so many times its depth.
const ONE_LUNG_SHARE: f64 = 1.05;
/// Two lungs overlap along x by less of the narrower one.
const MAX_OVERLAP: f64 = 0.3;
/// Depths at which pockets of lungs that touch are looked for, and their least size.
const POCKET_DEPTHS_MM: [f64; 2] = [12.0, 17.0];
const MIN_POCKET_ML: f64 = 15.0;
/// A lung crosses the plane between both by no more, nor by more than a quarter of the distance between their cores.
const CROSSING_MM: f64 = 18.0;
/// A windpipe is this far from a single lung's centre, as a share of the lung's width.
const BESIDE_SHARE: f64 = 0.35;
/// Lung without vessels is below this.
const LIGHT_LUNG_HU: f32 = -800.0;
/// How far the shift of a lung's dense parts moves the plane.
const VESSELS_PULL: f64 = 6.0;
/// Soft tissue and bone lie above.
const TISSUE_ABOVE_HU: f32 = -200.0;

/// A body of lung: its voxels and its centre.
struct Piece {
    voxels: Vec<usize>,
    /// Mean `[z, y, x]` in mm.
    centre_mm: [f64; 3],
}

/// 0, [`LEFT`] or [`RIGHT`] a voxel, `[z, y, x]`; `None` when no lung is large enough.
pub(crate) fn sides(coarse: &Coarse, lung: &[u8], body: &Body, windpipe_x: Option<f64>) -> Option<Vec<u8>> {
    let least = (MIN_LUNG_ML / coarse.voxel_ml()).ceil() as usize;
    let mut bodies = bodies(coarse, lung, least);
    let apart = bodies.len() > 1 && bodies[1].voxels.len() as f64 > PAIR_SHARE * bodies[0].voxels.len() as f64;
    let one_half = is_narrow(coarse, &bodies) && cut_side(coarse, body, &bodies).is_some();
    if let Some((a, b)) = bodies.first().filter(|_| !apart && !one_half).and_then(|body| part(coarse, body)) {
        bodies.splice(0..1, [a, b]);
    }
    let mut sides = vec![0; lung.len()];
    let plane_mm = plane_between(coarse, &bodies, body, windpipe_x)?;
    for body in &bodies {
        let side = if body.centre_mm[2] < plane_mm { LEFT } else { RIGHT };
        for &index in &body.voxels {
            sides[index] = side;
        }
    }
    Some(sides)
}

/// Connected bodies of at least `least` voxels, the largest first.
fn bodies(coarse: &Coarse, lung: &[u8], least: usize) -> Vec<Piece> {
    let found = components(lung, coarse.shape, Connectivity::Faces);
    let mut lists: Vec<Vec<usize>> = vec![Vec::new(); found.sizes.len() + 1];
    for (index, &label) in found.labels.iter().enumerate() {
        if label > 0 && found.sizes[label as usize - 1] >= least {
            lists[label as usize].push(index);
        }
    }
    let mut bodies: Vec<Piece> =
        lists.into_iter().filter(|list| !list.is_empty()).map(|list| Piece::new(coarse, list)).collect();
    bodies.sort_by_key(|body| std::cmp::Reverse(body.voxels.len()));
    bodies
}

impl Piece {
    fn new(coarse: &Coarse, voxels: Vec<usize>) -> Self {
        let mut sum = [0.0; 3];
        for &index in &voxels {
            let place = coarse.place(index);
            for axis in 0..3 {
                sum[axis] += place[axis] as f64 + 0.5;
            }
        }
        let count = voxels.len().max(1) as f64;
        let centre_mm = std::array::from_fn(|axis| sum[axis] / count * coarse.spacing_mm[axis]);
        Self { voxels, centre_mm }
    }

    /// True in the piece, `[z, y, x]` of the coarse grid.
    fn mask(&self, coarse: &Coarse) -> Vec<bool> {
        let mut inside = vec![false; coarse.hu.len()];
        for &index in &self.voxels {
            inside[index] = true;
        }
        inside
    }

    /// Mean place along x by the tissue that the voxels hold, mm; the surface is left out.
    fn dense_centre_mm(&self, coarse: &Coarse) -> f64 {
        let inside = self.mask(coarse);
        let inner = self.voxels.iter().filter(|&&index| coarse.neighbours(index).all(|other| inside[other]));
        let (mut sum, mut weight) = (0.0, 0.0);
        for &index in inner {
            let tissue = f64::from(coarse.hu[index] - LIGHT_LUNG_HU).max(0.0);
            sum += tissue * (coarse.place(index)[2] as f64 + 0.5);
            weight += tissue;
        }
        if weight > 0.0 { sum / weight * coarse.spacing_mm[2] } else { self.centre_mm[2] }
    }

    /// Between which places along x nine tenths of the voxels lie, mm.
    fn middle_90_mm(&self, coarse: &Coarse) -> [f64; 2] {
        let mut columns = vec![0usize; coarse.shape[2]];
        self.voxels.iter().for_each(|&index| columns[coarse.place(index)[2]] += 1);
        let twentieth = self.voxels.len() / 20;
        let beyond = |step: &dyn Fn(usize) -> usize| {
            let mut passed = 0;
            (0..columns.len()).map(step).find(|&x| {
                passed += columns[x];
                passed > twentieth
            })
        };
        let (first, last) = (beyond(&|x| x), beyond(&|x| columns.len() - 1 - x));
        [first, last].map(|x| (x.unwrap_or(0) as f64 + 0.5) * coarse.spacing_mm[2])
    }

    fn width_mm(&self, coarse: &Coarse) -> f64 {
        let xs = self.voxels.iter().map(|&index| coarse.place(index)[2]);
        let (low, high) = xs.fold((usize::MAX, 0), |(l, h), x| (l.min(x), h.max(x)));
        (high + 1).saturating_sub(low) as f64 * coarse.spacing_mm[2]
    }

    /// Its box with one voxel more on each side where there is one: what lies beyond an array counts as nothing.
    fn bounds(&self, coarse: &Coarse) -> VoxelBox {
        let mut bounds = VoxelBox { low: coarse.shape, high: [0; 3] };
        for &index in &self.voxels {
            let place = coarse.place(index);
            for axis in 0..3 {
                bounds.low[axis] = bounds.low[axis].min(place[axis].saturating_sub(1));
                bounds.high[axis] = bounds.high[axis].max((place[axis] + 2).min(coarse.shape[axis]));
            }
        }
        bounds
    }

    /// The same from a grid into the part of it in a box, or from there back.
    fn moved(&self, whole: &Coarse, part: &VoxelBox, into_part: bool) -> Self {
        let cropped = Coarse { hu: Vec::new(), unseen: Vec::new(), shape: part.shape(), ..*whole };
        let (from, to) = if into_part { (whole, &cropped) } else { (&cropped, whole) };
        let index_of = |&index: &usize| {
            let place = from.place(index);
            let [z, y, x] = std::array::from_fn(|axis| {
                if into_part { place[axis] - part.low[axis] } else { place[axis] + part.low[axis] }
            });
            (z * to.shape[1] + y) * to.shape[2] + x
        };
        Self::new(to, self.voxels.iter().map(index_of).collect())
    }
}

/// Parts a body that holds both lungs where it is thinnest; `None` when it is one lung.
fn part(whole: &Coarse, body: &Piece) -> Option<(Piece, Piece)> {
    let bounds = body.bounds(whole);
    let (coarse, body) = (&whole.cropped(&bounds), &body.moved(whole, &bounds, true));
    let inside = body.mask(coarse);
    let apart_mm = body.width_mm(coarse) / 4.0;
    let mut shells = Vec::new();
    for depth_mm in DEPTHS_MM {
        let shell = dilated(|index| !inside[index], coarse.shape, coarse.spacing_mm, depth_mm);
        let core = core_of(&shell);
        let total = core.iter().filter(|&&v| v != 0).count() as f64;
        shells.push(shell);
        let cores = bodies(coarse, &core, ((total * MIN_SHARE) as usize).max(1));
        if let [a, b, ..] = &cores[..] {
            let [dz, dy, dx] = std::array::from_fn(|axis| (a.centre_mm[axis] - b.centre_mm[axis]).abs());
            if dx > apart_mm && dx > dz && dx > dy {
                let (low, high) = if a.centre_mm[2] < b.centre_mm[2] { (a, b) } else { (b, a) };
                let cores_at = shells.len() - 1;
                let deeper = POCKET_DEPTHS_MM.into_iter().filter(|&mm| mm > depth_mm);
                shells.extend(deeper.map(|mm| dilated(|index| !inside[index], coarse.shape, coarse.spacing_mm, mm)));
                let [low, high] = Growth::new(coarse, &inside, low, high).run(&shells, cores_at);
                return Some((low.moved(whole, &bounds, false), high.moved(whole, &bounds, false)));
            }
        }
    }
    None
}

/// 1 where a shell is not.
fn core_of(shell: &[bool]) -> Vec<u8> {
    shell.par_iter().map(|&shell| u8::from(!shell)).collect()
}

/// Two lungs that grow from their cores until they meet.
struct Growth<'a> {
    coarse: &'a Coarse,
    inside: &'a [bool],
    /// 0, [`LOW`] or [`HIGH`] a voxel.
    owner: Vec<u8>,
    /// The plane between the cores, mm along x, and how far a lung crosses it.
    plane_mm: f64,
    crossing_mm: f64,
}

/// The lung at low x and that at high x.
const LOW: u8 = 1;
const HIGH: u8 = 2;

impl<'a> Growth<'a> {
    /// `low` and `high` are the cores.
    fn new(coarse: &'a Coarse, inside: &'a [bool], low: &Piece, high: &Piece) -> Self {
        let plane_mm = f64::midpoint(low.centre_mm[2], high.centre_mm[2]);
        let crossing_mm = CROSSING_MM.min((high.centre_mm[2] - low.centre_mm[2]) / 4.0);
        Self { coarse, inside, owner: vec![0; inside.len()], plane_mm, crossing_mm }
    }

    /// Takes the shells in from the thickest to the thinnest, so that each voxel goes to the lung that reaches it
    /// through the wider neck. Number `cores_at` leaves the cores.
    fn run(mut self, shells: &[Vec<bool>], cores_at: usize) -> [Piece; 2] {
        let mut front = Vec::new();
        for (number, shell) in shells.iter().enumerate().rev() {
            front = self.spread(front, |index| !shell[index]);
            if number >= cores_at {
                front.extend(self.seeds(&core_of(shell)));
            }
        }
        self.spread(front, |_| true);
        self.clear_far_side();
        [LOW, HIGH].map(|owner| {
            Piece::new(self.coarse, (0..self.owner.len()).filter(|&index| self.owner[index] == owner).collect())
        })
    }

    /// Parts of a core that no lung has reached and that lie clearly on one side belong to the lung there, such as the
    /// air of a pneumothorax, which touches the other lung in front.
    fn seeds(&mut self, core: &[u8]) -> Vec<usize> {
        let least = (MIN_POCKET_ML / self.coarse.voxel_ml()).ceil() as usize;
        let found = components(core, self.coarse.shape, Connectivity::Faces);
        let mut is_free: Vec<bool> = found.sizes.iter().map(|&size| size >= least).collect();
        for (&label, _) in found.labels.iter().zip(&self.owner).filter(|&(&label, &owner)| label > 0 && owner != 0) {
            is_free[label as usize - 1] = false;
        }
        let mut seeds = Vec::new();
        for number in (0..is_free.len()).filter(|&number| is_free[number]) {
            let of_part = |&index: &usize| found.labels[index] as usize == number + 1;
            let piece = Piece::new(self.coarse, (0..core.len()).filter(of_part).collect());
            let beside_mm = piece.centre_mm[2] - self.plane_mm;
            if beside_mm.abs() > self.crossing_mm {
                for &index in &piece.voxels {
                    self.owner[index] = if beside_mm < 0.0 { LOW } else { HIGH };
                }
                seeds.extend(piece.voxels);
            }
        }
        seeds
    }

    /// Grows into open neighbours in few steps; what still borders on free ones is given back.
    fn spread(&mut self, front: Vec<usize>, is_open: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut waiting = Vec::new();
        let mut queue = VecDeque::from(front);
        while let Some(index) = queue.pop_front() {
            let mut waits = false;
            for other in self.coarse.neighbours(index).filter(|&other| self.inside[other]) {
                if self.owner[other] == 0 && is_open(other) {
                    self.owner[other] = self.owner[index];
                    queue.push_back(other);
                }
                waits |= self.owner[other] == 0;
            }
            if waits {
                waiting.push(index);
            }
        }
        waiting
    }

    /// What lies far beyond the plane between the cores does not belong to the other lung, though it may touch it.
    fn clear_far_side(&mut self) {
        for (index, owner) in self.owner.iter_mut().enumerate().filter(|(_, owner)| **owner != 0) {
            let x_mm = (self.coarse.place(index)[2] as f64 + 0.5) * self.coarse.spacing_mm[2];
            if (x_mm - self.plane_mm).abs() > self.crossing_mm {
                *owner = if x_mm < self.plane_mm { LOW } else { HIGH };
            }
        }
    }
}

/// Whether a scan of one half of the chest is cut at high x; `None` where both sides are alike.
///
/// Such a scan is cut through the mediastinum on one side and ends in air on the other.
fn cut_side(coarse: &Coarse, body: &Body, pieces: &[Piece]) -> Option<bool> {
    let width = coarse.shape[2];
    let mut holds_lung = vec![false; coarse.hu.len() / width];
    pieces.iter().flat_map(|piece| &piece.voxels).for_each(|&index| holds_lung[index / width] = true);
    let rows: Vec<usize> = (0..holds_lung.len()).filter(|&row| holds_lung[row]).collect();
    let is_cut = |first_seen: Option<usize>| first_seen.is_some_and(|index| !body.outside[index]);
    let seen = |index: &usize| !coarse.unseen[*index];
    let low = rows.iter().filter(|&&row| is_cut((row * width..(row + 1) * width).find(seen))).count();
    let high = rows.iter().filter(|&&row| is_cut((row * width..(row + 1) * width).rev().find(seen))).count();
    let share = (high as f64 - low as f64) / rows.len().max(1) as f64;
    (share.abs() > CUT_SHARE).then_some(share > 0.0)
}

/// Whether all pieces together are no wider than one lung.
fn is_narrow(coarse: &Coarse, pieces: &[Piece]) -> bool {
    let extent_mm = |axis: usize| {
        let places = pieces.iter().flat_map(|piece| &piece.voxels).map(|&index| coarse.place(index)[axis]);
        let (low, high) = places.fold((usize::MAX, 0), |(low, high), at| (low.min(at), high.max(at)));
        (high + 1).saturating_sub(low) as f64 * coarse.spacing_mm[axis]
    };
    extent_mm(2) < ONE_LUNG_SHARE * extent_mm(1)
}

/// Whether two pieces lie side by side as two lungs do; pieces of one lung around the liver's dome overlap along x.
fn is_other_lung(coarse: &Coarse, a: &Piece, b: &Piece) -> bool {
    let [a_mm, b_mm] = [a, b].map(|piece| piece.middle_90_mm(coarse));
    let narrower_mm = (a_mm[1] - a_mm[0]).min(b_mm[1] - b_mm[0]);
    let overlap_mm = (a_mm[1].min(b_mm[1]) - a_mm[0].max(b_mm[0])).max(0.0);
    (a.centre_mm[2] - b.centre_mm[2]).abs() > narrower_mm / 2.0 && overlap_mm < MAX_OVERLAP * narrower_mm
}

/// x in mm of the plane that parts left from right; infinite where a scan of half a chest holds one lung.
///
/// Two lungs: midway. One lung: at the cut, or else the windpipe, or else the side on which the mediastinum is.
fn plane_between(coarse: &Coarse, bodies: &[Piece], body: &Body, windpipe_x: Option<f64>) -> Option<f64> {
    let first = bodies.first()?;
    let half =
        cut_side(coarse, body, bodies).map(|cut_at_high| if cut_at_high { f64::INFINITY } else { f64::NEG_INFINITY });
    if half.is_some() && is_narrow(coarse, bodies) {
        return half;
    }
    let other = bodies.iter().skip(1).find(|other| is_other_lung(coarse, first, other));
    if let Some(other) = other {
        return Some(f64::midpoint(first.centre_mm[2], other.centre_mm[2]));
    }
    if half.is_some() {
        return half;
    }
    // A tube amid the lung is a bronchus and tells nothing.
    let windpipe_mm = windpipe_x.map(|x| (x + 0.5) * coarse.spacing_mm[2]);
    let is_beside = |&mm: &f64| (mm - first.centre_mm[2]).abs() > BESIDE_SHARE * first.width_mm(coarse);
    Some(windpipe_mm.filter(is_beside).unwrap_or_else(|| mediastinum_mm(coarse, first, body)))
}

/// x in mm of a place on the mediastinum's side of a single lung.
fn mediastinum_mm(coarse: &Coarse, lung: &Piece, body: &Body) -> f64 {
    let slices = lung.voxels.iter().map(|&index| coarse.place(index)[0]);
    let (low, high) = slices.fold((usize::MAX, 0), |(l, h), z| (l.min(z), h.max(z)));
    let plane = coarse.shape[1] * coarse.shape[2];
    let slices = low * plane..(high + 1) * plane;
    let mean_x_mm = |holds: &dyn Fn(usize) -> bool| {
        let xs = slices.clone().filter(|&index| holds(index)).map(|index| coarse.place(index)[2] as f64 + 0.5);
        let (sum, count) = xs.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
        (count > 0.0).then(|| sum / count * coarse.spacing_mm[2])
    };
    let tissue_mm = mean_x_mm(&|index| coarse.hu[index] > TISSUE_ABOVE_HU).unwrap_or(lung.centre_mm[2]);
    // Where a crop leaves little of the mediastinum, the air beside the patient lies on the other side.
    let outside_mm = mean_x_mm(&|index| body.outside[index]).unwrap_or(tissue_mm);
    // Vessels make a lung denser towards its root.
    let root_mm = VESSELS_PULL * (lung.dense_centre_mm(coarse) - lung.centre_mm[2]);
    2.0 * tissue_mm - outside_mm + root_mm
}

#[cfg(test)]
mod tests {
    use crate::Structure;
    use crate::fixture::{CENTRE_Y_MM, LUNGS_Z_MM, MIDDLE_MM, chest, left_lung_depth};

    #[test]
    fn half_a_chest_has_the_lung_of_its_side() {
        let chest = chest();
        let [left_ml, right_ml] = chest.lungs().volumes_ml;
        let [_, _, width_mm] = chest.grid.shape.map(|size| size as f64 * crate::fixture::STEP_MM);
        let left = chest.cropped([0.0; 3], [300.0, 280.0, MIDDLE_MM]).lungs().volumes_ml;
        assert!((left[0] / left_ml - 1.0).abs() < 0.05 && left[1] == 0.0, "{left:?} ml");
        let right = chest.cropped([0.0, 0.0, MIDDLE_MM], [300.0, 280.0, width_mm]).lungs().volumes_ml;
        assert!((right[1] / right_ml - 1.0).abs() < 0.05 && right[0] == 0.0, "{right:?} ml");
    }

    #[test]
    fn air_of_a_pneumothorax_belongs_to_its_lung() {
        let expected_ml = chest().lungs().volumes_ml;
        let ill = chest().painted(|at, hu| {
            let is_shell = (0.8..1.0).contains(&left_lung_depth(at)) && hu < -700.0;
            if is_shell { -1000.0 } else { hu }
        });
        let found_ml = ill.lungs().volumes_ml;
        for (found, expected) in found_ml.into_iter().zip(expected_ml) {
            assert!((found / expected - 1.0).abs() < 0.02, "{found_ml:?} ml, expected {expected_ml:?}");
        }
        let before_the_lung = ill.index([LUNGS_Z_MM, CENTRE_Y_MM - 77.0, 100.0]);
        assert_eq!(ill.label().labels.data[before_the_lung], Structure::LeftLung.value());
    }
}
