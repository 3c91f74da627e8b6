//! The receipt of a verification: the numbers compared, and the hashes of all files.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Report;
use crate::Result;
use crate::checkpoint::{Checkpoint, Identity, folder};
use crate::gguf;
use crate::io::{self, ByteSource, FileSource};
use crate::quant::ZeroPoints;

/// Bytes per read while hashing.
const CHUNK: usize = 1 << 20;

/// The result of a verification as a document.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// Version of the document's schema.
    pub schema_version: u32,
    /// Name and version of the program.
    pub tool: String,
    /// True if there were no differences.
    pub equal: bool,
    /// Number of tensors compared.
    pub tensors: usize,
    /// Number of values compared.
    pub values: u64,
    /// Number of metadata keys compared.
    pub keys: usize,
    /// Number of tensors accepted as rounded.
    pub rounded: usize,
    /// Number of values that differ within the rounding of a declared tensor.
    pub rounded_values: u64,
    /// Number of tensors of the checkpoint that the GGUF lists as left out.
    pub left_out: usize,
    /// Number of tensors of the checkpoint that belong to a part other than the language model.
    pub other_parts: usize,
    /// Names of the checkpoint's files that hold the weights once more and were not compared.
    pub second_copies: Vec<String>,
    /// Keys of the quantization configuration that were ignored when the GGUF was made.
    pub ignored_config_keys: Vec<String>,
    /// How zero points were taken, if the caller chose it: `v1` or `v2`.
    pub zero_points: Option<&'static str>,
    /// Number of differences.
    pub differences: u64,
    /// Files of the GGUF.
    pub gguf: Vec<FileHash>,
    /// Files of the checkpoint.
    pub source: Vec<FileHash>,
}

/// A file and its SHA-256.
#[derive(Debug, Serialize)]
pub struct FileHash {
    /// File name without folder.
    pub file: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Hashes all files and combines the hashes with a report. Shards identified by their SHA-256 are not read again and may
/// have been deleted.
///
/// # Errors
/// [`crate::Error::Io`] if a file cannot be read.
pub fn receipt(checkpoint: &Checkpoint, gguf: &Path, report: &Report) -> Result<Receipt> {
    let files: Vec<PathBuf> = gguf::open_all(gguf)?.into_iter().map(|(path, _)| path).collect();
    let named = [
        "config.json",
        "quantization_config.json",
        "quantize_config.json",
        "quant_config.json",
        "hf_quant_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "chat_template.json",
        "generation_config.json",
    ];
    let mut source = Vec::new();
    for (path, bytes, identity) in checkpoint.identities() {
        source.push(match identity {
            Identity::File { .. } => hash(path)?,
            Identity::Content { sha256 } => {
                FileHash { file: file_name(path), bytes, sha256: io::hex(&sha256) }
            }
        });
    }
    for name in named {
        if let Some(path) = folder::optional(checkpoint.dir(), name)? {
            source.push(hash(&path)?);
        }
    }
    for (_, path) in folder::inside_folder(checkpoint.dir(), "additional_chat_templates", ".jinja")? {
        source.push(hash(&path)?);
    }
    Ok(Receipt {
        schema_version: 1,
        tool: format!("gguf-export {}", env!("CARGO_PKG_VERSION")),
        equal: report.equal(),
        tensors: report.tensors,
        values: report.values,
        keys: report.keys,
        rounded: report.rounded,
        rounded_values: report.inexact,
        left_out: report.left_out,
        other_parts: report.other_parts,
        second_copies: report.second_copies.clone(),
        ignored_config_keys: report.ignored_keys.clone(),
        zero_points: report.zero_points.map(ZeroPoints::name),
        differences: report.count,
        gguf: files.iter().map(|p| hash(p)).collect::<Result<_>>()?,
        source,
    })
}

fn hash(path: &Path) -> Result<FileHash> {
    let source = FileSource::open(path)?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    while offset < source.len() {
        let n = usize::try_from(source.len() - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
        source.read_at(offset, &mut buffer[..n])?;
        sha.update(&buffer[..n]);
        offset += n as u64;
    }
    let sha256 = io::hex(&sha.finalize());
    Ok(FileHash { file: file_name(path), bytes: source.len(), sha256 })
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
