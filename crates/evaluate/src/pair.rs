//! One target in both maps, and what several scores read of it; each thing is found when the first score asks.

use pulmoav_task::{Cancelled, Monitor};
use pulmoav_volume::bits::Bits;
use pulmoav_volume::crop::VoxelBox;
use pulmoav_volume::{Grid, Mask};

use crate::once::Once;
use crate::options::Target;
use crate::skeleton::line::Line;
use crate::skeleton::radius::radii_mm;
use crate::surface::borders::Borders;
use crate::surface::surfels::Surfels;
use crate::tree::branches::{Branch, branches};

/// Voxels that are not set round the box that holds every vessel.
const MARGIN: usize = 1;

/// Which of the two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Pred,
    Reference,
}

impl Which {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Pred => Self::Reference,
            Self::Reference => Self::Pred,
        }
    }
}

/// The two label maps of a case, on one grid.
#[derive(Clone, Copy)]
pub(crate) struct Maps<'a> {
    pub(crate) pred: &'a Mask,
    pub(crate) reference: &'a Mask,
    /// Where either is not 0.
    pub(crate) part: VoxelBox,
    pub(crate) monitor: &'a dyn Monitor,
}

impl Maps<'_> {
    pub(crate) fn of(&self, which: Which) -> &Mask {
        match which {
            Which::Pred => self.pred,
            Which::Reference => self.reference,
        }
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.reference.grid
    }

    /// The voxels of a map with one of `labels`, in the box with a margin.
    pub(crate) fn bits(&self, which: Which, labels: &[u8]) -> Bits {
        let map = self.of(which);
        Bits::of(&map.data, map.grid.shape, &self.part, MARGIN, |label| labels.contains(&label))
    }

    /// The index in the maps of a voxel of the bits; `None` for one of the margin that lies outside the maps.
    pub(crate) fn voxel(&self, at: [usize; 3]) -> Option<usize> {
        let [depth, height, width] = self.grid().shape;
        let place = |axis: usize| (at[axis] + self.part.low[axis]).checked_sub(MARGIN);
        let (z, y, x) = (place(0)?, place(1)?, place(2)?);
        (z < depth && y < height && x < width).then(|| (z * height + y) * width + x)
    }
}

/// One target in both maps.
pub(crate) struct Pair<'a> {
    pub(crate) target: &'a Target,
    pub(crate) maps: Maps<'a>,
    masks: [Once<Bits>; 2],
    surfels: Once<Surfels>,
    borders: Once<Borders>,
    lines: [Once<Line>; 2],
    radii_mm: [Once<Vec<f64>>; 2],
    branches: Once<Vec<Branch>>,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(target: &'a Target, maps: Maps<'a>) -> Self {
        Self {
            target,
            maps,
            masks: [Once::new(), Once::new()],
            surfels: Once::new(),
            borders: Once::new(),
            lines: [Once::new(), Once::new()],
            radii_mm: [Once::new(), Once::new()],
            branches: Once::new(),
        }
    }

    /// The target's voxels.
    pub(crate) fn mask(&self, which: Which) -> Result<&Bits, Cancelled> {
        self.masks[which as usize].get(|| {
            self.maps.monitor.proceed()?;
            Ok(self.maps.bits(which, &self.target.labels))
        })
    }

    /// The elements of both surfaces, with their distances.
    pub(crate) fn surfels(&self) -> Result<&Surfels, Cancelled> {
        self.surfels.get(|| Surfels::find(self))
    }

    /// The border voxels of both, with their distances.
    pub(crate) fn borders(&self) -> Result<&Borders, Cancelled> {
        self.borders.get(|| Borders::find(self))
    }

    /// The centreline. The whole target is thinned, also where a restriction does not let it count: a cut would end
    /// every vessel there.
    pub(crate) fn line(&self, which: Which) -> Result<&Line, Cancelled> {
        self.lines[which as usize].get(|| {
            let mask = self.mask(which)?;
            self.maps.monitor.proceed()?;
            Ok(Line::of(mask.clone(), self.maps.grid().spacing_mm))
        })
    }

    /// The radius at each point of the centreline, mm.
    pub(crate) fn radii_mm(&self, which: Which) -> Result<&Vec<f64>, Cancelled> {
        self.radii_mm[which as usize].get(|| {
            let (mask, line) = (self.mask(which)?, self.line(which)?);
            self.maps.monitor.proceed()?;
            Ok(radii_mm(mask, line, self.maps.grid().spacing_mm))
        })
    }

    /// The branches of the reference's centreline.
    pub(crate) fn branches(&self) -> Result<&Vec<Branch>, Cancelled> {
        self.branches.get(|| Ok(branches(self.line(Which::Reference)?)))
    }
}
