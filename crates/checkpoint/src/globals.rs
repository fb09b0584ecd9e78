//! The closed list of Python names that a checkpoint may hold. They are taken as words; none is ever imported or
//! called.

/// What a Python name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    /// Makes a dictionary, which later opcodes fill.
    Dictionary,
    /// Puts shape and strides over a storage; the element type is the storage's.
    Tensor,
    /// The same with the element type as its seventh argument.
    TypedTensor,
    /// Its first argument is the tensor.
    Parameter,
    /// A call of its first argument with its third.
    FromType,
    /// The type of a storage.
    Storage(ElementType),
    /// An element type.
    Element(ElementType),
    /// Plain data that no tensor depends on: numbers of numpy, paths, the trainer's settings.
    Data,
    /// A name that is not on the list, where such names are ignored.
    Stranger,
}

/// What becomes of names that are not on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// The first one ends the reading.
    Refused,
    /// They are data like any other, of which nothing is asked.
    Ignored,
}

/// Types of stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementType {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
    C64,
    C128,
}

impl ElementType {
    /// Bytes of one number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::C128 => 16,
            Self::F64 | Self::I64 | Self::C64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// As PyTorch writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
            Self::C64 => "complex64",
            Self::C128 => "complex128",
        }
    }

    /// From PyTorch's name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::F64,
            Self::F32,
            Self::F16,
            Self::Bf16,
            Self::I64,
            Self::I32,
            Self::I16,
            Self::I8,
            Self::U8,
            Self::Bool,
            Self::C64,
            Self::C128,
        ];
        all.into_iter().find(|element| element.name() == name)
    }
}

/// What the name stands for; `None` for every name that is not on the list.
pub(crate) fn known(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict" | "defaultdict" | "Counter") | ("builtins" | "__builtin__", "dict") => {
            Some(Global::Dictionary)
        }
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Global::Tensor),
        ("torch._utils", "_rebuild_tensor_v3") => Some(Global::TypedTensor),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Some(Global::Parameter),
        ("torch._tensor", "_rebuild_from_type_v2") => Some(Global::FromType),
        ("torch.storage", "UntypedStorage") => Some(Global::Storage(ElementType::U8)),
        ("torch", _) => torch(name),
        _ => is_data(module, name).then_some(Global::Data),
    }
}

/// Names directly under `torch`.
fn torch(name: &str) -> Option<Global> {
    let storage = match name {
        "DoubleStorage" => ElementType::F64,
        "FloatStorage" => ElementType::F32,
        "HalfStorage" => ElementType::F16,
        "BFloat16Storage" => ElementType::Bf16,
        "LongStorage" => ElementType::I64,
        "IntStorage" => ElementType::I32,
        "ShortStorage" => ElementType::I16,
        "CharStorage" => ElementType::I8,
        "ByteStorage" | "UntypedStorage" => ElementType::U8,
        "BoolStorage" => ElementType::Bool,
        "ComplexFloatStorage" => ElementType::C64,
        "ComplexDoubleStorage" => ElementType::C128,
        "Tensor" | "Size" | "device" => return Some(Global::Data),
        _ => return ElementType::named(name).map(Global::Element),
    };
    Some(Global::Storage(storage))
}

/// What trainers keep beside tensors.
fn is_data(module: &str, name: &str) -> bool {
    match module {
        "torch.nn.parameter" => name == "Parameter",
        "builtins" | "__builtin__" => {
            ["set", "frozenset", "list", "tuple", "int", "float", "complex", "bool", "str", "bytes", "bytearray"]
                .contains(&name)
        }
        "collections" => name == "deque",
        "numpy" => ["dtype", "ndarray"].contains(&name),
        "numpy.core.multiarray" | "numpy._core.multiarray" => ["scalar", "_reconstruct"].contains(&name),
        "_codecs" => name == "encode",
        "argparse" => name == "Namespace",
        "types" => name == "SimpleNamespace",
        "pathlib" | "pathlib._local" => {
            ["PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path"].contains(&name)
        }
        "datetime" => ["datetime", "date", "time", "timedelta"].contains(&name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_do_something_is_not_on_the_list() {
        let hostile = [
            ("os", "system"),
            ("posix", "system"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("__builtin__", "getattr"),
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes"),
            ("torch", "float8_e4m3fn"),
            ("numpy", "load"),
            ("collections", "namedtuple"),
            ("", ""),
        ];
        for (module, name) in hostile {
            assert_eq!(known(module, name), None, "{module}.{name}");
        }
        assert_eq!(known("torch", "bfloat16"), Some(Global::Element(ElementType::Bf16)));
        assert_eq!(known("torch", "HalfStorage"), Some(Global::Storage(ElementType::F16)));
    }
}
