//! What is on disk: configuration, shards, tensors. Not here: what the bytes mean.

mod config;
mod dtype;
pub(crate) mod folder;
pub(crate) mod json;
mod shard;
mod supplied;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use config::ModelConfig;
pub use dtype::Dtype;
pub use shard::{TensorInfo, read_header};
pub use supplied::{Identity, Shard, head_bytes};

use sha2::{Digest as _, Sha256};

use crate::io::{ByteSource, FileSource};
use crate::{Error, Result, TensorRef};

/// Index of a tensor in [`Checkpoint::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(u32);

impl TensorId {
    /// The index as a number.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A folder of safetensors files with its configuration. Only headers are held in memory.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    config: ModelConfig,
    shards: Vec<Source>,
    tensors: Vec<TensorInfo>,
}

/// A shard, once its header is read.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    bytes: u64,
    identity: Identity,
    data: Arc<dyn ByteSource>,
}

impl Checkpoint {
    /// Reads `config.json` and the header of every shard.
    ///
    /// # Errors
    /// Whatever is wrong with the folder, its index or a header, naming the file.
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
        let checkpoint = Self { dir: dir.to_owned(), config, shards, tensors };
        checkpoint.check_unique()?;
        checkpoint.check_index(&listing.weight_map)?;
        Ok(checkpoint)
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

    /// A JSON file beside `config.json`, if it is there.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Json`] if it is there and cannot be read.
    pub fn companion(&self, name: &str) -> Result<Option<ModelConfig>> {
        folder::optional(&self.dir, name)?.map(|path| ModelConfig::read(&path)).transpose()
    }

    /// A text file of the folder, if it is there and reads as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let path = folder::inside(&self.dir, name).ok()?;
        crate::io::read_to_string(&path, 1 << 20).ok()
    }

    /// The files that hold the tensors.
    pub fn shards(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| shard.path.as_path())
    }

    /// What tells that the files are still the same: paths, lengths in bytes, and times of change or hashes.
    pub fn identities(&self) -> impl Iterator<Item = (&Path, u64, Identity)> {
        self.shards.iter().map(|shard| (shard.path.as_path(), shard.bytes, shard.identity))
    }

    /// One hash of all that tells that the files are still the same.
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

    /// Lets go of a file that may be about to be deleted. A later read opens it again if it is there.
    pub(crate) fn close(&self, shard: usize) {
        if let Some(shard) = self.shards.get(shard) {
            shard.data.close();
        }
    }

    /// Index of the file that holds a tensor, as [`Checkpoint::shards`] counts them.
    #[must_use]
    pub fn shard_of(&self, id: TensorId) -> usize {
        self.info(id).shard as usize
    }

    /// Refuses a checkpoint whose tensors were written to since it was opened. Shards that are known by their
    /// content, or are not there, are not asked.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn unchanged(&self) -> Result<()> {
        let files = self.shards.iter().filter(|shard| matches!(shard.identity, Identity::File { .. }));
        files.into_iter().try_for_each(|shard| shard.data.unchanged())
    }

    /// All tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Finds a tensor by name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TensorId> {
        let index = self.tensors.binary_search_by(|t| t.name.as_str().cmp(name)).ok()?;
        u32::try_from(index).ok().map(TensorId)
    }

    /// Whether a tensor's name starts with `prefix`.
    #[must_use]
    pub fn any_with_prefix(&self, prefix: &str) -> bool {
        let first = self.tensors.partition_point(|t| t.name.as_str() < prefix);
        self.tensors.get(first).is_some_and(|t| t.name.starts_with(prefix))
    }

    /// Every tensor with its id, sorted by name.
    pub fn ids(&self) -> impl Iterator<Item = (TensorId, &TensorInfo)> {
        (0..).map(TensorId).zip(&self.tensors)
    }

    /// The header's entry.
    #[must_use]
    pub fn info(&self, id: TensorId) -> &TensorInfo {
        &self.tensors[id.0 as usize]
    }

    /// The tensor's name and file, for messages.
    #[must_use]
    pub fn locate(&self, id: TensorId) -> TensorRef {
        let info = self.info(id);
        TensorRef { file: self.shards[info.shard as usize].path.clone(), tensor: info.name.clone() }
    }

    /// Fills `buffer` from byte `offset` of the tensor's data.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    ///
    /// # Panics
    /// If the range is not inside the tensor.
    pub fn read(&self, id: TensorId, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let info = self.info(id);
        assert!(offset + buffer.len() as u64 <= info.bytes, "range outside `{}`", info.name);
        self.shards[info.shard as usize].data.read_at(info.start + offset, buffer)
    }

    /// Reads a whole tensor.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn read_all(&self, id: TensorId, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(usize::try_from(self.info(id).bytes).unwrap_or(usize::MAX), 0);
        self.read(id, 0, buffer)
    }

    /// Reads bytes `columns` of every row of a matrix whose rows are `stride` bytes long, one row after the
    /// other, into `buffer`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
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

    fn check_unique(&self) -> Result<()> {
        match (0..).map(TensorId).zip(self.tensors.array_windows()).find(|(_, [a, b])| a.name == b.name) {
            None => Ok(()),
            Some((id, [_, second])) => Err(Error::Tensor {
                at: self.locate(id),
                found: format!("`{}` holds it too", self.shards[second.shard as usize].path.display()),
                expected: "one shard a tensor".to_owned(),
            }),
        }
    }

    fn check_index(&self, listed: &[(String, usize)]) -> Result<()> {
        for (tensor, file) in listed {
            if self.find(tensor).map(|id| self.shard_of(id)) != Some(*file) {
                return Err(Error::MissingTensor {
                    path: self.shards.get(*file).map_or_else(|| self.dir.clone(), |shard| shard.path.clone()),
                    tensor: tensor.clone(),
                    needed_by: "the index says that this file holds it".to_owned(),
                });
            }
        }
        Ok(())
    }
}
