//! The journal of an unfinished export: the tiles that are synced to the disk.
//!
//! The first line identifies the export by a hash of format, sources, layout and the encoding of each weight. Each further
//! line lists finished tiles, preceded by `proven` if they were also compared with the checkpoint. A line is appended only
//! after its tiles are synced, so the journal is correct even after a kill or a power failure. An incomplete last line is
//! truncated before the next append.

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

/// Bytes of finished tiles between syncs: bounds the work lost by an interruption, and lets the disk write while other
/// threads transcode.
const FLUSH_BYTES: u64 = 128 << 20;
/// Identifies the tile order, on which tile numbers depend.
const ORDER: &[u8] = b"by last shard, then by first";
/// Prefix of a line whose tiles were read back and compared with the checkpoint.
const PROVEN: &str = "proven ";
/// Size limit of a journal in bytes.
const MAX_JOURNAL_BYTES: u64 = 64 << 20;

/// The first line of the journal, which identifies the export.
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

/// Reads the finished tiles of an earlier run of the same export, and the length in bytes of all complete lines. With
/// `prove`, counts only proven tiles. `None` if there is no valid journal.
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

/// Receives index and size of each finished tile until all senders are dropped. Syncs the files and appends to the journal
/// every [`FLUSH_BYTES`], and whenever a shard is no longer needed. Runs on its own thread, so that threads that write
/// tiles do not wait for syncs. `proven` states that the tiles were compared with the checkpoint.
///
/// Returns early on an error; senders then find the channel closed.
pub(super) fn write(
    path: &Path,
    sinks: &[FileSink],
    finished: Receiver<(usize, u64)>,
    ledger: &mut Ledger<'_>,
    proven: bool,
) -> Result<()> {
    let mut tiles = Vec::new();
    let mut bytes = 0;
    let flush = |tiles: &[usize], ledger: &mut Ledger<'_>| {
        sinks.iter().try_for_each(ByteSink::sync)?;
        let line: Vec<String> = tiles.iter().map(usize::to_string).collect();
        let prefix = if proven { PROVEN } else { "" };
        io::append(path, &format!("{prefix}{}\n", line.join(" ")))?;
        ledger.release()
    };
    for (tile, size) in finished {
        tiles.push(tile);
        bytes += size;
        let is_shard_finished = ledger.count(tile);
        if bytes >= FLUSH_BYTES || is_shard_finished {
            flush(&tiles, ledger)?;
            (tiles, bytes) = (Vec::new(), 0);
        }
    }
    flush(&tiles, ledger)
}
