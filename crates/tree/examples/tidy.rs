//! What tidying does to label maps whose truth is known: swaps, Dice, loose pieces, seconds.
//! `cargo run -p pulmoav-tree --example tidy -- DATASET PREDICTIONS NAMES WEIGHTS [AIRWAYS]`, where `NAMES` are cases
//! with commas between, `WEIGHTS` sets of six numbers with `/` between, and `AIRWAYS` a folder of masks (0 airways by
//! default).

use std::path::Path;
use std::time::Instant;

use pulmoav_task::Silent;
use pulmoav_tree::tidy::{Request, Weights, tidy};
use pulmoav_volume::crop::View;
use pulmoav_volume::{Mask, formats, label::labels};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, data, predictions, names, weights, rest @ ..] = args.as_slice() else {
        return Err("give DATASET PREDICTIONS NAMES WEIGHTS [AIRWAYS]".into());
    };
    let sets: Vec<Weights> = weights.split('/').map(parsed).collect::<Result<_, _>>()?;
    let mut sums = vec![[0.0; 6]; sets.len() + 1];
    let names: Vec<&str> = names.split(',').collect();
    for name in &names {
        let map = |folder: &str| read(&Path::new(data).join(folder).join(format!("{name}.nii.gz")));
        let (truth, lungs) = (map("labelsTr")?, map("lungsTr")?);
        let pred = read(&Path::new(predictions).join(format!("{name}.nii.gz")))?;
        let airways = rest.first().map(|folder| read(&Path::new(folder).join(format!("{name}.nii.gz")))).transpose()?;
        let airways = airways.map(|mask| -> Vec<u32> {
            (0..).zip(&mask.data).filter(|(_, value)| **value != 0).map(|(voxel, _)| voxel).collect()
        });
        let ct = formats::read(&Path::new(data).join("imagesTr").join(format!("{name}_0000.nii.gz")), None, &Silent)?;
        let hu = ct.voxels.to_f32();
        let before = scores(&pred, &truth, &lungs);
        print!("{name}: {before:.4?}");
        for (set, weights) in sets.iter().enumerate() {
            let mut tidied = pred.clone();
            let clock = Instant::now();
            let request = Request {
                pairs: &[[1, 2]],
                airways: airways.as_deref(),
                hu: Some(View::new(&hu, ct.header.grid.shape)),
                weights: *weights,
            };
            let report = tidy(&mut tidied, &request, &Silent)?;
            let seconds = clock.elapsed().as_secs_f64();
            let after = scores(&tidied, &truth, &lungs);
            print!(
                " | {after:.4?} {} changes {} bridges {} dropped, loose {} -> {} in {seconds:.2} s",
                report.changes.len(),
                report.bridges.len(),
                report.dropped.pieces,
                report.loose_before.pieces,
                report.loose_after.pieces
            );
            let loose = report.loose_after.pieces as f64;
            add(&mut sums[set + 1], after, loose);
            if set == 0 {
                add(&mut sums[0], before, report.loose_before.pieces as f64);
            }
        }
        println!();
    }
    println!("means: swapped in lungs, artery and vein Dice in lungs, whole; loose pieces");
    for sum in sums {
        println!("{:.4?}", sum.map(|v| v / names.len() as f64));
    }
    Ok(())
}

fn add(sum: &mut [f64; 6], scores: [f64; 5], loose: f64) {
    scores.into_iter().chain([loose]).zip(sum).for_each(|(value, sum)| *sum += value);
}

fn parsed(text: &str) -> Result<Weights, Failure> {
    let numbers: Vec<f64> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let [voxels, most_mm, fork, loose_end, tree_end, airway] = numbers[..] else {
        return Err("six weights".into());
    };
    Ok(Weights { voxels, most_mm, fork, loose_end, tree_end, airway })
}

fn read(path: &Path) -> Result<Mask, Failure> {
    let image = formats::read(path, None, &Silent)?;
    Ok(Mask { data: labels(&image.voxels, "labels")?, grid: image.header.grid })
}

/// Swaps in the lungs; Dice of artery and vein in the lungs and in the whole map.
fn scores(pred: &Mask, truth: &Mask, lungs: &Mask) -> [f64; 5] {
    let (mut both, mut swapped) = (0.0, 0.0);
    let mut counts = [[0.0_f64; 3]; 4];
    for ((&p, &t), &lung) in pred.data.iter().zip(&truth.data).zip(&lungs.data) {
        if lung != 0 && p != 0 && t != 0 {
            both += 1.0;
            swapped += f64::from(u8::from(p != t));
        }
        for class in [1, 2] {
            for region in 0..2 {
                if region == 1 || lung != 0 {
                    let count = &mut counts[region * 2 + class as usize - 1];
                    count[0] += f64::from(u8::from(p == class && t == class));
                    count[1] += f64::from(u8::from(p == class));
                    count[2] += f64::from(u8::from(t == class));
                }
            }
        }
    }
    let dice = |c: [f64; 3]| 2.0 * c[0] / (c[1] + c[2]).max(1.0);
    [swapped / f64::max(both, 1.0), dice(counts[0]), dice(counts[1]), dice(counts[2]), dice(counts[3])]
}
