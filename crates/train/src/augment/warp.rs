//! Whatever moves voxels off their grid, in one resampling.
//!
//! With p a voxel's place in mm from the patch's middle, d the elastic shift there and A the product of turns and
//! scaling, the voxel shows what lay at A (p + d(p)): HU and side channel by linear interpolation, the code of the
//! nearest voxel. The side is part of the code, so it stays that of the tissue.

use pulmoav_ops::augment::{self, CardPatch};
use pulmoav_random::Philox;

use super::elastic::{Field, Row};
use super::{CardTables, Change};
use crate::{code::SUPERVISED_BIT, error::TrainError, patch::Patch};

type Matrix = [[f32; 3]; 3];

/// One way of moving voxels off their grid, with its settings.
pub(super) trait Warping {
    /// How often it happens.
    fn probability(&self) -> f32;

    /// Refuses settings out of their range, by their names in the config.
    ///
    /// # Errors
    /// [`TrainError::Config`].
    fn check_ranges(&self) -> Result<(), TrainError>;

    /// Draws how it happens.
    fn add_to(&self, warp: &mut Warp, choice: &mut Philox);
}

/// Where the voxels of a patch come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Warp {
    /// Of the patch that comes out.
    shape: [usize; 3],
    spacing_mm: [f32; 3],
    linear: Matrix,
    field: Option<Field>,
}

impl Warp {
    /// Voxels stay where they are.
    pub(super) fn none(shape: [usize; 3], spacing_mm: [f64; 3]) -> Self {
        let linear = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self { shape, spacing_mm: spacing_mm.map(|mm| mm as f32), linear, field: None }
    }

    /// The distance of the first and the last voxel along each axis.
    pub(super) fn extent_mm(&self) -> [f32; 3] {
        std::array::from_fn(|axis| self.shape[axis].saturating_sub(1) as f32 * self.spacing_mm[axis])
    }

    /// Puts a linear map before the ones that are there.
    pub(super) fn then(&mut self, map: Matrix) {
        let before = self.linear;
        self.linear = before.map(|row| [0, 1, 2].map(|column| (0..3).map(|k| row[k] * map[k][column]).sum()));
    }

    /// Takes an elastic field.
    pub(super) fn bend(&mut self, field: Field) {
        self.field = Some(field);
    }

    /// So many voxels on each side of the patch are needed besides it; alike in the axial plane where the patch is
    /// square in it, so that it can still be turned.
    pub(super) fn margin(&self) -> [usize; 3] {
        let amount_mm = self.field.as_ref().map_or(0.0, Field::amount_mm);
        let half_mm = self.extent_mm().map(|extent_mm| extent_mm / 2.0);
        let mut margin: [usize; 3] = std::array::from_fn(|axis| {
            let reach_mm: f32 = (0..3).map(|k| self.linear[axis][k].abs() * (half_mm[k] + amount_mm)).sum();
            // The rounded sum may fall a hair short of a whole voxel.
            ((reach_mm - half_mm[axis]) / self.spacing_mm[axis] + 1e-3).max(0.0).ceil() as usize
        });
        if self.shape[1] == self.shape[2] {
            let most = margin[1].max(margin[2]);
            (margin[1], margin[2]) = (most, most);
        }
        margin
    }

    fn mm(&self, at: usize, axis: usize) -> f32 {
        at as f32 * self.spacing_mm[axis]
    }

    /// Where a voxel comes from, in voxels from the middle.
    #[inline]
    fn from(&self, voxel: [usize; 3], row: Option<&Row>) -> [f32; 3] {
        let shift = match (&self.field, row) {
            (Some(field), Some(row)) => field.at(row, self.mm(voxel[2], 2)),
            _ => [0.0; 3],
        };
        let place: [f32; 3] = std::array::from_fn(|axis| {
            let middle = self.shape[axis].saturating_sub(1) as f32 / 2.0;
            (voxel[axis] as f32 - middle) * self.spacing_mm[axis] + shift[axis]
        });
        std::array::from_fn(|axis| {
            let [a, b, c] = self.linear[axis];
            (a * place[0] + b * place[1] + c * place[2]) / self.spacing_mm[axis]
        })
    }
}

