//! An open checkpoint: all tensors of all shards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::superseded::{self, Superseded};
use super::{Identity, ModelConfig, TensorInfo, folder, read_header};
use crate::io::{ByteSource, FileSource};
use crate::{Error, Result, TensorRef};

/// Index of a tensor in [`Checkpoint::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(u32);

impl TensorId {
    /// The id of the tensor at an index.
    pub(crate) fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index as a number.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A folder of safetensors files with its configuration. Keeps only headers in memory.
#[derive(Debug)]
pub struct Checkpoint {
    pub(super) dir: PathBuf,
    pub(super) config: ModelConfig,
    pub(super) shards: Vec<Source>,
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) superseded: Vec<Superseded>,
    pub(super) copies: Vec<String>,
}

/// A shard whose header was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) identity: Identity,
    pub(super) data: Arc<dyn ByteSource>,
}

impl Checkpoint {
    /// Reads `config.json` and the header of every shard.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Json`] for a file that cannot be read, [`Error::Malformed`] and [`Error::Tensor`] for
    /// an invalid index or header, [`Error::MissingTensor`] for a shard or a tensor that the index names and the folder
    /// lacks.
    ///
    /// ```no_run
    /// use gguf_export::checkpoint::Checkpoint;
    ///
    /// let checkpoint = Checkpoint::open("Qwen3-Next-int4".as_ref())?;
    /// println!("{}", checkpoint.dir().display());
    /// # Ok::<(), gguf_export::Error>(())
    /// ```
    pub fn open(dir: &Path) -> Result<Self> {
        let config = ModelConfig::read(&folder::inside(dir, "config.json")?)?;
        let mut shards = Vec::new();
        let mut tensors = Vec::new();
        let listing = folder::list(dir)?;
        for (number, path) in (0..).zip(&listing.shards) {
            let source = FileSource::open(path)?;
            tensors.append(&mut read_header(path, number, &source)?);
            let (bytes, changed) = source.stamp();
            let identity = Identity::File { changed };
            shards.push(Source { path: path.clone(), bytes, identity, data: Arc::new(source) });
        }
        tensors.sort_by(|a: &TensorInfo, b| a.name.cmp(&b.name));
        let paths: Vec<&Path> = listing.shards.iter().map(PathBuf::as_path).collect();
        let superseded = superseded::by_index(&mut tensors, &paths, &listing.weight_map);
        let copies = listing.copies;
        let checkpoint = Self { dir: dir.to_owned(), config, shards, tensors, superseded, copies };
        checkpoint.check_unique()?;
        checkpoint.check_index(&listing.weight_map)?;
        Ok(checkpoint)
    }

    /// Names the files that hold the weights once more and were not supplied.
    #[must_use]
    pub fn with_copies(self, copies: Vec<String>) -> Self {
        Self { copies, ..self }
    }

    /// Names of files that hold the weights once more, in Mistral's own format, and are not read.
    #[must_use]
    pub fn copies(&self) -> &[String] {
        &self.copies
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The fields of `config.json`.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// A JSON file beside `config.json`; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Json`] if it exists and cannot be read.
    pub fn companion(&self, name: &str) -> Result<Option<ModelConfig>> {
        folder::optional(&self.dir, name)?.map(|path| ModelConfig::read(&path)).transpose()
    }

    /// A text file of the folder of at most 1 MiB; `None` if it cannot be read.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let path = folder::inside(&self.dir, name).ok()?;
        crate::io::read_to_string(&path, 1 << 20).ok()
    }

