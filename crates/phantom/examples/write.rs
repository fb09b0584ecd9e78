//! Writes phantoms as raw arrays with a JSON header each, to look at them in Python:
//! `cargo run -p pulmoav-phantom --example write -- OUT_DIR SEED [COUNT] [PHASE|-] [SIZE] [STYLE]`.

use std::path::Path;
use std::time::Instant;

use pulmoav_phantom::{Appearance, Phantom, PhantomConfig, Size, Style, layers, render};
use pulmoav_task::Silent;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let dir = Path::new(args.get(1).ok_or("give a folder")?);
    let seed: u64 = args.get(2).ok_or("give a seed")?.parse()?;
    let count: u64 = args.get(3).map_or(Ok(1), |s| s.parse())?;
    let phase = args.get(4).filter(|s| *s != "-").map(|s| serde_json::from_str(&format!("\"{s}\""))).transpose()?;
    let size = args.get(5).map_or(Ok(Size::Small), |s| serde_json::from_str(&format!("\"{s}\"")))?;
    let style = args.get(6).map_or(Ok(Style::Hospital), |s| serde_json::from_str(&format!("\"{s}\"")))?;
    std::fs::create_dir_all(dir)?;
    for seed in seed..seed + count {
        let config = PhantomConfig { phase, size, ..PhantomConfig::small(seed, style) };
        let start = Instant::now();
        let layers = layers(&config, &Silent)?;
        let drawn = start.elapsed().as_secs_f64();
        let phantom = render(layers, Appearance::of(&config), seed);
        println!("seed {seed}: {drawn:.1} s drawn, {:.1} s in all", start.elapsed().as_secs_f64());
        write(dir, seed, &phantom)?;
    }
    Ok(())
}

fn write(dir: &Path, seed: u64, phantom: &Phantom) -> Result<(), Box<dyn std::error::Error>> {
    let bytes: Vec<u8> = phantom.ct.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(dir.join(format!("{seed}_ct.i16")), bytes)?;
    std::fs::write(dir.join(format!("{seed}_labels.u8")), &phantom.labels.data)?;
    std::fs::write(dir.join(format!("{seed}_lungs.u8")), &phantom.lungs.data)?;
    std::fs::write(dir.join(format!("{seed}_anatomy.u8")), &phantom.anatomy.data)?;
    let header = serde_json::json!({
        "shape": phantom.ct.grid.shape,
        "spacingMm": phantom.ct.grid.spacing_mm,
        "phase": phantom.phase,
        "look": format!("{:?}", phantom.appearance),
        "statistics": phantom.statistics,
        "scan": phantom.scan,
    });
    std::fs::write(dir.join(format!("{seed}.json")), header.to_string())?;
    Ok(())
}
