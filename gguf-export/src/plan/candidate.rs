//! Candidate types of a tensor.

use crate::ggml::GgmlType;

/// A type that may hold a tensor exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The type.
    pub ty: GgmlType,
    /// The stored form of the values.
    pub form: Form,
    /// For which data the type is exact.
    pub certainty: Certainty,
}

impl Candidate {
    /// F32 for any data.
    pub(super) const F32: Self = Self { ty: GgmlType::F32, form: Form::Values, certainty: Certainty::Always };
}

/// The stored form of the values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The values.
    Values,
    /// The values without the tensor-wide factor, which is stored in `<name>.scale`.
    Unscaled,
}

/// For which data a type is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// All data.
    Always,
    /// Some data; the survey checks the values.
    IfData,
    /// The caller chose the type, exact or not.
    Rounded,
}
