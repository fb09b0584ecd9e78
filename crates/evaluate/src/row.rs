//! A target, and where it counts: what the formula of a score is given.

use pulmoav_task::Cancelled;
use pulmoav_volume::Grid;
use pulmoav_volume::bits::Bits;

use crate::once::Once;
use crate::options::Options;
use crate::overlap::confusion::{Confusion, Counts};
use crate::pair::{Maps, Pair, Which};
use crate::skeleton::hilum::Hila;
use crate::skeleton::line_points::{LinePoint, line_points};
use crate::skeleton::small_vessels::SmallVessels;
use crate::surface::profile::Profiles;
use crate::tree::betti::betti_of;

/// What the rows of a case share.
pub(crate) struct Case<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) maps: Maps<'a>,
    /// In the order of the targets.
    pub(crate) pairs: Vec<Pair<'a>>,
    hila: Once<Option<Hila>>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(options: &'a Options<'a>, maps: Maps<'a>) -> Self {
        let pairs = options.targets.iter().map(|target| Pair::new(target, maps)).collect();
        Self { options, maps, pairs, hila: Once::new() }
    }

    /// Where the vessels enter the lungs; `None` without lungs, or where no vessel does.
    pub(crate) fn hila(&self) -> Result<Option<&Hila>, Cancelled> {
        let found = self.hila.get(|| {
            self.maps.monitor.proceed()?;
            Ok(self.options.lungs.and_then(|lungs| Hila::find(self.maps.reference, lungs, self.options)))
        })?;
        Ok(found.as_ref())
    }
}

/// A target, and where it counts.
pub(crate) struct Row<'a> {
    pub(crate) case: &'a Case<'a>,
    pub(crate) pair: &'a Pair<'a>,
    /// Where its voxels count.
    pub(crate) options: &'a Options<'a>,
    pub(crate) confusion: &'a Confusion,
    pub(crate) counts: Counts,
    surfaces: Once<Profiles>,
    borders: Once<Profiles>,
    points: [Once<Vec<LinePoint>>; 2],
    small_vessels: [Once<SmallVessels>; 2],
    betti: Once<[[i64; 3]; 2]>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        case: &'a Case<'a>,
        pair: &'a Pair<'a>,
        options: &'a Options<'a>,
        confusion: &'a Confusion,
    ) -> Self {
        let counts = confusion.counts(&pair.target.labels);
        Self {
            case,
            pair,
            options,
            confusion,
            counts,
            surfaces: Once::new(),
            borders: Once::new(),
            points: [Once::new(), Once::new()],
            small_vessels: [Once::new(), Once::new()],
            betti: Once::new(),
        }
    }

    pub(crate) fn grid(&self) -> &Grid {
        self.case.maps.grid()
    }

    /// Whether a voxel of the bits counts; `None` for one outside the maps.
    pub(crate) fn lets(&self, at: [usize; 3]) -> Option<bool> {
        let maps = &self.case.maps;
        maps.voxel(at).map(|voxel| self.options.lets(voxel, maps.reference.data[voxel]))
    }

    /// The voxels that count.
    pub(crate) fn counted(&self, mask: &Bits) -> Bits {
        if self.options.lets_all() {
            return mask.clone();
        }
        let mut counted = Bits::empty(mask.shape());
        mask.iter().filter(|&at| self.lets(at) == Some(true)).for_each(|at| counted.set(at));
        counted
    }

    /// Distances between the surfaces, by area.
    pub(crate) fn surfaces(&self) -> Result<&Profiles, Cancelled> {
        self.surfaces.get(|| Ok(self.pair.surfels()?.profiles(self)))
    }

    /// Distances between border voxels.
    pub(crate) fn borders(&self) -> Result<&Profiles, Cancelled> {
        self.borders.get(|| Ok(self.pair.borders()?.profiles(self)))
    }

    /// The points of a centreline that count.
    pub(crate) fn points(&self, which: Which) -> Result<&Vec<LinePoint>, Cancelled> {
        self.points[which as usize].get(|| line_points(self, self.pair, which))
    }

    /// The volumes of small vessels.
    pub(crate) fn small_vessels(&self, which: Which) -> Result<&SmallVessels, Cancelled> {
        self.small_vessels[which as usize].get(|| SmallVessels::find(self, which))
    }

    /// Pieces, tunnels and cavities of both maps.
    pub(crate) fn betti(&self) -> Result<&[[i64; 3]; 2], Cancelled> {
        self.betti.get(|| betti_of(self))
    }
}
