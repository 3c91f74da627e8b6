//! Arriving shards as the library asks for them: for an export, and for a survey before it.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use gguf_export::supply::{Needed, Supply};

use super::super::Error;
use super::{Afterwards, Arriving, At, POLL, Walk, present};

pub(in super::super) fn failed(path: &Path, error: Error) -> gguf_export::Error {
    if error.is_stopped() {
        return gguf_export::Error::Stopped;
    }
    gguf_export::Error::Supply { path: path.to_owned(), source: Box::new(error) }
}

impl Supply for Arriving<'_> {
    fn needed(&self, shards: &[Needed]) {
        self.begin(Walk::Export, shards);
    }

    fn wait(&self, shard: usize) -> gguf_export::Result<()> {
        let Some(coming) = self.shards.get(shard) else { return Ok(()) };
        let mut state = self.lock();
        while state.at[shard] != At::Here {
            if state.over || self.stop.load(Ordering::Relaxed) {
                return Err(gguf_export::Error::Stopped);
            }
            if state.failed.is_some() {
                // Why is said once, by `failure`.
                let source = "it does not come".into();
                return Err(gguf_export::Error::Supply { path: coming.path.clone(), source });
            }
            if state.wanted.insert(shard) {
                self.changed.notify_all();
            }
            state = self.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn done(&self, shard: usize) -> gguf_export::Result<()> {
        if self.afterwards == Afterwards::Delete {
            self.delete(shard)?;
        }
        if let Some(at) = self.lock().at.get_mut(shard) {
            *at = At::Done;
        }
        self.changed.notify_all();
        Ok(())
    }

    fn reclaimable(&self, output: &Path) -> u64 {
        let is_one = gguf_export::io::is_one_disk(self.hub.cache().root(), output);
        if self.afterwards == Afterwards::Keep || !is_one {
            return 0;
        }
        let folder = self.hub.cache().repo(self.repo);
        self.shards.iter().map(|coming| present(&folder, coming.file)).sum()
    }

    fn failed(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }
}

/// The shards of a checkpoint for a survey.
#[derive(Debug)]
pub struct Surveyed<'b, 'a>(pub(super) &'b Arriving<'a>);

impl Supply for Surveyed<'_, '_> {
    fn needed(&self, shards: &[Needed]) {
        self.0.begin(Walk::Survey, shards);
    }

    fn wait(&self, shard: usize) -> gguf_export::Result<()> {
        self.0.wait(shard)
    }

    fn done(&self, shard: usize) -> gguf_export::Result<()> {
        if self.0.afterwards == Afterwards::Keep || shard < self.0.staying {
            Ok(())
        } else {
            self.0.done(shard)
        }
    }

    fn failed(&self) {
        self.0.failed();
    }
}
