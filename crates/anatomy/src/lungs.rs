//! Where the lungs are: both masks, the patient's sides, their box and the plane between them.
//!
//! Lungs are air inside the body with the texture of lungs, without windpipe and main bronchi, together with what they
//! enclose and what fluid or a consolidation fills. All of it is found on the coarse grid and looked up from there.

use pulmoav_volume::Voxel;
use pulmoav_volume::components::{Connectivity, components};
use pulmoav_volume::crop::{Extent, View, VoxelBox};
use pulmoav_volume::dilation::dilated;
use pulmoav_volume::distance::near_squared_distance_mm2;
use pulmoav_volume::volume::{Grid, Mask, Volume};
use rayon::prelude::*;

use crate::air::Air;
use crate::airway::Airways;
use crate::body::Body;
use crate::coarse::Coarse;
use crate::lattice::Lattice;
use crate::region::Landmarks;
use crate::side::count_of;
pub use crate::side::{LEFT, MIN_LUNG_ML, RIGHT};
use crate::{anchor, fill, region, split};

/// Vessels and small bronchi up to twice this wide belong to the lung around them.
const CLOSING_MM: f64 = 8.0;
/// A larger hole in an axial slice is no vessel but the dome of the diaphragm or the heart.
const LARGEST_HOLE_MM2: f64 = 800.0;
/// Thickness of a chest wall, and less than any has.
const WALL_MM: f64 = 35.0;
const THIN_WALL_MM: f64 = 8.0;
/// A place further from both lungs belongs to the side of the plane between them.
const NEAR_MM: f64 = 25.0;
/// Contact with the scan's border that makes a lung a cut one.
pub(crate) const CUT_MM2: f64 = 400.0;

/// The lungs of one scan. Everything is in the canonical frame, so the left lung has the smaller x.
#[derive(Debug, Clone)]
pub struct Lungs {
    /// The canonical grid of the scan.
    pub grid: Grid,
    /// The smallest box of whole voxels of `grid` that holds the lungs.
    pub bounds: VoxelBox,
    /// Plane between the lungs: distance from the scan's low-x face, mm along the x axis.
    pub middle_mm: f64,
    /// Half the width of the lungs' box, mm.
    pub half_width_mm: f64,
    /// Volumes of the left and the right lung, ml; 0 for one that is not there.
    pub volumes_ml: [f64; 2],
    /// Whether a lung reaches the border of the scan, so that part of it is missing.
    pub cut: bool,
    /// A voxel of `grid` that other crops of the same scan have as their anchor too.
    pub anchor: [usize; 3],
    pub(crate) lattice: Lattice,
    /// 0, [`LEFT`] or [`RIGHT`] on the lattice.
    pub(crate) sides: Vec<u8>,
    /// True where tissue was given back to a lung.
    pub(crate) filled: Vec<bool>,
    /// [`LEFT`] or [`RIGHT`], whichever is nearer, on the lattice.
    pub(crate) nearest: Vec<u8>,
    /// 1 where a pulmonary vessel can be, on the lattice.
    pub(crate) region: Vec<u8>,
    /// 1 in unseen chest wall on the lattice; empty where there is none.
    pub(crate) unseen_wall: Vec<u8>,
}

