//! Main memory, the limits of this process, the load and versions of drivers, from the files in which Linux describes them.
//! `root` is the folder above `proc` and `sys`, so that tests can describe any machine.

mod cores;
mod driver;
mod files;
mod group;
mod load;
mod memory;

pub use cores::Cores;
pub(super) use cores::physical;
pub use driver::{driver, kernel};
pub use files::{field, text};
pub use group::{Limits, limits};
pub use load::load_average;
pub use memory::MainMemory;

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    /// A folder with the files of a machine.
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
    fn memory_is_limited_by_control_groups() {
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

    #[test]
    fn memory_is_limited_by_the_address_space() {
        let read = |limit: &str| {
            let limits = format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax address space  {limit}  unlimited  bytes\n"
            );
            let root = machine(&[
                ("proc/meminfo", "MemTotal: 65536000 kB\nMemAvailable: 32768000 kB\n"),
                ("proc/self/limits", &limits),
                ("proc/self/status", "VmSize:\t  1024 kB\n"),
            ]);
            MainMemory::read(root.path(), Limits::default()).available
        };
        assert_eq!(read("unlimited"), Some(32_768_000 << 10));
        assert_eq!(read("1074790400"), Some((1 << 30) - (128 << 20)));
        assert_eq!(read("100000"), Some(0));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(garbage in "[ -~\t\n]{0,200}") {
            prop_assert!(field(&garbage, "a").is_none_or(|value| garbage.contains(value)));
            let files = ["proc/meminfo", "proc/self/limits", "proc/self/cgroup", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.stat"];
            let root = machine(&files.map(|file| (file, garbage.as_str())));
            let memory = MainMemory::read(root.path(), limits(root.path()));
            prop_assert!(memory.total.is_none_or(|total| memory.usable().is_some_and(|usable| usable <= total)));
        }
    }
}
