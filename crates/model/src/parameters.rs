//! Named parameters: created from a seed, or taken from a file.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Tensor, Var};
use pulmoav_ops::device::{Compute, to_cpu};
use pulmoav_random::{normals, stream_of};

use crate::ModelError;

/// The parameters of a network by name, sorted; and tensors that only travel along (`text.*`).
///
/// A parameter's first value depends on the seed and its name alone, never on the order of creation.
#[derive(Debug, Clone)]
pub struct Parameters {
    source: Source,
    compute: Compute,
    trained: BTreeMap<String, Var>,
    frozen: BTreeMap<String, Tensor>,
    asked: BTreeSet<String>,
}

/// Where a parameter comes from when a network asks for it.
#[derive(Debug, Clone)]
enum Source {
    /// It is created if it does not exist yet.
    Seed(u64),
    /// It must exist.
    File,
}

/// First value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element the same.
    Constant(f32),
    /// Independent normal numbers around a mean.
    Normal {
        /// Their mean.
        mean: f32,
        /// Their standard deviation.
        std: f32,
    },
}

impl Init {
    /// Normal with deviation `gain / sqrt(fan_in)`.
    pub fn scaled(gain: f64, fan_in: usize) -> Self {
        Self::Normal { mean: 0.0, std: (gain / (fan_in.max(1) as f64).sqrt()) as f32 }
    }

    /// Kaiming's for a layer followed by a leaky ReLU of this slope (0: ReLU).
    pub fn kaiming(slope: f64, fan_in: usize) -> Self {
        Self::scaled((2.0 / (1.0 + slope * slope)).sqrt(), fan_in)
    }
}

impl Parameters {
    /// No parameters yet; a network creates what it needs, on the CPU.
    pub fn new(seed: u64) -> Self {
        Self::empty(Source::Seed(seed))
    }

    fn empty(source: Source) -> Self {
        let (trained, frozen, asked) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { source, compute: Compute::cpu(), trained, frozen, asked }
    }

    /// Given parameters; a network that needs another one is refused. All are copied to the CPU, none shares storage
    /// with the caller's.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<Self, ModelError> {
        let mut trained = BTreeMap::new();
        for (name, tensor) in tensors {
            trained.insert(name, Var::from_tensor(&to_cpu(&tensor.to_dtype(DType::F32)?.detach())?)?);
        }
        Ok(Self { trained, ..Self::empty(Source::File) })
    }

    /// The same parameters on a device, where those that are created from now on lie too, for networks that compute in
    /// its type; they themselves stay f32. What only travels along stays where it is.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where the device has no room.
    pub fn on(mut self, compute: &Compute) -> Result<Self, ModelError> {
        if !self.compute.device.same_device(&compute.device) {
            for var in self.trained.values_mut() {
                *var = Var::from_tensor(&var.as_detached_tensor().to_device(&compute.device)?)?;
            }
        }
        self.compute = compute.clone();
        Ok(self)
    }

    /// Where the parameters are, and the type that networks compute in.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// The parameter of that name, created if that is allowed.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::WrongTensor`].
    pub fn get_or_create(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Var, ModelError> {
        self.asked.insert(name.to_owned());
        if let Some(var) = self.trained.get(name) {
            if var.dims() != shape {
                return Err(ModelError::WrongTensor {
                    name: name.to_owned(),
                    found: format!("of shape {:?}", var.dims()),
                    expected: format!("shape {shape:?}"),
                });
            }
            return Ok(var.clone());
        }
        let Source::Seed(seed) = self.source else {
            return Err(ModelError::MissingTensor { name: name.to_owned(), shape: shape.to_vec() });
        };
        let count = shape.iter().product();
        let values = match init {
            Init::Constant(value) => vec![value; count],
            Init::Normal { mean, std } => {
                normals(seed, stream_of(name), count).into_iter().map(|value| mean + std * value).collect()
            }
        };
        let var = Var::from_vec(values, shape, &self.compute.device)?;
        self.trained.insert(name.to_owned(), var.clone());
        Ok(var)
    }

    /// The parameter of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.trained.get(name)
    }

    /// Every trained parameter, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Var)> {
        self.trained.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// How many trained parameters there are.
    pub fn len(&self) -> usize {
        self.trained.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.trained.is_empty()
    }

    /// How many trained numbers there are in all.
    pub fn element_count(&self) -> usize {
        self.trained.values().map(|var| var.elem_count()).sum()
    }

    /// Parameters of the same values in storage of their own: a teacher, an average.
    pub fn duplicate(&self) -> Result<Self, ModelError> {
        let copy = |(name, var): (&String, &Var)| Ok((name.clone(), Var::from_tensor(&var.as_detached_tensor())?));
        let trained = self.trained.iter().map(copy).collect::<Result<_, ModelError>>()?;
        Ok(Self { trained, asked: BTreeSet::new(), ..self.clone() })
    }

    /// Adds a tensor that travels with the weights and is not trained with them (any type).
    pub fn set_frozen(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.frozen.insert(name.into(), tensor);
    }

    /// A tensor that travels along.
    pub fn frozen(&self, name: &str) -> Option<&Tensor> {
        self.frozen.get(name)
    }

    /// Every tensor that travels along, sorted by name.
    pub fn frozen_iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.frozen.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Refuses parameters that no network has asked for.
    ///
    /// # Errors
    /// [`ModelError::UnexpectedTensor`].
    pub fn refuse_unasked(&self) -> Result<(), ModelError> {
        let mut unasked = self.trained.keys().filter(|name| !self.asked.contains(*name));
        match unasked.next() {
            None => Ok(()),
            Some(name) => Err(ModelError::UnexpectedTensor { name: name.clone(), count: 1 + unasked.count() }),
        }
    }
}

