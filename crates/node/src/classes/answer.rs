//! What models that answer with classes are shown, and what becomes of their answers.

use std::path::Path;
use std::time::Instant;

use napi::bindgen_prelude::{Either, Float32Array, Null};
use pulmoav_plan::ClassPlan;
use pulmoav_segment::SegmentError;
use pulmoav_segment::classes::{ClassMemory, ClassOutcome, predict_classes};
use pulmoav_volume::image::Header;
use pulmoav_volume::voxels::Voxels;
use pulmoav_volume::{Grid, Volume};

use crate::memory::peak_bytes;
use crate::monitor::Shared;
use crate::outcome::Failure;
use crate::scan::Part;
use crate::segment::{CardMemory, SegmentMemory, SegmentSeconds, Segmentation, SegmentedTarget};
use crate::volume::{Axes, Given, LabelMap};
use crate::warning::Warning;

/// A class that is wanted in the label map.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) prompt: String,
    /// The model's value.
    pub(super) from: u8,
    /// The value in the label map.
    pub(super) to: u8,
}

/// What was allowed and what is foreseen, bytes.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub(super) allowed: Option<f64>,
    pub(super) predicted: u64,
}

impl Budget {
    pub(super) fn of_grid(
        plan: &ClassPlan,
        grid: &Grid,
        memory: ClassMemory,
        allowed: Option<f64>,
    ) -> std::result::Result<Self, Failure> {
        let predicted = predict_classes(plan, grid, &memory);
        match allowed {
            Some(budget) if predicted > budget as u64 => {
                Err(SegmentError::Memory { needed_bytes: predicted, budget_bytes: budget as u64 }.into())
            }
            _ => Ok(Self { allowed, predicted }),
        }
    }

    /// By the header alone.
    pub(super) fn of_header(
        plan: &ClassPlan,
        header: &Header,
        memory: ClassMemory,
        allowed: Option<f64>,
    ) -> std::result::Result<Self, Failure> {
        let read_bytes = (header.grid.len() * header.data_type.bytes()) as u64;
        Self::of_grid(plan, &header.grid, ClassMemory { read_bytes, ..memory }, allowed)
    }
}

/// A scan as its file holds it, in f32.
pub(super) struct Scan {
    pub(super) volume: Volume<f32>,
    pub(super) oriented: bool,
    pub(super) warnings: Vec<pulmoav_task::Warning>,
    pub(super) load_seconds: f64,
}

impl Scan {
    pub(super) fn read(path: &Path, part: &Part, shared: &Shared) -> std::result::Result<Self, Failure> {
        let clock = Instant::now();
        let image = part.read(path, shared)?;
        let (grid, oriented, warnings) = (image.header.grid, image.header.oriented, image.header.warnings);
        let volume = Volume { data: image.voxels.to_f32(), grid };
        Ok(Self { volume, oriented, warnings, load_seconds: clock.elapsed().as_secs_f64() })
    }

    pub(super) fn given(given: Given) -> std::result::Result<Self, Failure> {
        let volume = Volume { grid: given.grid()?, data: given.voxels.to_f32() };
        Ok(Self { volume, oriented: given.oriented, warnings: Vec::new(), load_seconds: 0.0 })
    }
}

/// What is known of an answer beside its labels.
pub(super) struct Told {
    pub(super) oriented: bool,
    pub(super) warnings: Vec<pulmoav_task::Warning>,
    pub(super) load: f64,
    pub(super) total: f64,
    pub(super) budget: Budget,
}

pub(super) fn answer(
    found: ClassOutcome,
    wanted: &[Wanted],
    tile: Axes,
    told: Told,
) -> std::result::Result<Segmentation, Failure> {
    let Voxels::U8(mut data) = found.labels else {
        return Err(Failure::new("ERR_MODEL", "this model has classes above 255; values up to 255 are written"));
    };
    let mut values = [0u8; 256];
    for one in wanted {
        values[usize::from(one.from)] = one.to;
    }
    for label in &mut data {
        *label = values[usize::from(*label)];
    }
    let counts = pulmoav_volume::label::counts(&data);
    let voxel_ml = found.grid.voxel_ml();
    let targets = wanted.iter().map(|one| {
        let voxels = counts[usize::from(one.to)] as f64;
        let (name, prompt) = (one.name.clone(), one.prompt.clone());
        SegmentedTarget { value: one.to, name, prompt, voxels, volume_ml: voxels * voxel_ml }
    });
    Ok(Segmentation {
        targets: targets.collect(),
        labels: LabelMap::of(Volume { data, grid: found.grid }, told.oriented),
        probabilities: found.probabilities.map(Float32Array::from),
        structures: Vec::new(),
        seconds: SegmentSeconds {
            load: told.load,
            prepare: found.seconds.prepare,
            network: found.seconds.network,
            restore: found.seconds.restore,
            tidy: found.seconds.tidy,
            total: told.total,
        },
        memory: SegmentMemory {
            budget_bytes: told.budget.allowed,
            predicted_bytes: told.budget.predicted as f64,
            peak_bytes: peak_bytes() as f64,
            card: found.card.map(CardMemory::from),
        },
        tile,
        cleared_in_air: 0.0,
        class_doubt: Either::B(Null),
        tidied: Either::B(Null),
        warnings: told.warnings.into_iter().map(Warning::from).collect(),
    })
}
