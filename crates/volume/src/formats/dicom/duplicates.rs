//! Slices that a series holds twice.

use std::io;

use pulmoav_task::Warning;

use super::fragments::read_frames;
use super::instance::Instance;
use super::stack::{SAME_PLACE_MM, Slice, Stack};

/// Keeps one of slices that lie at one place and have the same pixels.
///
/// # Errors
/// Which two differ, as the end of a sentence.
pub(super) fn drop_duplicates(stack: &mut Stack, instances: &[Instance]) -> Result<Option<Warning>, String> {
    let mut kept: Vec<Slice> = Vec::with_capacity(stack.slices.len());
    for &slice in &stack.slices {
        match kept.last() {
            Some(last) if slice.place_mm - last.place_mm <= SAME_PLACE_MM => {
                if !is_copy(last, &slice, instances) {
                    return Err(differ(last, &slice, instances));
                }
            }
            _ => kept.push(slice),
        }
    }
    let dropped = stack.slices.len() - kept.len();
    stack.slices = kept;
    Ok((dropped > 0).then(|| {
        let message = format!("{dropped} slice(s) were there twice with the same pixels; one of each was read");
        Warning::new("DUPLICATE_SLICES", message)
    }))
}

fn is_copy(a: &Slice, b: &Slice, instances: &[Instance]) -> bool {
    let same_scale = (a.facts.slope, a.facts.intercept) == (b.facts.slope, b.facts.intercept);
    let bytes = |slice: &Slice| {
        let mut bytes = Vec::new();
        let read = read_frames::<io::Error>(&instances[slice.instance], &[slice.frame], |_, read| {
            bytes = read;
            Ok(())
        });
        read.ok().map(|()| bytes)
    };
    same_scale && matches!((bytes(a), bytes(b)), (Some(a), Some(b)) if a == b)
}

fn differ(a: &Slice, b: &Slice, instances: &[Instance]) -> String {
    let name = |slice: &Slice| {
        let instance = &instances[slice.instance];
        let file = instance.place.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        if instance.frames.len() == 1 { file } else { format!("frame {} of {file}", slice.frame + 1) }
    };
    format!(
        "holds two different slices at one place ({} and {}), so which are meant cannot be known; keep one time or \
         reconstruction in a folder of its own",
        name(a),
        name(b)
    )
}
