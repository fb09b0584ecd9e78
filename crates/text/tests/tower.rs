//! The bundled tower knows its phrases, and those that it never saw.

use pulmoav_text::corpus::{HELD_OUT, read_table};
use pulmoav_text::{TARGETS, Tower};

const PHRASINGS: &str = include_str!("phrasings.tsv");

/// The tower that travels with the bundled model.
fn bundled() -> Tower {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny");
    Tower::of_model(std::path::Path::new(model)).expect("the bundled model's tower")
}

/// Share of a table that is answered right; the others are printed.
fn share_right(tower: &Tower, table: &[(Option<&str>, &str)]) -> f64 {
    let texts: Vec<&str> = table.iter().map(|(_, text)| *text).collect();
    let answers = tower.resolve(&texts).expect("prompts resolve");
    let wrong = table.iter().zip(&answers).filter(|((target, _), answer)| *target != answer.target);
    for ((target, text), answer) in wrong.clone() {
        println!("{text:?}: {:?} ({:.2}), expected {target:?}", answer.target, answer.confidence);
    }
    1.0 - wrong.count() as f64 / table.len() as f64
}

#[test]
fn two_hundred_phrasings() {
    let table = read_table(PHRASINGS);
    assert!(
        table.len() >= 200 && table.iter().all(|(target, _)| target.is_none_or(|target| TARGETS.contains(&target)))
    );
    let share = share_right(&bundled(), &table);
    assert!(share >= 0.98, "{share}");
}

#[test]
fn a_hundred_phrasings_never_seen() {
    let share = share_right(&bundled(), &read_table(HELD_OUT));
    assert!(share >= 0.95, "{share}");
}

#[test]
fn the_targets_embeddings_are_apart() {
    let embeddings = bundled().target_embeddings().expect("nine templates");
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (i, a) in embeddings.iter().enumerate() {
        for b in &embeddings[..i] {
            assert!(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt() < 0.8);
        }
    }
}
