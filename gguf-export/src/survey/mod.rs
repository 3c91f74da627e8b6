//! Determines the types that depend on data: tries the candidates of a tensor on all values, best first. Writes no GGUF.

mod findings;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

pub use findings::Findings;

use crate::checkpoint::{Checkpoint, TensorId};
use crate::error::Inexact;
use crate::plan::{Certainty, Fidelity, Plan, PlanOptions, TensorPlan, TiedHead};
use crate::progress::{Observer, Progress};
use crate::quant::{self, Columns, Orders};
use crate::supply::{Ledger, Present, Supply, Watch};
use crate::tile::tiles;
use crate::transcode::{Scratch, fill};
use crate::{Error, Result, plan, pool};

/// Creates a complete plan: drafts it from headers, then reads the tensors whose type depends on their values. Reading
/// a tensor stops at the first value that does not fit; checkpoints with symmetric integers are not read at all.
///
/// # Errors
/// As [`Plan::draft`], [`Error::Inexact`] with all tensors that no type holds exactly, [`Error::Io`] if a tensor cannot be
/// read, [`Error::Stopped`] if `stop` is set.
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
    survey_supplied(checkpoint, options, threads, &mut Findings::none(), &Present, stop, observer)
}

/// Like [`survey`], with shards provided by `supply`, resuming from the `findings` of an earlier survey. Waits for each
/// shard with values that are not yet surveyed, and releases it when its findings are saved. Makes up to two passes over
/// the shards: one for column orders and one for types.
///
/// # Errors
/// As [`survey`], and [`Error::Supply`] for a shard that cannot be provided.
pub fn survey_supplied(
    checkpoint: &Checkpoint,
    options: &PlanOptions,
    threads: usize,
    findings: &mut Findings,
    supply: &dyn Supply,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Plan> {
    let mut pass = Pass { checkpoint, supply, findings };
    pass.orders(stop, observer)?;
    let head = pass.head(stop)?;
    let orders = Orders::Known(pass.findings.orders().clone());
    let mut plan = Plan::draft_with(checkpoint, options, &orders, head)?;
    let refused = pass.types(&mut plan, threads, stop, observer)?;
    plan::refuse(refused)?;
    plan.complete(checkpoint)?;
    Ok(plan)
}

/// Passes over the shards whose values are not yet surveyed.
struct Pass<'a> {
    checkpoint: &'a Checkpoint,
    supply: &'a dyn Supply,
    findings: &'a mut Findings,
}

