//! The grid that a stack of slices becomes: duplicates, gaps, uneven steps and a tilted gantry are found here.

use pulmoav_task::Warning;

use super::instance::Frame;
use super::stack::{SAME_PLACE_MM, Slice, Stack, dot};
use crate::volume::{Affine, Grid};

/// Share of a step by which a slice may lie off its place without a word.
const QUIET_DEVIATION: f64 = 0.01;
/// Share of a step by which it may lie off at all.
const MOST_DEVIATION: f64 = 0.1;
/// So many slices in a row may be missing; they are made from their neighbours.
const MOST_MISSING_IN_A_ROW: usize = 3;
/// So small a share of all slices may be missing.
const MOST_MISSING: f64 = 0.1;
/// Pixels by which slices may lie beside each other and still count as straight.
const STRAIGHT_PIXELS: f64 = 0.5;
/// A gantry tilts by at most 30°.
const MOST_TILT_DEGREES: f64 = 35.0;

/// Where each slice of a volume comes from.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) grid: Grid,
    /// One for each slice of the grid; `None` where the slice is missing.
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) warnings: Vec<Warning>,
}

/// A slice in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) slice: Slice,
    /// Rows of the grid before the first row of the slice.
    pub(super) rows_before: f64,
}

/// Lays out a stack in which no place is taken twice.
///
/// # Errors
/// Why it is no volume, as the end of a sentence.
pub(super) fn lay_out(stack: &Stack) -> Result<Layout, String> {
    let mut warnings = Vec::new();
    let slots = slots(stack, &mut warnings)?;
    let first = stack.slices[0];
    let count = slots.len();
    let spacing = spacing_mm(stack, count);
    let shifts = shifts(stack, spacing)?;
    let (least, most) = shifts.iter().fold((0.0_f64, 0.0_f64), |(a, b), &rows| (a.min(rows), b.max(rows)));
    let is_tilted = most - least > STRAIGHT_PIXELS;
    let (before, rows) = if is_tilted {
        (-least.floor(), stack.rows + (most.ceil() - least.floor()) as usize)
    } else {
        (0.0, stack.rows)
    };
    if is_tilted {
        warnings.push(tilt_warning(stack));
    }
    let grid = Grid {
        shape: [count, rows, stack.columns],
        spacing_mm: [spacing, first.facts.spacing_mm[0], first.facts.spacing_mm[1]],
        affine: affine(&first.facts, stack.normal(), spacing, before),
    };
    let place = |slice: usize| {
        let rows_before = if is_tilted { before + shifts[slice] } else { 0.0 };
        Slot { slice: stack.slices[slice], rows_before }
    };
    let slots = slots.into_iter().map(|slot| slot.map(place)).collect();
    Ok(Layout { grid, slots, warnings })
}

/// Distance of the grid's slices: all over all, so that rounded places do not add up.
fn spacing_mm(stack: &Stack, count: usize) -> f64 {
    let (first, last) = (stack.slices[0], stack.slices[stack.slices.len() - 1]);
    if count < 2 { stack.spacing_mm() } else { (last.place_mm - first.place_mm) / (count - 1) as f64 }
}

/// Which slice stands at each place of an even row of places.
fn slots(stack: &Stack, warnings: &mut Vec<Warning>) -> Result<Vec<Option<usize>>, String> {
    let step = stack.spacing_mm();
    let steps: Vec<f64> = stack.slices.windows(2).map(|pair| pair[1].place_mm - pair[0].place_mm).collect();
    if steps.iter().any(|&mm| mm <= SAME_PLACE_MM) {
        return Err("holds slices at one place, which cannot both be meant; keep one of them".into());
    }
    let uneven = || {
        let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
        let most = steps.iter().copied().fold(0.0, f64::max);
        format!(
            "has slices {least:.2} to {most:.2} mm apart; expected even steps, so name another series or resample it first"
        )
    };
    let mut slots = vec![Some(0)];
    let mut longest_gap = 0;
    for (index, &mm) in steps.iter().enumerate() {
        let times = (mm / step).round().max(1.0);
        if (mm - times * step).abs() > MOST_DEVIATION * step {
            return Err(uneven());
        }
        let missing = times as usize - 1;
        longest_gap = longest_gap.max(missing);
        if missing > MOST_MISSING_IN_A_ROW {
            return Err(gap(missing, mm, &stack.slices[index]));
        }
        slots.extend(std::iter::repeat_n(None, missing));
        slots.push(Some(index + 1));
    }
    let missing = slots.iter().filter(|slot| slot.is_none()).count();
    if missing as f64 > MOST_MISSING * slots.len() as f64 {
        return Err(if longest_gap == 0 {
            uneven()
        } else {
            format!("lacks {missing} of {} slices; get it again whole", slots.len())
        });
    }
    if missing > 0 {
        warnings.push(missing_warning(stack, &slots, missing));
    }
    check_evenness(stack, &slots, warnings)?;
    Ok(slots)
}

