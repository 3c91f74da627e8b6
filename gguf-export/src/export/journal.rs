//! What of an unfinished export is on the disk for good.
//!
//! The first line names the export: format, sources, layout and how each weight is read, as one hash. Every further
//! line lists finished tiles, after a word if they were also proven. A line is appended only after the data it speaks of
//! was synced, so neither a kill nor a power cut makes it lie; a torn last line is cut off before anything is appended
//! to it.

use std::path::Path;
use std::sync::mpsc::Receiver;

use sha2::{Digest, Sha256};

use super::OutputFile;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSink, FileSink};
use crate::plan::Plan;
use crate::supply::Ledger;
use crate::tile::TILE_BYTES;

/// Bytes after which finished tiles are synced and written down: what an interruption can cost, and how soon the disk
/// begins to work beside the threads that transcode.
const FLUSH_BYTES: u64 = 128 << 20;
/// Names the order of tiles, by whose numbers a journal knows them.
const ORDER: &[u8] = b"by last shard, then by first";
/// Begins a line whose tiles were read back and compared with the checkpoint.
const PROVEN: &str = "proven ";
const MAX_JOURNAL_BYTES: u64 = 64 << 20;

/// The first line of the journal of this export.
pub(super) fn identity(checkpoint: &Checkpoint, plan: &Plan, files: &[OutputFile]) -> String {
    let mut hash = Sha256::new();
    hash.update(ORDER);
    hash.update(TILE_BYTES.to_le_bytes());
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
    hash.update(checkpoint.fingerprint());
    let digest = io::hex(&hash.finalize());
    format!("gguf-export {} {digest}\n", env!("CARGO_PKG_VERSION"))
}

/// The finished tiles of an earlier run, if there was one of the same export, and the bytes of all whole lines. With `prove`
/// only those count that were proven.
pub(super) fn read(path: &Path, identity: &str, tiles: usize, prove: bool) -> Option<(Vec<bool>, u64)> {
    let text = io::read_to_string(path, MAX_JOURNAL_BYTES).ok()?;
    let lines = text.strip_prefix(identity)?;
    let mut done = vec![false; tiles];
    let mut whole = identity.len();
    for line in lines.split_inclusive('\n').filter(|l| l.ends_with('\n')) {
        let (numbers, is_proven) = line.strip_prefix(PROVEN).map_or((line, false), |rest| (rest, true));
        for index in numbers.split_whitespace() {
            *done.get_mut(index.parse::<usize>().ok()?)? |= is_proven || !prove;
        }
        whole += line.len();
    }
    Some((done, whole as u64))
}

/// Takes the index and the bytes of each finished tile until the last sender is gone, and writes them down from
/// time to time, and whenever a shard has served. Runs on a thread of its own, so that those who write tiles need not wait
/// for the disk. `proven` says that the tiles that come were compared.
///
/// An error ends it early; senders then find the channel closed.
pub(super) fn keep(
    path: &Path,
    sinks: &[FileSink],
    finished: Receiver<(usize, u64)>,
    ledger: &mut Ledger<'_>,
    proven: bool,
) -> Result<()> {
    let mut tiles = Vec::new();
    let mut bytes = 0;
    let write_down = |tiles: &[usize], ledger: &mut Ledger<'_>| {
        sinks.iter().try_for_each(ByteSink::sync)?;
        let line: Vec<String> = tiles.iter().map(usize::to_string).collect();
        let word = if proven { PROVEN } else { "" };
        io::append(path, &format!("{word}{}\n", line.join(" ")))?;
        ledger.release()
    };
    for (tile, size) in finished {
        tiles.push(tile);
        bytes += size;
        let has_served = ledger.count(tile);
        if bytes >= FLUSH_BYTES || has_served {
            write_down(&tiles, ledger)?;
            (tiles, bytes) = (Vec::new(), 0);
        }
    }
    write_down(&tiles, ledger)
}
