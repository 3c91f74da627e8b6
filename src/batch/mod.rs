//! Many requests from a file of JSON lines, their answers into another, whatever stops the process in between.
//!
//! `lines` and `row` turn a file into requests, one bad line being one failed row; [`run`] keeps an engine's slots
//! busy with them; [`Journal`] is the file of answers: every row is appended in one write and synced before it counts,
//! so a run that was stopped goes on where it was. Not here: models, arguments, anything printed.

mod answer;
mod error;
mod failure;
mod feed;
mod hash;
mod journal;
mod lines;
mod row;
mod run;
mod source;
mod survey;
mod types;

pub use error::Error;
pub use failure::{Cause, Failure};
pub use hash::Settings;
pub use journal::{Journal, Order, Targets};
pub use lines::{LIMIT, Line, Lines};
pub use row::{Row, read_row};
pub use run::run;
pub use source::{Source, open};
pub use survey::{Judge, Survey, dry_run, survey};
pub use types::{Options, Progress, Report, Stop, time_left};
