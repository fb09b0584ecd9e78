//! The trunk, and what it encloses.
//!
//! Table, clothes and blankets are thin where the trunk is thick: an opening takes them away. How far the trunk
//! encloses a voxel is its *enclosure score*, 0 to 16. Eight lines run from the voxel to the border of its slice: both
//! ways along x and y and along both diagonals. A line that meets the trunk counts 2, one that leaves the scan without
//! having met trunk or free air counts 1, one that meets free air last counts 0. So neither an open windpipe nor a
//! field of view that cuts a lung turns the lung into air outside.

use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::dilation::dilated;
use rayon::prelude::*;

use crate::coarse::Coarse;

/// Fat, muscle and bone lie above, with some room for partial volume.
const SOLID_ABOVE_HU: f32 = -300.0;
/// Free air averages below this, lung tissue does not unless it is destroyed.
pub(crate) const FREE_AIR_BELOW_HU: f32 = -930.0;
/// Air around the patient is below this on average over [`CLEAR_REACH`] neighbours on each side; the darkest lung is
/// not.
const CLEAR_AIR_BELOW_HU: f32 = -955.0;
const CLEAR_REACH: usize = 2;
/// Radius of the opening: thicker than a table's shell or a blanket, thinner than the chest wall of a child.
const OPENING_MM: f64 = 5.0;
/// A smaller piece of tissue encloses nothing.
const MIN_PIECE_ML: f64 = 20.0;
/// Air outside is followed by a ball of this radius.
const BALL_MM: f64 = 5.0;
/// Air with a lower enclosure score is not enclosed.
const MIN_ENCLOSURE: u8 = 7;
/// Air with this score is deep inside: air outside does not spread there.
pub(crate) const DEEP_ENCLOSURE: u8 = 14;

/// What is tissue of the trunk and what lies inside it, on the coarse grid.
pub(crate) struct Body {
    /// True in thick tissue: trunk, head and limbs without their skin.
    pub(crate) solid: Vec<bool>,
    /// Enclosure scores, 0 to 16.
    pub(crate) enclosure: Vec<u8>,
    /// How many of the eight lines end in free air.
    pub(crate) misses: Vec<u8>,
    /// True in air connected with the air around the patient, and where nothing was scanned.
    pub(crate) outside: Vec<bool>,
}

impl Body {
    pub(crate) fn find(coarse: &Coarse) -> Self {
        let solid = thick_tissue(coarse);
        let clear = clear_air(coarse);
        let (enclosure, misses) = enclosure(coarse, &solid, &clear);
        let outside = air_outside(coarse, &enclosure, &clear);
        Self { solid, enclosure, misses, outside }
    }

    /// Whether air at a voxel may belong to the inside.
    pub(crate) fn encloses(&self, index: usize) -> bool {
        self.enclosure[index] >= MIN_ENCLOSURE && !self.outside[index]
    }
}

/// Tissue that a ball of [`OPENING_MM`] fits into.
fn thick_tissue(coarse: &Coarse) -> Vec<bool> {
    let open = |index: usize| coarse.hu[index] <= SOLID_ABOVE_HU && !coarse.unseen[index];
    let thin = dilated(open, coarse.shape, coarse.spacing_mm, OPENING_MM);
    let core: Vec<u8> = thin.iter().zip(&coarse.unseen).map(|(&thin, &unseen)| u8::from(!thin && !unseen)).collect();
    let found = components(&core, coarse.shape, Connectivity::Faces);
    let least = (MIN_PIECE_ML / coarse.voxel_ml()) as usize;
    let large = |index: usize| {
        let label = found.labels[index];
        label > 0 && found.sizes[label as usize - 1] >= least
    };
    let mut thick = dilated(large, coarse.shape, coarse.spacing_mm, OPENING_MM + 0.5);
    thick.par_iter_mut().enumerate().for_each(|(index, thick)| *thick &= !open(index) && !coarse.unseen[index]);
    thick
}

/// True in air whose neighbourhood of 5 × 5 voxels of its slice is air too.
fn clear_air(coarse: &Coarse) -> Vec<bool> {
    let [_, height, width] = coarse.shape;
    let plane = (height * width).max(1);
    let around = |at: usize, size: usize| at.saturating_sub(CLEAR_REACH)..(at + CLEAR_REACH + 1).min(size);
    let mut clear = vec![false; coarse.hu.len()];
    clear.par_chunks_mut(plane).zip(coarse.hu.par_chunks(plane)).for_each(|(clear, hu)| {
        let mut rows = vec![0f32; hu.len()];
        for (row, to) in hu.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
            for (x, to) in to.iter_mut().enumerate() {
                let near = &row[around(x, width)];
                *to = near.iter().sum::<f32>() / near.len() as f32;
            }
        }
        let mut sums = vec![0f32; width];
        for (y, clear) in clear.chunks_exact_mut(width).enumerate() {
            sums.fill(0.0);
            let near = around(y, height);
            for row in rows[near.start * width..near.end * width].chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, hu)| *sum += hu);
            }
            let bound = CLEAR_AIR_BELOW_HU * near.len() as f32;
            clear.iter_mut().zip(&sums).for_each(|(clear, &sum)| *clear = sum < bound);
        }
    });
    clear
}

