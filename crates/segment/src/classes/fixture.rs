//! Plans, networks and numbers that tests share.

use pulmoav_plan::{
    CLASS_PLAN_VERSION, Class, ClassChannel, ClassPlan, Network, Normalisation, Output, Resampling, Source, Unet,
};
use serde_json::Value;

use super::network::WindowNetwork;
use crate::error::SegmentError;

/// What nnunetv2 computed, made by `crates/testing/goldens/classes.py`.
pub(super) fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testing/goldens/segment/classes.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A plan of one CT channel and two classes at 2 mm.
pub(super) fn plan() -> ClassPlan {
    let class = |name: &str, value: u16| Class { name: name.to_owned(), value };
    let ct = Normalisation::Ct { clip_hu: [-1000.0, 400.0], mean: -300.0, std: 400.0 };
    ClassPlan {
        version: CLASS_PLAN_VERSION,
        name: "test".to_owned(),
        source: Source {
            family: "nnunet".to_owned(),
            dataset: "Dataset001_Test".to_owned(),
            trainer: "nnUNetTrainer".to_owned(),
            configuration: "3d_fullres".to_owned(),
            licence: None,
        },
        axes: [0, 1, 2],
        reorient: false,
        spacing_mm: [2.0; 3],
        channels: vec![ClassChannel { name: "CT".to_owned(), normalisation: ct }],
        patch: [8, 8, 8],
        step: 0.5,
        mirror_axes: vec![0, 1, 2],
        image_resampling: Resampling::Spline { order: 3, order_z: 0, separate_z: None },
        logit_resampling: Resampling::Spline { order: 1, order_z: 0, separate_z: None },
        output: Output::Softmax,
        classes: vec![class("artery", 1), class("vein", 2)],
        folds: 1,
        network: Network::PlainUnet(Unet {
            stage_channels: vec![4, 8],
            kernels: vec![[3; 3]; 2],
            strides: vec![[1; 3], [2; 3]],
            stage_blocks: vec![1, 1],
            decoder_blocks: vec![1],
            conv_bias: true,
            norm_eps: 1e-5,
            negative_slope: 0.01,
            activation_first: false,
            outputs: 3,
        }),
    }
}

/// A network without weights: output `o` is the first channel times `o + 1`, less the last, plus a sixteenth of the
/// place along x, that along z, `o` and an offset.
pub(super) struct FakeNetwork {
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) offset: f32,
}

impl WindowNetwork for FakeNetwork {
    fn channels(&self) -> usize {
        self.channels
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn logits(&self, window: Vec<f32>, [_, height, width]: [usize; 3]) -> Result<Vec<f32>, SegmentError> {
        let voxels = window.chunks_exact(self.channels).enumerate();
        let logits = voxels.flat_map(|(index, voxel)| {
            let place = (index % width) as f32 / 16.0 + (index / width / height) as f32;
            let (first, last) = (voxel[0], voxel[self.channels - 1]);
            (0..self.outputs)
                .map(move |output| first * (output + 1) as f32 - last + (place + output as f32 + self.offset))
        });
        Ok(logits.collect())
    }
}
