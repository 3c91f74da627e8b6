//! A checkpoint whose shards the caller supplies: headers at once, tensor data later.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{self, Index};
use super::open::Source;
use super::superseded::{self, Superseded};
use super::{Checkpoint, Identity, ModelConfig, TensorInfo, read_header};
use crate::io::{ByteSource, Head};
use crate::{Error, Result, TensorRef};

/// A safetensors file that the caller supplies.
#[derive(Debug, Clone)]
pub struct Shard {
    /// Its path. Appears in error messages; the index refers to the file name.
    pub path: PathBuf,
    /// Its first bytes, at least [`head_bytes`] of them.
    pub head: Vec<u8>,
    /// Length of the whole file in bytes.
    pub bytes: u64,
    /// Identifies its content.
    pub identity: Identity,
    /// Source of the tensor data, [`crate::io::LateFile`] for a file. The header is read from `head` instead.
    pub source: Arc<dyn ByteSource>,
    /// Uses only the tensors whose names start with this prefix, in place of the checkpoint's own: `mtp.` for a shard of
    /// another repository that supplies the MTP layer.
    pub only: Option<String>,
}

/// Length in bytes of a safetensors file's header, the length field included. `first` are the first bytes of the file.
#[must_use]
pub fn head_bytes(first: [u8; 8]) -> u64 {
    u64::from_le_bytes(first).saturating_add(8)
}

impl Checkpoint {
    /// Assembles a checkpoint from supplied shards. `dir` holds `config.json`, the tokenizer and the index file, if there
    /// is one. Shards need not exist yet: only their headers are used here, and tensor data is read after
    /// [`export_supplied`](crate::export::export_supplied) has waited for the shard.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], and [`Error::Malformed`] if the index names a shard that is not supplied.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use gguf_export::checkpoint::{Checkpoint, Identity, Shard};
    /// use gguf_export::io::LateFile;
    ///
    /// # fn fetch(_: std::ops::Range<u64>) -> Vec<u8> { Vec::new() }
    /// # let (bytes, sha256, header_end) = (0, [0; 32], 0);
    /// let path = "model/model.safetensors".as_ref();
    /// let shard = Shard {
    ///     path: std::path::Path::to_owned(path),
    ///     head: fetch(0..header_end), // two requests: `head_bytes` of the first eight bytes gives the end
    ///     bytes,
    ///     identity: Identity::Content { sha256 },
    ///     source: Arc::new(LateFile::new(path, bytes)),
    ///     only: None,
    /// };
    /// let checkpoint = Checkpoint::assemble("model".as_ref(), vec![shard])?;
    /// # Ok::<(), gguf_export::Error>(())
    /// ```
    pub fn assemble(dir: &Path, supplied: Vec<Shard>) -> Result<Self> {
        let config = ModelConfig::read(&folder::inside(dir, "config.json")?)?;
        let index = folder::index(dir)?;
        if let Some(index) = &index {
            refuse_missing(index, &supplied)?;
        }
        let mut tensors: Vec<TensorInfo> = Vec::new();
        let mut superseded = Vec::new();
        for (number, shard) in (0..).zip(&supplied) {
            let head = Head { path: &shard.path, bytes: &shard.head, len: shard.bytes };
            for tensor in read_header(&shard.path, number, &head)? {
                let by = match &shard.only {
                    Some(prefix) if tensor.name.starts_with(prefix) => None,
                    Some(_) => continue,
                    None => supplied.iter().find(|s| replaces(s, &tensor.name)).map(|s| s.path.clone()),
                };
                match by {
                    None => tensors.push(tensor),
                    Some(by) => superseded.push(Superseded {
                        bytes: tensor.bytes,
                        at: TensorRef { file: shard.path.clone(), tensor: tensor.name },
                        by,
                    }),
                }
            }
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let is_replaced = |name: &str| supplied.iter().any(|shard| replaces(shard, name));
        let listed = index.iter().flat_map(|index| {
            index.weight_map.iter().filter(|(name, _)| !is_replaced(name)).map(|(name, file)| {
                let file = supplied.iter().position(|s| is_named(s, &index.names[*file]));
                (name.clone(), file.unwrap_or(usize::MAX))
            })
        });
        let listed: Vec<(String, usize)> = listed.collect();
        let shards = supplied.into_iter().map(|Shard { path, bytes, identity, source, .. }| Source {
            path,
            bytes,
            identity,
            data: source,
        });
        let shards: Vec<Source> = shards.collect();
        let paths: Vec<&Path> = shards.iter().map(|shard| shard.path.as_path()).collect();
        superseded.append(&mut superseded::by_index(&mut tensors, &paths, &listed));
        let checkpoint =
            Self { dir: dir.to_owned(), config, shards, tensors, superseded, copies: Vec::new() };
        checkpoint.check_unique()?;
        checkpoint.check_index(&listed)?;
        Ok(checkpoint)
    }
}

/// Returns true if a shard replaces the tensor of this name in all others.
fn replaces(shard: &Shard, name: &str) -> bool {
    shard.only.as_deref().is_some_and(|prefix| name.starts_with(prefix))
}

fn is_named(shard: &Shard, name: &str) -> bool {
    shard.only.is_none() && shard.path.file_name().is_some_and(|file| file == name)
}

fn refuse_missing(index: &Index, supplied: &[Shard]) -> Result<()> {
    match index.names.iter().find(|name| !supplied.iter().any(|shard| is_named(shard, name))) {
        None => Ok(()),
        Some(name) => Err(Error::Malformed {
            path: index.path.clone(),
            format: "index",
            found: format!("it names `{name}`, which was not supplied"),
            expected: "all shards".to_owned(),
        }),
    }
}
