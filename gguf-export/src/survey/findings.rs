//! What values have shown, kept in a file, so that none is read for it twice.
//!
//! The first line names the checkpoint. Every other tells of an order of columns, by the tensor's number, or of a type
//! that a tensor of the GGUF fits into or does not. What a torn last line said is found out again. A file that lies can
//! cost an export, but nobody is deceived by it: no value is written in a type that does not hold it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorId};
use crate::ggml::GgmlType;
use crate::io;
use crate::plan::{Candidate, Form};
use crate::quant::Columns;

const MOST_BYTES: u64 = 64 << 20;

/// What is known of a checkpoint's values.
#[derive(Debug, Default)]
pub struct Findings {
    /// Where it is kept, if at all, and the file's first line.
    file: Option<(PathBuf, String)>,
    orders: BTreeMap<TensorId, Columns>,
    fits: BTreeMap<(String, GgmlType, Form), bool>,
    /// Lines that are not yet in the file.
    fresh: Vec<String>,
}

impl Findings {
    /// Nothing is known, and nothing is kept.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What an earlier survey of the same checkpoint kept in a file, which need not be there.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if it is there and cannot be cut or removed.
    pub fn at(path: &Path, checkpoint: &Checkpoint) -> Result<Self> {
        let version = env!("CARGO_PKG_VERSION");
        let first = format!("gguf-export {version} survey {}\n", io::hex(&checkpoint.fingerprint()));
        let mut findings = Self { file: Some((path.to_owned(), first.clone())), ..Self::default() };
        // Whatever cannot be read is no such file.
        let text = io::read_to_string(path, MOST_BYTES).unwrap_or_default();
        let ids: Vec<TensorId> = checkpoint.ids().map(|(id, _)| id).collect();
        let whole = text.strip_prefix(&first).map(|lines| {
            let lines = lines.split_inclusive('\n').take_while(|line| line.ends_with('\n'));
            lines.map_while(|line| findings.learn(line, &ids).map(|()| line.len())).sum::<usize>()
        });
        match whole {
            Some(bytes) => io::truncate(path, (first.len() + bytes) as u64)?,
            None => io::remove(path)?,
        }
        findings.fresh.clear();
        Ok(findings)
    }

    /// The same without a file.
    #[must_use]
    pub fn unkept(self) -> Self {
        Self { file: None, ..self }
    }

    /// Removes the file: the plan has become a GGUF.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses.
    pub fn forget(self) -> Result<()> {
        self.file.map_or(Ok(()), |(path, _)| io::remove(&path))
    }

    pub(super) fn orders(&self) -> &BTreeMap<TensorId, Columns> {
        &self.orders
    }

    pub(super) fn fits(&self, tensor: &str, candidate: Candidate) -> Option<bool> {
        self.fits.get(&(tensor.to_owned(), candidate.ty, candidate.form)).copied()
    }

    pub(super) fn note_order(&mut self, id: TensorId, columns: Columns) {
        let word = match columns {
            Columns::Zero => "zero".to_owned(),
            Columns::Runs(run) => format!("runs of {run}"),
            Columns::Mixed => "mixed".to_owned(),
        };
        self.fresh.push(format!("order {} {word}\n", id.index()));
        self.orders.insert(id, columns);
    }

    pub(super) fn note_fit(&mut self, tensor: &str, Candidate { ty, form, .. }: Candidate, fits: bool) {
        let (is, form_name) = (if fits { "fits" } else { "exceeds" }, name(form));
        self.fresh.push(format!("{is} {} {form_name} {tensor}\n", ty.name()));
        self.fits.insert((tensor.to_owned(), ty, form), fits);
    }

    /// Writes down what is new. Returns when it is on the disk.
    pub(super) fn keep(&mut self) -> Result<()> {
        let Some((path, first)) = &self.file else { return Ok(()) };
        if self.fresh.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.fresh).concat();
        let begin = if io::is_there(path) { "" } else { first };
        io::append(path, &[begin, &lines].concat())
    }

    /// Takes a line of the file, if it is one.
    fn learn(&mut self, line: &str, ids: &[TensorId]) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["order", id, ref columns @ ..] => {
                let columns = match *columns {
                    ["zero"] => Columns::Zero,
                    ["runs", "of", run] => Columns::Runs(run.parse().ok().filter(|run| *run > 0)?),
                    ["mixed"] => Columns::Mixed,
                    _ => return None,
                };
                self.orders.insert(*ids.get(id.parse::<usize>().ok()?)?, columns);
            }
            [is @ ("fits" | "exceeds"), ty, form, tensor] => {
                let form = [Form::Values, Form::Unscaled].into_iter().find(|known| name(*known) == form)?;
                let ty = GgmlType::all().find(|known| known.name() == ty)?;
                self.fits.insert((tensor.to_owned(), ty, form), is == "fits");
            }
            _ => return None,
        }
        Some(())
    }
}

fn name(form: Form) -> &'static str {
    match form {
        Form::Values => "values",
        Form::Unscaled => "unscaled",
    }
}
