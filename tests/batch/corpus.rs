//! Runs the fuzz targets of batches on their seeds: whole, truncated and mutated.

#[path = "../../fuzz/journal.rs"]
mod journal;
#[path = "../../fuzz/row.rs"]
mod row;

use std::fs;
use std::path::Path;

use ggrun::{batch, openai};
use testkit::rng::Rng;

#[test]
fn any_bytes_parse_as_a_row_or_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/batch_row");
    let (mut seeds, mut requests, mut mutants) = (0, 0, 0);
    let mut random = Rng::named(7, "rows");
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        requests += u32::from(row::batch_row(&bytes));
        for end in 0..bytes.len() {
            row::batch_row(&bytes[..end]);
        }
        for _ in 0..500 {
            let mut mutant = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(mutant.len());
                mutant[at] = random.bits().to_le_bytes()[0];
            }
            mutants += u32::from(row::batch_row(&mutant));
        }
    }
    assert!(
        seeds >= 5 && requests >= 4 && mutants > 100,
        "{seeds} seeds, {requests} and {mutants} mutants are requests"
    );
}

#[test]
fn any_bytes_are_answers_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/batch_journal");
    let mut random = Rng::named(7, "journals");
    let (mut good, mut mutants) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        good += u32::from(journal::batch_journal(&bytes).is_some());
        for end in 0..bytes.len() {
            journal::batch_journal(&bytes[..end]);
        }
        for _ in 0..500 {
            let mut mutant = bytes.clone();
            let at = random.below(mutant.len());
            mutant[at] = random.bits().to_le_bytes()[0];
            mutants += u32::from(journal::batch_journal(&mutant).is_some());
        }
    }
    assert!(good >= 4 && mutants > 100, "{good} seeds and {mutants} mutants are files of answers");
}
