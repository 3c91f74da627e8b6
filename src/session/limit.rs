//! Numbers of tokens, where -1 means no limit.

use std::fmt;
use std::str::FromStr;

/// A number of tokens, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// This many.
    Tokens(u32),
    /// As many as there are; written as -1.
    Unlimited,
}

/// The text or number is not a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from -1 to {}", u32::MAX)]
pub struct NotALimit;

impl Limit {
    /// The number of tokens; `None` without a limit.
    #[must_use]
    pub fn tokens(self) -> Option<u32> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Unlimited => None,
        }
    }
}

impl From<Option<u32>> for Limit {
    fn from(tokens: Option<u32>) -> Self {
        tokens.map_or(Self::Unlimited, Self::Tokens)
    }
}

impl TryFrom<i64> for Limit {
    type Error = NotALimit;

    fn try_from(number: i64) -> Result<Self, NotALimit> {
        if number == -1 {
            return Ok(Self::Unlimited);
        }
        u32::try_from(number).map(Self::Tokens).map_err(|_| NotALimit)
    }
}

impl FromStr for Limit {
    type Err = NotALimit;

    fn from_str(text: &str) -> Result<Self, NotALimit> {
        text.parse::<i64>().map_err(|_| NotALimit)?.try_into()
    }
}

/// As it is written: the number, or -1.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(tokens) => tokens.fmt(f),
            Self::Unlimited => f.write_str("-1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for limit in [Limit::Unlimited, Limit::Tokens(0), Limit::Tokens(u32::MAX)] {
            assert_eq!(limit.to_string().parse(), Ok(limit));
            assert_eq!(Limit::from(limit.tokens()), limit);
        }
        for wrong in ["-2", "4294967296", "1.5", "", "many"] {
            assert_eq!(wrong.parse::<Limit>(), Err(NotALimit), "{wrong}");
        }
    }
}
