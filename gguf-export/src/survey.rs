//! Settles the types that depend on data: tries each candidate on every value, best first, writing nothing.

use std::sync::atomic::AtomicBool;

use crate::checkpoint::Checkpoint;
use crate::plan::{Certainty, Fidelity, Plan, PlanOptions};
use crate::progress::{Observer, Progress};
use crate::tile::tiles;
use crate::transcode::{Scratch, fill};
use crate::{Error, Result, plan, pool};

/// Makes a complete plan: drafts it from headers, then reads the tensors whose type depends on their values.
/// Most stop at the first value that does not fit; checkpoints with symmetric integers are not read at all.
///
/// # Errors
/// As [`Plan::draft`], and [`Error::Inexact`] naming every tensor that no type holds.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::plan::OutType;
/// use gguf_export::{PlanOptions, survey};
///
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::open("model".as_ref())?;
/// let options = PlanOptions { outtype: OutType::Auto, allow_rounding: false, ..PlanOptions::default() };
/// let plan = survey(&checkpoint, &options, 4, &AtomicBool::new(false), &|_| {})?;
/// for tensor in &plan.tensors {
///     println!("{} {} {:?}", tensor.name, tensor.ty(), tensor.fidelity);
/// }
/// # Ok::<(), gguf_export::Error>(())
/// ```
pub fn survey(
    checkpoint: &Checkpoint,
    options: &PlanOptions,
    threads: usize,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Plan> {
    let mut plan = Plan::draft(checkpoint, options)?;
    let mut refused = Vec::new();
    let open: Vec<usize> = (0..plan.tensors.len()).filter(|&i| plan.tensors[i].fidelity.is_none()).collect();
    if !open.is_empty() {
        let bytes = open.iter().map(|&i| plan.tensors[i].bytes()).sum();
        observer(Progress::Surveying { bytes, tensors: open.len() });
    }
    for index in open {
        if let Some(reason) = settle(checkpoint, &mut plan, index, threads, stop)? {
            refused.extend(plan.round(index, reason).err());
        }
        let tensor = &plan.tensors[index];
        observer(Progress::Advanced { tensor: &tensor.name, bytes: tensor.bytes() });
    }
    plan::refuse(refused)?;
    plan.complete(checkpoint)?;
    Ok(plan)
}

/// Drops candidates until one holds every value; if none does, says why the last did not.
fn settle(
    checkpoint: &Checkpoint,
    plan: &mut Plan,
    index: usize,
    threads: usize,
    stop: &AtomicBool,
) -> Result<Option<String>> {
    loop {
        let tensor = &plan.tensors[index];
        let fidelity = match tensor.candidates[0].certainty {
            Certainty::Always => Some(Fidelity::Exact),
            Certainty::Rounded => Some(Fidelity::Rounded),
            Certainty::IfData => match try_all(checkpoint, plan, index, threads, stop) {
                Ok(()) => Some(Fidelity::Checked),
                Err(e @ Error::NotRepresentable { .. }) if tensor.candidates.len() == 1 => {
                    return Ok(Some(e.to_string()));
                }
                Err(Error::NotRepresentable { .. }) => None,
                Err(e) => return Err(e),
            },
        };
        let tensor = &mut plan.tensors[index];
        if fidelity.is_some() {
            tensor.candidates.truncate(1);
            tensor.fidelity = fidelity;
            return Ok(None);
        }
        tensor.candidates.remove(0);
    }
}

fn try_all(
    checkpoint: &Checkpoint,
    plan: &Plan,
    index: usize,
    threads: usize,
    stop: &AtomicBool,
) -> Result<()> {
    let tensor = &plan.tensors[index];
    let tiles = tiles(tensor);
    let state = || (Scratch::default(), Vec::new());
    pool::each(tiles.len(), threads, stop, state, |i, (scratch, buffer)| {
        let rows = tiles[i].clone();
        let bytes = (rows.end - rows.start) * tensor.row_bytes();
        buffer.resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
        fill(checkpoint, plan, tensor, rows, scratch, buffer)
    })?;
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    Ok(())
}
