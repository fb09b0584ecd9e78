//! Finds the anatomy of scans and says how long it took: `look SCAN [MASK]…`; with a mask of the lungs, the Dice.
use pulmoav_anatomy::{Structure, find, label};
use pulmoav_volume::crop::View;
use pulmoav_volume::hounsfield::hounsfield;
use pulmoav_volume::label::labels;
use pulmoav_volume::monitor::Silent;
use pulmoav_volume::{Orientation, Volume, formats};
use std::path::Path;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    for pair in args {
        let (scan, mask) = pair.split_once(',').map_or((pair.as_str(), None), |(a, b)| (a, Some(b)));
        let image = formats::read(Path::new(scan), None, &Silent).expect("a scan");
        let (data, _) = hounsfield(&image.voxels);
        let ct = Volume { data, grid: image.header.grid };
        let moves = Orientation::of(&ct.grid.affine).unwrap();
        let view = View::new(&ct.data, ct.grid.shape).reordered(moves.source, moves.flipped);
        let started = Instant::now();
        let a = find(&view, &moves.orient_grid(&ct.grid));
        if let Some(l) = &a.lungs {
            eprintln!("anchor {:?} bounds {:?} middle {} half {}", l.anchor, l.bounds, l.middle_mm, l.half_width_mm);
        }
        let seconds = started.elapsed().as_secs_f64();
        let found = label(&ct, &Silent).unwrap();
        print!("{scan}: {seconds:.3} s ");
        for m in &found.structures {
            print!(" {} {:.0}", m.structure.name(), m.volume_ml);
        }
        let codes: Vec<_> = found.warnings.iter().map(|w| w.code).collect();
        print!(" {codes:?}");
        print!(" carina {:.0?}", found.carina_mm);
        if let Some(mask) = mask {
            let image = formats::read(Path::new(mask), None, &Silent).expect("a mask");
            let m = labels(&image.voxels).unwrap();
            let lung = |v: u8| v == Structure::LeftLung.value() || v == Structure::RightLung.value();
            let from = image.header.grid.shape;
            let to = ct.grid.shape;
            let at = |axis: usize, i: usize| i * from[axis] / to[axis];
            let (mut both, mut a, mut b) = (0f64, 0f64, 0f64);
            for z in 0..to[0] {
                for y in 0..to[1] {
                    for x in 0..to[2] {
                        let f = lung(found.labels.data[(z * to[1] + y) * to[2] + x]);
                        let e = m[(at(0, z) * from[1] + at(1, y)) * from[2] + at(2, x)] > 0;
                        both += f64::from(u8::from(f && e));
                        a += f64::from(u8::from(f));
                        b += f64::from(u8::from(e));
                    }
                }
            }
            print!(" Dice {:.4}", 2.0 * both / (a + b));
        }
        println!();
        if let Ok(folder) = std::env::var("WRITE") {
            let name = Path::new(scan).file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
            let path = Path::new(&folder).join(format!("{name}_anatomy.nii.gz"));
            formats::write(&path, &found.labels.data, 1, &found.labels.grid, None, &Silent).unwrap();
        }
    }
}
