//! Checking label maps without a reference.

use std::path::Path;
use std::time::Instant;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_evaluate::check::{FIGURES, Figure, Found, Kind, Light, Place, Request, Surroundings, check};
use pulmoav_volume::{Mask, formats};

use crate::beside::Beside;
use crate::engine::Engine;
use crate::monitor::{CallMonitor, Shared};
use crate::outcome::{ErrorInfo, Failure};
use crate::scan::Part;
use crate::volume::{Axes, axes, labels};
use crate::warning::Warning;

/// How a label map is checked.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct CheckFileRequest {
    /// The scan, as a path.
    pub image: String,
    /// Which volume of the scan's file with four or more axes.
    pub index: Option<u32>,
    /// Which series of DICOM, by UID or by number in the list; `null`: the rule chooses.
    pub series: Option<String>,
    /// Values of arteries, each with that of the veins whose place it shares.
    pub pairs: Vec<Vec<u8>>,
    /// Values of a side, each with 1 for the patient's left or 2 for the right.
    pub sides: Vec<Vec<u8>>,
    /// Threads to compute with.
    pub threads: u32,
}

/// A place to look at.
#[napi(object, object_from_js = false)]
pub struct CheckPlace {
    /// RAS mm `[x, y, z]`.
    pub at_mm: Axes,
    /// The voxel, `[z, y, x]`.
    pub voxel: Axes,
    /// How much is there, in the figure's `placesUnit`.
    pub size: f64,
}

/// A figure of a label map without a reference.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct CheckFigure {
    /// Its key.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Empty for a share.
    pub unit: String,
    /// Whether its rank follows the share of swapped voxels on phantoms, or it only tells of what cannot be.
    #[napi(ts_type = "'followsErrors' | 'plausibility'")]
    pub kind: String,
    /// `null` where it is not defined.
    pub value: Option<f64>,
    /// `green` within `plausible`, `yellow` within `doubtful`, else `red`; `null` without a value.
    #[napi(ts_type = "'green' | 'yellow' | 'red'")]
    pub light: Option<String>,
    /// Lowest and highest plausible value.
    pub plausible: (f64, f64),
    /// Beyond these it is red.
    pub doubtful: (f64, f64),
    /// Where the ranges come from.
    pub source: String,
    /// What the size of a place is; empty where it has none.
    pub places_unit: String,
    /// Where to look, the largest first.
    pub places: Vec<CheckPlace>,
}

/// What was found.
#[napi(object, object_from_js = false)]
pub struct Checked {
    /// The worst light of all figures.
    #[napi(ts_type = "'green' | 'yellow' | 'red'")]
    pub light: String,
    /// In one order always.
    pub figures: Vec<CheckFigure>,
    /// Wall time by stage.
    pub seconds: CheckSeconds,
    /// What a user should know.
    pub warnings: Vec<Warning>,
}

/// Wall time of checking, s.
#[napi(object, object_from_js = false)]
pub struct CheckSeconds {
    pub load: f64,
    pub anatomy: f64,
    pub check: f64,
    pub total: f64,
}

/// Checks the label map of a file.
#[napi(catch_unwind)]
pub fn check_file<'env>(
    env: &'env Env,
    path: String,
    asked: CheckFileRequest,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Checked, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::threads(asked.threads as usize)?.cancellable(env, monitor, move || run(Path::new(&path), asked, &shared))
}

fn run(path: &Path, asked: CheckFileRequest, shared: &Shared) -> std::result::Result<Checked, Failure> {
    let clock = Instant::now();
    let image = formats::read(path, None, shared)?;
    let map = Mask { data: labels(&image.voxels, path.display())?, grid: image.header.grid };
    let mut warnings = image.header.warnings;
    let load = clock.elapsed().as_secs_f64();
    let part = Part { index: asked.index, series: asked.series };
    let beside = Beside::read(Path::new(&asked.image), &part, &map, shared)?;
    let anatomy = clock.elapsed().as_secs_f64() - load;
    let (regions, airways) = (beside.regions(), beside.airways());
    let surroundings = beside.has_lungs().then_some(Surroundings { regions: &regions, airways: &airways });
    let (pairs, sides) = (two_each(&asked.pairs)?, two_each(&asked.sides)?);
    let request = Request { labels: &map, pairs: &pairs, sides: &sides, surroundings };
    let found = check(&request, shared)?;
    let worst = found.iter().filter_map(|one| one.light).max_by_key(|light| *light as u8).unwrap_or(Light::Green);
    warnings.extend(beside.warnings);
    let total = clock.elapsed().as_secs_f64();
    Ok(Checked {
        light: word(worst),
        figures: FIGURES.iter().zip(found).map(|(figure, found)| CheckFigure::of(figure, found)).collect(),
        seconds: CheckSeconds { load, anatomy, check: total - load - anatomy, total },
        warnings: warnings.into_iter().map(Warning::from).collect(),
    })
}

fn two_each(lists: &[Vec<u8>]) -> std::result::Result<Vec<[u8; 2]>, Failure> {
    let two = |list: &Vec<u8>| <[u8; 2]>::try_from(list.as_slice()).ok();
    let pairs: Option<Vec<[u8; 2]>> = lists.iter().map(two).collect();
    pairs.ok_or_else(|| Failure::new("ERR_INTERNAL", "a pair has two values"))
}

fn word(light: Light) -> String {
    match light {
        Light::Green => "green",
        Light::Yellow => "yellow",
        Light::Red => "red",
    }
    .to_owned()
}

impl CheckFigure {
    fn of(figure: &Figure, found: Found) -> Self {
        let Figure { name, title, unit, kind, limits, source, places, .. } = *figure;
        let place = |Place { at_mm, voxel, size }: Place| CheckPlace { at_mm: at_mm.into(), voxel: axes(voxel), size };
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            kind: if kind == Kind::FollowsErrors { "followsErrors" } else { "plausibility" }.to_owned(),
            value: found.value.map(|value| value + 0.0),
            light: found.light.map(word),
            plausible: limits.green.into(),
            doubtful: limits.yellow.into(),
            source: source.to_owned(),
            places_unit: places.to_owned(),
            places: found.places.into_iter().map(place).collect(),
        }
    }
}
