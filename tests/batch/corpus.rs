//! Runs the fuzz target for batch rows on its seeds: whole, truncated and mutated.

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