impl Pass<'_> {
    fn orders(&mut self, stop: &AtomicBool, observer: Observer<'_>) -> Result<()> {
        let checkpoint = self.checkpoint;
        let is_unread = |id: &TensorId| !self.findings.orders().contains_key(id);
        let mut unread: Vec<TensorId> = quant::orders(checkpoint).filter(is_unread).collect();
        unread.sort_by_key(|id| checkpoint.shard_of(*id));
        let needs: Vec<Vec<usize>> = unread.iter().map(|id| vec![checkpoint.shard_of(*id)]).collect();
        let bytes_of = |id: TensorId| checkpoint.info(id).bytes;
        if !unread.is_empty() {
            let bytes = unread.iter().map(|id| bytes_of(*id)).sum();
            observer(Progress::Surveying { bytes, tensors: unread.len() });
        }
        self.run(&needs, stop, |at, findings| {
            let id = unread[at];
            findings.add_order(id, Columns::read(checkpoint, id)?);
            observer(Progress::Advanced { tensor: &checkpoint.info(id).name, bytes: bytes_of(id) });
            Ok(())
        })
    }

    /// Compares the head of a tied model with the token embedding.
    fn head(&mut self, stop: &AtomicBool) -> Result<TiedHead> {
        let checkpoint = self.checkpoint;
        let Some(pair) = plan::pair(checkpoint)? else {
            return Ok(TiedHead::Assumed);
        };
        if self.findings.tied_head().is_none() {
            let shards: BTreeSet<usize> = [pair.0, pair.1].map(|id| checkpoint.shard_of(id)).into();
            self.run(&[shards.into_iter().collect()], stop, |_, findings| {
                findings.add_tied_head(plan::equal(checkpoint, pair, stop)?);
                Ok(())
            })?;
        }
        Ok(self.findings.tied_head().map_or(TiedHead::Read, TiedHead::Known))
    }

    /// Determines the type of each tensor. Returns the tensors that no type holds exactly.
    fn types(
        &mut self,
        plan: &mut Plan,
        threads: usize,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Vec<Inexact>> {
        let checkpoint = self.checkpoint;
        let is_open = |tensor: &mut TensorPlan| !is_settled(tensor, self.findings);
        let tensors = plan.tensors.iter_mut().enumerate();
        let open = tensors.filter_map(|(index, tensor)| is_open(tensor).then_some(index));
        let open: Vec<usize> = open.collect();
        let shards = |index: usize| -> BTreeSet<usize> {
            let weights: BTreeSet<u32> =
                plan.tensors[index].pieces.iter().map(|piece| piece.weight).collect();
            weights.iter().flat_map(|&weight| plan.weights[weight as usize].shards(checkpoint)).collect()
        };
        let mut jobs: Vec<(usize, Vec<usize>)> =
            open.into_iter().map(|index| (index, shards(index).into_iter().collect())).collect();
        jobs.sort_by_key(|(_, needs)| (needs.last().copied(), needs.first().copied()));
        let (open, needs): (Vec<usize>, Vec<Vec<usize>>) = jobs.into_iter().unzip();
        if !open.is_empty() {
            let bytes = open.iter().map(|&index| plan.tensors[index].bytes()).sum();
            observer(Progress::Surveying { bytes, tensors: open.len() });
        }
        let mut refused = Vec::new();
        self.run(&needs, stop, |at, findings| {
            let index = open[at];
            if let Some(reason) = settle(checkpoint, plan, index, threads, findings, stop)? {
                refused.extend(plan.round(index, reason).err());
            }
            let tensor = &plan.tensors[index];
            observer(Progress::Advanced { tensor: &tensor.name, bytes: tensor.bytes() });
            Ok(())
        })?;
        Ok(refused)
    }

    /// Runs each job when its shards are available, and releases each shard after its last job.
    fn run(
        &mut self,
        needs: &[Vec<usize>],
        stop: &AtomicBool,
        mut job: impl FnMut(usize, &mut Findings) -> Result<()>,
    ) -> Result<()> {
        if needs.is_empty() {
            return Ok(());
        }
        let mut ledger = Ledger::open(self.checkpoint, self.supply, needs, &vec![false; needs.len()]);
        let done = Watch::new(self.supply).run(|| {
            for (at, shards) in needs.iter().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Stopped);
                }
                shards.iter().try_for_each(|&shard| self.supply.wait(shard))?;
                job(at, self.findings)?;
                if ledger.count(at) {
                    self.findings.save()?;
                    ledger.release()?;
                }
            }
            Ok(())
        });
        // Findings from before an interruption are saved as well.
        let saved = self.findings.save();
        done.and(saved)
    }
}

/// Drops candidates until one holds every value. If none does, returns the reason why the last does not.
fn settle(
    checkpoint: &Checkpoint,
    plan: &mut Plan,
    index: usize,
    threads: usize,
    findings: &mut Findings,
    stop: &AtomicBool,
) -> Result<Option<String>> {
    while !is_settled(&mut plan.tensors[index], findings) {
        let fits = match try_all(checkpoint, plan, index, threads, stop) {
            Ok(()) => true,
            Err(e @ Error::NotRepresentable { .. }) if plan.tensors[index].candidates.len() == 1 => {
                return Ok(Some(e.to_string()));
            }
            Err(Error::NotRepresentable { .. }) => false,
            Err(e) => return Err(e),
        };
        let tensor = &plan.tensors[index];
        findings.add_fit(&tensor.name, tensor.candidates[0], fits);
    }
    Ok(None)
}

/// Applies the findings to a tensor: drops candidates that do not hold its values, and sets the fidelity of the next one
/// if it does. Returns true if the type is final.
fn is_settled(tensor: &mut TensorPlan, findings: &Findings) -> bool {
    while tensor.fidelity.is_none() {
        let first = tensor.candidates[0];
        let known = findings.fits(&tensor.name, first);
        tensor.fidelity = match first.certainty {
            Certainty::Always => Some(Fidelity::Exact),
            Certainty::Rounded => Some(Fidelity::Rounded),
            Certainty::IfData if known == Some(true) => Some(Fidelity::Checked),
            Certainty::IfData if known == Some(false) && tensor.candidates.len() > 1 => {
                tensor.candidates.remove(0);
                continue;
            }
            Certainty::IfData => return false,
        };
        tensor.candidates.truncate(1);
    }
    true
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
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    Ok(())
}
