//! Labels of a scan, decided on a card by what a network found on another grid, so that nothing else comes back. The
//! host's way is `segment`'s `restore` and `boundary`, which is the reference.

#[cfg(feature = "cuda")]
mod cuda;

use candle_core::{Result, Tensor, bail};

use crate::resample::{Lines, Scan, Table};

/// Maps that one decision knows at most.
pub const MOST_MAPS: usize = 32;

/// What a map stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its label.
    pub value: u8,
    /// The maps that go before it where they are above one half too, a bit each.
    pub narrower: u32,
    /// It counts where these bits of the table …
    pub mask: u8,
    /// … are those.
    pub code: u8,
}

/// Decides the label of each voxel: that of the highest map above one half, of equals the first; else 0.
///
/// # Shapes
/// `found`: f32 `[z, y, x, p]` of the box that begins at voxel `low` of the lines' sources, 0 beyond it; `lines` and
/// `table`: the voxels that are decided → u8 `[z, y, x]`.
///
/// # Errors
/// Another number of rules; more than [`MOST_MAPS`]; a device without room or code.
pub fn decide(found: &Tensor, low: [usize; 3], lines: &Lines, table: &Table, rules: &[Rule]) -> Result<Tensor> {
    let (.., maps) = found.dims4()?;
    if maps != rules.len() || maps == 0 || maps > MOST_MAPS || lines.size != table.size {
        bail!("labels: {maps} maps for {} rules, {:?} voxels that see {:?}", rules.len(), lines.size, table.size);
    }
    #[cfg(feature = "cuda")]
    return cuda::decide(found, low, lines, table, rules);
    #[cfg(not(feature = "cuda"))]
    bail!("labels: there is no code for {:?}, from {low:?} on", found.device().location())
}

/// Where walls are looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Walls {
    /// Voxels without a label, but above this, get the nearest one.
    pub above: f32,
    /// No wall is darker.
    pub darkest: f32,
    /// A wall is half-way between this and the brightest voxel around it …
    pub dim: f32,
    /// … which counts as no brighter than this.
    pub bright: f32,
    /// Steps `[z, y, x]` at which labels are looked for, nearest first, each with the rank of its length.
    pub near: Vec<[i32; 4]>,
    /// The same for the brightest voxel.
    pub peak: Vec<[i32; 4]>,
    /// Where the table has none of these bits, labels stay.
    pub mask: u8,
}

/// Clears labels of voxels that are darker than half their vessel; gives those without a label, but brighter, the nearest
/// label, of equally near ones the lowest.
///
/// # Shapes
/// `labels`: u8 `[z, y, x]` of `scan` → the same.
///
/// # Errors
/// Other shapes; a device without room or code.
pub fn refine(labels: &Tensor, scan: &Scan, table: &Table, walls: &Walls) -> Result<Tensor> {
    if labels.dims() != scan.size() || table.size != scan.size() {
        bail!("labels: {:?} labels for {:?} voxels that see {:?}", labels.dims(), scan.size(), table.size);
    }
    #[cfg(feature = "cuda")]
    return cuda::refine(labels, scan, table, walls);
    #[cfg(not(feature = "cuda"))]
    bail!("labels: there is no code for {:?}, above {}", labels.device().location(), walls.above)
}
