//! Plans, scans and networks that tests share.

use candle_core::Tensor;
use pulmoav_ops::device::{from_host, to_host};
use pulmoav_plan::{
    Blend, BodySide, Channel, Crop, Network, PLAN_VERSION, Plan, Pulmoav, Target, TextEncoder, Tiles, VesselClass,
};
use pulmoav_volume::{Affine, Grid, Volume};

use crate::error::SegmentError;
use crate::prepare::{Prepared, make_channels};
use crate::tiles::TileNetwork;

/// A small plan: artery, vein, left artery, right artery, vessels at 4 mm.
pub(crate) fn plan() -> Plan {
    let target = |name: &str, value: u8, classes: &[VesselClass], side: Option<BodySide>| Target {
        name: name.to_owned(),
        value,
        prompt: name.to_owned(),
        classes: classes.to_vec(),
        side,
        embedding: vec![f32::from(value) / 10.0, 1.0, -0.5, 0.25],
    };
    let (artery, vein) = ([VesselClass::Artery], [VesselClass::Vein]);
    Plan {
        version: PLAN_VERSION,
        name: "test".to_owned(),
        spacing_mm: [4.0; 3],
        channels: vec![Channel::Window { window_hu: [-1000.0, 400.0] }, Channel::Side],
        patch: [16; 3],
        crop: Crop::Lungs { margin_mm: 25.0, body_only: false },
        tiles: Tiles {
            tile: [16; 3],
            overlap: 0.5,
            blend: Blend::Probabilities,
            skip_empty: true,
            mirror: false,
            fit: false,
        },
        walls: None,
        postprocess: None,
        tidy: None,
        targets: vec![
            target("artery", 1, &artery, None),
            target("vein", 2, &vein, None),
            target("left artery", 3, &artery, Some(BodySide::Left)),
            target("right artery", 4, &artery, Some(BodySide::Right)),
            target("vessels", 7, &[VesselClass::Artery, VesselClass::Vein], None),
        ],
        default_targets: vec!["artery".to_owned(), "vein".to_owned()],
        text_encoder: TextEncoder { id: "bundled".to_owned(), sha256: String::new() },
        network: Network::Pulmoav(Pulmoav {
            stage_channels: vec![4, 8],
            stage_blocks: vec![1, 1],
            prompt_width: 8,
            prompt_layers: 1,
            heads: 2,
            supervised_scales: 1,
            text_width: 4,
            auxiliary: vec![],
        }),
    }
}

/// A chest with two lungs of tissue and bright rods in them, canonical, 4 × 3.5 × 3.5 mm.
pub(crate) fn chest() -> Volume<f32> {
    let shape = [48, 64, 88];
    let spacing_mm = [4.0, 3.5, 3.5];
    let mut data = Vec::with_capacity(shape.iter().product());
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let (zf, yf, xf) = (z as f64, y as f64, x as f64);
                let body = ((yf - 32.0) / 30.0).powi(2) + ((xf - 44.0) / 42.0).powi(2) < 1.0;
                let lung = |centre: f64, radius: f64| {
                    let axial = ((yf - 32.0) / 19.0).powi(2) + ((xf - centre) / radius).powi(2);
                    ((zf - 24.0) / 20.0).powi(2) + axial < 1.0
                };
                let inside = lung(24.0, 16.0) || lung(64.0, 15.0);
                let rod = (y + x / 3) % 9 < 2 && (z / 2 + x) % 11 < 3;
                let texture = ((z * 7 + y * 3 + x * 5) % 11) as f32 * 4.0;
                data.push(match () {
                    () if inside && rod => 150.0 - texture,
                    () if inside => -860.0 + texture,
                    () if body => 30.0 + texture,
                    () => -1024.0,
                });
            }
        }
    }
    Volume { data, grid: Grid { shape, spacing_mm, affine: Affine::from_spacing(spacing_mm) } }
}

/// All channels of a prepared scan, `[z, y, x, c]`.
pub(crate) fn channels(prepared: &Prepared, plan: &Plan) -> Vec<f32> {
    let width = prepared.shape[2];
    let mut channels = vec![0.0; prepared.hu.len() * plan.channels.len()];
    let rows = channels.chunks_exact_mut(width * plan.channels.len()).zip(prepared.hu.chunks_exact(width));
    rows.for_each(|(to, hu)| make_channels(hu, &prepared.side, &plan.channels, to));
    channels
}

/// A network without weights: its logit for target t is a fixed function of the voxel's channels and t.
pub(crate) struct FakeNetwork;

impl TileNetwork for FakeNetwork {
    fn logits(&self, tiles: Tensor, asked: &[usize]) -> Result<Tensor, SegmentError> {
        answer(&tiles, asked, |voxel, target| match target {
            // Bright is artery, brighter than that vein; the sided ones follow the artery.
            1 => 40.0 * (voxel[0] - 0.7),
            4 => 10.0 * (voxel[0] - 0.45),
            _ => 12.0 * (voxel[0] - 0.6),
        })
    }
}

/// Logits that are a function of the voxel's channels and the target.
pub(crate) fn answer(
    tiles: &Tensor,
    asked: &[usize],
    logit: impl Fn(&[f32], usize) -> f32,
) -> Result<Tensor, SegmentError> {
    let &[n, depth, height, width, channels] = tiles.dims() else { panic!("tiles of {:?}", tiles.dims()) };
    let voxels = to_host(tiles)?;
    let voxels = voxels.chunks_exact(channels);
    let logits = voxels.flat_map(|voxel| asked.iter().map(|&target| logit(voxel, target)).collect::<Vec<_>>());
    Ok(from_host(logits.collect(), (n, depth, height, width, asked.len()), tiles.device())?)
}

/// The first card, with the feature `cuda`. The environment variable `PULMOAV_CARD=required` turns its absence into a
/// failure.
#[cfg(feature = "cuda")]
pub(crate) fn card() -> Option<candle_core::Device> {
    let found = std::panic::catch_unwind(|| candle_core::Device::new_cuda_with_stream(0));
    if let Ok(Ok(card)) = found {
        return Some(card);
    }
    assert!(std::env::var("PULMOAV_CARD").is_err(), "a card is required");
    println!("skipped on a card: there is none");
    None
}
