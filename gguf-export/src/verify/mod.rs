//! Proves that a GGUF holds what the checkpoint says: every weight's value bit for bit, every scale, the metadata
//! and the tokenizer.
//!
//! Both ends are read by reference decoders that share nothing with the transcoder. What is trusted is the plan's
//! mapping of names and rows; the plan itself is proven against llama.cpp's converter in the tests.

mod compare;
mod proof;
mod receipt;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

pub use compare::Difference;
pub(crate) use proof::Proof;
pub use receipt::{FileHash, Receipt, receipt};

use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::gguf::{self, Header};
use crate::io::FileSource;
use crate::plan::{Candidate, Certainty, Content, Fidelity, Form, Plan, PlanOptions, TensorPlan};
use crate::progress::{Observer, Progress};
use crate::tile::tiles;
use crate::{Error, Result, pool};

/// Differences that are kept; more are only counted.
const KEPT: usize = 10;

/// How to verify.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions {
    /// Threads that decode and compare.
    pub threads: usize,
    /// Accepts tensors that the file itself declares rounded, within the rounding of their type.
    pub allow_rounding: bool,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Report {
    /// Tensors compared.
    pub tensors: usize,
    /// Values compared.
    pub values: u64,
    /// Metadata keys compared.
    pub keys: usize,
    /// Tensors that are rounded and were accepted as such.
    pub rounded: usize,
    /// All differences, of which `differences` holds the first.
    pub count: u64,
    /// The first differences, in the order of the file.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Whether nothing differs.
    #[must_use]
    pub fn equal(&self) -> bool {
        self.count == 0
    }

    fn push(&mut self, difference: Difference) {
        self.count += 1;
        if self.differences.len() < KEPT {
            self.differences.push(difference);
        }
    }
}

/// Compares a GGUF, or all shards of one, with the checkpoint it was made from.
///
/// # Errors
/// Whatever is wrong with reading either end. Differences are not errors but part of the report.
///
/// ```no_run
/// # use std::sync::atomic::AtomicBool;
/// use gguf_export::verify::{VerifyOptions, verify};
///
/// # let checkpoint = gguf_export::checkpoint::Checkpoint::open("model".as_ref())?;
/// let options = VerifyOptions { threads: 4, allow_rounding: false };
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
    let draft = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
    let mut plan = Plan::draft(checkpoint, &draft)?;
    let rounded = file.shards[0].1.metadata.strings(gguf::keys::ROUNDED).unwrap_or_default();
    adopt(&mut plan, &file, rounded, options.allow_rounding, &mut report);
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
            if part.count > 0 {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(i, part);
            }
            Ok::<_, Error>(())
        },
    )?;
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    for (_, part) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        report.count += part.count;
        report.differences.extend(part.differences);
    }
    report.differences.truncate(KEPT);
    report.tensors = plan.tensors.len();
    report.values = plan.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum();
    report.rounded = plan.tensors.iter().filter(|t| t.fidelity == Some(Fidelity::Rounded)).count();
    observer(Progress::Finished);
    Ok(report)
}

/// A GGUF that is open for reading.
#[derive(Debug)]
struct Opened<'a> {
    shards: &'a [(PathBuf, Header)],
    sources: Vec<FileSource>,
    /// Shard and index of each tensor.
    places: BTreeMap<&'a str, (usize, usize)>,
}

impl<'a> Opened<'a> {
    fn new(shards: &'a [(PathBuf, Header)]) -> Result<Self> {
        let sources = shards.iter().map(|(path, _)| FileSource::open(path)).collect::<Result<_>>()?;
        let mut places = BTreeMap::new();
        for (shard, (_, header)) in shards.iter().enumerate() {
            for (index, tensor) in header.tensors.iter().enumerate() {
                places.insert(tensor.name.as_str(), (shard, index));
            }
        }
        Ok(Self { shards, sources, places })
    }

    fn find(&self, name: &str) -> Option<&gguf::TensorInfo> {
        self.places.get(name).map(|&(shard, index)| &self.shards[shard].1.tensors[index])
    }
}

/// Gives the plan the types that the file has; tensors that are missing, surplus or of another shape are
/// differences and leave the plan.
fn adopt(plan: &mut Plan, file: &Opened<'_>, rounded: &[String], accept: bool, report: &mut Report) {
    let mut seen = 0;
    let mut tensors = std::mem::take(&mut plan.tensors);
    // Factors go with the form that the file chose, not with the draft's.
    tensors.retain(|t| t.content == Content::Weights || file.places.contains_key(t.name.as_str()));
    tensors.retain_mut(|tensor| {
        let Some(info) = file.find(&tensor.name) else {
            report.push(Difference::Tensor { name: tensor.name.clone(), what: "it is missing".to_owned() });
            return false;
        };
        seen += 1;
        if info.dims != tensor.dims {
            let what = format!("its sizes are {:?}, expected {:?}", info.dims, tensor.dims);
            report.push(Difference::Tensor { name: tensor.name.clone(), what });
            return false;
        }
        if tensor.content == Content::Factors && info.ty != GgmlType::F32 {
            let what = format!("its type is {}, expected {}", info.ty, GgmlType::F32);
            report.push(Difference::Tensor { name: tensor.name.clone(), what });
            return false;
        }
        let is_rounded = accept && rounded.contains(&tensor.name);
        take_type(tensor, info.ty, file, is_rounded);
        true
    });
    plan.tensors = tensors;
    if seen < file.places.len() {
        let planned: std::collections::BTreeSet<&str> =
            plan.tensors.iter().map(|t| t.name.as_str()).collect();
        let differing: Vec<String> = report.differences.iter().map(|d| d.place().to_owned()).collect();
        for name in file.places.keys().filter(|n| !planned.contains(**n)) {
            if !differing.iter().any(|d| d == name) {
                let what = "the checkpoint has nothing for it".to_owned();
                report.push(Difference::Tensor { name: (*name).to_owned(), what });
            }
        }
    }
}

fn take_type(tensor: &mut TensorPlan, ty: GgmlType, file: &Opened<'_>, rounded: bool) {
    let form =
        if file.places.contains_key(tensor.scale_name().as_str()) { Form::Unscaled } else { Form::Values };
    tensor.candidates = vec![Candidate { ty, form, certainty: Certainty::IfData }];
    tensor.fidelity = Some(if rounded { Fidelity::Rounded } else { Fidelity::Checked });
}
