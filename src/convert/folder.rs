//! A conversion whose source is a folder.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::supply::Present;
use gguf_export::survey;

use super::error::Error;
use super::job::Job;
use super::mtp;
use super::types::{Converted, Observer, Options, Origin, Step};

/// Converts the checkpoint in a folder, which is not changed. `origin` lends the MTP layer that the checkpoint lacks.
///
/// # Errors
///
/// When the checkpoint is wrong, the MTP layer does not arrive, or the GGUF cannot be written.
pub fn folder(
    source: &Path,
    origin: Option<Origin<'_>>,
    options: &Options,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Converted, Error> {
    let mut checkpoint = Checkpoint::open(source)?;
    let mut borrowed = None;
    if let Some(origin) = origin {
        let arrives = |event: crate::hub::Event<'_>| observer(Step::Mtp(event));
        let shard = mtp::borrow(origin, &checkpoint, &options.output_folder(), stop, &arrives)?;
        borrowed = Some(shard.path.clone());
        checkpoint = mtp::beside(&checkpoint, shard)?;
    }
    let advance = |progress: gguf_export::Progress<'_>| observer(Step::Export(progress));
    let plan = survey(&checkpoint, &options.plan, options.export.threads, stop, &advance)?;
    let job = Job::new(options, &checkpoint, plan, borrowed.is_some())?;
    Ok(job.run(&Present, borrowed.into_iter().collect(), stop, observer)?)
}
