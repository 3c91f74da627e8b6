//! Runs the fuzz targets of batches on their seeds.

#[path = "../../fuzz/journal.rs"]
mod journal;
#[path = "../../fuzz/row.rs"]
mod row;

use ggrun::{batch, openai};
use testkit::seeds;

#[test]
fn any_bytes_parse_as_a_row_or_an_error() {
    let found = seeds::run(row::batch_row, "batch_row");
    assert!(found.seeds >= 5 && found.whole >= 4 && found.mutants > 100, "{found:?}");
}

#[test]
fn any_bytes_are_answers_or_refused() {
    let found = seeds::run(|bytes| journal::batch_journal(bytes).is_some(), "batch_journal");
    assert!(found.whole >= 4 && found.mutants > 100, "{found:?}");
}
