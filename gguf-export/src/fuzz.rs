//! Entry points of fuzz targets into private parsers. Not part of the interface.

use crate::checkpoint::TensorId;
use crate::export::parse_journal;
use crate::survey::Findings;

/// Reads a journal of an export with `tiles` tiles whose first line is `identity`. True if it is valid.
///
/// # Panics
/// If it names tiles that do not exist, or more bytes than it has.
#[must_use]
pub fn journal(text: &str, identity: &str, tiles: usize) -> bool {
    parse_journal(text, identity, tiles)
}

/// Reads the findings of a survey of `tensors` tensors. True if all lines are valid.
///
/// # Panics
/// If it accepts more bytes than the text has.
#[must_use]
pub fn findings(text: &str, tensors: u32) -> bool {
    let ids: Vec<TensorId> = (0..tensors).map(TensorId::new).collect();
    let accepted = Findings::none().parse_all(text, &ids);
    assert!(accepted <= text.len(), "{accepted} bytes");
    accepted == text.len()
}
