//! How much of a card's memory a scan will take, told before its first tile, and how many tiles at a time fit.

use pulmoav_ops::device::Room;
use pulmoav_plan::Network;

use crate::budget::F32;
use crate::tiles::Shown;

/// Voxels that keep a card busy: more of them at a time gain nothing.
const BUSY_VOXELS: usize = 1 << 22;
/// A sixteenth of what is free stays so: the driver's own, and what other programs take meanwhile.
const SPARE_DIVISOR: u64 = 16;

/// What the sums of a scan and its tiles are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) network: &'a Network,
    /// Bytes of a value that the network computes with.
    pub(crate) value_bytes: u64,
    /// Voxels of the grid that is looked at.
    pub(crate) seen: u64,
    pub(crate) channels: u64,
    /// Maps that are asked for.
    pub(crate) maps: u64,
    /// Maps kept beside them while networks of several folds answer.
    pub(crate) more_maps: u64,
    /// What the card does of the scan itself.
    pub(crate) scan: Option<ScanLoad>,
}

/// A scan that a card resamples and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanLoad {
    /// As it is stored.
    pub(crate) bytes: u64,
    /// Voxels that get a label.
    pub(crate) part: u64,
    /// Whether walls follow the scan, which stays on the card until then.
    pub(crate) walls: bool,
}

impl ScanLoad {
    /// While channels are made of `seen` voxels, what stays then, and while labels are decided from so many maps.
    fn stages(&self, seen: u64, channels: u64, maps: u64) -> [u64; 3] {
        let stays = if self.walls { self.bytes } else { 0 };
        let labels = if self.walls { 2 * self.part } else { self.part };
        [self.bytes + (1 + channels) * seen * F32, stays, stays + maps * seen * F32 + labels]
    }
}

/// Memory of a card for one scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardMemory {
    /// What the card had free when the run began, bytes; the weights are there already.
    pub free_bytes: u64,
    /// The peak foreseen beside the weights, bytes.
    pub predicted_bytes: u64,
    /// Tiles that were shown at a time.
    pub batch: usize,
    /// Those that there was to be room for; `batch` is less where there was none after all.
    pub wanted_batch: usize,
    /// Whether the scan was resampled and its labels were decided on the card; else the host did both.
    pub whole_scan: bool,
}

impl Load<'_> {
    /// The peak on the card beside the network's weights, bytes: the scan's channels and the sums, then for each tile
    /// its input (where launches are recorded, twice), the network's work as on the CPU, and its answer.
    pub(crate) fn bytes(&self, shown: Shown) -> u64 {
        let tile = shown.tile.iter().product::<usize>() as u64;
        let sums = (self.channels + self.maps + 1) * self.seen * F32;
        let work = self.network.channels_alive() as u64 * self.value_bytes;
        let edges =
            (2 * self.channels + self.maps + self.more_maps) * F32 + (self.channels + self.maps) * self.value_bytes;
        let running = sums + tile * F32 + shown.batch as u64 * tile * (work + edges);
        match self.scan.map(|scan| scan.stages(self.seen, self.channels, self.maps)) {
            Some([preparing, stays, restoring]) => preparing.max(stays + running).max(restoring),
            None => running,
        }
    }

    /// The most tiles at a time that are of use and fit, at least one: the networks that norm over all they are shown
    /// look at one.
    pub(crate) fn batch(&self, tile: [usize; 3], tiles: usize, room: Room) -> usize {
        if !self.network.takes_tiles_together() {
            return 1;
        }
        let voxels: usize = tile.iter().product();
        let most = (BUSY_VOXELS / voxels.max(1)).clamp(1, tiles.max(1));
        (1..=most).rev().find(|&batch| self.fits(Shown { tile, batch }, room)).unwrap_or(1)
    }

    /// Whether this fits with some to spare.
    pub(crate) fn fits(&self, shown: Shown, room: Room) -> bool {
        self.bytes(shown) <= room.free_bytes - room.free_bytes / SPARE_DIVISOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::plan;

    #[test]
    fn as_many_tiles_as_fit_and_are_of_use() {
        let plan = plan();
        let load =
            |network| Load { network, value_bytes: 4, seen: 64 << 12, channels: 2, maps: 2, more_maps: 0, scan: None };
        let of = load(&plan.network);
        let room = |free_bytes: u64| Room { free_bytes, total_bytes: 1 << 40 };
        assert_eq!(of.batch([32; 3], 1000, room(1 << 40)), BUSY_VOXELS >> 15);
        assert_eq!(of.batch([32; 3], 5, room(1 << 40)), 5);
        assert_eq!(of.batch([256; 3], 5, room(1 << 40)), 1);
        let three = of.bytes(Shown { tile: [32; 3], batch: 3 });
        assert_eq!(of.batch([32; 3], 1000, room(three + three / 15 + 1)), 3);
        assert_eq!(of.batch([32; 3], 1000, room(three)), 2);
        assert_eq!(of.batch([32; 3], 1000, room(0)), 1);
    }

    #[test]
    fn a_scan_counts_while_it_is_there() {
        let plan = plan();
        let shown = Shown { tile: [8; 3], batch: 1 };
        let bytes = |scan: Option<ScanLoad>| {
            let (network, seen) = (&plan.network, 1 << 20);
            Load { network, value_bytes: 4, seen, channels: 2, maps: 2, more_maps: 0, scan }.bytes(shown)
        };
        let scan = |bytes: u64, part: u64, walls: bool| Some(ScanLoad { bytes, part, walls });
        let running = bytes(None);
        assert_eq!(bytes(scan(1 << 10, 1 << 10, false)), running);
        assert_eq!(bytes(scan(1 << 10, 1 << 10, true)), running + (1 << 10));
        assert_eq!(bytes(scan(1 << 30, 0, false)), (1 << 30) + (3 << 22));
        assert_eq!(bytes(scan(0, 1 << 30, true)), (2 << 22) + (2 << 30));
    }
}
