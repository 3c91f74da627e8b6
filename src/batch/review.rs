//! Compares an input with the rows of earlier runs, before anything is answered again.

use std::collections::HashSet;

use super::defaults::Defaults;
use super::error::Error;
use super::hash::{Settings, key};
use super::journal::{Journal, Standing};
use super::row::read_row;
use super::source::Source;

/// The rows of an input by what earlier runs did with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Review {
    /// All rows.
    pub rows: u64,
    /// Rows with an answer.
    pub answered: u64,
    /// Rows with an answer to another request.
    pub changed: u64,
}

/// Reads all rows until `go_on` is false. `defaults` must be those of the run.
///
/// # Errors
///
/// When rows cannot be read.
pub fn review(
    mut source: Source,
    defaults: &Defaults,
    journal: &Journal,
    go_on: &dyn Fn() -> bool,
) -> Result<Review, Error> {
    let settings = Settings::of(&defaults.options);
    let mut review = Review::default();
    let mut ids = HashSet::new();
    while go_on() {
        let Some((number, line)) = source.read()? else { break };
        let row = read_row(number, &line, defaults, &settings);
        review.rows += 1;
        if ids.insert(key(&row.id)) {
            match journal.standing(&row.id, row.hash) {
                Standing::Done => review.answered += 1,
                Standing::Changed => review.changed += 1,
                Standing::New | Standing::Again | Standing::Refused => {}
            }
        }
    }
    Ok(review)
}
