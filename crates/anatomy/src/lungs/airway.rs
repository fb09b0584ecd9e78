//! Trachea and main bronchi: a tube followed from the top, then a wave that stops where it would break into the lungs.

use std::collections::BTreeMap;

use pulmoav_volume::components::{Connectivity, components};

use super::coarse::Coarse;

/// The lumen averages below this.
const LUMEN_BELOW_HU: f32 = -800.0;
/// Cross-sections of a trachea, partial volume included.
const AREA_MM2: [f64; 2] = [40.0, 800.0];
const WIDEST_MM: f64 = 45.0;
/// A tube has at least this length before it counts.
const LEAST_LENGTH_MM: f64 = 25.0;
/// How far the wave may run below the tube, and how much wider than the tube a front may be.
const REACH_MM: f64 = 130.0;
const FRONT_RATIO: f64 = 1.8;

/// The airway outside the lungs.
pub(super) struct Airway {
    /// True in trachea and main bronchi, wall included, `[z, y, x]`.
    pub(super) inside: Vec<bool>,
    /// Mean coarse x of the trachea, when one was found.
    pub(super) x: Option<f64>,
}

/// Finds the airway within `air`.
pub(super) fn find(coarse: &Coarse, air: &[bool]) -> Airway {
    let lumen: Vec<bool> = air.iter().zip(&coarse.hu).map(|(&a, &hu)| a && hu < LUMEN_BELOW_HU).collect();
    let mut inside = vec![false; lumen.len()];
    let Some(tube) = longest_tube(coarse, &lumen) else { return Airway { inside, x: None } };
    let all = || tube.slices.iter().flatten();
    let count = all().count().max(1) as f64;
    let x = all().map(|&index| coarse.place(index)[2] as f64).sum::<f64>() / count;
    all().for_each(|&index| inside[index] = true);
    let widest = (count / tube.slices.len() as f64 * FRONT_RATIO).max(6.0);
    run_wave(coarse, &lumen, &mut inside, tube.slices.last().cloned().unwrap_or_default(), widest);
    Airway { inside: with_wall(coarse, air, &inside), x: Some(x) }
}

/// Cross-sections that overlap from slice to slice, from the top down.
#[derive(Debug, Clone, Default)]
struct Tube {
    slices: Vec<Vec<usize>>,
}

fn longest_tube(coarse: &Coarse, lumen: &[bool]) -> Option<Tube> {
    let plane = coarse.shape[1] * coarse.shape[2];
    let mut open: Vec<Tube> = Vec::new();
    let mut best: Option<Tube> = None;
    for z in (0..coarse.shape[0]).rev() {
        let mut owners = BTreeMap::new();
        for (number, tube) in open.iter().enumerate() {
            for &index in tube.slices.last().into_iter().flatten() {
                owners.insert(index - plane, number);
            }
        }
        let mut next: Vec<Tube> = Vec::new();
        let mut continued = vec![false; open.len()];
        for section in cross_sections(coarse, lumen, z) {
            let owner = section.iter().find_map(|index| owners.get(index)).copied();
            let mut tube = Tube::default();
            if let Some(owner) = owner.filter(|&owner| !continued[owner]) {
                continued[owner] = true;
                tube = std::mem::take(&mut open[owner]);
            }
            tube.slices.push(section);
            next.push(tube);
        }
        for tube in open.drain(..).chain(if z == 0 { std::mem::take(&mut next) } else { Vec::new() }) {
            if best.as_ref().is_none_or(|b| tube.slices.len() > b.slices.len()) {
                best = Some(tube);
            }
        }
        open = next;
    }
    best.filter(|tube| tube.slices.len() as f64 * coarse.spacing_mm[0] >= LEAST_LENGTH_MM)
}

/// Components of one slice that have a trachea's size.
fn cross_sections(coarse: &Coarse, lumen: &[bool], z: usize) -> Vec<Vec<usize>> {
    let [_, height, width] = coarse.shape;
    let first = z * height * width;
    let slice: Vec<u8> = lumen[first..first + height * width].iter().map(|&v| u8::from(v)).collect();
    let found = components(&slice, [1, height, width], Connectivity::Faces);
    let [_, dy, dx] = coarse.spacing_mm;
    let fits = |count: usize| (AREA_MM2[0]..=AREA_MM2[1]).contains(&(count as f64 * dy * dx));
    let mut sections: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, &label) in found.labels.iter().enumerate() {
        if label > 0 && fits(found.sizes[label as usize - 1]) {
            sections.entry(label).or_default().push(first + index);
        }
    }
    let extent = |section: &[usize], axis: usize| {
        let places = section.iter().map(|&index| coarse.place(index)[axis]);
        let (low, high) = places.fold((usize::MAX, 0), |(l, h), at| (l.min(at), h.max(at)));
        (high + 1 - low) as f64 * coarse.spacing_mm[axis]
    };
    sections
        .into_values()
        .filter(|section| extent(section, 1) <= WIDEST_MM && extent(section, 2) <= WIDEST_MM)
        .collect()
}

/// Marks what a wave from `front` reaches; a connected part of a front wider than `widest` voxels has left the airway.
fn run_wave(coarse: &Coarse, lumen: &[bool], inside: &mut [bool], mut front: Vec<usize>, widest: f64) {
    let finest = coarse.spacing_mm.iter().copied().fold(f64::INFINITY, f64::min);
    let mut seen = inside.to_vec();
    for _ in 0..(REACH_MM / finest) as usize {
        let mut next = Vec::new();
        for &index in &front {
            for other in coarse.neighbours(index) {
                if lumen[other] && !seen[other] {
                    seen[other] = true;
                    next.push(other);
                }
            }
        }
        front =
            connected_parts(coarse, next).into_iter().filter(|part| part.len() as f64 <= widest).flatten().collect();
        if front.is_empty() {
            return;
        }
        for &index in &front {
            inside[index] = true;
        }
    }
}

/// Splits voxels into groups that touch by faces, edges or corners.
fn connected_parts(coarse: &Coarse, mut rest: Vec<usize>) -> Vec<Vec<usize>> {
    let near = |a: usize, b: usize| {
        let (a, b) = (coarse.place(a), coarse.place(b));
        (0..3).all(|axis| a[axis].abs_diff(b[axis]) <= 1)
    };
    let mut parts = Vec::new();
    while let Some(start) = rest.pop() {
        let mut part = vec![start];
        let mut done = 0;
        while done < part.len() {
            let at = part[done];
            done += 1;
            let (touching, apart) = rest.into_iter().partition(|&other| near(at, other));
            rest = apart;
            part.extend::<Vec<usize>>(touching);
        }
        parts.push(part);
    }
    parts
}

/// Adds one voxel of air around the lumen: its wall by partial volume.
fn with_wall(coarse: &Coarse, air: &[bool], inside: &[bool]) -> Vec<bool> {
    let beside = |index: usize| coarse.neighbours(index).any(|other| inside[other]);
    (0..air.len()).map(|index| inside[index] || (air[index] && beside(index))).collect()
}
