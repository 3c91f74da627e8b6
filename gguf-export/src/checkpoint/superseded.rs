//! Tensors of which several files hold one of the same name, where the index or the caller decides which one counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::TensorInfo;
use crate::TensorRef;

/// A tensor that is not used, because another file holds the one of its name that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superseded {
    /// The tensor that is not used.
    pub at: TensorRef,
    /// Its size in bytes.
    pub bytes: u64,
    /// The file whose tensor counts.
    pub by: PathBuf,
}

/// Removes and returns the tensors whose name the index assigns to another file. `tensors` are sorted by name, `listed`
/// are names with indices into `shards`. Without an entry of the index nothing is removed.
pub(super) fn by_index(
    tensors: &mut Vec<TensorInfo>,
    shards: &[&Path],
    listed: &[(String, usize)],
) -> Vec<Superseded> {
    let twice = tensors.array_windows().filter(|[a, b]| a.name == b.name).map(|[a, _]| a.name.clone());
    let mut counts: BTreeMap<String, Option<usize>> = twice.map(|name| (name, None)).collect();
    if counts.is_empty() {
        return Vec::new();
    }
    for (name, file) in listed {
        if let Some(place) = counts.get_mut(name) {
            *place = Some(*file);
        }
    }
    let by = |tensor: &TensorInfo| {
        let file = counts.get(&tensor.name).copied().flatten()?;
        let by = shards.get(file).filter(|_| file != tensor.shard as usize)?;
        Some((*by).to_owned())
    };
    let mut superseded = Vec::new();
    tensors.retain(|tensor| {
        let Some(by) = by(tensor) else { return true };
        let file = shards[tensor.shard as usize].to_owned();
        let bytes = tensor.bytes;
        superseded.push(Superseded { bytes, at: TensorRef { file, tensor: tensor.name.clone() }, by });
        false
    });
    superseded
}
