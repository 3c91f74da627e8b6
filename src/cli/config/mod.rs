//! The configuration file: options by their long names, and aliases of models.
//!
//! Flags take precedence over variables, variables over the file, and the file over defaults.

pub(crate) mod entry;
mod file;
pub(crate) mod layers;
pub(crate) mod read;
pub(crate) mod shown;

#[cfg(test)]
mod tests;