/// Replaces a patch, cut with [`Warp::margin`] around it, by what its middle becomes. Where the patch is too small its
/// border is repeated, without supervision.
impl Change for Warp {
    fn apply(&self, patch: &mut Patch) {
        if patch.is_empty() {
            return;
        }
        let total = self.shape.iter().product();
        let mut hu = Vec::with_capacity(total);
        let mut side = Vec::with_capacity(total);
        let mut codes = Vec::with_capacity(total);
        let source = Source::new(patch);
        let [depth, height, width] = self.shape;
        for (z, y) in (0..depth).flat_map(|z| (0..height).map(move |y| (z, y))) {
            let row = self.field.as_ref().map(|field| field.row(self.mm(z, 0), self.mm(y, 1)));
            for x in 0..width {
                let cell = source.cell(self.from([z, y, x], row.as_ref()));
                hu.push(cell.linear(&patch.hu));
                side.push(cell.linear(&patch.side));
                codes.push(patch.codes[cell.nearest] & cell.known);
            }
        }
        *patch = Patch { shape: self.shape, hu, side, codes };
    }

    fn apply_on_card(&self, patch: &mut CardPatch, _tables: &CardTables) -> candle_core::Result<()> {
        let Self { shape, spacing_mm, linear, ref field } = *self;
        patch.warp(&augment::Warp { shape, spacing_mm, linear, field: field.as_ref().map(Field::for_card) })
    }
}

/// The grid that values are taken from.
struct Source {
    shape: [usize; 3],
    middle: [f32; 3],
    last: [f32; 3],
}

/// The eight voxels around a place.
struct Cell {
    /// The first of them, and how far the next ones are; 0 at the border.
    first: usize,
    steps: [usize; 3],
    /// How far the place is from the first, in voxels.
    shares: [f32; 3],
    nearest: usize,
    /// The bits of the nearest code that hold.
    known: u8,
}

impl Source {
    fn new(patch: &Patch) -> Self {
        let last = patch.shape.map(|n| (n - 1) as f32);
        Self { shape: patch.shape, middle: last.map(|last| last / 2.0), last }
    }

    #[inline]
    fn cell(&self, from: [f32; 3]) -> Cell {
        let strides = [self.shape[1] * self.shape[2], self.shape[2], 1];
        let mut cell = Cell { first: 0, steps: [0; 3], shares: [0.0; 3], nearest: 0, known: u8::MAX };
        for axis in 0..3 {
            let wanted = from[axis] + self.middle[axis];
            let at = wanted.clamp(0.0, self.last[axis]);
            if (wanted - at).abs() > 0.5 {
                cell.known = !SUPERVISED_BIT;
            }
            let below = at as usize;
            cell.first += below * strides[axis];
            cell.shares[axis] = at - below as f32;
            cell.steps[axis] = if below + 1 < self.shape[axis] { strides[axis] } else { 0 };
            cell.nearest += (at + 0.5) as usize * strides[axis];
        }
        cell
    }
}

