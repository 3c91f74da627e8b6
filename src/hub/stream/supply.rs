//! Streamed shards as `gguf-export` requests them: for an export, and for a survey before it.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use gguf_export::supply::{Needed, Supply};

use super::{POLL, Pass, Retention, ShardStream, Status, cached_bytes};

impl<'a> ShardStream<'a> {
    /// The same shards for a survey.
    pub fn survey(&self) -> SurveyStream<'_, 'a> {
        SurveyStream(self)
    }
}

impl Supply for ShardStream<'_> {
    fn needed(&self, shards: &[Needed]) {
        self.begin(Pass::Export, shards);
    }

    fn wait(&self, shard: usize) -> gguf_export::Result<()> {
        let Some(remote) = self.shards.get(shard) else { return Ok(()) };
        let mut state = self.lock();
        while state.status[shard] != Status::Present {
            if state.over || self.stop.load(Ordering::Relaxed) {
                return Err(gguf_export::Error::Stopped);
            }
            if state.failed.is_some() {
                // `take_error` has the reason.
                let source = "the download failed".into();
                return Err(gguf_export::Error::Supply { path: remote.path.clone(), source });
            }
            if state.awaited.insert(shard) {
                self.changed.notify_all();
            }
            state = self.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn done(&self, shard: usize) -> gguf_export::Result<()> {
        if self.retention == Retention::Delete {
            self.delete(shard)?;
        }
        if let Some(status) = self.lock().status.get_mut(shard) {
            *status = Status::Done;
        }
        self.changed.notify_all();
        Ok(())
    }

    fn reclaimable(&self, output: &Path) -> u64 {
        let is_one_disk = gguf_export::io::is_one_disk(&self.disk(), output);
        if self.retention == Retention::Keep || !is_one_disk {
            return 0;
        }
        let folder = self.hub.cache().repo(self.repo);
        self.shards.iter().map(|shard| cached_bytes(&folder, &self.listing.commit, shard.file)).sum()
    }

    fn failed(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }
}

/// The shards of a remote checkpoint for a survey.
#[derive(Debug)]
pub struct SurveyStream<'b, 'a>(&'b ShardStream<'a>);

impl Supply for SurveyStream<'_, '_> {
    fn needed(&self, shards: &[Needed]) {
        self.0.begin(Pass::Survey, shards);
    }

    fn wait(&self, shard: usize) -> gguf_export::Result<()> {
        self.0.wait(shard)
    }

    fn done(&self, shard: usize) -> gguf_export::Result<()> {
        if self.0.retention == Retention::Keep || shard < self.0.kept { Ok(()) } else { self.0.done(shard) }
    }

    fn failed(&self) {
        self.0.failed();
    }
}
