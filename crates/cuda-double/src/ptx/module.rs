//! A module: its variables in memory, its kernels decoded when they are asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::kernel::Kernel;
use super::source::{self, Source, Variable, literal, split};

/// PTX, loaded.
pub(crate) struct Module {
    source: Source,
    /// Name, address and bytes of each variable.
    globals: Vec<(String, u64, usize)>,
    /// The variables' memory; a word more than they need, so that the last one may be read as a vector.
    held: Vec<Box<[u128]>>,
    kernels: Mutex<HashMap<String, Arc<Kernel>>>,
}

impl Module {
    pub(crate) fn load(text: &str) -> Result<Module, String> {
        let source = source::parse(text)?;
        let mut module = Module { globals: vec![], held: vec![], kernels: Mutex::default(), source };
        for variable in &module.source.globals {
            let bytes = initial(variable)?;
            let words = bytes.chunks(16).map(|chunk| {
                let mut word = [0; 16];
                word[..chunk.len()].copy_from_slice(chunk);
                u128::from_le_bytes(word)
            });
            let memory: Box<[u128]> = words.chain([0]).collect();
            module.globals.push((variable.name.clone(), memory.as_ptr() as u64, variable.bytes));
            module.held.push(memory);
        }
        Ok(module)
    }

    #[cfg(test)]
    pub(crate) fn kernel_names(&self) -> impl Iterator<Item = &str> {
        self.source.kernels.keys().map(String::as_str)
    }

    /// Address and bytes of a variable.
    pub(crate) fn global(&self, name: &str) -> Option<(u64, usize)> {
        self.globals.iter().find(|(known, ..)| known == name).map(|(_, address, bytes)| (*address, *bytes))
    }

    /// Start and end of each variable.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.globals.iter().map(|(_, address, bytes)| (*address, address + *bytes as u64))
    }

    pub(crate) fn kernel(&self, name: &str) -> Option<Result<Arc<Kernel>, String>> {
        let text = self.source.kernels.get(name)?;
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(name) {
            return Some(Ok(Arc::clone(kernel)));
        }
        let globals: Vec<_> = self.globals.iter().map(|(name, address, _)| (name.clone(), *address)).collect();
        Some(Kernel::decode(name, text, &self.source, &globals).map(|kernel| {
            let kernel = Arc::new(kernel);
            kernels.insert(name.to_owned(), Arc::clone(&kernel));
            kernel
        }))
    }
}

/// A variable's bytes: its numbers, then zeros.
fn initial(variable: &Variable) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; variable.bytes];
    let Some(text) = &variable.initial else { return Ok(bytes) };
    let each = variable.kind.bytes();
    let numbers = text.trim_start_matches('{').trim_end_matches('}');
    for (place, number) in bytes.chunks_mut(each).zip(split(numbers)) {
        let value = literal(number).ok_or_else(|| format!("{number:?} in {} is no number", variable.name))?;
        place.copy_from_slice(&value.to_le_bytes()[..each]);
    }
    Ok(bytes)
}
