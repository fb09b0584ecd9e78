//! A better tower for a model that is trained already.
//!
//! Words choose, embeddings drive: the network has only ever seen its plan's embeddings. So the new tower's embedding
//! space is turned until the plan's prompts fall on them; its answers stay what they were.

use std::path::Path;

use candle_core::{Device, Tensor};
use pulmoav_model::{ModelError, weights};

use crate::Tower;
use crate::tower::BUNDLED;

/// Puts a tower into a model directory in place of its own. The network and the plan's embeddings stay as they are.
///
/// # Errors
/// As [`weights::load`]; [`ModelError::WrongTensor`] where the embeddings have another width or are not independent.
pub fn renew_text(directory: &Path, tower: &Tower) -> Result<(), ModelError> {
    let (mut plan, mut parameters) = weights::load(directory)?;
    let prompts: Vec<&str> = plan.targets.iter().map(|target| target.prompt.as_str()).collect();
    let embeddings: Vec<&[f32]> = plan.targets.iter().map(|target| target.embedding.as_slice()).collect();
    let tower = tower.turned(&prompts, &embeddings)?;
    for (name, tensor) in tower.tensors() {
        parameters.set_frozen(name.clone(), tensor.clone());
    }
    BUNDLED.clone_into(&mut plan.text_encoder.id);
    plan.text_encoder.sha256 = tower.sha256()?;
    weights::save(directory, &plan, &parameters, None)
}

const PROJECTION: &str = "text.projection";
const HEAD: &str = "text.head.weight";

impl Tower {
    /// The same tower in another basis of its embeddings: each prompt falls on its vector (to f32's accuracy),
    /// distances across them are kept, and every prompt means what it meant.
    ///
    /// # Errors
    /// [`ModelError::WrongTensor`] where the vectors have another width than the tower, or are not independent.
    pub fn turned(&self, prompts: &[&str], vectors: &[&[f32]]) -> Result<Self, ModelError> {
        let width = self.width();
        let wrong = |found: &str| ModelError::WrongTensor {
            name: "prompts.embeddings".to_owned(),
            found: found.to_owned(),
            expected: format!("independent vectors of width {width}"),
        };
        if vectors.len() != prompts.len() || vectors.iter().any(|vector| vector.len() != width) {
            return Err(wrong("of another shape"));
        }
        let mine = self.embed(prompts)?.to_vec2::<f32>()?;
        let rows: Vec<&[f32]> = mine.iter().map(Vec::as_slice).collect();
        let (from, to) = (whole_basis(&rows, width), whole_basis(vectors, width));
        let dependent = || wrong("dependent");
        let turn = solve(from.clone(), to.clone()).ok_or_else(dependent)?;
        let back = solve(to, from).ok_or_else(dependent)?;
        let tensors: Vec<(&str, Tensor)> = self
            .tensors()
            .iter()
            .map(|(name, tensor)| {
                let tensor = match name.as_str() {
                    PROJECTION => product(&matrix(tensor)?, &turn)?,
                    HEAD => product(&back, &matrix(tensor)?)?,
                    _ => tensor.clone(),
                };
                Ok((name.as_str(), tensor))
            })
            .collect::<Result<_, ModelError>>()?;
        Self::from_tensors(tensors.iter().map(|(name, tensor)| (*name, tensor)))
    }
}

type Matrix = Vec<Vec<f64>>;

/// The vectors, then unit vectors at right angles to all before (Gram and Schmidt), `width` in all.
fn whole_basis(vectors: &[&[f32]], width: usize) -> Matrix {
    let mut basis: Matrix =
        vectors.iter().map(|vector| vector.iter().map(|&value| f64::from(value)).collect()).collect();
    let mut orthogonal: Matrix = Vec::new();
    for vector in &basis {
        orthogonal.extend(direction(vector, &orthogonal));
    }
    for axis in 0..width {
        if basis.len() == width {
            break;
        }
        let unit: Vec<f64> = (0..width).map(|at| f64::from(u8::from(at == axis))).collect();
        if let Some(next) = direction(&unit, &orthogonal) {
            orthogonal.push(next.clone());
            basis.push(next);
        }
    }
    basis
}