impl Cell {
    #[inline]
    fn linear(&self, values: &[f32]) -> f32 {
        let [dz, dy, dx] = self.steps;
        let [z, y, x] = self.shares;
        let between = |low: f32, high: f32, share: f32| low + (high - low) * share;
        let line = |at: usize| between(values[at], values[at + dx], x);
        let plane = |at: usize| between(line(at), line(at + dy), y);
        between(plane(self.first), plane(self.first + dz), z)
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_random::Stream;

    use super::*;
    use crate::{
        augment::{Elastic, Scale, Turn},
        code::RIGHT_BIT,
        patch::tests::numbered,
    };

    const SPACING_MM: [f64; 3] = [1.25, 1.0, 1.0];

    fn warp(shape: [usize; 3], step: u64, ways: &[&dyn Warping]) -> Warp {
        let mut warp = Warp::none(shape, SPACING_MM);
        let mut choice = Philox::new(3, step, 0, Stream::Augment);
        for way in ways {
            way.add_to(&mut warp, &mut choice);
        }
        warp
    }

    fn all(step: u64, shape: [usize; 3]) -> Warp {
        let turn = Turn { probability: 1.0, degrees: [30.0, 15.0, 15.0] };
        let scale = Scale { probability: 1.0, factor: [0.7, 1.4] };
        let elastic = Elastic { probability: 1.0, amount_mm: 3.0, grid_mm: 8.0 };
        warp(shape, step, &[&turn, &scale, &elastic])
    }

    fn wide(shape: [usize; 3], warp: &Warp) -> Patch {
        let margin = warp.margin();
        numbered(std::array::from_fn(|axis| shape[axis] + 2 * margin[axis]))
    }

    #[test]
    fn nothing_drawn_changes_nothing() {
        let shape = [5, 6, 7];
        let zero = warp(shape, 1, &[&Turn { probability: 1.0, degrees: [0.0; 3] }]);
        let mut patch = numbered(shape);
        zero.apply(&mut patch);
        assert_eq!(patch, numbered(shape));
    }

    #[test]
    fn sides_go_with_their_tissue_and_values_stay_in_range() {
        let shape = [10, 12, 12];
        for step in 0..8 {
            let warp = all(step, shape);
            let before = wide(shape, &warp);
            let mut after = before.clone();
            warp.apply(&mut after);
            assert_eq!(after.shape, shape);
            let most = before.len() as f32;
            assert!(after.hu.iter().all(|hu| (0.0..most).contains(hu)));
            for (side, code) in after.side.iter().zip(&after.codes) {
                assert_ne!(code & SUPERVISED_BIT, 0, "the margin was too small");
                // Half a voxel lies between a code's own place and the place that the side is told for.
                let slack = 2.0 / before.shape[2] as f32;
                assert!(if code & RIGHT_BIT == 0 { *side < slack } else { *side > -slack }, "{side} {code:#b}");
            }
        }
    }

    #[test]
    fn a_quarter_turn_s_angle_is_one() {
        let shape = [3, 5, 5];
        let mut warp = Warp::none(shape, [1.0; 3]);
        let (zero, one) = (0.0, 1.0);
        warp.then([[one, zero, zero], [zero, zero, one], [zero, -one, zero]]);
        let before = numbered(shape);
        let mut after = before.clone();
        warp.apply(&mut after);
        for (voxel, hu) in after.hu.iter().enumerate() {
            let [z, y, x] = [voxel / 25, voxel / 5 % 5, voxel % 5];
            assert_eq!(*hu, before.hu[z * 25 + x * 5 + 4 - y]);
        }
    }

    #[test]
    fn scaling_by_two_halves_distances() {
        let shape = [4, 4, 9];
        let double = warp(shape, 0, &[&Scale { probability: 1.0, factor: [2.0, 2.0] }]);
        let mut patch = numbered(shape);
        double.apply(&mut patch);
        assert!(
            (patch.side[8] - patch.side[0] - (numbered(shape).side[8] - numbered(shape).side[0]) / 2.0).abs() < 1e-5
        );
    }

    #[test]
    fn elastic_fields_never_fold() {
        let shape = [12, 12, 12];
        let elastic = Elastic { probability: 1.0, amount_mm: 3.2, grid_mm: 8.0 };
        elastic.check_ranges().unwrap();
        assert!(Elastic { amount_mm: 3.3, ..elastic }.check_ranges().is_err());
        for step in 0..8 {
            let warp = warp(shape, step, &[&elastic]);
            let place = |voxel: [usize; 3]| {
                let field = warp.field.as_ref().unwrap();
                let row = field.row(warp.mm(voxel[0], 0), warp.mm(voxel[1], 1));
                warp.from(voxel, Some(&row))
            };
            for voxel in (0..11 * 11 * 11).map(|i| [i / 121, i / 11 % 11, i % 11]) {
                let at = place(voxel);
                for axis in 0..3 {
                    let mut next = voxel;
                    next[axis] += 1;
                    assert!(place(next)[axis] > at[axis], "{voxel:?} along {axis}");
                }
            }
        }
    }
}
