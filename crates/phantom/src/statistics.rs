//! Calibre, length and count of a phantom's vessels by order.

use serde::Serialize;

use crate::growth::Tree;

/// Diameters of Huang 1996 in mm, by order, artery from 9 to 15 (docs/method.md, Phantoms).
pub const ARTERY_DIAMETERS_MM: [f32; 7] = [0.77, 1.16, 1.75, 2.71, 4.16, 7.34, 14.80];
/// The same for veins.
pub const VEIN_DIAMETERS_MM: [f32; 7] = [1.42, 1.99, 2.88, 4.00, 5.86, 8.65, 12.97];
/// Order of the first entry of both tables.
pub const FIRST_ORDER: usize = 9;

/// One order of one tree. An element is a run of branches of one order, as in diameter-defined Strahler ordering.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderStatistics {
    /// Order in Huang's numbering: the one whose diameter is nearest by ratio.
    pub order: usize,
    /// Mean diameter of its branches, weighted by length.
    pub diameter_mm: f32,
    /// Mean length of an element.
    pub length_mm: f32,
    /// Number of elements.
    pub count: usize,
}

/// Both trees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Pulmonary arteries from the lobes outwards.
    pub artery: Vec<OrderStatistics>,
    /// Pulmonary veins from the ostia outwards.
    pub vein: Vec<OrderStatistics>,
}

impl Statistics {
    pub(crate) fn of(arteries: &[Tree], veins: &[Tree]) -> Self {
        Self { artery: by_order(arteries, &ARTERY_DIAMETERS_MM), vein: by_order(veins, &VEIN_DIAMETERS_MM) }
    }
}

/// Mean factor from one order to the next of `value`, by least squares on its logarithm.
pub fn ratio(orders: &[OrderStatistics], value: impl Fn(&OrderStatistics) -> f32) -> f32 {
    let n = orders.len() as f32;
    let x = |o: &OrderStatistics| o.order as f32;
    let y = |o: &OrderStatistics| value(o).max(1e-6).ln();
    let (mx, my) = (orders.iter().map(x).sum::<f32>() / n, orders.iter().map(y).sum::<f32>() / n);
    let up: f32 = orders.iter().map(|o| (x(o) - mx) * (y(o) - my)).sum();
    let down: f32 = orders.iter().map(|o| (x(o) - mx).powi(2)).sum();
    (up / down).exp()
}

fn by_order(trees: &[Tree], table: &[f32; 7]) -> Vec<OrderStatistics> {
    let mut sums = [(0.0_f32, 0.0_f32, 0_usize); 7];
    for tree in trees {
        let orders: Vec<usize> = tree.branches.iter().map(|b| nearest(2.0 * b.radius_mm, table)).collect();
        for (i, branch) in tree.branches.iter().enumerate() {
            let (length, diameter, count) = &mut sums[orders[i]];
            *length += branch.length_mm();
            *diameter += 2.0 * branch.radius_mm * branch.length_mm();
            let goes_on = branch.parent.is_some_and(|p| {
                orders[p] == orders[i]
                    && tree.branches[p].children.iter().all(|&c| tree.branches[c].radius_mm <= branch.radius_mm)
            });
            *count += usize::from(!goes_on);
        }
    }
    let row = |(i, (length, diameter, count)): (usize, &(f32, f32, usize))| {
        (*count > 0).then(|| OrderStatistics {
            order: FIRST_ORDER + i,
            diameter_mm: diameter / length,
            length_mm: length / *count as f32,
            count: *count,
        })
    };
    sums.iter().enumerate().filter_map(row).collect()
}

/// Index of the diameter nearest by ratio.
fn nearest(diameter_mm: f32, table: &[f32; 7]) -> usize {
    table[1..].iter().zip(table).take_while(|(wide, thin)| diameter_mm > (*wide * *thin).sqrt()).count()
}