/// Finds the lungs; `None` when there is none of at least [`MIN_LUNG_ML`].
pub(crate) fn find(
    hu: &View<'_, impl Voxel>,
    coarse: &Coarse,
    body: &Body,
    air: &Air,
    airways: &Airways,
    grid: &Grid,
) -> Option<Lungs> {
    let tube = airways.outside_lungs(grid, coarse);
    let lung: Vec<u8> = air.lung.iter().zip(&tube).map(|(&air, &tube)| u8::from(air && !tube)).collect();
    let raw = split::sides(coarse, &lung, body, airways.windpipe_x)?;
    let nearest = nearest(coarse, &raw)?;
    let (left, right) = rayon::join(|| close(&raw, LEFT, coarse), || close(&raw, RIGHT, coarse));
    let is_closed = |index: usize| if nearest[index] == LEFT { left[index] } else { right[index] };
    let side_of = |index: usize| if is_closed(index) && !coarse.unseen[index] { nearest[index] } else { 0 };
    let mut sides: Vec<u8> = (0..raw.len()).into_par_iter().map(side_of).collect();
    let [middle_mm, half_width_mm] = plane_between(coarse, &sides)?;
    let aerated = sides.clone();
    fill::complete(coarse, air, &mut sides, middle_mm, half_width_mm);
    let filled = sides.iter().zip(&aerated).map(|(now, before)| now != before).collect();
    let bounds = VoxelBox::around(&sides, coarse.shape, |v| v > 0)?;
    let carina_mm = airways.carina.map(|[z, y, _]| [z * grid.spacing_mm[0], y * grid.spacing_mm[1]]);
    let marks = Landmarks { bounds, middle_mm, half_width_mm, carina_mm };
    let voxel_ml = coarse.voxel_ml();
    Some(Lungs {
        bounds: VoxelBox {
            low: std::array::from_fn(|a| bounds.low[a] * coarse.factor[a]),
            high: std::array::from_fn(|a| (bounds.high[a] * coarse.factor[a]).min(grid.shape[a])),
        },
        middle_mm,
        half_width_mm,
        volumes_ml: [LEFT, RIGHT].map(|side| count_of(&sides, side) as f64 * voxel_ml),
        cut: border_contact_mm2(&sides, coarse) > CUT_MM2,
        anchor: anchor::find(hu, coarse, &sides),
        lattice: Lattice { factor: coarse.factor, shape: coarse.shape },
        grid: *grid,
        region: region::find(coarse, &sides, &raw, &marks),
        unseen_wall: unseen_wall(coarse, &raw),
        sides,
        filled,
        nearest,
    })
}

/// [`LEFT`] or [`RIGHT`], whichever lung is nearer, `[z, y, x]`; far from both, the side of the plane between them.
fn nearest(coarse: &Coarse, sides: &[u8]) -> Option<Vec<u8>> {
    let distance = |side: u8| near_squared_distance_mm2(|i| sides[i] == side, coarse.shape, coarse.spacing_mm, NEAR_MM);
    let (left, right) = rayon::join(|| distance(LEFT), || distance(RIGHT));
    let [has_left, has_right] = [LEFT, RIGHT].map(|side| sides.contains(&side));
    let [middle_mm, _] = plane_between(coarse, sides)?;
    let middle = middle_mm / coarse.spacing_mm[2];
    let of = |index: usize| {
        let is_left = match (has_left, has_right) {
            (true, true) if left[index].min(right[index]).is_infinite() => coarse.place(index)[2] as f64 + 0.5 < middle,
            (true, true) => left[index] <= right[index],
            _ => has_left,
        };
        if is_left { LEFT } else { RIGHT }
    };
    Some((0..sides.len()).into_par_iter().map(of).collect())
}

/// Place of the plane between the lungs along x and half the width of their box, mm.
fn plane_between(coarse: &Coarse, sides: &[u8]) -> Option<[f64; 2]> {
    let of = |side: u8| VoxelBox::around(sides, coarse.shape, |v| v == side);
    let both = VoxelBox::around(sides, coarse.shape, |v| v > 0)?;
    let step_mm = coarse.spacing_mm[2];
    let centre = |side: u8| {
        let mut sum = (0.0, 0.0);
        for (index, _) in sides.iter().enumerate().filter(|&(_, &v)| v == side) {
            sum = (sum.0 + (index % coarse.shape[2]) as f64 + 0.5, sum.1 + 1.0);
        }
        sum.0 / sum.1 * step_mm
    };
    let (low, high) = (both.low[2] as f64 * step_mm, both.high[2] as f64 * step_mm);
    Some(match (of(LEFT), of(RIGHT)) {
        (Some(_), Some(_)) => [f64::midpoint(centre(LEFT), centre(RIGHT)), (high - low) / 2.0],
        // One lung alone: the plane runs along its inner face.
        (Some(_), None) => [high, high - low],
        _ => [low, high - low],
    })
}

