//! Metadata and file name of the GGUF.

use std::collections::BTreeMap;
use std::path::Path;

use super::model::Plan;
use super::options::Source;
use super::tensor::{Content, Fidelity};
use crate::Result;
use crate::arch::{self, Parameters, Provenance};
use crate::checkpoint::Checkpoint;
use crate::ggml::GgmlType;
use crate::gguf::{Metadata, keys};
use crate::vocab::{template_notes, vocab};

impl Plan {
    /// Fills in the metadata, which depends on the final types, and notes about it.
    ///
    /// # Errors
    /// As [`vocab`], and [`crate::Error::Json`] if a file that describes the model cannot be parsed.
    pub(crate) fn complete(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let provenance = provenance(checkpoint, self)?;
        self.describe(checkpoint, &provenance)
    }

    /// Like [`Plan::complete`], for a comparison with `found`, the metadata of a GGUF: uses the repository that it names
    /// if the checkpoint's path contains none, as for a folder that was moved or copied, and its name if that is not the
    /// one that the checkpoint would get, because other keys come from a name that the caller chose.
    ///
    /// # Errors
    /// As [`Plan::complete`].
    pub(crate) fn complete_like(&mut self, checkpoint: &Checkpoint, found: &Metadata) -> Result<()> {
        if repository(checkpoint.dir()).is_none() {
            let source = arch::source_of(found);
            self.options.source = source.map(|(repository, commit)| Source { repository, commit });
        }
        let mut provenance = provenance(checkpoint, self)?;
        let own = arch::model_name(&provenance);
        provenance.name = found.str(keys::NAME).filter(|name| *name != own).map(str::to_owned);
        self.describe(checkpoint, &provenance)
    }

    fn describe(&mut self, checkpoint: &Checkpoint, provenance: &Provenance) -> Result<()> {
        let tokenizer = if let Some(keys) = self.tokenizer.take() {
            keys
        } else {
            let family = self.hparams.family().tokenizer;
            vocab(checkpoint.dir(), checkpoint.config(), self.hparams.vocab, family)?
        };
        self.metadata = metadata(self, provenance, tokenizer);
        self.notes.append(&mut self.floats());
        self.notes.append(&mut template_notes(checkpoint.dir())?);
        Ok(())
    }

    /// The file name by the GGUF convention: base name, size, fine-tune, encoding, and `F32` if quantized
    /// weights became F32.
    ///
    /// # Errors
    /// [`crate::Error::Io`] or [`crate::Error::Json`] if a file that describes the model cannot be read.
    pub fn file_name(&self, checkpoint: &Checkpoint) -> Result<String> {
        let dominant = dominant(self).name();
        // A file that grew is recognizable even if most of it did not.
        let grew = self.expanded().filter(|_| dominant != GgmlType::F32.name());
        let encoding = grew.map_or_else(|| dominant.to_owned(), |_| format!("{dominant}-{}", GgmlType::F32));
        Ok(arch::file_name(&provenance(checkpoint, self)?, &encoding))
    }
}

fn metadata(plan: &Plan, provenance: &Provenance, tokenizer: Metadata) -> Metadata {
    let mut out = arch::general(provenance, plan.hparams.family().gguf, dominant(plan));
    out.append(plan.hparams.metadata(plan.mtp_layers));
    out.append(tokenizer);
    let rounded: Vec<String> = plan
        .tensors
        .iter()
        .filter(|t| t.fidelity == Some(Fidelity::Rounded))
        .map(|t| t.name.clone())
        .collect();
    if !rounded.is_empty() {
        out.push(keys::ROUNDED, rounded);
    }
    let listed = plan.left_out.iter().filter(|item| item.reason.is_listed());
    let left_out: Vec<String> = listed.map(|item| item.at.tensor.clone()).collect();
    if !left_out.is_empty() {
        out.push(keys::LEFT_OUT, left_out);
    }
    let choices = &plan.options.config;
    if !choices.ignored_keys.is_empty() {
        out.push(keys::IGNORED_KEYS, choices.ignored_keys.clone());
    }
    if let Some(chosen) = choices.zero_points {
        out.push(keys::ZERO_POINTS, chosen.name());
    }
    out
}

fn provenance(checkpoint: &Checkpoint, plan: &Plan) -> Result<Provenance> {
    let (folder, repo, commit) = match (origin(checkpoint.dir()), &plan.options.source) {
        ((_, None, _), Some(Source { repository, commit })) => {
            let name = repository.rsplit('/').next().unwrap_or(repository);
            (name.to_owned(), Some(repository.clone()), commit.clone())
        }
        (from_path, _) => from_path,
    };
    // llama.cpp's converter counts the divisors of rotary frequencies as well.
    let shapes = plan.tensors.iter().filter(|t| t.content != Content::Factors);
    Ok(Provenance {
        name: plan.options.name.clone(),
        folder,
        repo,
        commit,
        generation_config: checkpoint.companion("generation_config.json")?,
        model_card: checkpoint.text("README.md"),
        parameters: Parameters::count(shapes.map(|t| (t.name.as_str(), t.dims.as_slice()))),
    })
}

/// The repository of a folder in the Hugging Face cache.
fn repository(dir: &Path) -> Option<String> {
    origin(dir).1
}

/// Folder name, repository and commit. The Hugging Face cache keeps a repository in
/// `models--ORG--NAME/snapshots/COMMIT`.
fn origin(dir: &Path) -> (String, Option<String>, Option<String>) {
    let real = crate::io::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let folder = name(&real).unwrap_or_else(|| "model".to_owned());
    let cache = real.parent().filter(|p| p.ends_with("snapshots")).and_then(Path::parent).and_then(name);
    match cache.as_deref().and_then(|c| c.strip_prefix("models--")).and_then(|c| c.split_once("--")) {
        Some((org, repo)) => (repo.to_owned(), Some(format!("{org}/{repo}")), Some(folder)),
        None => (folder, None, None),
    }
}

/// The type of most weights.
fn dominant(plan: &Plan) -> GgmlType {
    let mut elements: BTreeMap<GgmlType, u64> = BTreeMap::new();
    for t in plan.tensors.iter().filter(|t| t.content == Content::Weights) {
        *elements.entry(t.ty()).or_default() += t.dims.iter().product::<u64>();
    }
    elements.into_iter().max_by_key(|(_, n)| *n).map_or(GgmlType::F32, |(ty, _)| ty)
}
