//! The fuzz target `batch_row`; `tests/batch/corpus.rs` runs it on the seeds.

use super::batch::{Defaults, Line, Settings, read_row};
use super::openai::write_sampling;

/// Reads a row. It must have an id, and the sampling parameters of a request must be serializable. Returns true if the row
/// is a valid request.
pub(crate) fn batch_row(data: &[u8]) -> bool {
    let defaults = Defaults::default();
    let row = read_row(1, &Line::Whole(data.to_vec()), &defaults, &Settings::of(&defaults.options));
    assert!(!row.id.is_empty());
    if let Ok(asked) = &row.asked {
        assert!((1..=128).contains(&asked.choices));
        serde_json::to_string(&write_sampling(&asked.options.sampling)).expect("numbers are finite");
    }
    row.asked.is_ok()
}
