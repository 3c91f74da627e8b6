//! The speed of the disk that holds a model's file, measured by reading parts of it past the page cache.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Reads that are under way at once.
const DEPTH: u64 = 8;
/// Bytes of a read: about a slice of an expert.
const READ: usize = 512 << 10;
/// Multiple of addresses, offsets and lengths that every disk accepts for direct reads.
const ALIGNMENT: usize = 4096;
/// Parts of the measurement that are compared with each other.
const PARTS: u32 = 4;
/// Below this share of the fastest part, the slowest says that other programs use the disk.
const STEADY: f64 = 0.5;

/// How fast a disk is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskSpeed {
    /// Bytes per second, of eight reads at once.
    pub bytes_per_second: f64,
    /// Whether all parts of the measurement were about as fast.
    pub is_steady: bool,
}

impl DiskSpeed {
    /// Measures for about `time`. `None` if the file is small, if it cannot be read past the page cache, or if nothing was read
    /// in time.
    #[must_use]
    pub fn measure(path: &Path, time: Duration) -> Option<Self> {
        let reads = std::fs::metadata(path).ok()?.len() / READ as u64;
        if reads < 4 * DEPTH {
            return None;
        }
        let start = Instant::now();
        let reader = |number: u64| {
            let file = open(path).ok()?;
            let mut buffer = vec![0u8; READ + ALIGNMENT];
            let from = buffer.as_ptr().align_offset(ALIGNMENT);
            let buffer = buffer.get_mut(from..from + READ)?;
            let mut parts = [0u64; PARTS as usize];
            // A step that shares no factor with most numbers spreads the reads over the file.
            let mut at = number * reads / DEPTH;
            loop {
                read_at(&file, buffer, at * READ as u64).ok()?;
                let part = (start.elapsed() * PARTS).div_duration_f64(time);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few parts")]
                match parts.get_mut(part as usize) {
                    Some(bytes) => *bytes += READ as u64,
                    None => return Some(parts),
                }
                at = (at + 7919) % reads;
            }
        };
        let parts = thread::scope(|scope| {
            let start = |number| thread::Builder::new().spawn_scoped(scope, move || reader(number));
            let readers = (0..DEPTH).map(start).collect::<Result<Vec<_>, _>>().ok()?;
            let mut sum = [0u64; PARTS as usize];
            for reader in readers {
                let parts = reader.join().ok()??;
                sum.iter_mut().zip(parts).for_each(|(sum, bytes)| *sum += bytes);
            }
            Some(sum).filter(|sum| sum.iter().any(|bytes| *bytes > 0))
        })?;
        Some(Self::of(&parts, time / PARTS))
    }

    /// The speed of parts that took `time` each.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn of(parts: &[u64], time: Duration) -> Self {
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let bytes: u64 = parts.iter().sum();
        let slowest = parts.iter().min().map_or(0.0, |bytes| *bytes as f64);
        let fastest = parts.iter().max().map_or(0.0, |bytes| *bytes as f64);
        Self {
            bytes_per_second: bytes as f64 / (time * count).as_secs_f64(),
            is_steady: slowest >= STEADY * fastest,
        }
    }
}

#[cfg(target_os = "linux")]
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).map_err(std::io::Error::other)?;
    File::options().read(true).custom_flags(direct).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open(_: &Path) -> std::io::Result<File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_all_parts_and_a_slow_one_is_noticed() {
        let speed = |parts: &[u64]| DiskSpeed::of(parts, Duration::from_millis(250));
        assert_eq!(speed(&[100, 100, 100, 100]), DiskSpeed { bytes_per_second: 400.0, is_steady: true });
        assert_eq!(speed(&[160, 40, 100, 100]), DiskSpeed { bytes_per_second: 400.0, is_steady: false });
    }

    #[test]
    fn a_file_is_read_past_the_page_cache_or_not_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![1u8; 64 << 20]).unwrap();
        if let Some(speed) = DiskSpeed::measure(&path, Duration::from_millis(40)) {
            assert!(speed.bytes_per_second > 0.0, "{speed:?}");
        }
        std::fs::write(&path, vec![1u8; 1 << 20]).unwrap();
        assert_eq!(DiskSpeed::measure(&path, Duration::from_millis(40)), None, "too small");
        assert_eq!(DiskSpeed::measure(&folder.path().join("missing"), Duration::from_millis(40)), None);
    }
}
