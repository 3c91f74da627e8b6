//! Results of a survey, saved to a file so that an interrupted survey can resume.
//!
//! The first line identifies the checkpoint and the caller's choices about its configuration. Each further line records a column order, by the index of its tensor, whether
//! a tied head equals the token embedding, or whether a type holds a GGUF tensor exactly. An incomplete last line is
//! discarded. A wrong line about a type can make an export fail, but not write wrong values: the export refuses values that
//! the type does not hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorId};
use crate::ggml::GgmlType;
use crate::io;
use crate::plan::{Candidate, Form};
use crate::quant::{Choices, Columns, ZeroPoints};

/// Size limit of the file in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Properties of a checkpoint that depend on its values.
#[derive(Debug, Default)]
pub struct Findings {
    /// The file, if any, and its first line.
    file: Option<(PathBuf, String)>,
    orders: BTreeMap<TensorId, Columns>,
    /// Whether the head of a tied model equals the token embedding.
    tied_head: Option<bool>,
    /// By tensor, type and form, whether the values fit.
    fits: BTreeMap<(String, GgmlType, Form), bool>,
    /// Lines not yet written to the file.
    unsaved: Vec<String>,
}

impl Findings {
    /// Empty findings that are not saved.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Loads the findings of an earlier survey of the same checkpoint with the same choices from `path`, and saves new ones
    /// there. A missing file, or one of another checkpoint or of other choices, counts as empty.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the file exists and cannot be truncated or removed.
    pub fn at(path: &Path, checkpoint: &Checkpoint, choices: &Choices) -> Result<Self> {
        let version = env!("CARGO_PKG_VERSION");
        let zero_points = choices.zero_points.map_or("stated", ZeroPoints::name);
        // Values, and so the types that hold them, depend on the choices. Names of keys may contain anything.
        let mut ignored: Vec<&String> = choices.ignored_keys.iter().collect();
        ignored.sort();
        let (fingerprint, ignored) = (io::hex(&checkpoint.fingerprint()), format!("{ignored:?}"));
        let first = format!(
            "gguf-export {version} survey {fingerprint} zero points {zero_points} ignored {ignored}\n"
        );
        let mut findings = Self { file: Some((path.to_owned(), first.clone())), ..Self::default() };
        // An unreadable file counts as missing.
        let text = io::read_to_string(path, MAX_BYTES).unwrap_or_default();
        let ids: Vec<TensorId> = checkpoint.ids().map(|(id, _)| id).collect();
        let whole = text.strip_prefix(&first).map(|lines| findings.parse_all(lines, &ids));
        match whole {
            Some(bytes) => io::truncate(path, (first.len() + bytes) as u64)?,
            None => io::remove(path)?,
        }
        findings.unsaved.clear();
        Ok(findings)
    }

    /// The same findings, with new ones not saved.
    #[must_use]
    pub fn without_file(self) -> Self {
        Self { file: None, ..self }
    }

    /// The file, if any. It is of no use once the export is complete.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    pub(super) fn orders(&self) -> &BTreeMap<TensorId, Columns> {
        &self.orders
    }

    pub(super) fn tied_head(&self) -> Option<bool> {
        self.tied_head
    }

    pub(super) fn fits(&self, tensor: &str, candidate: Candidate) -> Option<bool> {
        self.fits.get(&(tensor.to_owned(), candidate.ty, candidate.form)).copied()
    }

    pub(super) fn add_order(&mut self, id: TensorId, columns: Columns) {
        let word = match columns {
            Columns::Zero => "zero".to_owned(),
            Columns::Runs(run) => format!("runs of {run}"),
            Columns::Mixed => "mixed".to_owned(),
        };
        self.unsaved.push(format!("order {} {word}\n", id.index()));
        self.orders.insert(id, columns);
    }

    pub(super) fn add_tied_head(&mut self, equal: bool) {
        self.unsaved.push(format!("tied head {}\n", if equal { "equal" } else { "differs" }));
        self.tied_head = Some(equal);
    }

    pub(super) fn add_fit(&mut self, tensor: &str, Candidate { ty, form, .. }: Candidate, fits: bool) {
        let (word, form_name) = (if fits { "fits" } else { "exceeds" }, name(form));
        self.unsaved.push(format!("{word} {} {form_name} {tensor}\n", ty.name()));
        self.fits.insert((tensor.to_owned(), ty, form), fits);
    }

    /// Appends unsaved findings to the file and syncs it.
    pub(super) fn save(&mut self) -> Result<()> {
        let Some((path, first)) = &self.file else { return Ok(()) };
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.unsaved).concat();
        let begin = if io::is_there(path) { "" } else { first };
        io::append(path, &[begin, &lines].concat())
    }

    /// Adds the findings of all lines up to the first that is invalid or incomplete. Returns the length of those lines.
    pub(crate) fn parse_all(&mut self, lines: &str, ids: &[TensorId]) -> usize {
        let lines = lines.split_inclusive('\n').take_while(|line| line.ends_with('\n'));
        lines.map_while(|line| self.parse(line, ids).map(|()| line.len())).sum()
    }

    /// Adds the finding of a line of the file; `None` for an invalid line.
    fn parse(&mut self, line: &str, ids: &[TensorId]) -> Option<()> {
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
            ["tied", "head", word @ ("equal" | "differs")] => self.tied_head = Some(word == "equal"),
            [word @ ("fits" | "exceeds"), ty, form, tensor] => {
                let form = [Form::Values, Form::Unscaled].into_iter().find(|known| name(*known) == form)?;
                let ty = GgmlType::all().find(|known| known.name() == ty)?;
                self.fits.insert((tensor.to_owned(), ty, form), word == "fits");
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::Certainty;

    fn ids() -> Vec<TensorId> {
        (0..4).map(TensorId::new).collect()
    }

    fn columns() -> impl Strategy<Value = Columns> {
        prop_oneof![Just(Columns::Zero), Just(Columns::Mixed), (1u64..).prop_map(Columns::Runs)]
    }

    proptest! {
        #[test]
        fn findings_are_read_back(
            orders in proptest::collection::btree_map(0u32..4, columns(), 0..4),
            tied: Option<bool>,
            fits in proptest::collection::btree_map("[a-z.0-9]{1,12}", any::<bool>(), 0..4),
            torn in "(order 1|fits Q4_0 val|tied head eq)?",
        ) {
            let mut written = Findings::none();
            for (id, columns) in orders {
                written.add_order(TensorId::new(id), columns);
            }
            if let Some(equal) = tied {
                written.add_tied_head(equal);
            }
            let candidate = Candidate { ty: GgmlType::BF16, form: Form::Unscaled, certainty: Certainty::IfData };
            for (tensor, fits) in fits {
                written.add_fit(&tensor, candidate, fits);
            }
            let text = written.unsaved.concat();
            let mut read = Findings::none();
            let length = read.parse_all(&[&text, &*torn].concat(), &ids());
            prop_assert_eq!(length, text.len());
            prop_assert_eq!((read.orders, read.tied_head, read.fits), (written.orders, written.tied_head, written.fits));
        }

        #[test]
        fn any_lines_are_read_or_refused(lines in "((order|fits|exceeds|tied|head|runs|of|zero|BF16|values|[0-9]{1,20}|\n) ?){0,12}") {
            prop_assert!(Findings::none().parse_all(&lines, &ids()) <= lines.len());
        }
    }
}
