//! Connected components of masks.

use crate::volume::Mask;

/// Which voxels touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Across faces: 6 neighbours.
    Faces,
    /// Across faces, edges and corners: 26 neighbours.
    Corners,
}

/// Components of an array.
#[derive(Debug, Clone)]
pub struct Components {
    /// 0 where the array is 0, else the component's number, from 1 in scan order of its first voxel; `[z, y, x]`.
    pub labels: Vec<u32>,
    /// Voxels of component `i + 1`.
    pub sizes: Vec<usize>,
}

impl Components {
    /// Number of the largest component, the first in scan order of equals; `None` when there is none.
    pub fn largest(&self) -> Option<u32> {
        let mut best: Option<(usize, usize)> = None;
        for (index, &size) in self.sizes.iter().enumerate() {
            if best.is_none_or(|(_, most)| size > most) {
                best = Some((index, size));
            }
        }
        best.map(|(index, _)| index as u32 + 1)
    }
}

/// Numbers the components of equal, non-zero value; scan order, so the numbers never depend on threads.
///
/// # Shapes
/// `data`: `[z, y, x]` of `shape`.
pub fn components(data: &[u8], shape: [usize; 3], connectivity: Connectivity) -> Components {
    let mut labels = vec![0u32; data.len()];
    let mut parents: Vec<u32> = vec![0];
    let behind = neighbours_behind(connectivity);
    let [depth, height, width] = shape;
    let mut index = 0;
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                if data[index] != 0 {
                    labels[index] = join_neighbours(data, &labels, &mut parents, &behind, shape, [z, y, x], index);
                }
                index += 1;
            }
        }
    }
    number(labels, &mut parents)
}

/// Keeps the largest component.
pub fn keep_largest(mask: &mut Mask, connectivity: Connectivity) {
    let found = components(&mask.data, mask.grid.shape, connectivity);
    let Some(largest) = found.largest() else { return };
    for (value, &label) in mask.data.iter_mut().zip(&found.labels) {
        *value = if label == largest { *value } else { 0 };
    }
}

/// Clears components of equal value with fewer than `least` voxels.
///
/// # Shapes
/// `data`: `[z, y, x]` of `shape`, changed in place.
pub fn remove_small(data: &mut [u8], shape: [usize; 3], connectivity: Connectivity, least: usize) {
    let found = components(data, shape, connectivity);
    for (value, &label) in data.iter_mut().zip(&found.labels) {
        if label > 0 && found.sizes[label as usize - 1] < least {
            *value = 0;
        }
    }
}

/// The half of the neighbourhood that lies behind in scan order, `[z, y, x]` offsets.
fn neighbours_behind(connectivity: Connectivity) -> Vec<[isize; 3]> {
    let mut offsets = Vec::new();
    for dz in -1..=1isize {
        for dy in -1..=1isize {
            for dx in -1..=1isize {
                let before = (dz, dy, dx) < (0, 0, 0);
                let faces = dz.abs() + dy.abs() + dx.abs() == 1;
                if before && (faces || connectivity == Connectivity::Corners) {
                    offsets.push([dz, dy, dx]);
                }
            }
        }
    }
    offsets
}

fn join_neighbours(
    data: &[u8],
    labels: &[u32],
    parents: &mut Vec<u32>,
    behind: &[[isize; 3]],
    shape: [usize; 3],
    at: [usize; 3],
    index: usize,
) -> u32 {
    let mut label = 0;
    for offset in behind {
        let inside = (0..3).all(|axis| {
            let to = at[axis] as isize + offset[axis];
            to >= 0 && to < shape[axis] as isize
        });
        if !inside {
            continue;
        }
        let step = (offset[0] * shape[1] as isize + offset[1]) * shape[2] as isize + offset[2];
        let other = (index as isize + step) as usize;
        if data[other] == data[index] {
            let root = root(parents, labels[other]);
            if label == 0 {
                label = root;
            } else if root != label {
                // The smaller number stays the root, so numbering follows scan order.
                let (low, high) = (label.min(root), label.max(root));
                parents[high as usize] = low;
                label = low;
            }
        }
    }
    if label == 0 {
        label = parents.len() as u32;
        parents.push(label);
    }
    label
}

fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        parents[label as usize] = parents[parents[label as usize] as usize];
        label = parents[label as usize];
    }
    label
}

fn number(mut labels: Vec<u32>, parents: &mut [u32]) -> Components {
    let mut numbers = vec![0u32; parents.len()];
    let mut sizes = Vec::new();
    for label in 1..parents.len() as u32 {
        let top = root(parents, label);
        if top == label {
            sizes.push(0);
            numbers[label as usize] = sizes.len() as u32;
        } else {
            numbers[label as usize] = numbers[top as usize];
        }
    }
    for label in &mut labels {
        if *label > 0 {
            *label = numbers[*label as usize];
            sizes[*label as usize - 1] += 1;
        }
    }
    Components { labels, sizes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_and_corners_differ() {
        let data = [1, 0, 0, 1, 1, 0, 0, 0, 1];
        let by_face = components(&data, [1, 3, 3], Connectivity::Faces);
        assert_eq!(by_face.labels, [1, 0, 0, 1, 1, 0, 0, 0, 2]);
        assert_eq!(by_face.sizes, [3, 1]);
        let by_corner = components(&data, [1, 3, 3], Connectivity::Corners);
        assert_eq!(by_corner.sizes, [4]);
    }

    #[test]
    fn late_joins_keep_scan_order() {
        // Two arms of a U that meet on the last row, then a lone voxel.
        let data = [1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1];
        let found = components(&data, [1, 4, 4], Connectivity::Faces);
        assert_eq!(found.sizes, [7, 1]);
        assert_eq!(found.largest(), Some(1));
    }

    #[test]
    fn values_do_not_mix_and_small_ones_go() {
        let mut data = [1, 1, 2, 0, 2, 2];
        remove_small(&mut data, [1, 1, 6], Connectivity::Corners, 2);
        assert_eq!(data, [1, 1, 0, 0, 2, 2]);
    }
}
