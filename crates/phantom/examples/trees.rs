//! Trees measured from phantoms' masks beside those that the generator drew:
//! `cargo run -p pulmoav-phantom --example trees -- SEED [COUNT] [plain|hospital]`.

#[path = "../tests/trees_beside_truth/mod.rs"]
mod trees_beside_truth;

use pulmoav_phantom::{PhantomConfig, Style, generate};
use pulmoav_task::Silent;
use pulmoav_tree::order::OrderStatistics;
use trees_beside_truth::compared;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args.get(1).ok_or("give a seed")?.parse()?;
    let count: u64 = args.get(2).map_or(Ok(1), |s| s.parse())?;
    let style = args.get(3).map_or(Ok(Style::Plain), |s| serde_json::from_str(&format!("\"{s}\"")))?;
    for seed in seed..seed + count {
        let phantom = generate(&PhantomConfig::small(seed, style), &Silent)?;
        let [z, y, x] = phantom.labels.grid.spacing_mm;
        println!("{seed}, voxels of {z:.2} x {y:.2} x {x:.2} mm");
        for (class, name) in ["artery", "vein"].into_iter().enumerate() {
            let found = compared(&phantom, class);
            println!(
                "  {name}: {} of {} branches, radii {:.2} mm off (bias {:+.2}), {:.0} mm of {:.0}, {} trees, {} loose \
                 pieces, {} loops cut, {} spurs",
                found.branches_found,
                found.branches,
                found.radius_error_mm,
                found.radius_bias_mm,
                found.length_mm,
                found.true_length_mm,
                found.trees,
                found.loose,
                found.loops,
                found.pruned,
            );
            for (by, [measured, truth]) in [("Strahler", &found.strahler), ("diameter", &found.diameter)] {
                for one in truth {
                    let same = |other: &&OrderStatistics| other.order == one.order;
                    let Some(other) = measured.iter().find(same) else { continue };
                    println!(
                        "    {by} {}: {:.2} ({:.2}) mm wide, {:.1} ({:.1}) mm long, {} ({})",
                        one.order,
                        other.diameter_mm,
                        one.diameter_mm,
                        other.length_mm,
                        one.length_mm,
                        other.count,
                        one.count
                    );
                }
            }
        }
    }
    Ok(())
}
