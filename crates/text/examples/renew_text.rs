//! Puts another text tower into a trained model: `renew_text MODEL_DIR TOWER.safetensors`.

use std::path::Path;

use pulmoav_text::{Tower, renew_text};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, tower] = arguments.as_slice() else {
        return Err("usage: renew_text MODEL_DIR TOWER.safetensors".into());
    };
    Ok(renew_text(Path::new(model), &Tower::load(Path::new(tower))?)?)
}