/// A place in the tree of names: `encoder.stages.0`.
pub struct Scope<'a> {
    parameters: &'a mut Parameters,
    prefix: String,
}

impl<'a> Scope<'a> {
    /// Where names begin.
    pub fn root(parameters: &'a mut Parameters) -> Self {
        Self { parameters, prefix: String::new() }
    }

    /// The place of that name below this one.
    pub fn at(&mut self, name: impl std::fmt::Display) -> Scope<'_> {
        Scope { prefix: self.path(&name.to_string()), parameters: self.parameters }
    }

    /// The parameter of that name here, created if that is allowed.
    ///
    /// # Errors
    /// As [`Parameters::get_or_create`].
    pub fn parameter(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Var, ModelError> {
        let path = self.path(name);
        self.parameters.get_or_create(&path, shape, init)
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn values(var: &Var) -> Vec<f32> {
        var.flatten_all().and_then(|flat| flat.to_vec1()).expect("cpu")
    }

    #[test]
    fn first_values_do_not_depend_on_the_order_of_creation() -> Result<(), ModelError> {
        let init = Init::kaiming(0.01, 27);
        let (mut one, mut two) = (Parameters::new(5), Parameters::new(5));
        let a = one.get_or_create("a", &[3, 4], init)?;
        let b = one.get_or_create("b", &[4, 3], init)?;
        assert_eq!(values(&b), values(&two.get_or_create("b", &[4, 3], init)?));
        assert_eq!(values(&a), values(&two.get_or_create("a", &[3, 4], init)?));
        assert_ne!(values(&a), values(&Parameters::new(6).get_or_create("a", &[3, 4], init)?));
        assert_eq!(one.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(one.element_count(), 24);
        Ok(())
    }

    #[test]
    fn a_file_s_parameters_are_neither_created_nor_reshaped() -> Result<(), ModelError> {
        let tensor = Tensor::zeros(3, DType::F32, &Device::Cpu)?;
        let mut given = Parameters::from_tensors([("a".to_owned(), tensor.clone()), ("z".to_owned(), tensor)])?;
        let zero = Init::Constant(0.0);
        assert!(matches!(given.get_or_create("b", &[3], zero), Err(ModelError::MissingTensor { .. })));
        assert!(matches!(given.get_or_create("a", &[4], zero), Err(ModelError::WrongTensor { .. })));
        assert!(given.get_or_create("a", &[3], zero).is_ok());
        assert!(matches!(given.refuse_unasked(), Err(ModelError::UnexpectedTensor { name, count: 1 }) if name == "z"));
        Ok(())
    }

    #[test]
    fn a_duplicate_has_storage_of_its_own() -> Result<(), ModelError> {
        let mut one = Parameters::new(1);
        let var = one.get_or_create("a", &[2], Init::Constant(1.0))?;
        let copy = one.duplicate()?;
        var.set(&Tensor::zeros(2, DType::F32, &Device::Cpu)?)?;
        assert_eq!(values(copy.get("a").expect("copied")), [1.0, 1.0]);
        Ok(())
    }
}