impl Lungs {
    /// 1 where the chest wall would be but was not scanned, since the field of view cuts it away; `None` where nothing
    /// is missing.
    ///
    /// # Shapes
    /// `[z, y, x]` of `shape`, which fills the part.
    pub fn unseen_wall_in(&self, part: impl Into<Extent>, shape: [usize; 3]) -> Option<Vec<u8>> {
        (!self.unseen_wall.is_empty()).then(|| self.lattice.look_up(&self.unseen_wall, &part.into(), shape))
    }

    /// 0 outside, [`LEFT`] or [`RIGHT`] in a lung, on `shape` voxels that fill a part of the scan; beyond it 0.
    ///
    /// # Shapes
    /// `[z, y, x]` of `shape`.
    pub fn sides_in(&self, part: impl Into<Extent>, shape: [usize; 3]) -> Vec<u8> {
        self.lattice.look_up(&self.sides, &part.into(), shape)
    }

    /// [`Lungs::sides_in`] for single voxels, by their index in `shape`.
    pub fn side_of(&self, part: impl Into<Extent>, shape: [usize; 3]) -> impl Fn(usize) -> u8 {
        let [zs, ys, xs] = self.lattice.places(&part.into(), shape);
        let [_, height, width] = shape;
        move |voxel| match (zs[voxel / (height * width)], ys[voxel / width % height], xs[voxel % width]) {
            (Some(z), Some(y), Some(x)) => self.lattice.row(&self.sides, z, y)[x],
            _ => 0,
        }
    }

    /// [`LEFT`] or [`RIGHT`], whichever lung is nearer in mm, on `shape` voxels that fill a part of the scan; beyond it
    /// 0.
    ///
    /// # Shapes
    /// `[z, y, x]` of `shape`.
    pub fn nearest_in(&self, part: impl Into<Extent>, shape: [usize; 3]) -> Vec<u8> {
        self.lattice.look_up(&self.nearest, &part.into(), shape)
    }

    /// 1 where a pulmonary vessel can be: in a lung, close to one, or in the mediastinum between the hila.
    ///
    /// # Shapes
    /// `[z, y, x]` of `shape`, which fills the box `part` of the scan.
    pub fn vessel_region_in(&self, part: impl Into<Extent>, shape: [usize; 3]) -> Vec<u8> {
        self.lattice.look_up(&self.region, &part.into(), shape)
    }

    /// The left lung on the canonical grid.
    pub fn left(&self) -> Mask {
        self.mask(LEFT)
    }

    /// The right lung on the canonical grid.
    pub fn right(&self) -> Mask {
        self.mask(RIGHT)
    }

    fn mask(&self, side: u8) -> Mask {
        let mut data = self.sides_in(&VoxelBox::whole(self.grid.shape), self.grid.shape);
        data.par_iter_mut().with_min_len(1 << 16).for_each(|v| *v = u8::from(*v == side));
        Volume { data, grid: self.grid }
    }
}

/// What was not scanned within a chest wall's thickness of the lungs, around where the wall is thinner than any: the
/// field of view cut it there. Elsewhere it is air behind the skin.
fn unseen_wall(coarse: &Coarse, lungs: &[u8]) -> Vec<u8> {
    if !coarse.unseen.contains(&true) {
        return Vec::new();
    }
    let within = |mm: f64| dilated(|i| lungs[i] > 0, coarse.shape, coarse.spacing_mm, mm);
    let mut cut = within(THIN_WALL_MM);
    cut.par_iter_mut().zip(&coarse.unseen).for_each(|(cut, &unseen)| *cut &= unseen);
    if !cut.contains(&true) {
        return Vec::new();
    }
    let around = dilated(|i| cut[i], coarse.shape, coarse.spacing_mm, WALL_MM);
    let near = within(WALL_MM);
    (0..cut.len()).map(|index| u8::from(around[index] && near[index] && coarse.unseen[index])).collect()
}

