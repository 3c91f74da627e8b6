//! Rows that an earlier run answered, and whose request has changed: they are answered again only on request.

use ggrun::batch::{self, Defaults, Journal};
use ggrun::model::{check_with, recommended_sampling};
use ggrun::session::GenerationOptions;

use super::job::Job;
use crate::cli::error::{ChangedRows, Interrupted};
use crate::cli::ui::ask;

/// Whether changed rows may be answered again: by the option, or asked on the terminal before the model is loaded.
///
/// # Errors
///
/// [`ChangedRows`] when there are some, and they may not.
pub(super) fn may_rerun(job: &Job<'_>, journal: &Journal) -> anyhow::Result<bool> {
    if job.args.rerun_changed {
        return Ok(true);
    }
    // A stream is read only once; there the run itself ends at the first changed row.
    if journal.rows_before() == 0 || !job.input.is_file() {
        return Ok(false);
    }
    let load = job.args.placement.options(job.path);
    let header = check_with(job.path, &load.metadata, load.tensor_check)?;
    let recommended = recommended_sampling(&header, &load.metadata, 0);
    let options = job.defaults.options.clone().over(&GenerationOptions::recommended(&recommended));
    let defaults = Defaults { options, system: job.defaults.system.clone() };
    let rows = batch::open(job.input, &job.format)?;
    let review = batch::review(rows, &defaults, journal, &|| !job.interrupt.is_raised())?;
    if job.interrupt.is_raised() {
        return Err(Interrupted.into());
    }
    if review.changed == 0 {
        return Ok(false);
    }
    let changed = ChangedRows { changed: review.changed, answered: review.answered + review.changed };
    if ask::is_possible() && ask::may(&format!("{changed}. Answer them again?"))? {
        return Ok(true);
    }
    Err(changed.into())
}
