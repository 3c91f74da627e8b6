//! What `batch_row` does with its bytes; `tests/batch/corpus.rs` does the same with the seeds.

use super::batch::{Line, Settings, read_row};
use super::engine::SamplingParams;
use super::openai::{Defaults, write_sampling};

/// Any bytes as a line: there is a name, and the sampling of a request can be written. Tells whether it is a request.
pub(crate) fn batch_row(data: &[u8]) -> bool {
    let neutral = SamplingParams::neutral(0);
    let defaults = Defaults::new(neutral.clone());
    let row = read_row(1, &Line::Whole(data.to_vec()), &defaults, &Settings::of(&defaults, None));
    assert!(!row.id.is_empty());
    if let Ok(asked) = &row.asked {
        assert!((1..=128).contains(&asked.copies));
        serde_json::to_string(&write_sampling(asked.sampling(), &neutral)).expect("numbers are finite");
    }
    row.asked.is_ok()
}
