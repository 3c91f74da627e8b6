//! Random seeds.

use std::hash::{BuildHasher as _, RandomState};

/// A random seed: the keys of a hash map are random for every process.
pub(crate) fn random() -> u32 {
    let number = RandomState::new().hash_one(std::process::id());
    u32::try_from(number >> 32).unwrap_or(0)
}
