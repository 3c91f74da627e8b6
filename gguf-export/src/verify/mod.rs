//! Verifies that a GGUF equals its checkpoint: every value bit for bit, every scale, the metadata and the tokenizer.
//!
//! Reference decoders that share no code with `transcode` read both files, and [`Reading`] reads the quantization
//! configuration once more. The plan's mapping of names and rows is trusted; tests compare it with llama.cpp's converter.

mod columns;
mod compare;
mod coverage;
mod equal;
mod opened;
mod picked;
mod proof;
mod reading;
mod receipt;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

pub(crate) use proof::Proof;
pub use reading::Reading;
pub use receipt::{FileHash, Receipt, receipt};
pub use report::{Difference, Report};

use opened::Opened;
use report::MAX_LISTED;

use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::gguf;
use crate::plan::{Candidate, Certainty, Content, Fidelity, Form, Plan};
use crate::progress::{Observer, Progress};
use crate::quant::{Choices, OtherKeys, ZeroPoints};
use crate::tile::tiles;
use crate::{Error, Result, pool};

/// Options of a verification.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions {
    /// Number of threads that decode and compare.
    pub threads: usize,
    /// How the zero points of GPTQ packing are stored, instead of the rule that the configuration states.
    pub zero_points: Option<ZeroPoints>,
    /// Accepts the rounding of tensors that the GGUF lists in `ggrun.rounded_tensors`. Otherwise each of them that is not
    /// exact is a difference.
    pub allow_rounding: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { threads: 1, zero_points: None, allow_rounding: false }
    }
}

/// Compares a GGUF, with all its shards, with the checkpoint from which it was made.
///
/// # Errors
/// Errors of [`gguf::open_all`] and [`Plan::draft`], [`Error::Readings`] for a field of the configuration that the plan
/// reads otherwise, [`Error::Io`], and [`Error::Stopped`] if `stop` is set. Differences
/// are not errors but part of the report.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::verify::{VerifyOptions, verify};
///
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::open("model".as_ref())?;
/// let options = VerifyOptions { threads: 4, ..VerifyOptions::default() };
/// let report = verify(&checkpoint, "model.gguf".as_ref(), options, &AtomicBool::new(false), &|_| {})?;
/// match report.differences.first() {
///     None => println!("{} values are equal", report.values),
///     Some(difference) => println!("{difference}"),
/// }
/// # Ok::<(), gguf_export::Error>(())
/// ```
pub fn verify(
    checkpoint: &Checkpoint,
    gguf: &Path,
    options: VerifyOptions,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Report> {
    let shards = gguf::open_all(gguf)?;
    let file = Opened::new(&shards)?;
    let mut report = Report::default();
    let names = |key| file.shards[0].1.metadata.strings(key).unwrap_or_default();
    let ignored_keys = names(gguf::keys::IGNORED_KEYS).to_vec();
    report.ignored_keys.clone_from(&ignored_keys);
    report.zero_points = options.zero_points;
    let config = Choices { ignored_keys, others: OtherKeys::RefusedNow, zero_points: options.zero_points };
    let mut plan = Plan::draft_to_compare(checkpoint, config)?;
    reading::check(checkpoint, &plan)?;
    adopt_types(&mut plan, &file, names(gguf::keys::ROUNDED), &mut report);
    coverage::check(checkpoint, &plan, names(gguf::keys::LEFT_OUT), &mut report)?;
    compare::metadata(checkpoint, &mut plan, &file.shards[0].1, &mut report)?;

    let mut work = Vec::new();
    for (index, tensor) in plan.tensors.iter().enumerate() {
        work.extend(tiles(tensor).into_iter().map(|rows| (index, rows)));
    }
    let bytes = plan.bytes();
    observer(Progress::Planned { bytes, tensors: plan.tensors.len(), resumed: 0 });
    let found = Mutex::new(BTreeMap::new());
    pool::each(
        work.len(),
        options.threads,
        stop,
        || (),
        |i, ()| {
            let (index, rows) = work[i].clone();
            let tensor = &plan.tensors[index];
            let part = compare::rows(checkpoint, &plan, tensor, &file, rows.clone())?;
            observer(Progress::Advanced {
                tensor: &tensor.name,
                bytes: (rows.end - rows.start) * tensor.row_bytes(),
            });
            if part.count > 0 || part.inexact > 0 {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(i, part);
            }
            Ok::<_, Error>(())
        },
    )?;
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    let mut inexact: BTreeMap<usize, u64> = BTreeMap::new();
    for (i, part) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        report.count += part.count;
        report.differences.extend(part.differences);
        *inexact.entry(work[i].0).or_default() += part.inexact;
    }
    report.differences.truncate(MAX_LISTED);
    for (index, values) in inexact.into_iter().filter(|(_, values)| *values > 0) {
        report.inexact += values;
        if !options.allow_rounding {
            let tensor = &plan.tensors[index];
            report.not_accepted += 1;
            report.push(Difference::Rounded { tensor: tensor.name.clone(), ty: tensor.ty(), values });
        }
    }
    report.tensors = plan.tensors.len();
    report.values = plan.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum();
    report.rounded = plan.tensors.iter().filter(|t| t.fidelity == Some(Fidelity::Rounded)).count();
    observer(Progress::Finished);
    Ok(report)
}

