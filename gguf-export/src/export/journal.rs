//! The journal of an unfinished export: the tiles that are synced to the disk, and whether files are being renamed.
//!
//! The first line identifies the export by a hash of format, sources, layout and the encoding of each weight. Each further
//! line lists finished tiles, preceded by `proven` if they were also compared with the checkpoint. A line is appended only
//! after its tiles are synced, so the journal is correct even after a kill or a power failure. The line `complete` is
//! appended before the first file gets its final name; from then on each file is under one of its two names. An incomplete
//! last line is truncated before the next append.

use std::path::Path;
use std::sync::mpsc::Receiver;

use sha2::{Digest, Sha256};

use super::layout::OutputFile;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSink, FileSink};
use crate::plan::{Plan, TensorPlan};
use crate::supply::Ledger;
use crate::tile::TILE_BYTES;

/// Bytes of finished tiles between syncs: bounds the work lost by an interruption, and lets the disk write while other
/// threads transcode.
const FLUSH_BYTES: u64 = 128 << 20;
/// Identifies the tile order, on which tile numbers depend.
const ORDER: &[u8] = b"by last shard, then by first";
/// Prefix of a line whose tiles were read back and compared with the checkpoint.
const PROVEN: &str = "proven ";
/// The line after which files get their final names.
const COMPLETE: &str = "complete\n";
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
        let TensorPlan { pieces, order, map, candidates, .. } = tensor;
        hash.update(format!("{pieces:?} {order:?} {map:?} {:?}", candidates.first()));
    }
    // The values of a tensor without pieces, which follow from the configuration.
    hash.update(format!("{:?}", plan.hparams.rope.factors()));
    hash.update(checkpoint.fingerprint());
    let digest = io::hex(&hash.finalize());
    format!("gguf-export {} {digest}\n", env!("CARGO_PKG_VERSION"))
}

/// What an earlier run of the same export did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The tiles that it finished.
    pub(super) done: Vec<bool>,
    /// True if it finished all tiles and began to rename files.
    pub(super) complete: bool,
    /// Length in bytes of all whole lines.
    len: u64,
}

/// Reads the journal of an earlier run of the same export. With `prove`, counts only proven tiles. `None` if there is no
/// valid journal.
pub(super) fn read(path: &Path, identity: &str, tiles: usize, prove: bool) -> Option<Earlier> {
    parse(&io::read_to_string(path, MAX_JOURNAL_BYTES).ok()?, identity, tiles, prove)
}

/// Parses the text of a journal; see [`read`].
fn parse(text: &str, identity: &str, tiles: usize, prove: bool) -> Option<Earlier> {
    let lines = text.strip_prefix(identity)?;
    let (mut done, mut complete) = (vec![false; tiles], false);
    let mut whole = identity.len();
    for line in lines.split_inclusive('\n').filter(|l| l.ends_with('\n')) {
        whole += line.len();
        if line == COMPLETE {
            complete = true;
            continue;
        }
        let (numbers, is_proven) = line.strip_prefix(PROVEN).map_or((line, false), |rest| (rest, true));
        for index in numbers.split_whitespace() {
            *done.get_mut(index.parse::<usize>().ok()?)? |= is_proven || !prove;
        }
    }
    Some(Earlier { done, complete, len: whole as u64 })
}

/// Parses the text of a journal for a fuzz target. Returns true if it is valid.
pub(crate) fn parse_journal(text: &str, identity: &str, tiles: usize) -> bool {
    [false, true].into_iter().all(|prove| {
        let earlier = parse(text, identity, tiles, prove);
        if let Some(earlier) = &earlier {
            assert!(earlier.done.len() == tiles && earlier.len <= text.len() as u64, "{earlier:?}");
        }
        earlier.is_some()
    })
}

impl Earlier {
    /// Truncates an incomplete last line.
    pub(super) fn trim(&self, path: &Path) -> Result<()> {
        io::truncate(path, self.len)
    }
}

/// Starts the journal of an export without finished tiles.
pub(super) fn start(path: &Path, identity: &str) -> Result<()> {
    io::append(path, identity)?;
    // The names of the unfinished files and of the journal survive a power failure as their content does.
    io::sync_folder(path)
}

/// Records that all tiles are synced, before the first file is renamed.
pub(super) fn complete(path: &Path) -> Result<()> {
    io::append(path, COMPLETE)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IDENTITY: &str = "gguf-export 1 00ff\n";

    fn read(lines: &str, prove: bool) -> Option<Earlier> {
        parse(&[IDENTITY, lines].concat(), IDENTITY, 4, prove)
    }

    #[test]
    fn tiles_and_the_renaming_are_read_back() {
        let text = "0 1\nproven 2\ncomplete\nproven 3";
        let earlier = read(text, false).unwrap();
        assert_eq!((earlier.done, earlier.complete), (vec![true, true, true, false], true));
        assert_eq!(earlier.len, (IDENTITY.len() + text.len() - "proven 3".len()) as u64);
        assert_eq!(read(text, true).unwrap().done, [false, false, true, false]);
        for (lines, complete) in [("complete", false), ("complete\n", true), ("\n", false)] {
            assert_eq!(read(lines, false).unwrap().complete, complete, "{lines:?}");
        }
        for wrong in ["completed\n", "complete \n", "proven complete\n", "4\n", "-1\n"] {
            assert_eq!(read(wrong, false), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_lines_are_read_or_refused(lines in "([0-9 \n]|proven |complete\n){0,40}", prove: bool) {
            if let Some(earlier) = read(&lines, prove) {
                prop_assert_eq!(earlier.done.len(), 4);
                prop_assert!(earlier.len <= (IDENTITY.len() + lines.len()) as u64);
            }
        }
    }
}
