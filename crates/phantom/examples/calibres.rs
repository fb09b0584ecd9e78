//! Centreline by calibre of phantoms, measured from their masks as real masks were (docs/method.md, Phantoms):
//! `cargo run -p pulmoav-phantom --example calibres -- SEED [COUNT] [plain|hospital]`.
//!
//! One row a tree: ml, cm, then cm by radius in mm, on a grid of 0.6 mm: < 0.75, –1, –1.5, –2, –3, –4, –6, wider.

use pulmoav_phantom::{PhantomConfig, Style, generate};
use pulmoav_task::Silent;
use pulmoav_tree::skeleton_of;
use pulmoav_volume::distance::squared_distance_mm2;
use pulmoav_volume::{Grid, Volume};

const SPACING_MM: f64 = 0.6;
const RADII_MM: [f64; 7] = [0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args.get(1).ok_or("give a seed")?.parse()?;
    let count: u64 = args.get(2).map_or(Ok(1), |s| s.parse())?;
    let style = args.get(3).map_or(Ok(Style::Hospital), |s| serde_json::from_str(&format!("\"{s}\"")))?;
    for seed in seed..seed + count {
        let phantom = generate(&PhantomConfig::small(seed, style), &Silent)?;
        let in_lungs: Vec<u8> = phantom
            .labels
            .data
            .iter()
            .zip(&phantom.lungs.data)
            .map(|(&l, &lung)| u8::from(l != 0 && lung != 0))
            .collect();
        let vessels = Volume { data: in_lungs, grid: phantom.labels.grid };
        row(seed, "both in the lungs", &vessels, |v| v == 1);
        row(seed, "artery with trunk", &phantom.labels, |v| v == 1);
        row(seed, "vein", &phantom.labels, |v| v == 2);
        row(seed, "airway lumen", &phantom.anatomy, |v| v >= 5);
    }
    Ok(())
}

/// Prints what a mask measures.
fn row(seed: u64, name: &str, map: &Volume<u8>, inside: impl Fn(u8) -> bool) {
    let (mask, shape) = finer(map, inside);
    let centreline = skeleton_of(&mask, shape);
    let depth2_mm2 = squared_distance_mm2(|i| mask[i] == 0, shape, [SPACING_MM; 3]);
    let [_, ny, nx] = shape;
    let mut cm = [0.0_f64; 8];
    for i in (0..mask.len()).filter(|&i| centreline[i] != 0) {
        // Half of every step to a neighbour: a step is counted from both of its ends.
        let mut mm = 0.0;
        for (dz, dy, dx) in (0..27).map(|k| (k / 9, k / 3 % 3, k % 3)).filter(|&k| k != (1, 1, 1)) {
            let other = i + (dz * ny + dy) * nx + dx - (ny + 1) * nx - 1;
            if centreline[other] != 0 {
                let steps = [dz, dy, dx].into_iter().filter(|&d| d != 1).count();
                mm += 0.5 * SPACING_MM * (steps as f64).sqrt();
            }
        }
        let radius_mm = f64::from(depth2_mm2[i]).sqrt();
        cm[RADII_MM.iter().filter(|&&r| radius_mm >= r).count()] += 0.1 * mm;
    }
    let ml = mask.iter().filter(|&&v| v != 0).count() as f64 * SPACING_MM.powi(3) * 1e-3;
    let lengths: Vec<String> = cm.iter().map(|l| format!("{l:.0}")).collect();
    println!("{seed} | {name} | {ml:.0} | {:.0} | {}", cm.iter().sum::<f64>(), lengths.join(" | "));
}

/// The mask on the finer grid, a rim of background round it.
fn finer(map: &Volume<u8>, inside: impl Fn(u8) -> bool) -> (Vec<u8>, [usize; 3]) {
    let Grid { shape: coarse, spacing_mm, .. } = map.grid;
    let shape = [0, 1, 2].map(|i| (coarse[i] as f64 * spacing_mm[i] / SPACING_MM) as usize + 2);
    let index = [0, 1, 2].map(|axis| -> Vec<usize> {
        let at = |i: usize| (((i.max(1) - 1) as f64 * SPACING_MM / spacing_mm[axis]) as usize).min(coarse[axis] - 1);
        (0..shape[axis]).map(at).collect()
    });
    let rim = |i: usize, n: usize| i == 0 || i + 1 == n;
    let mut mask = Vec::with_capacity(shape.iter().product());
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            let from = (index[0][z] * coarse[1] + index[1][y]) * coarse[2];
            let row_is_rim = rim(z, shape[0]) || rim(y, shape[1]);
            mask.extend(
                (0..shape[2])
                    .map(|x| u8::from(!row_is_rim && !rim(x, shape[2]) && inside(map.data[from + index[2][x]]))),
            );
        }
    }
    (mask, shape)
}