fn gap(missing: usize, mm: f64, before: &Slice) -> String {
    format!(
        "lacks {missing} slices in a row ({mm:.1} mm behind {:.1} mm along the stack); get the series again whole",
        before.place_mm
    )
}

/// Compares each slice's place with that on the even grid.
fn check_evenness(stack: &Stack, slots: &[Option<usize>], warnings: &mut Vec<Warning>) -> Result<(), String> {
    let spacing = spacing_mm(stack, slots.len());
    let start = stack.slices[0].place_mm;
    let off = |(index, slot): (usize, &Option<usize>)| {
        slot.map(|slice| (stack.slices[slice].place_mm - start - index as f64 * spacing).abs())
    };
    let most = slots.iter().enumerate().filter_map(off).fold(0.0, f64::max);
    if most > MOST_DEVIATION * spacing {
        return Err(format!(
            "has slices up to {most:.2} mm beside even steps of {spacing:.2} mm; name another series or resample it first"
        ));
    }
    if most > QUIET_DEVIATION * spacing {
        let message =
            format!("slices lie up to {most:.3} mm beside even steps of {spacing:.3} mm, which were taken instead");
        warnings.push(Warning::new("UNEVEN_SPACING", message));
    }
    Ok(())
}

fn missing_warning(stack: &Stack, slots: &[Option<usize>], missing: usize) -> Warning {
    let spacing = spacing_mm(stack, slots.len());
    let places: Vec<String> = (0..slots.len())
        .filter(|&index| slots[index].is_none())
        .take(5)
        .map(|index| format!("{:.1}", stack.slices[0].place_mm + index as f64 * spacing))
        .collect();
    let more = if missing > places.len() { ", …" } else { "" };
    Warning::new(
        "MISSING_SLICES",
        format!(
            "{missing} of {} slices are missing, at {}{more} mm along the stack; they were made from their neighbours",
            slots.len(),
            places.join(", ")
        ),
    )
}

/// Rows by which each slice lies further along its columns than the first.
fn shifts(stack: &Stack, spacing: f64) -> Result<Vec<f64>, String> {
    let first = stack.slices[0];
    let sideways = |slice: &Slice, along: [f64; 3]| {
        let moved: [f64; 3] = std::array::from_fn(|axis| slice.facts.position[axis] - first.facts.position[axis]);
        dot(moved, along)
    };
    let [row_mm, column_mm] = first.facts.spacing_mm;
    let last = stack.slices[stack.slices.len() - 1];
    let height = last.place_mm - first.place_mm;
    let mut rows = Vec::with_capacity(stack.slices.len());
    for slice in &stack.slices {
        let (across, down) = (sideways(slice, first.facts.along_row), sideways(slice, first.facts.along_column));
        if across.abs() > STRAIGHT_PIXELS * column_mm {
            return Err(format!(
                "has slices up to {:.1} mm beside each other; expected a straight stack",
                across.abs()
            ));
        }
        let share = if height > 0.0 { (slice.place_mm - first.place_mm) / height } else { 0.0 };
        let expected = share * sideways(&last, first.facts.along_column);
        if (down - expected).abs() > STRAIGHT_PIXELS * row_mm {
            return Err("has slices that lie now here, now there; expected a straight stack".into());
        }
        rows.push(down / row_mm);
    }
    let tilt = tilt_degrees(stack);
    if tilt > MOST_TILT_DEGREES {
        return Err(format!(
            "has slices of {spacing:.2} mm that lean by {tilt:.0}°, more than a gantry tilts; expected a straight stack"
        ));
    }
    Ok(rows)
}

/// The angle between the stack and its slices' normal.
fn tilt_degrees(stack: &Stack) -> f64 {
    let (first, last) = (stack.slices[0], stack.slices[stack.slices.len() - 1]);
    let moved: [f64; 3] = std::array::from_fn(|axis| last.facts.position[axis] - first.facts.position[axis]);
    let down = dot(moved, first.facts.along_column);
    down.abs().atan2(last.place_mm - first.place_mm).to_degrees()
}

fn tilt_warning(stack: &Stack) -> Warning {
    Warning::new(
        "TILT_RESAMPLED",
        format!(
            "the gantry was tilted by {:.1}°; slices were moved along their columns onto a straight grid, and rows were added",
            tilt_degrees(stack)
        ),
    )
}

/// The affine towards R, A, S of a grid whose first slice is this one, with `before` rows above it.
pub(super) fn affine(first: &Frame, normal: [f64; 3], spacing: f64, before: f64) -> Affine {
    let mut affine = Affine::IDENTITY;
    for axis in 0..3 {
        let sign = if axis < 2 { -1.0 } else { 1.0 };
        // Zero stays a plain zero.
        let turned = |value: f64| if value == 0.0 { 0.0 } else { sign * value };
        let down = first.along_column[axis] * first.spacing_mm[0];
        affine.0[axis] = [
            turned(first.along_row[axis] * first.spacing_mm[1]),
            turned(down),
            turned(normal[axis] * spacing),
            turned(first.position[axis] - before * down),
        ];
    }
    affine
}
