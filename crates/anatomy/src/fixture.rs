//! A synthetic chest for the tests of this crate, painted in mm so that a test can change it.

use pulmoav_task::Silent;
use pulmoav_volume::crop::{View, VoxelBox};
use pulmoav_volume::volume::{Affine, Grid, Volume};

use crate::anatomy::Anatomy;
use crate::label::{Labelled, label};
use crate::lungs::Lungs;

/// Edge of the cubic voxels.
pub(crate) const STEP_MM: f64 = 2.5;
/// Size of the scan, `[z, y, x]`.
const SIZE_MM: [f64; 3] = [300.0, 280.0, 350.0];
/// The midline, from the low-x face.
pub(crate) const MIDDLE_MM: f64 = 175.0;
/// Centre of the body along y, from the back of the scan.
pub(crate) const CENTRE_Y_MM: f64 = 150.0;
/// The body is an elliptic cylinder of these radii along `[y, x]`.
const BODY_MM: [f64; 2] = [110.0, 165.0];
/// Centre of both lungs along z.
pub(crate) const LUNGS_Z_MM: f64 = 150.0;
/// Radii of a lung, `[z, y, x]`.
pub(crate) const LUNG_MM: [f64; 3] = [110.0, 85.0, 60.0];
/// Ribs lie around a lung, this many times as far out as its surface, but for the inner side.
const RIB_DEPTHS: std::ops::Range<f64> = 1.05..1.12;
/// Radius of the spine, and how far from the midline ribs begin.
const SPINE_MM: f64 = 15.0;
const RIBS_FROM_MIDDLE_MM: f64 = 40.0;
/// How far above and below the lungs' centre there are ribs.
const RIBS_HEIGHT_MM: f64 = 85.0;
/// Distance of the lungs' inner faces from the midline.
const GAP_MM: f64 = 15.0;
/// Where the windpipe divides.
pub(crate) const CARINA_MM: [f64; 3] = [190.0, CENTRE_Y_MM - 5.0, MIDDLE_MM];
/// Radii of windpipe, main bronchi and lobar bronchi, and the thickness of their walls.
const TUBES_MM: [f64; 3] = [9.0, 7.0, 5.0];
const WALL_MM: f64 = 4.0;
const TISSUE_HU: f32 = 40.0;
const AIR_HU: f32 = -1000.0;

/// A scan in the canonical frame: the patient's left has the smaller x.
#[derive(Clone)]
pub(crate) struct Chest {
    pub(crate) hu: Vec<f32>,
    pub(crate) grid: Grid,
}

/// Body with spine, ribs and breastbone, two lungs, a heart that narrows the left one, and airways.
pub(crate) fn chest() -> Chest {
    chest_with_gap(GAP_MM)
}

/// The same with the lungs' inner faces at another distance from the midline; they overlap where it is negative.
pub(crate) fn chest_with_gap(gap_mm: f64) -> Chest {
    let shape = SIZE_MM.map(|mm| (mm / STEP_MM) as usize);
    let grid = Grid { shape, spacing_mm: [STEP_MM; 3], affine: Affine::from_spacing([STEP_MM; 3]) };
    let tubes = airways();
    Chest { hu: vec![0.0; grid.len()], grid }.painted(|at, _| {
        let [z, y, x] = at;
        if body_depth(at) >= 1.0 {
            return -1024.0 + noise(at, 10.0);
        }
        let nearest = tubes.iter().map(|tube| tube.distance_mm(at)).fold(f64::INFINITY, f64::min);
        let left = lung_depth(at, MIDDLE_MM - gap_mm - LUNG_MM[2]) < 1.0;
        let right = lung_depth(at, MIDDLE_MM + gap_mm + LUNG_MM[2]) < 1.0;
        let heart = distance_mm(at, [120.0, CENTRE_Y_MM + 30.0, MIDDLE_MM - 30.0]) < 45.0;
        let spine = (y - CENTRE_Y_MM + 90.0).hypot(x - MIDDLE_MM) < SPINE_MM;
        let around = |centre_x_mm: f64| RIB_DEPTHS.contains(&lung_depth(at, centre_x_mm));
        let cage = around(MIDDLE_MM - gap_mm - LUNG_MM[2]) || around(MIDDLE_MM + gap_mm + LUNG_MM[2]);
        let beside = (x - MIDDLE_MM).abs() > RIBS_FROM_MIDDLE_MM && (z - LUNGS_Z_MM).abs() < RIBS_HEIGHT_MM;
        let rib = z % 25.0 < 8.0 && cage && beside;
        let breastbone = (y - CENTRE_Y_MM - 98.0).hypot(x - MIDDLE_MM) < 8.0 && z > 60.0;
        match () {
            () if nearest < 0.0 => AIR_HU + noise(at, 10.0),
            () if spine || breastbone || rib => 400.0,
            () if nearest < WALL_MM || (heart && !right) => TISSUE_HU,
            () if left || right => lung_hu(at),
            () => TISSUE_HU,
        }
    })
}

