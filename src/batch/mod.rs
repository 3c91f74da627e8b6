//! Answers requests from a file of JSON lines or a table into a file of JSON lines, and survives being stopped at any
//! moment.
//!
//! `source`, `lines`, `table` and `row` turn a file into requests, and a bad line into a failed row; [`run`] keeps the
//! slots of an engine busy; [`Journal`] is the file of answers. A row is appended in one write and synced before it
//! counts, so a run that was stopped can be resumed. Not here: models, arguments, output to a terminal.

mod answer;
mod defaults;
mod error;
mod failure;
mod feed;
mod hash;
mod ignored;
mod journal;
mod lines;
mod review;
mod row;
mod run;
mod source;
mod survey;
mod table;
mod types;

pub use defaults::Defaults;
pub use error::Error;
pub use failure::{Cause, Failure};
pub use hash::Settings;
pub use ignored::Ignored;
pub use journal::{Earlier, Journal, Order, Targets};
pub use lines::{LIMIT, Line, Lines};
pub use review::{Review, review};
pub use row::{Row, read_row};
pub use run::run;
pub use source::{Format, Source, check, columns, open};
pub use survey::{Judge, Survey, dry_run, survey};
pub use table::{Fault, Table, Template, WrongTemplate, listed};
pub use types::{Example, Options, Progress, Report, Stop, time_left};