/// What of a vector is at right angles to the others, at length 1; `None` if next to nothing is.
fn direction(vector: &[f64], others: &Matrix) -> Option<Vec<f64>> {
    let mut rest = vector.to_vec();
    // Twice is enough (Kahan and Parlett).
    for other in others.iter().chain(others) {
        let along: f64 = rest.iter().zip(other).map(|(a, b)| a * b).sum();
        rest.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
    }
    let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let left = length(&rest);
    (left > 1e-3 * length(vector)).then(|| rest.iter().map(|value| value / left).collect())
}

/// X of a X = b, by elimination with pivots; `None` where `a` is singular or not square.
fn solve(mut a: Matrix, mut b: Matrix) -> Option<Matrix> {
    let n = a.len();
    if a.iter().any(|row| row.len() != n) {
        return None;
    }
    for column in 0..n {
        let pivot = (column..n).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))?;
        if a[pivot][column].abs() < 1e-9 {
            return None;
        }
        a.swap(column, pivot);
        b.swap(column, pivot);
        let scale = a[column][column];
        a[column].iter_mut().chain(&mut b[column]).for_each(|value| *value /= scale);
        let (pivot_a, pivot_b) = (a[column].clone(), b[column].clone());
        for row in (0..n).filter(|&row| row != column) {
            let factor = a[row][column];
            a[row].iter_mut().zip(&pivot_a).for_each(|(value, pivot)| *value -= factor * pivot);
            b[row].iter_mut().zip(&pivot_b).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    Some(b)
}

fn matrix(tensor: &Tensor) -> Result<Matrix, ModelError> {
    Ok(tensor.to_dtype(candle_core::DType::F64)?.to_vec2()?)
}

fn product(a: &Matrix, b: &Matrix) -> Result<Tensor, ModelError> {
    let columns = b.first().map_or(0, Vec::len);
    let value = |row: &[f64], column: usize| row.iter().zip(b).map(|(x, y)| x * y[column]).sum::<f64>() as f32;
    let values: Vec<f32> = a.iter().flat_map(|row| (0..columns).map(move |column| value(row, column))).collect();
    Ok(Tensor::from_vec(values, (a.len(), columns), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PromptHead, TARGETS, TextConfig, TextEncoder, template};
    use pulmoav_model::Parameters;

    fn untrained(seed: u64) -> Result<Tower, ModelError> {
        let config = TextConfig::small(32, 1);
        let mut parameters = Parameters::new(seed);
        TextEncoder::build(&config, &mut parameters)?;
        PromptHead::build(&config, &mut parameters)?;
        // The table starts at zero; words must differ here.
        let table = parameters.get("text.tokens.table").expect("built");
        table.set(&Tensor::rand(-1.0_f32, 1.0, table.dims(), &Device::Cpu)?)?;
        Tower::from_parameters(&parameters)
    }

    #[test]
    fn a_turned_tower_says_the_same_and_meets_the_vectors() -> Result<(), ModelError> {
        let (old, new) = (untrained(1)?, untrained(2)?);
        let prompts = TARGETS.map(template);
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let vectors = old.target_embeddings()?;
        let turned = new.turned(&prompts, &vectors.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        for (got, wanted) in turned.target_embeddings()?.iter().flatten().zip(vectors.iter().flatten()) {
            assert!((got - wanted).abs() < 1e-3, "{got} {wanted}");
        }
        let asked = ["left vein", "spleen", "vessels of the right lung", ""];
        for (got, wanted) in turned.resolve(&asked)?.iter().zip(new.resolve(&asked)?) {
            assert_eq!(got.target, wanted.target);
            assert!((got.confidence - wanted.confidence).abs() < 1e-3);
        }
        let twice = [vectors[0].as_slice(), vectors[0].as_slice()];
        assert!(matches!(new.turned(&prompts[..2], &twice), Err(ModelError::WrongTensor { .. })));
        Ok(())
    }
}
