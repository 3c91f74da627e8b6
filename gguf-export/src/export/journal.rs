//! What of an unfinished export is on the disk for good.
//!
//! The first line names the export: format, sources, layout and how each weight is read, as one hash. Every further
//! line lists finished tiles. A line is appended only after the data it speaks of was synced, so neither a kill nor
//! a power cut makes it lie; a torn last line is cut off before anything is appended to it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::OutputFile;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSink, FileSink};
use crate::plan::Plan;

/// Bytes after which finished tiles are synced and written down: what an interruption can cost.
const FLUSH_BYTES: u64 = 512 << 20;
const MAX_JOURNAL_BYTES: u64 = 64 << 20;

/// The first line of the journal of this export.
pub(super) fn identity(checkpoint: &Checkpoint, plan: &Plan, files: &[OutputFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.header.encode());
        hash.update(file.path.as_os_str().as_encoded_bytes());
    }
    for weight in &plan.weights {
        hash.update(format!("{weight:?}"));
    }
    for tensor in &plan.tensors {
        hash.update(format!("{:?} {:?} {:?}", tensor.pieces, tensor.map, tensor.candidates.first()));
    }
    for (path, len, changed) in checkpoint.stamps() {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(len.to_le_bytes());
        hash.update(changed.to_le_bytes());
    }
    let digest = io::hex(&hash.finalize());
    format!("gguf-export {} {digest}\n", env!("CARGO_PKG_VERSION"))
}

/// The finished tiles of an earlier run, if there was one of the same export, and the bytes of all whole lines.
pub(super) fn read(path: &Path, identity: &str, tiles: usize) -> Option<(Vec<bool>, u64)> {
    let text = io::read_to_string(path, MAX_JOURNAL_BYTES).ok()?;
    let lines = text.strip_prefix(identity)?;
    let mut done = vec![false; tiles];
    let mut whole = identity.len();
    for line in lines.split_inclusive('\n').filter(|l| l.ends_with('\n')) {
        for index in line.split_whitespace() {
            *done.get_mut(index.parse::<usize>().ok()?)? = true;
        }
        whole += line.len();
    }
    Some((done, whole as u64))
}

/// Collects finished tiles and writes them down from time to time.
pub(super) struct Journal<'a> {
    path: PathBuf,
    sinks: &'a [FileSink],
    pending: Mutex<(Vec<usize>, u64)>,
    /// Held while appending, so that lines do not mix. True once a line may be torn or speak of lost data; no
    /// more are written then.
    broken: Mutex<bool>,
}

impl<'a> Journal<'a> {
    pub(super) fn new(path: &Path, sinks: &'a [FileSink]) -> Self {
        Self { path: path.to_owned(), sinks, pending: Mutex::default(), broken: Mutex::default() }
    }

    pub(super) fn finished(&self, tile: usize, bytes: u64) -> Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.0.push(tile);
        pending.1 += bytes;
        if pending.1 < FLUSH_BYTES {
            return Ok(());
        }
        let tiles = std::mem::take(&mut *pending).0;
        drop(pending);
        self.write(&tiles)
    }

    pub(super) fn flush(&self) -> Result<()> {
        let tiles = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner)).0;
        self.write(&tiles)
    }

    fn write(&self, tiles: &[usize]) -> Result<()> {
        let synced = self.sinks.iter().try_for_each(ByteSink::sync);
        let line: Vec<String> = tiles.iter().map(usize::to_string).collect();
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if *broken {
            return Ok(());
        }
        let written = synced.and_then(|()| io::append(&self.path, &(line.join(" ") + "\n")));
        *broken = written.is_err();
        written
    }
}