/// Sets the types of the plan to those of the file. Tensors that are missing, superfluous or of another shape are
/// reported as differences and removed from the plan.
fn adopt_types(plan: &mut Plan, file: &Opened<'_>, rounded: &[String], report: &mut Report) {
    let mut seen = 0;
    let mut tensors = std::mem::take(&mut plan.tensors);
    // The file determines whether a tensor's factor is stored separately, not the draft.
    tensors.retain(|t| t.content != Content::Factors || file.places.contains_key(t.name.as_str()));
    // A family may have weights of such a name.
    let factors: BTreeSet<String> =
        tensors.iter().filter(|t| t.content == Content::Factors).map(|t| t.name.clone()).collect();
    tensors.retain_mut(|tensor| {
        let Some(info) = file.find(&tensor.name) else {
            report.push(Difference::Tensor { name: tensor.name.clone(), what: "it is missing".to_owned() });
            return false;
        };
        seen += 1;
        if info.dims != tensor.dims {
            let what = format!("its dimensions are {:?}, expected {:?}", info.dims, tensor.dims);
            report.push(Difference::Tensor { name: tensor.name.clone(), what });
            return false;
        }
        if tensor.content != Content::Weights && info.ty != GgmlType::F32 {
            let what = format!("its type is {}, expected {}", info.ty, GgmlType::F32);
            report.push(Difference::Tensor { name: tensor.name.clone(), what });
            return false;
        }
        let block = info.ty.block_len();
        if !tensor.order.keep_blocks(block) {
            let what = format!(
                "its type is {}, whose blocks of {block} split the columns that move together",
                info.ty
            );
            report.push(Difference::Tensor { name: tensor.name.clone(), what });
            return false;
        }
        let form = if factors.contains(&tensor.scale_name()) { Form::Unscaled } else { Form::Values };
        tensor.candidates = vec![Candidate { ty: info.ty, form, certainty: Certainty::IfData }];
        let is_rounded = rounded.contains(&tensor.name);
        tensor.fidelity = Some(if is_rounded { Fidelity::Rounded } else { Fidelity::Checked });
        true
    });
    plan.tensors = tensors;
    if seen < file.places.len() {
        let planned: BTreeSet<&str> = plan.tensors.iter().map(|t| t.name.as_str()).collect();
        let differing: Vec<String> = report.differences.iter().map(|d| d.place().to_owned()).collect();
        for name in file.places.keys().filter(|n| !planned.contains(**n)) {
            if !differing.iter().any(|d| d == name) {
                let what = "it is not in the checkpoint".to_owned();
                report.push(Difference::Tensor { name: (*name).to_owned(), what });
            }
        }
    }
}
