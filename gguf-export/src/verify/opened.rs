//! A GGUF opened for verification.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Result;
use crate::gguf::{self, Header};
use crate::io::FileSource;

/// The files of a GGUF, opened for reading.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) shards: &'a [(PathBuf, Header)],
    pub(super) sources: Vec<FileSource>,
    /// Indices of shard and tensor by name.
    pub(super) places: BTreeMap<&'a str, (usize, usize)>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(shards: &'a [(PathBuf, Header)]) -> Result<Self> {
        let sources = shards.iter().map(|(path, _)| FileSource::open(path)).collect::<Result<_>>()?;
        let mut places = BTreeMap::new();
        for (shard, (_, header)) in shards.iter().enumerate() {
            for (index, tensor) in header.tensors.iter().enumerate() {
                places.insert(tensor.name.as_str(), (shard, index));
            }
        }
        Ok(Self { shards, sources, places })
    }

    pub(super) fn find(&self, name: &str) -> Option<&gguf::TensorInfo> {
        self.places.get(name).map(|&(shard, index)| &self.shards[shard].1.tensors[index])
    }
}
