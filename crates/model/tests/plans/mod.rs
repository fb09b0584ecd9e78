//! Small plans for tests.

// Each test file is a crate of its own and uses some of these.
#![allow(dead_code)]

use pulmoav_plan::{
    Auxiliary, Blend, Channel, Crop, LaCaf, LaCafVariant, Network, PLAN_VERSION, Plan, Pulmoav, Target, TextEncoder,
    Tiles, VesselClass,
};

/// A plan with `targets` targets whose embeddings differ.
fn plan(network: Network, channels: usize, edge: usize, targets: usize, text_width: usize) -> Plan {
    let window = Channel::Window { window_hu: [-1000.0, 600.0] };
    let embedding = |target: usize| (0..text_width).map(|i| ((i * 7 + target * 13) as f32 * 0.9).sin()).collect();
    Plan {
        version: PLAN_VERSION,
        name: "test".to_owned(),
        spacing_mm: [1.25; 3],
        channels: [window, Channel::Side].into_iter().take(channels).collect(),
        patch: [edge; 3],
        crop: Crop::None,
        tiles: Tiles {
            tile: [edge; 3],
            overlap: 0.5,
            blend: Blend::Logits,
            skip_empty: false,
            mirror: false,
            fit: false,
        },
        walls: None,
        postprocess: None,
        tidy: None,
        targets: (0..targets)
            .map(|target| Target {
                name: format!("target {target}"),
                value: target as u8 + 1,
                prompt: format!("target {target}"),
                classes: vec![VesselClass::Artery],
                side: None,
                embedding: embedding(target),
            })
            .collect(),
        default_targets: vec!["target 0".to_owned()],
        text_encoder: TextEncoder { id: "bundled".to_owned(), sha256: "0".to_owned() },
        network,
    }
}

/// `la-caf` at a width, two targets.
pub(crate) fn la_caf(variant: LaCafVariant, width_divisor: usize, edge: usize, text_width: usize) -> Plan {
    plan(Network::LaCaf(LaCaf { width_divisor, variant, text_width }), 1, edge, 2, text_width)
}

/// `pulmoav` with these stages, three targets.
pub(crate) fn pulmoav(stage_channels: &[usize], stage_blocks: &[usize], prompt_width: usize, edge: usize) -> Plan {
    let numbers = Pulmoav {
        stage_channels: stage_channels.to_vec(),
        stage_blocks: stage_blocks.to_vec(),
        prompt_width,
        prompt_layers: 2,
        heads: 4,
        supervised_scales: 2,
        text_width: 64,
        auxiliary: vec![Auxiliary::Airway],
    };
    plan(Network::Pulmoav(numbers), 2, edge, 3, 64)
}