/// Closes one lung: grown by [`CLOSING_MM`] and shrunk again, then holes of axial slices filled.
fn close(lungs: &[u8], side: u8, coarse: &Coarse) -> Vec<bool> {
    let mut closed = coarse.closed(|i| lungs[i] == side, CLOSING_MM, CLOSING_MM);
    let [_, height, width] = coarse.shape;
    let largest = (LARGEST_HOLE_MM2 / (coarse.spacing_mm[1] * coarse.spacing_mm[2])) as usize;
    closed.par_chunks_mut(height * width).for_each(|slice| fill_slice(slice, height, width, largest));
    closed
}

/// Fills what the mask encloses within one slice, up to `largest` voxels.
fn fill_slice(slice: &mut [bool], height: usize, width: usize, largest: usize) {
    if !slice.contains(&true) {
        return;
    }
    let open: Vec<u8> = slice.iter().map(|&v| u8::from(!v)).collect();
    let found = components(&open, [1, height, width], Connectivity::Faces);
    let mut outside: Vec<bool> = std::iter::once(true).chain(found.sizes.iter().map(|&size| size > largest)).collect();
    for y in 0..height {
        for x in 0..width {
            if y == 0 || x == 0 || y + 1 == height || x + 1 == width {
                outside[found.labels[y * width + x] as usize] = true;
            }
        }
    }
    for (value, &label) in slice.iter_mut().zip(&found.labels) {
        *value |= !outside[label as usize];
    }
}

