//! The file of measured speeds. One that is damaged, or that another engine or version wrote, counts as empty.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::atomic::{self, Access};
use crate::llama::DeviceSpeed;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// The device, its driver, and the rest that its speed depends on.
    pub(super) device: String,
    /// What it did.
    pub(super) work: String,
}

/// Speeds that were measured.
#[derive(Debug, Default)]
pub(super) struct Kept {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    key: Key,
    bytes_per_second: f64,
    node_seconds: f64,
    start_seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    schema_version: u32,
    ggrun: String,
    engine: String,
    rates: Vec<Entry>,
}

const SCHEMA: u32 = 1;
/// The maximum length of the file.
const LONGEST: u64 = 1 << 20;
/// The maximum number of entries. The oldest are dropped.
const MOST: usize = 200;

impl Kept {
    /// Reads a file that this version and engine wrote; otherwise nothing is kept.
    pub(super) fn read(path: &Path, engine: &str) -> Self {
        let parse = || {
            let mut text = String::new();
            let read = File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
            let content: Content = serde_json::from_str(&text).ok().filter(|_| read > 0)?;
            let Content { schema_version, ggrun, engine: written_by, rates } = content;
            let is_ours = schema_version == SCHEMA && ggrun == VERSION && written_by == engine;
            is_ours.then_some(rates)
        };
        let mut entries = parse().unwrap_or_default();
        entries.retain(|entry| entry.speed().is_some());
        Self { entries }
    }

    pub(super) fn get(&self, key: &Key) -> Option<DeviceSpeed> {
        self.entries.iter().find(|entry| entry.key == *key)?.speed()
    }

    pub(super) fn set(&mut self, key: Key, speed: DeviceSpeed) {
        self.entries.retain(|entry| entry.key != key);
        let DeviceSpeed { bytes_per_second, node, start } = speed;
        let (node_seconds, start_seconds) = (node.as_secs_f64(), start.as_secs_f64());
        self.entries.push(Entry { key, bytes_per_second, node_seconds, start_seconds });
        self.entries.drain(..self.entries.len().saturating_sub(MOST));
    }

    /// Writes a whole new file.
    pub(super) fn write(&self, path: &Path, engine: &str) -> io::Result<()> {
        let content = Content {
            schema_version: SCHEMA,
            ggrun: VERSION.to_owned(),
            engine: engine.to_owned(),
            rates: self.entries.clone(),
        };
        let text = serde_json::to_string_pretty(&content)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        atomic::write(path, text.as_bytes(), Access::Usual)
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Entry {
    /// The speed, if a device can have it.
    fn speed(&self) -> Option<DeviceSpeed> {
        let seconds = |seconds: f64| {
            let duration = Duration::try_from_secs_f64(seconds).ok()?;
            Some(duration).filter(|duration| *duration < Duration::from_mins(1))
        };
        let rate = Some(self.bytes_per_second).filter(|rate| (1e3..1e16).contains(rate))?;
        let (node, start) = (seconds(self.node_seconds)?, seconds(self.start_seconds)?);
        Some(DeviceSpeed { bytes_per_second: rate, node, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(work: &str) -> Key {
        Key { device: "CUDA CUDA0: a card".to_owned(), work: work.to_owned() }
    }

    const SPEED: DeviceSpeed = DeviceSpeed {
        bytes_per_second: 3.5e11,
        node: Duration::from_nanos(2500),
        start: Duration::from_micros(20),
    };

    /// A file with one entry, and its folder.
    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/rates.json");
        let mut kept = Kept::default();
        kept.set(key("copy"), SPEED);
        kept.write(&path, "b1").unwrap();
        (folder, path)
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (_folder, path) = written();
        let kept = Kept::read(&path, "b1");
        assert_eq!(kept.get(&key("copy")), Some(SPEED));
        assert_eq!(kept.get(&key("other")), None);
    }

    #[test]
    fn a_file_of_another_engine_or_version_counts_as_empty() {
        let (_folder, path) = written();
        assert_eq!(Kept::read(&path, "b2").get(&key("copy")), None);
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("\"schema_version\": 1", "\"schema_version\": 2"),
            (VERSION, "0.0.0-other"),
            ("350000000000.0", "-1"),
            ("350000000000.0", "1e300"),
            ("350000000000.0", "\"fast\""),
            ("0.00002", "-1"),
            ("0.00002", "1e9"),
        ] {
            assert!(text.contains(from), "{from} in {text}");
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert_eq!(Kept::read(&path, "b1").get(&key("copy")), None, "{from} as {to}");
        }
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let (_folder, path) = written();
        let text = std::fs::read(&path).unwrap();
        for length in [0, 1, text.len() / 2, text.len() - 2] {
            std::fs::write(&path, &text[..length]).unwrap();
            let mut kept = Kept::read(&path, "b1");
            assert_eq!(kept.get(&key("copy")), None, "{length} bytes");
            kept.set(key("copy"), SPEED);
            kept.write(&path, "b1").unwrap();
            assert_eq!(Kept::read(&path, "b1").get(&key("copy")), Some(SPEED));
        }
        let folder = path.parent().unwrap();
        assert_eq!(Kept::read(folder, "b1").get(&key("copy")), None, "a folder");
    }

    #[test]
    fn the_oldest_entries_are_dropped() {
        let mut kept = Kept::default();
        for number in 0..=MOST {
            kept.set(key(&number.to_string()), SPEED);
        }
        assert_eq!((kept.get(&key("0")), kept.get(&key("1"))), (None, Some(SPEED)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rates.json");
            std::fs::write(&path, &bytes).unwrap();
            prop_assert_eq!(Kept::read(&path, "b1").get(&key("copy")), None);
        }
    }
}
