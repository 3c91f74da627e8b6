//! The fuzz target `batch_journal`; `tests/batch/corpus.rs` runs it on the seeds.

use std::path::Path;

use super::batch::Earlier;

/// Reads the rows of an earlier run. A torn last row must not change the others. Returns the number of ids, if the bytes
/// are a file of answers.
pub(crate) fn batch_journal(data: &[u8]) -> Option<usize> {
    let count = rows(data)?;
    let whole = data.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    assert_eq!(rows(&data[..whole]), Some(count));
    assert!(count <= data.split(|byte| *byte == b'\n').count());
    Some(count)
}

fn rows(data: &[u8]) -> Option<usize> {
    let mut earlier = Earlier::default();
    let read = earlier.read_rows(data, data.len() as u64, Path::new("out.jsonl"), None);
    read.is_ok().then(|| earlier.count())
}