/// Area in mm² over which the lungs touch the border of the scan or what was not scanned.
fn border_contact_mm2(sides: &[u8], coarse: &Coarse) -> f64 {
    let [dz, dy, dx] = coarse.spacing_mm;
    let faces = [dy * dx, dz * dx, dz * dy];
    let [_, height, width] = coarse.shape;
    let strides = [height * width, width, 1];
    let mut area = 0.0;
    for (index, _) in sides.iter().enumerate().filter(|&(_, &v)| v > 0) {
        let place = coarse.place(index);
        for axis in 0..3 {
            let low = place[axis] == 0 || coarse.unseen[index - strides[axis]];
            let high = place[axis] + 1 == coarse.shape[axis] || coarse.unseen[index + strides[axis]];
            area += f64::from(u8::from(low) + u8::from(high)) * faces[axis];
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, CENTRE_Y_MM, LUNGS_Z_MM, MIDDLE_MM, STEP_MM, chest, chest_with_gap};
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::View;
    use pulmoav_volume::volume::Affine;

    /// Asserts that each lung has its volume within a share of it.
    fn assert_volumes(found_ml: [f64; 2], expected_ml: [f64; 2], share: f64) {
        for (found, expected) in found_ml.into_iter().zip(expected_ml) {
            assert!((found / expected - 1.0).abs() < share, "{found_ml:?} ml, expected {expected_ml:?}");
        }
    }

    #[test]
    fn two_lungs_and_their_sides() {
        let chest = chest();
        let lungs = chest.lungs();
        let [left_ml, right_ml] = lungs.volumes_ml;
        // Airways take little of a lung, the heart takes much of the left one.
        assert!((right_ml / fixture::whole_lung_ml() - 1.0).abs() < 0.05, "{right_ml} ml");
        assert!(left_ml > 0.7 * right_ml && left_ml < 0.95 * right_ml, "left {left_ml}, right {right_ml} ml");
        assert!(!lungs.cut);
        assert!((lungs.middle_mm - MIDDLE_MM).abs() < 8.0, "{}", lungs.middle_mm);
        let voxel = |place_mm: [f64; 3]| {
            let low = place_mm.map(|mm| (mm / STEP_MM) as usize);
            VoxelBox { low, high: low.map(|at| at + 1) }
        };
        assert_eq!(lungs.sides_in(&voxel([LUNGS_Z_MM, CENTRE_Y_MM, 75.0]), [1; 3]), [LEFT]);
        let (whole, shape) = (VoxelBox::whole(chest.grid.shape), chest.grid.shape);
        let side = lungs.side_of(&whole, shape);
        assert!(lungs.sides_in(&whole, shape).iter().enumerate().all(|(voxel, &expected)| side(voxel) == expected));
        assert_eq!(lungs.nearest_in(&voxel([5.0, CENTRE_Y_MM, 300.0]), [1; 3]), [RIGHT]);
        let windpipe = chest.index([250.0, CENTRE_Y_MM - 5.0, MIDDLE_MM]);
        assert_eq!(lungs.left().data[windpipe] + lungs.right().data[windpipe], 0);
    }

    #[test]
    fn touching_lungs_come_apart() {
        let lungs = chest_with_gap(-5.0).lungs();
        let [left, right] = lungs.volumes_ml;
        assert!(left / right > 0.7 && left < right, "{left} and {right} ml");
        assert!((lungs.middle_mm - MIDDLE_MM).abs() < 8.0, "{}", lungs.middle_mm);
    }

    #[test]
    fn a_cut_scan_keeps_its_lungs() {
        // Nothing of the chest wall is in this scan.
        let part = chest().cropped([60.0, CENTRE_Y_MM - 64.0, MIDDLE_MM - 105.0], [260.0, CENTRE_Y_MM + 64.0, 280.0]);
        let lungs = part.lungs();
        assert!(lungs.cut);
        assert!(lungs.volumes_ml.iter().all(|&ml| ml > 600.0), "{:?}", lungs.volumes_ml);
        assert_eq!(part.warnings(), ["CUT_LUNGS"]);
    }

    #[test]
    fn a_round_field_of_view_keeps_its_lungs() {
        let whole_ml = chest().lungs().volumes_ml;
        // It cuts 10 mm off the left lung.
        let is_seen = |[_, y, x]: [f64; 3]| (y - CENTRE_Y_MM).hypot(x - MIDDLE_MM - 10.0) < 135.0;
        for padding_hu in [-1024.0, -2000.0, 0.0] {
            let lungs = chest().painted(|at, hu| if is_seen(at) { hu } else { padding_hu }).lungs();
            assert!(lungs.cut, "{padding_hu}");
            assert_volumes(lungs.volumes_ml, whole_ml, 0.05);
        }
    }

    #[test]
    fn an_open_windpipe_keeps_the_lungs() {
        let whole_ml = chest().lungs().volumes_ml;
        let open = chest().painted(|[z, y, x], hu| {
            let is_channel = (z - 275.0).abs() < 5.0 && (x - MIDDLE_MM).abs() < 4.0 && y > CENTRE_Y_MM - 5.0;
            if is_channel { -1000.0 } else { hu }
        });
        assert_volumes(open.lungs().volumes_ml, whole_ml, 0.01);
    }

    #[test]
    fn no_lungs_in_tissue_or_air() {
        let (shape, spacing_mm) = ([60, 70, 100], [5.0, 4.0, 3.5]);
        let grid = Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) };
        for hu in [40.0, -1000.0, f32::NAN] {
            let data = vec![hu; grid.len()];
            assert!(crate::find(&View::new(&data, shape), &grid, &Silent).expect("nobody cancels").lungs.is_none());
        }
        let nothing = crate::find(&View::new(&[0f32; 0], [0, 4, 4]), &Grid { shape: [0, 4, 4], ..grid }, &Silent);
        assert!(nothing.expect("nobody cancels").lungs.is_none());
    }
}
