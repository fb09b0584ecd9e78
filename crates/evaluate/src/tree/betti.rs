//! Betti errors: the difference between prediction and reference in the number of pieces (b0, voxels that touch by a
//! corner), tunnels (b1) and cavities (b2, background that touches by a face).
//!
//! b1 = b0 + b2 − χ, with the Euler number χ = corners − edges + faces − voxels of the closed voxels (Kong and
//! Rosenfeld 1989, Comput Vis Graph Image Process 48:357).

use pulmoav_volume::bits::{Bits, WORD};
use pulmoav_volume::components::{Connectivity, component_sizes};

use crate::pair::Which;
use crate::row::Row;
use crate::score::{Better, Group, Score, Unit, Value};

pub(crate) const BETTI_0_ERROR: Score = Score {
    name: "betti0Error",
    title: "Betti 0 error, pieces",
    group: Group::Tree,
    unit: Unit::Count,
    better: Better::Lower,
    value: |row| error(row, 0),
};

pub(crate) const BETTI_1_ERROR: Score =
    Score { name: "betti1Error", title: "Betti 1 error, tunnels", value: |row| error(row, 1), ..BETTI_0_ERROR };

pub(crate) const BETTI_2_ERROR: Score =
    Score { name: "betti2Error", title: "Betti 2 error, cavities", value: |row| error(row, 2), ..BETTI_0_ERROR };

/// Of the voxels that count; `None` where both are empty.
fn error(row: &Row<'_>, number: usize) -> Value {
    let [pred, reference] = row.betti()?;
    let empty = [0; 3];
    Ok((*pred != empty || *reference != empty).then(|| pred[number].abs_diff(reference[number]) as f64))
}

/// The Betti numbers of the voxels that count, of both maps.
pub(crate) fn betti_of(row: &Row<'_>) -> Result<[[i64; 3]; 2], pulmoav_task::Cancelled> {
    let of = |which: Which| {
        row.case.maps.monitor.proceed()?;
        Ok(betti(&row.counted(row.pair.mask(which)?)))
    };
    Ok([of(Which::Pred)?, of(Which::Reference)?])
}

/// Pieces, tunnels and cavities of a mask, none of whose outermost voxels is set.
fn betti(mask: &Bits) -> [i64; 3] {
    if mask.is_empty() {
        return [0; 3];
    }
    let pieces = component_sizes(mask, Connectivity::Corners).len() as i64;
    // What lies outside is one piece of the background too.
    let cavities = component_sizes(&mask.complement(), Connectivity::Faces).len() as i64 - 1;
    [pieces, pieces + cavities - euler(mask), cavities]
}

/// Corners − edges + faces − voxels of the closed voxels.
fn euler(mask: &Bits) -> i64 {
    let [depth, height, _] = mask.shape();
    let mut sum = 0;
    for z in 1..depth {
        for y in 1..height {
            let rows = [mask.row(z - 1, y - 1), mask.row(z - 1, y), mask.row(z, y - 1), mask.row(z, y)];
            let mut before = [0; 4];
            for index in 0..mask.row_words() {
                let [a, b, c, d] = rows.map(|row| row[index]);
                // All four rows round an edge along x; those round one along y and z, with a face along x between them.
                let unions = [a | b | c | d, b | d, c | d, d];
                let both = [0, 1, 2, 3].map(|k| unions[k] << 1 | before[k] | unions[k]);
                before = unions.map(|union| union >> (WORD - 1));
                let count = |word: u64| i64::from(word.count_ones());
                sum += count(both[0]) - count(both[1]) - count(both[2]) - count(unions[0])
                    + count(both[3])
                    + count(unions[1])
                    + count(unions[2])
                    - count(d);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(holds: impl Fn([i32; 3]) -> bool) -> Bits {
        let mut bits = Bits::empty([12, 14, 80]);
        for (z, y, x) in (1..11).flat_map(|z| (1..13).flat_map(move |y| (1..79).map(move |x| (z, y, x)))) {
            if holds([z as i32, y as i32, x as i32]) {
                bits.set([z, y, x]);
            }
        }
        bits
    }

    #[test]
    fn shapes_have_their_pieces_tunnels_and_cavities() {
        let ball = |[z, y, x]: [i32; 3], r: i32| (z - 6).pow(2) + (y - 7).pow(2) + (x - 62).pow(2) <= r * r;
        assert_eq!(betti(&drawn(|at| ball(at, 4))), [1, 0, 0]);
        assert_eq!(betti(&drawn(|at| ball(at, 4) && !ball(at, 2))), [1, 0, 1]);
        assert_eq!(betti(&drawn(|[z, y, x]| (4..9).contains(&z) && (y - 6).abs() + (x - 64).abs() == 4)), [1, 1, 0]);
        assert_eq!(betti(&drawn(|[_, y, x]| y == 3 && x % 10 == 4)), [8, 0, 0]);
        // Two voxels that touch by a corner are one piece.
        assert_eq!(betti(&drawn(|at| at == [3, 3, 63] || at == [4, 4, 64])), [1, 0, 0]);
        assert_eq!(betti(&drawn(|_| false)), [0; 3]);
    }
}
