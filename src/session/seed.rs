//! The seed of a request, or a random one.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;

/// The seed of the random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seed {
    /// This one.
    Fixed(u32),
    /// Another for every request; written as -1.
    Random,
}

impl Seed {
    /// A random number for a request that is to have one.
    #[must_use]
    pub fn draw() -> u32 {
        // The keys of a hash map are random, and each map has other ones.
        u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(0)
    }
}

/// The text or number is not a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from -1 to {}", u32::MAX)]
pub struct NotASeed;

impl TryFrom<i64> for Seed {
    type Error = NotASeed;

    fn try_from(number: i64) -> Result<Self, NotASeed> {
        if number == -1 {
            return Ok(Self::Random);
        }
        u32::try_from(number).map(Self::Fixed).map_err(|_| NotASeed)
    }
}

impl FromStr for Seed {
    type Err = NotASeed;

    fn from_str(text: &str) -> Result<Self, NotASeed> {
        text.parse::<i64>().map_err(|_| NotASeed)?.try_into()
    }
}

/// As it is written: the number, or -1.
impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(seed) => seed.fmt(f),
            Self::Random => f.write_str("-1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        for seed in [Seed::Random, Seed::Fixed(0), Seed::Fixed(u32::MAX)] {
            assert_eq!(seed.to_string().parse(), Ok(seed));
        }
        for wrong in ["-2", "4294967296", "1.5", "", "x"] {
            assert_eq!(wrong.parse::<Seed>(), Err(NotASeed), "{wrong}");
        }
    }
}
