//! A checkpoint whose shards the caller brings: headers now, bytes when they are there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{self, Index};
use super::{Checkpoint, ModelConfig, Source, TensorInfo, read_header};
use crate::io::{ByteSource, Head};
use crate::{Error, Result};

/// A safetensors file that the caller supplies.
#[derive(Debug)]
pub struct Shard {
    /// Its name: for messages, for the index, and where it is going to lie.
    pub path: PathBuf,
    /// Its first bytes, at least [`head_bytes`] of them.
    pub head: Vec<u8>,
    /// Length of the whole file in bytes.
    pub bytes: u64,
    /// What tells that it is the same file.
    pub identity: Identity,
    /// Where its bytes are read once they are there, [`crate::io::LateFile`] for a file. It is not asked for the
    /// header.
    pub source: Arc<dyn ByteSource>,
    /// Only tensors whose names start so are taken, and they replace the checkpoint's own: a shard of another
    /// repository that lends its prediction layer, `mtp.`.
    pub only: Option<String>,
}

/// What tells that a shard is the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Path, length, and time of the last change in nanoseconds since 1970.
    File {
        /// The time.
        changed: u128,
    },
    /// The SHA-256 of its bytes: the same wherever it lies and however often it was fetched.
    Content {
        /// The hash.
        sha256: [u8; 32],
    },
}

/// Bytes that the header of a safetensors file takes, by the first eight of the file.
#[must_use]
pub fn head_bytes(first: [u8; 8]) -> u64 {
    u64::from_le_bytes(first).saturating_add(8)
}

impl Checkpoint {
    /// A checkpoint of supplied shards. `dir` holds `config.json`, the tokenizer and the index if there is one, but
    /// no shard needs to be there: their tensors are known by the headers, and read when
    /// [`export_supplied`](crate::export::export_supplied) has waited for them.
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
    ///     head: fetch(0..header_end), // by two ranges: `head_bytes` of the first eight tells where the header ends
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
        let lent: Vec<&str> = supplied.iter().filter_map(|shard| shard.only.as_deref()).collect();
        let is_lent = |name: &str| lent.iter().any(|prefix| name.starts_with(prefix));
        let mut tensors: Vec<TensorInfo> = Vec::new();
        for (number, shard) in (0..).zip(&supplied) {
            let head = Head { path: &shard.path, bytes: &shard.head, len: shard.bytes };
            let mut own = read_header(&shard.path, number, &head)?;
            own.retain(|tensor| match &shard.only {
                Some(prefix) => tensor.name.starts_with(prefix),
                None => !is_lent(&tensor.name),
            });
            tensors.append(&mut own);
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let listed = index.iter().flat_map(|index| {
            index.weight_map.iter().filter(|(name, _)| !is_lent(name)).map(|(name, file)| {
                let file = supplied.iter().position(|s| is_called(s, &index.names[*file]));
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
        let checkpoint = Self { dir: dir.to_owned(), config, shards: shards.collect(), tensors };
        checkpoint.check_unique()?;
        checkpoint.check_index(&listed)?;
        Ok(checkpoint)
    }
}

fn is_called(shard: &Shard, name: &str) -> bool {
    shard.only.is_none() && shard.path.file_name().is_some_and(|file| file == name)
}

fn refuse_missing(index: &Index, supplied: &[Shard]) -> Result<()> {
    match index.names.iter().find(|name| !supplied.iter().any(|shard| is_called(shard, name))) {
        None => Ok(()),
        Some(name) => Err(Error::Malformed {
            path: index.path.clone(),
            format: "index",
            found: format!("it names `{name}`, which is not among the shards"),
            expected: "every shard".to_owned(),
        }),
    }
}
