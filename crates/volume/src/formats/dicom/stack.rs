//! Slices of one series that share a direction and a grid, in the order of their places.

use super::instance::{Frame, Instance};

/// Directions whose parts differ by less than this are one; files round them to a few digits.
const SAME_DIRECTION: f64 = 1e-3;
/// Pixel sizes that differ by less than this share are one.
const SAME_SIZE: f64 = 1e-3;
/// Cosine beyond which slices are axial: half way to the other planes would be 0.71.
const AXIAL_COSINE: f64 = 0.8;

/// Slices in parallel.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    /// By place along the normal, then by file.
    pub(super) slices: Vec<Slice>,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Whose direction and pixel size count for all.
    pub(super) first: Frame,
}

/// One slice of a stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// Which file it is in.
    pub(super) instance: usize,
    /// Which of its frames it is.
    pub(super) frame: usize,
    pub(super) facts: Frame,
    /// Where it lies along the normal, mm.
    pub(super) place_mm: f64,
}

/// Sorts the slices of one series into stacks, in the order in which they first appear.
pub(super) fn stacks(instances: &[Instance], of: &[usize]) -> Vec<Stack> {
    let mut stacks: Vec<Stack> = Vec::new();
    for &index in of {
        let instance = &instances[index];
        let (rows, columns) = (instance.pixels.rows, instance.pixels.columns);
        for (number, &facts) in instance.frames.iter().enumerate() {
            let fits = |stack: &Stack| (stack.rows, stack.columns) == (rows, columns) && alike(&stack.first, &facts);
            let at = stacks.iter().position(fits).unwrap_or(stacks.len());
            if at == stacks.len() {
                stacks.push(Stack { slices: Vec::new(), rows, columns, first: facts });
            }
            let stack = &mut stacks[at];
            let place_mm = dot(facts.position, normal(&stack.first));
            stack.slices.push(Slice { instance: index, frame: number, facts, place_mm });
        }
    }
    for stack in &mut stacks {
        stack.slices.sort_by(|a, b| a.place_mm.total_cmp(&b.place_mm));
    }
    stacks
}

fn alike(a: &Frame, b: &Frame) -> bool {
    let direction = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < SAME_DIRECTION);
    let size = a.spacing_mm.iter().zip(b.spacing_mm).all(|(a, b)| (a - b).abs() <= SAME_SIZE * a.max(b));
    direction(a.along_row, b.along_row) && direction(a.along_column, b.along_column) && size
}

impl Stack {
    /// Distance of neighbours, mm: the median, so that a few gaps do not change it; of a single slice its thickness.
    pub(super) fn spacing_mm(&self) -> f64 {
        let mut steps: Vec<f64> = self.slices.windows(2).map(|pair| pair[1].place_mm - pair[0].place_mm).collect();
        steps.retain(|&step| step > SAME_PLACE_MM);
        steps.sort_by(f64::total_cmp);
        let thickness = self.first.thickness_mm.unwrap_or(1.0);
        steps.get(steps.len() / 2).copied().unwrap_or(thickness)
    }

    /// Where its slices follow each other.
    pub(super) fn normal(&self) -> [f64; 3] {
        normal(&self.first)
    }

    /// Whether the slices lie across the body.
    pub(super) fn is_axial(&self) -> bool {
        self.normal()[2].abs() > AXIAL_COSINE
    }
}

/// Slices nearer to each other than this are at one place, mm.
pub(super) const SAME_PLACE_MM: f64 = 0.01;

/// Where slices like this one follow each other.
pub(super) fn normal(frame: &Frame) -> [f64; 3] {
    let ([a, b, c], [d, e, f]) = (frame.along_row, frame.along_column);
    let cross = [b * f - c * e, c * d - a * f, a * e - b * d];
    let length = dot(cross, cross).sqrt();
    cross.map(|part| part / length)
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