/// A chest whose header exchanges left and right: heart and long main bronchus are on the right, the higher dome is on
/// the left.
pub(crate) fn chest_with_wrong_sides() -> Chest {
    chest().mirrored().painted(|at, hu| {
        let [z, y, x] = at;
        let is_below = left_lung_depth(at) < 1.0 && left_lung_depth([z - 13.0, y, x]) >= 1.0 && z < LUNGS_Z_MM;
        if is_below { TISSUE_HU } else { hu }
    })
}

impl Chest {
    /// The scan with each voxel's HU replaced by `new(place in mm, HU)`.
    pub(crate) fn painted(mut self, new: impl Fn([f64; 3], f32) -> f32) -> Self {
        let [_, height, width] = self.grid.shape;
        for (index, hu) in self.hu.iter_mut().enumerate() {
            let place = [index / (height * width), index / width % height, index % width];
            *hu = new(place.map(|at| (at as f64 + 0.5) * STEP_MM), *hu);
        }
        self
    }

    /// The part between two corners, mm.
    pub(crate) fn cropped(&self, low_mm: [f64; 3], high_mm: [f64; 3]) -> Self {
        let voxels = |mm: [f64; 3]| mm.map(|mm| (mm / STEP_MM) as usize);
        let high = voxels(high_mm);
        let part =
            VoxelBox { low: voxels(low_mm), high: std::array::from_fn(|axis| high[axis].min(self.grid.shape[axis])) };
        Self { hu: View::new(&self.hu, self.grid.shape).part(&part).to_vec(), grid: part.grid(&self.grid) }
    }

    /// Left and right of the voxels exchanged; the grid stays.
    pub(crate) fn mirrored(&self) -> Self {
        self.flipped(2)
    }

    /// The other end of an axis, `[z, y, x]`; the grid stays.
    pub(crate) fn flipped(&self, axis: usize) -> Self {
        let view = View::new(&self.hu, self.grid.shape);
        Self { hu: view.reordered([0, 1, 2], [0, 1, 2].map(|other| other == axis)).to_vec(), grid: self.grid }
    }

    /// Every second voxel along each axis, for tests of many runs.
    pub(crate) fn thinned(&self) -> Self {
        let view = View::new(&self.hu, self.grid.shape);
        let [depth, height, width] = self.grid.shape.map(|size| size / 2);
        let rows = (0..depth).flat_map(|z| (0..height).map(move |y| [z, y]));
        let hu = rows.flat_map(|[z, y]| (0..width).map(move |x| view.at(2 * z, 2 * y, 2 * x))).collect();
        let spacing_mm = [2.0 * STEP_MM; 3];
        Self { hu, grid: Grid { shape: [depth, height, width], spacing_mm, affine: Affine::from_spacing(spacing_mm) } }
    }

    pub(crate) fn find(&self) -> Anatomy {
        crate::find(&View::new(&self.hu, self.grid.shape), &self.grid, &Silent).expect("nobody cancels")
    }

    pub(crate) fn lungs(&self) -> Lungs {
        self.find().lungs.expect("lungs")
    }

    pub(crate) fn label(&self) -> Labelled {
        label(&Volume { data: self.hu.clone(), grid: self.grid }, &Silent).expect("three directions")
    }

