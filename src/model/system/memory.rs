//! Main memory and what this process may have of it, from the files in which Linux tells about them. `root` is where these
//! begin, so that another machine can be read from a folder.

mod group;

use std::fs;
use std::io::Read as _;
use std::path::Path;

pub use group::{Limits, limits};

/// Main memory in bytes, as far as the system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MainMemory {
    /// What there is.
    pub total: Option<u64>,
    /// What programs can have of it now without swapping, within the limits.
    pub available: Option<u64>,
    /// What the limits allow, where that is less than all.
    pub limit: Option<u64>,
    /// Swap.
    pub swap: Option<u64>,
}

impl MainMemory {
    /// Reads about it.
    #[must_use]
    pub fn read(root: &Path, limits: Limits) -> Self {
        let info = text(root, "proc/meminfo").unwrap_or_default();
        let kib = |key| field(&info, key)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024);
        let total = kib("MemTotal");
        Self {
            total,
            available: least(kib("MemAvailable"), limits.left),
            limit: limits.memory.filter(|limit| total.is_none_or(|total| *limit < total)),
            swap: kib("SwapTotal"),
        }
    }

    /// What a program can have at most.
    #[must_use]
    pub fn usable(&self) -> Option<u64> {
        least(self.total, self.limit)
    }
}

/// A small file, without the space around what it says. These files tell no length, so that it is read up to one.
#[must_use]
pub fn text(root: &Path, path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::new();
    fs::File::open(root.join(path)).ok()?.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

/// The first value of a name in lines of `name : value`.
#[must_use]
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The smaller of two numbers where both are known.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A folder that looks like a machine.
    pub(crate) fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn memory_is_read_within_the_limits_of_groups() {
        let info =
            "MemTotal:       65536000 kB\nMemFree: 1 kB\nMemAvailable:   32768000 kB\nSwapTotal:  8 kB\n";
        let root = machine(&[("proc/meminfo", info)]);
        let free = MainMemory {
            total: Some(65_536_000 << 10),
            available: Some(32_768_000 << 10),
            limit: None,
            swap: Some(8 << 10),
        };
        assert_eq!(MainMemory::read(root.path(), Limits::default()), free);
        assert_eq!(free.usable(), free.total);
        let limits = Limits { memory: Some(16 << 30), left: Some(5 << 30), quota_percent: None };
        let held = MainMemory::read(root.path(), limits);
        assert_eq!((held.usable(), held.available), (Some(16 << 30), Some(5 << 30)));
        let loose = Limits { memory: Some(1 << 50), ..Limits::default() };
        assert_eq!(MainMemory::read(root.path(), loose).limit, None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(garbage in "[ -~\t\n]{0,200}") {
            prop_assert!(field(&garbage, "a").is_none_or(|value| garbage.contains(value)));
            let files = ["proc/meminfo", "proc/self/cgroup", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.stat"];
            let root = machine(&files.map(|file| (file, garbage.as_str())));
            let memory = MainMemory::read(root.path(), limits(root.path()));
            prop_assert!(memory.total.is_none_or(|total| memory.usable().is_some_and(|usable| usable <= total)));
        }
    }
}