/// What a line counts. It is followed inwards, from the border of its slice to the voxel.
const FREE_AIR: u8 = 0;
const UNKNOWN: u8 = 1;
const TRUNK: u8 = 2;

/// The enclosure score of each voxel and how many of its lines end in free air, `[z, y, x]`.
fn enclosure(coarse: &Coarse, solid: &[bool], clear: &[bool]) -> (Vec<u8>, Vec<u8>) {
    let [_, height, width] = coarse.shape;
    let plane = (height * width).max(1);
    let mut scores = vec![0u8; coarse.hu.len()];
    let mut misses = vec![0u8; coarse.hu.len()];
    let slices = scores.par_chunks_mut(plane).zip(misses.par_chunks_mut(plane));
    slices.enumerate().for_each(|(z, (scores, misses))| {
        let slice = z * plane..z * plane + scores.len();
        let line = Line { clear: &clear[slice.clone()], unseen: &coarse.unseen[slice.clone()], solid: &solid[slice] };
        sweep(scores, misses, &line, [height, width], false);
        sweep(scores, misses, &line, [height, width], true);
    });
    (scores, misses)
}

/// What lines meet in one slice, `[y, x]`.
struct Line<'a> {
    clear: &'a [bool],
    unseen: &'a [bool],
    solid: &'a [bool],
}

impl Line<'_> {
    /// What a line that counted `state` before a voxel counts behind it.
    fn after(&self, state: u8, index: usize) -> u8 {
        if self.unseen[index] {
            UNKNOWN
        } else if self.solid[index] {
            TRUNK
        } else if state == UNKNOWN && self.clear[index] {
            FREE_AIR
        } else {
            state
        }
    }
}

/// Adds what four lines count: from one side along x, and from the row before, straight and on both diagonals.
fn sweep(scores: &mut [u8], misses: &mut [u8], line: &Line<'_>, [height, width]: [usize; 2], backwards: bool) {
    let mut before = [vec![UNKNOWN; width], vec![UNKNOWN; width], vec![UNKNOWN; width]];
    let mut here = before.clone();
    for step in 0..height {
        let y = if backwards { height - 1 - step } else { step };
        let mut along = UNKNOWN;
        for column in 0..width {
            let x = if backwards { width - 1 - column } else { column };
            let index = y * width + x;
            let from = [
                before[0][x],
                if x > 0 { before[1][x - 1] } else { UNKNOWN },
                if x + 1 < width { before[2][x + 1] } else { UNKNOWN },
            ];
            scores[index] += along + from.iter().sum::<u8>();
            misses[index] +=
                u8::from(along == FREE_AIR) + from.map(|state| u8::from(state == FREE_AIR)).iter().sum::<u8>();
            along = line.after(along, index);
            for (to, state) in here.iter_mut().zip(from) {
                to[x] = line.after(state, index);
            }
        }
        std::mem::swap(&mut before, &mut here);
    }
}

/// Air that a ball reaches from the border or from padding without going deep inside.
fn air_outside(coarse: &Coarse, enclosure: &[u8], clear: &[bool]) -> Vec<bool> {
    let free = |index: usize| {
        coarse.unseen[index] || (coarse.hu[index] < FREE_AIR_BELOW_HU && enclosure[index] < DEEP_ENCLOSURE)
    };
    let narrow = dilated(|index| !free(index), coarse.shape, coarse.spacing_mm, BALL_MM);
    let is_wide = |index: usize| !narrow[index] && (clear[index] || coarse.unseen[index]);
    let wide: Vec<u8> = (0..narrow.len()).map(|index| u8::from(is_wide(index))).collect();
    let found = components(&wide, coarse.shape, Connectivity::Faces);
    let mut from_border = vec![false; found.sizes.len() + 1];
    for (index, &label) in found.labels.iter().enumerate().filter(|&(_, &label)| label > 0) {
        from_border[label as usize] |= coarse.unseen[index] || coarse.is_border(index);
    }
    // Air at the edge of what was scanned may be lung: only clear air spreads.
    let reached = |index: usize| clear[index] && from_border[found.labels[index] as usize];
    let spread_mm = BALL_MM + CLEAR_REACH as f64 * coarse.spacing_mm[1].max(coarse.spacing_mm[2]);
    let mut outside = dilated(reached, coarse.shape, coarse.spacing_mm, spread_mm);
    outside
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, outside)| *outside = coarse.unseen[index] || (*outside && free(index)));
    outside
}