    /// Codes of the warnings.
    pub(crate) fn warnings(&self) -> Vec<&'static str> {
        self.find().warnings.iter().map(|warning| warning.code).collect()
    }

    /// The index of the voxel at a place in mm.
    pub(crate) fn index(&self, place_mm: [f64; 3]) -> usize {
        let [z, y, x] = place_mm.map(|mm| (mm / STEP_MM) as usize);
        (z * self.grid.shape[1] + y) * self.grid.shape[2] + x
    }
}

/// Lung tissue, uneven as vessels make it.
pub(crate) fn lung_hu(at: [f64; 3]) -> f32 {
    -850.0 + noise(at, 65.0)
}

/// Below 1 in the left lung of [`chest`], and the share of its radius.
pub(crate) fn left_lung_depth(at: [f64; 3]) -> f64 {
    lung_depth(at, MIDDLE_MM - GAP_MM - LUNG_MM[2])
}

/// Below 1 in the right lung of [`chest`], and the share of its radius.
pub(crate) fn right_lung_depth(at: [f64; 3]) -> f64 {
    lung_depth(at, MIDDLE_MM + GAP_MM + LUNG_MM[2])
}

/// Volume of one lung without what heart and airways take, ml.
pub(crate) fn whole_lung_ml() -> f64 {
    4.0 / 3.0 * std::f64::consts::PI * LUNG_MM.iter().product::<f64>() / 1000.0
}

fn lung_depth([z, y, x]: [f64; 3], centre_x_mm: f64) -> f64 {
    let [dz, dy, dx] = LUNG_MM;
    let squares = [(z - LUNGS_Z_MM) / dz, (y - CENTRE_Y_MM) / dy, (x - centre_x_mm) / dx].map(|share| share * share);
    squares.iter().sum::<f64>().sqrt()
}

/// Below 1 in the body.
fn body_depth([_, y, x]: [f64; 3]) -> f64 {
    ((y - CENTRE_Y_MM) / BODY_MM[0]).hypot((x - MIDDLE_MM) / BODY_MM[1])
}

pub(crate) fn distance_mm(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
}

/// Between -`most` and `most`, the same for the same place.
fn noise(at: [f64; 3], most: f32) -> f32 {
    let [z, y, x] = at.map(|mm| (mm / STEP_MM) as u32);
    let mixed = (z.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ x.wrapping_mul(83_492_791))
        .wrapping_mul(2_654_435_761);
    ((mixed >> 16) as f32 / 32_768.0 - 1.0) * most
}

/// A tube with rounded ends.
struct Tube {
    ends_mm: [[f64; 3]; 2],
    radius_mm: f64,
}

impl Tube {
    /// Distance from its surface, negative inside.
    fn distance_mm(&self, at: [f64; 3]) -> f64 {
        let [from, to] = self.ends_mm;
        let along: [f64; 3] = std::array::from_fn(|axis| to[axis] - from[axis]);
        let dot: f64 = (0..3).map(|axis| (at[axis] - from[axis]) * along[axis]).sum();
        let share = (dot / along.iter().map(|mm| mm * mm).sum::<f64>()).clamp(0.0, 1.0);
        distance_mm(at, std::array::from_fn(|axis| from[axis] + share * along[axis])) - self.radius_mm
    }
}

/// Windpipe, a long left and a short right main bronchus, and two lobar bronchi each.
fn airways() -> Vec<Tube> {
    let [z, y, x] = CARINA_MM;
    let (left, right) = ([z - 30.0, y, x - 48.0], [z - 16.0, y, x + 22.0]);
    let [windpipe, main, lobar] = TUBES_MM;
    let tube = |from: [f64; 3], to: [f64; 3], radius_mm: f64| Tube { ends_mm: [from, to], radius_mm };
    let mut tubes = vec![
        tube([SIZE_MM[0] + 20.0, y, x], CARINA_MM, windpipe),
        tube(CARINA_MM, left, main),
        tube(CARINA_MM, right, main),
    ];
    for ([z, y, x], outwards) in [(left, -1.0), (right, 1.0)] {
        tubes.push(tube([z, y, x], [z + 20.0, y, x + outwards * 32.0], lobar));
        tubes.push(tube([z, y, x], [z - 40.0, y - 10.0, x + outwards * 16.0], lobar));
    }
    tubes
}
