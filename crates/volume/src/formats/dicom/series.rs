//! The series of a folder, and which of them is meant.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use super::files::Found;
use super::instance::{Instance, Labels};
use super::stack::{Stack, stacks};
use super::syntax::Packing;
use crate::error::VolumeError;

/// Words that name the chest, in the languages that scanners speak.
const CHEST: [&str; 12] =
    ["chest", "thorax", "thorac", "lung", "pulmon", "torax", "brust", "poumon", "polmon", "bronch", "hrct", "ctpa"];
/// Voxel sizes that differ by less than this share are as thin as each other.
const SAME_THICKNESS: f64 = 0.01;

/// Parallel slices of one series.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its number in the list, from 1.
    pub(super) number: usize,
    pub(super) labels: Labels,
    pub(super) stack: Stack,
    /// The packing of its pixels, where that is not read.
    pub(super) foreign: Option<String>,
}

/// What may be said of a series before one is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its number in this list, from 1; names it as well as `uid` does.
    pub number: usize,
    /// DICOM's UID; the same for slices of one series that lie in several directions.
    pub uid: String,
    /// The number that the scanner gave it.
    pub series_number: Option<i64>,
    /// What it is called.
    pub description: String,
    /// The part of the body that was examined.
    pub body_part: String,
    /// The kernel it was reconstructed with.
    pub kernel: String,
    /// Slices that files hold, missing ones not counted.
    pub slices: usize,
    /// Rows and columns of a slice.
    pub size: [usize; 2],
    /// Distance of slices, of rows and of columns, mm.
    pub spacing_mm: [f64; 3],
    /// Whether the slices lie across the body.
    pub is_axial: bool,
    /// Whether it is the one that is read where none is named.
    pub is_chosen: bool,
}

/// All candidates in the order of their first file.
pub(super) fn candidates(found: &Found) -> Vec<Candidate> {
    let mut order: Vec<&str> = Vec::new();
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, instance) in found.instances.iter().enumerate() {
        let uid = instance.labels.uid.as_str();
        members.entry(uid).or_insert_with(|| {
            order.push(uid);
            Vec::new()
        });
        members.entry(uid).or_default().push(index);
    }
    let all = order.into_iter().flat_map(|uid| stacks(&found.instances, &members[uid]));
    all.enumerate().map(|(index, stack)| candidate(index + 1, stack, &found.instances)).collect()
}

fn candidate(number: usize, stack: Stack, instances: &[Instance]) -> Candidate {
    let foreign = stack.slices.iter().find_map(|slice| {
        let syntax = &instances[slice.instance].pixels.syntax;
        (syntax.packing == Packing::Foreign).then(|| syntax.name())
    });
    let labels = instances[stack.slices[0].instance].labels.clone();
    Candidate { number, labels, stack, foreign }
}

impl Candidate {
    /// What people and programs are told of it.
    pub(super) fn describe(&self, is_chosen: bool) -> Series {
        let Self { number, labels, stack, .. } = self;
        let [row_mm, column_mm] = stack.first.spacing_mm;
        Series {
            number: *number,
            uid: labels.uid.clone(),
            series_number: labels.number,
            description: labels.description.clone(),
            body_part: labels.body_part.clone(),
            kernel: labels.kernel.clone(),
            slices: stack.slices.len(),
            size: [stack.rows, stack.columns],
            spacing_mm: [stack.spacing_mm(), row_mm, column_mm],
            is_axial: stack.is_axial(),
            is_chosen,
        }
    }

    /// One line for messages.
    fn words(&self) -> String {
        let Self { number, labels, stack, .. } = self;
        let name = if labels.description.is_empty() { "without name" } else { labels.description.as_str() };
        let of = labels.number.map(|number| format!(" (series {number})")).unwrap_or_default();
        format!("{number}: {name}{of}, {} slices of {:.2} mm", stack.slices.len(), stack.spacing_mm())
    }

    /// How far it is a chest: named so, not named, or named otherwise.
    fn chest(&self) -> u8 {
        let is_named = CHEST.iter().any(|word| self.labels.words.contains(word));
        let is_silent = self.labels.body_part.is_empty();
        u8::from(is_named) * 2 + u8::from(!is_named && is_silent)
    }

    /// By the rule: a chest, axial as the scanner made it, most slices, thinnest.
    fn compare(&self, other: &Self) -> Ordering {
        let rank = |one: &Self| {
            (one.foreign.is_none(), one.chest(), one.stack.is_axial() && one.labels.is_original, one.stack.slices.len())
        };
        let (a, b) = (self.stack.spacing_mm(), other.stack.spacing_mm());
        let thinner = if (a - b).abs() <= SAME_THICKNESS * a.max(b) { Ordering::Equal } else { b.total_cmp(&a) };
        rank(self).cmp(&rank(other)).then(thinner)
    }
}

/// The candidate that the rule picks; `None` where it cannot tell.
pub(super) fn best(candidates: &[Candidate]) -> Option<&Candidate> {
    let best = candidates.iter().reduce(|best, one| if one.compare(best).is_gt() { one } else { best })?;
    let is_alone = candidates.iter().filter(|one| one.compare(best).is_eq()).count() == 1;
    let is_one_patient = candidates.iter().all(|one| one.labels.patient == best.labels.patient);
    (is_alone && is_one_patient).then_some(best)
}

/// The candidate that is meant: by its number in the list, its UID, or the rule.
///
/// # Errors
/// `ERR_GEOMETRY` where there is no such series, or where the rule cannot tell.
pub(super) fn choose<'a>(
    candidates: &'a [Candidate],
    wanted: Option<&str>,
    path: &Path,
) -> Result<&'a Candidate, VolumeError> {
    let Some(wanted) = wanted else {
        return best(candidates).ok_or_else(|| unclear(candidates, path));
    };
    let by_number = wanted.parse().ok().and_then(|number: usize| candidates.iter().find(|one| one.number == number));
    let of_uid = || candidates.iter().filter(|one| one.labels.uid == wanted);
    let by_uid = of_uid().reduce(|best, one| if one.compare(best).is_gt() { one } else { best });
    by_uid.or(by_number).ok_or_else(|| {
        let problem = format!("has no series `{wanted}`; expected a number or UID of {}", list(candidates));
        VolumeError::geometry(path.display(), problem)
    })
}

fn unclear(candidates: &[Candidate], path: &Path) -> VolumeError {
    let patients = candidates.iter().any(|one| one.labels.patient != candidates[0].labels.patient);
    let why = if patients { "of several patients" } else { "that could be meant" };
    let problem =
        format!("holds {} series {why}; expected one, so name it by series: {}", candidates.len(), list(candidates));
    VolumeError::geometry(path.display(), problem)
}

/// The first candidates in words.
fn list(candidates: &[Candidate]) -> String {
    const MOST: usize = 12;
    let words: Vec<String> = candidates.iter().take(MOST).map(Candidate::words).collect();
    let more = if candidates.len() > MOST { "; …" } else { "" };
    format!("{}{more}", words.join("; "))
}

/// What to say where the rule picked one of several.
pub(super) fn choice_words(chosen: &Candidate, count: usize) -> String {
    format!("of {count} series this was read: {}; name another by series", chosen.words())
}
