//! The values of a key that leave the weights as they are.

/// The keys of an object, in several lists.
pub(in crate::quant) type Table = &'static [&'static [(&'static str, Rule)]];

/// The values of a key that are harmless.
#[derive(Debug, Clone, Copy)]
pub(in crate::quant) enum Rule {
    /// All: the key does not concern weights, or its reader checks the value.
    Any,
    /// Only those that state nothing: null, false, zero, empty.
    Empty,
    /// One of these words, in any case.
    Words(&'static [&'static str]),
    /// An object with these keys.
    Object(Table),
    /// An object of objects with these keys, under any names.
    Each(Table),
}
