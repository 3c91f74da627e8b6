//! The prediction layer of another repository, beside a checkpoint that has none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use ggrun::hub::{Event, Hub, RepoName, Settings, mtp_layer};
use gguf_export::arch::MTP_PREFIXES;
use gguf_export::checkpoint::{Checkpoint, Identity, Shard, head_bytes};
use gguf_export::io::{ByteSource as _, FileSource};

use crate::cli::ui::progress::Bar;

/// Takes the layer into a file of a folder, where an interrupted run goes on.
pub(crate) fn take(
    repo: &RepoName,
    checkpoint: &Checkpoint,
    folder: &Path,
    bar: &Bar,
    stop: &AtomicBool,
) -> anyhow::Result<Shard> {
    let has_own = MTP_PREFIXES.iter().any(|prefix| checkpoint.any_with_prefix(prefix));
    anyhow::ensure!(!has_own, "the source has a prediction layer of its own; leave `--mtp-from` out");
    let hub = Hub::new(Settings::read()?)?;
    let heard = |event: Event<'_>| bar.fetch(event);
    let fetch = || {
        let listing = hub.listing(repo, stop, &heard)?;
        mtp_layer(&hub, (repo, &listing), folder, stop, &heard)
    };
    let found = fetch().with_context(|| format!("cannot take a prediction layer from `{repo}`"))?;
    found.with_context(|| format!("`{repo}` has no prediction layer (`mtp.*`)"))
}

/// A folder's checkpoint with one more shard.
pub(crate) fn with(checkpoint: &Checkpoint, lent: Shard) -> gguf_export::Result<Checkpoint> {
    let own = |(path, bytes, identity): (&Path, u64, Identity)| -> gguf_export::Result<Shard> {
        let source = FileSource::open(path)?;
        let mut first = [0; 8];
        source.read_at(0, &mut first)?;
        let length = head_bytes(first).min(bytes);
        let mut head = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        source.read_at(0, &mut head)?;
        Ok(Shard { path: path.to_owned(), head, bytes, identity, source: Arc::new(source), only: None })
    };
    let mut shards = checkpoint.identities().map(own).collect::<gguf_export::Result<Vec<_>>>()?;
    shards.push(lent);
    Checkpoint::assemble(checkpoint.dir(), shards)
}

/// The file has served.
pub(crate) fn give_back(file: &Path) -> anyhow::Result<()> {
    std::fs::remove_file(file).with_context(|| format!("cannot remove `{}`", file.display()))
}
