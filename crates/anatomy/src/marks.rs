//! What is known of each voxel of the coarse grid as one byte, for a device that looks it up itself.

use pulmoav_volume::crop::Extent;

use crate::anatomy::Anatomy;
use crate::lungs::LEFT;

/// See [`Anatomy::body_in`].
pub const BODY: u8 = 1;
/// See [`Lungs::unseen_wall_in`](crate::lungs::Lungs::unseen_wall_in).
pub const UNSEEN_WALL: u8 = 1 << 1;
/// See [`Lungs::vessel_region_in`](crate::lungs::Lungs::vessel_region_in).
pub const REGION: u8 = 1 << 2;
/// In a lung, see [`Lungs::sides_in`](crate::lungs::Lungs::sides_in).
pub const LUNG: u8 = 1 << 3;
/// The left lung is the nearer one, see [`Lungs::nearest_in`](crate::lungs::Lungs::nearest_in).
pub const NEARER_LEFT: u8 = 1 << 4;
/// The right lung is.
pub const NEARER_RIGHT: u8 = 1 << 5;

/// The bits above on the coarse grid, and that grid as voxels of another one see it.
#[derive(Debug, Clone)]
pub struct Marks {
    /// `[z, y, x]` of `shape`.
    pub values: Vec<u8>,
    /// Coarse voxels.
    pub shape: [usize; 3],
    /// The coarse place of each voxel along each axis; `None` beyond the scan, where no bit is set.
    pub places: [Vec<Option<usize>>; 3],
}

impl Anatomy {
    /// What is known of `shape` voxels that fill the box `part` of the scan.
    pub fn marks_in(&self, part: impl Into<Extent>, shape: [usize; 3]) -> Marks {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let of_lungs = |index: usize| {
            self.lungs.as_ref().map_or(0, |lungs| {
                let nearer = if lungs.nearest[index] == LEFT { NEARER_LEFT } else { NEARER_RIGHT };
                let is_unseen = lungs.unseen_wall.get(index).is_some_and(|&unseen| unseen != 0);
                nearer
                    | bit(is_unseen, UNSEEN_WALL)
                    | bit(lungs.region[index] != 0, REGION)
                    | bit(lungs.sides[index] != 0, LUNG)
            })
        };
        let values = self.trunk.iter().enumerate().map(|(index, &body)| bit(body != 0, BODY) | of_lungs(index));
        Marks { values: values.collect(), shape: self.lattice.shape, places: self.lattice.places(&part.into(), shape) }
    }
}

#[cfg(test)]
mod tests {
    use pulmoav_task::Silent;
    use pulmoav_volume::crop::{View, VoxelBox};

    use super::*;
    use crate::fixture::chest;
    use crate::lungs::RIGHT;

    #[test]
    fn marks_are_what_is_looked_up() {
        let chest = chest().cropped([0.0; 3], [1e9, 1e9, 150.0]);
        let anatomy = crate::find(&View::new(&chest.hu, chest.grid.shape), &chest.grid, &Silent).unwrap();
        let part = VoxelBox { low: [3, 5, 7], high: chest.grid.shape };
        let (extent, shape) = (Extent { low: [-4.0, 3.5, 1.0], ..Extent::from(&part) }, [29, 17, 23]);
        let marks = anatomy.marks_in(extent, shape);
        let lungs = anatomy.lungs.as_ref().unwrap();
        let has = |bit: u8| -> Vec<u8> {
            let [zs, ys, xs] = &marks.places;
            let rows = zs.iter().flat_map(|z| ys.iter().map(move |y| (z, y)));
            let voxels = rows.flat_map(|(z, y)| xs.iter().map(move |x| (z, y, x)));
            let value = |(z, y, x): (&Option<usize>, &Option<usize>, &Option<usize>)| match (z, y, x) {
                (Some(z), Some(y), Some(x)) => marks.values[(z * marks.shape[1] + y) * marks.shape[2] + x],
                _ => 0,
            };
            voxels.map(|voxel| u8::from(value(voxel) & bit != 0)).collect()
        };
        let is = |values: Vec<u8>, like: u8| -> Vec<u8> { values.iter().map(|&v| u8::from(v == like)).collect() };
        assert_eq!(has(BODY), anatomy.body_in(extent, shape));
        assert_eq!(has(REGION), lungs.vessel_region_in(extent, shape));
        assert_eq!(has(NEARER_LEFT), is(lungs.nearest_in(extent, shape), LEFT));
        assert_eq!(has(NEARER_RIGHT), is(lungs.nearest_in(extent, shape), RIGHT));
        let sides = lungs.sides_in(extent, shape);
        assert_eq!(has(LUNG), sides.iter().map(|&side| u8::from(side != 0)).collect::<Vec<_>>());
        let unseen = lungs.unseen_wall_in(extent, shape).unwrap_or_else(|| vec![0; sides.len()]);
        assert_eq!(has(UNSEEN_WALL), unseen);
    }
}
