//! The ranges that a client of the hub asks for.

use std::str::FromStr;

/// Parses `bytes=5-` or `bytes=5-9`.
#[must_use]
pub fn parse_range<T: FromStr>(text: &str) -> Option<(T, Option<T>)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()))
}
