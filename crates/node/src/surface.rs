//! Surfaces of label maps, from file to file.

use std::path::PathBuf;

use napi::bindgen_prelude::{Either, PromiseRaw};
use napi::{Env, Result};
use napi_derive::napi;
use pulmoav_surface::formats::{Format, Part, write};
use pulmoav_surface::{smooth, surface};
use pulmoav_volume::label::counts;
use pulmoav_volume::{VolumeError, formats};

use crate::engine::Engine;
use crate::monitor::CallMonitor;
use crate::outcome::{ErrorInfo, Failure};
use crate::volume::{LabelSegment, labels};

/// The surface of one value of a label map.
#[napi(object, object_from_js = false)]
pub struct SurfacePart {
    /// The value.
    pub value: u8,
    /// Its name.
    pub name: String,
    /// What its voxels fill, ml.
    pub voxels_ml: f64,
    /// What its surface encloses, ml.
    pub surface_ml: f64,
    /// Its area, cm².
    pub area_cm2: f64,
    /// How many triangles it has.
    pub triangles: u32,
}

/// Writes the surfaces of a label map's values as STL, PLY or glTF, by the ending; values without a voxel are left out.
#[napi(catch_unwind)]
pub fn write_surface<'env>(
    env: &'env Env,
    path: String,
    output: String,
    values: Vec<LabelSegment>,
    monitor: &CallMonitor,
) -> Result<PromiseRaw<'env, Either<Vec<SurfacePart>, ErrorInfo>>> {
    let shared = monitor.share();
    Engine::workers()?.cancellable(env, monitor, move || {
        let (path, output) = (PathBuf::from(path), PathBuf::from(output));
        let format = Format::of(&output).ok_or_else(|| {
            let name = output.display();
            Failure::new(
                "ERR_USAGE",
                format!("{name}: cannot be written; expected a name that ends in .stl, .ply or .glb"),
            )
        })?;
        formats::refuse_same_file(&path, &output)?;
        let image = formats::read(&path, None, &*shared)?;
        let map = labels(&image.voxels, path.display())?;
        let grid = image.header.grid;
        let counts = counts(&map);
        let voxel_mm3 = grid.spacing_mm.iter().product::<f64>();
        let (mut parts, mut told) = (Vec::new(), Vec::new());
        for LabelSegment { value, name, colour, .. } in values {
            let volume_mm3 = counts[usize::from(value)] as f64 * voxel_mm3;
            if volume_mm3 == 0.0 {
                continue;
            }
            let rough = surface(&map, &grid, value, &*shared).map_err(|_| VolumeError::Cancelled)?;
            let mesh = smooth(&rough, volume_mm3);
            told.push(SurfacePart {
                value,
                name: name.clone(),
                voxels_ml: volume_mm3 / 1e3,
                surface_ml: mesh.volume_mm3() / 1e3,
                area_cm2: mesh.area_mm2() / 100.0,
                triangles: mesh.triangles.len() as u32,
            });
            parts.push(Part { name, colour: colour.into(), mesh });
        }
        formats::write_whole(&output, |out| write(out, &parts, format))?;
        Ok(told)
    })
}