    /// Paths of the shards.
    pub fn shards(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// Path, length in bytes and identity of each shard.
    pub fn identities(&self) -> impl Iterator<Item = (&Path, u64, Identity)> {
        self.shards.iter().map(|shard| (shard.path.as_path(), shard.bytes, shard.identity))
    }

    /// SHA-256 over all [`identities`](Self::identities): the fingerprint of a later run is equal if the shards are the
    /// same.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, bytes, identity) in self.identities() {
            hash.update(bytes.to_le_bytes());
            match identity {
                Identity::File { changed } => {
                    hash.update(path.as_os_str().as_encoded_bytes());
                    hash.update(changed.to_le_bytes());
                }
                Identity::Content { sha256 } => hash.update(sha256),
            }
        }
        hash.finalize().into()
    }

    /// Closes a shard that may be deleted next. A later read opens it again.
    pub(crate) fn close(&self, shard: usize) {
        if let Some(shard) = self.shards.get(shard) {
            shard.data.close();
        }
    }

    /// Index into [`Checkpoint::shards`] of the shard that holds a tensor.
    #[must_use]
    pub fn shard_of(&self, id: TensorId) -> usize {
        self.info(id).shard as usize
    }

    /// Checks that no shard was modified since the checkpoint was opened. Skips shards identified by their content.
    ///
    /// # Errors
    /// [`Error::Io`] for a modified shard.
    pub fn unchanged(&self) -> Result<()> {
        let files = self.shards.iter().filter(|shard| matches!(shard.identity, Identity::File { .. }));
        files.into_iter().try_for_each(|shard| shard.data.unchanged())
    }

    /// All tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Tensors that are not among [`tensors`](Self::tensors), because another file holds the one of their name that
    /// counts.
    #[must_use]
    pub fn superseded(&self) -> &[Superseded] {
        &self.superseded
    }

    /// The tensor with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TensorId> {
        let index = self.tensors.binary_search_by(|t| t.name.as_str().cmp(name)).ok()?;
        u32::try_from(index).ok().map(TensorId)
    }

    /// Returns true if the name of any tensor starts with `prefix`.
    #[must_use]
    pub fn any_with_prefix(&self, prefix: &str) -> bool {
        let first = self.tensors.partition_point(|t| t.name.as_str() < prefix);
        self.tensors.get(first).is_some_and(|t| t.name.starts_with(prefix))
    }

    /// All tensors with their ids, sorted by name.
    pub fn ids(&self) -> impl Iterator<Item = (TensorId, &TensorInfo)> {
        (0..).map(TensorId).zip(&self.tensors)
    }

    /// The header's entry for a tensor.
    #[must_use]
    pub fn info(&self, id: TensorId) -> &TensorInfo {
        &self.tensors[id.0 as usize]
    }

    /// Name and file of a tensor, for error messages.
    #[must_use]
    pub fn locate(&self, id: TensorId) -> TensorRef {
        let info = self.info(id);
        TensorRef { file: self.shards[info.shard as usize].path.clone(), tensor: info.name.clone() }
    }

    /// Fills `buffer` with the tensor's data from byte `offset`.
    ///
    /// # Errors
    /// [`Error::Io`] if the data cannot be read.
    ///
    /// # Panics
    /// If the range exceeds the tensor.
    pub fn read(&self, id: TensorId, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let info = self.info(id);
        assert!(offset + buffer.len() as u64 <= info.bytes, "range outside `{}`", info.name);
        self.shards[info.shard as usize].data.read_at(info.start + offset, buffer)
    }

    /// Reads a whole tensor into `buffer`, which is resized to fit.
    ///
    /// # Errors
    /// [`Error::Io`] if the data cannot be read.
    pub fn read_all(&self, id: TensorId, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(usize::try_from(self.info(id).bytes).unwrap_or(usize::MAX), 0);
        self.read(id, 0, buffer)
    }

    /// Reads the byte range `columns` of every row of a matrix with rows of `stride` bytes into `buffer`, which is
    /// resized to fit.
    ///
    /// # Errors
    /// [`Error::Io`] if the data cannot be read.
    pub fn read_strip(
        &self,
        id: TensorId,
        stride: u64,
        columns: std::ops::Range<u64>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        if columns == (0..stride) {
            return self.read_all(id, buffer);
        }
        let width = usize::try_from(columns.end - columns.start).unwrap_or(usize::MAX);
        let rows = self.info(id).bytes / stride.max(1);
        buffer.resize(width * usize::try_from(rows).unwrap_or(usize::MAX), 0);
        for (row, out) in (0..rows).zip(buffer.chunks_exact_mut(width.max(1))) {
            self.read(id, row * stride + columns.start, out)?;
        }
        Ok(())
    }

    pub(super) fn check_unique(&self) -> Result<()> {
        match (0..).map(TensorId).zip(self.tensors.array_windows()).find(|(_, [a, b])| a.name == b.name) {
            None => Ok(()),
            Some((id, [_, second])) => Err(Error::Tensor {
                at: self.locate(id),
                found: format!("`{}` contains it too", self.shards[second.shard as usize].path.display()),
                expected: "each tensor in one shard; remove the file that is not part of the checkpoint"
                    .to_owned(),
            }),
        }
    }

    pub(super) fn check_index(&self, listed: &[(String, usize)]) -> Result<()> {
        for (tensor, file) in listed {
            if self.find(tensor).map(|id| self.shard_of(id)) != Some(*file) {
                return Err(Error::MissingTensor {
                    path: self.shards.get(*file).map_or_else(|| self.dir.clone(), |shard| shard.path.clone()),
                    tensor: tensor.clone(),
                    needed_by: "the index assigns it to this file".to_owned(),
                });
            }
        }
        Ok(())
    }
}
