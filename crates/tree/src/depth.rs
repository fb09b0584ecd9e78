//! How deep the voxels of a centreline lie in their mask.

use pulmoav_volume::bits::{Bits, WORD};
use pulmoav_volume::nearest::Nearest;

use crate::ranked::Ranked;

/// Vessels are less wide than this; wider masks are measured more slowly, mm.
const WIDE_MM: f64 = 40.0;

/// Squared distances to the background, mm², of the voxels of a centreline.
#[derive(Debug, Clone)]
pub(crate) struct Depths {
    line: Ranked,
    mm2: Vec<f32>,
}

impl Depths {
    /// # Shapes
    /// `line` and `inside`: of one shape, the outermost planes empty.
    pub(crate) fn find(line: Bits, inside: &Bits, spacing_mm: [f64; 3]) -> Self {
        let mm = Nearest::reaching(&shell(inside), spacing_mm, WIDE_MM).distances_mm(&line);
        Self { line: Ranked::new(line), mm2: mm.into_iter().map(|mm| (mm * mm) as f32).collect() }
    }

    /// Of a voxel of the centreline; 0 elsewhere.
    pub(crate) fn mm2(&self, voxel: u32) -> f32 {
        self.line.number(voxel).map_or(0.0, |number| self.mm2[number as usize])
    }

    /// The centreline.
    pub(crate) fn line(&self) -> &Ranked {
        &self.line
    }
}

/// The background that has a face on the mask: what is nearest to a voxel inside is always among it.
fn shell(inside: &Bits) -> Bits {
    let mut around = Bits::empty(inside.shape());
    let [depth, height, _] = inside.shape();
    for z in 0..depth {
        for y in 0..height {
            let own = inside.row(z, y);
            let mut row = [(z.checked_sub(1), Some(y)), (z.checked_add(1).filter(|&z| z < depth), Some(y))]
                .into_iter()
                .chain([(Some(z), y.checked_sub(1)), (Some(z), y.checked_add(1).filter(|&y| y < height))])
                .filter_map(|(z, y)| Some(inside.row(z?, y?)))
                .fold(vec![0_u64; own.len()], |mut sum, row| {
                    sum.iter_mut().zip(row).for_each(|(sum, word)| *sum |= word);
                    sum
                });
            for (index, word) in row.iter_mut().enumerate() {
                let before = index.checked_sub(1).map_or(0, |before| own[before] >> (WORD - 1));
                let after = own.get(index + 1).map_or(0, |after| after << (WORD - 1));
                *word = (*word | own[index] << 1 | before | own[index] >> 1 | after) & !own[index];
            }
            around.row_mut(z, y).copy_from_slice(&row);
        }
    }
    around
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulmoav_volume::distance::squared_distance_mm2;

    #[test]
    fn depths_are_the_distance_transforms() {
        let (shape, spacing_mm) = ([20, 22, 150], [1.5, 0.8, 0.7]);
        let place = |v: usize| [v / (22 * 150), v / 150 % 22, v % 150];
        let holds = |v: usize| {
            let [z, y, x] = place(v).map(|k| k as f64);
            (z - 9.0).hypot(y - 11.0) < 6.0 + (x * 0.2).sin() && (3.0..147.0).contains(&x)
        };
        let mut inside = Bits::empty(shape);
        let count = shape.iter().product::<usize>();
        (0..count).filter(|&v| holds(v)).for_each(|v| inside.set(place(v)));
        let field = squared_distance_mm2(|v| !holds(v), shape, spacing_mm);
        let depths = Depths::find(inside.clone(), &inside, spacing_mm);
        for (v, &expected) in field.iter().enumerate() {
            assert!((depths.mm2(v as u32) - expected).abs() <= 1e-4 * expected, "{v}");
        }
    }
}
