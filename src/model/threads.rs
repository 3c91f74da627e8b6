//! The default number of threads.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

/// The number of physical cores that this process may use. Two threads on one core slow each other down.
#[must_use]
pub fn default_threads() -> u32 {
    let allowed = thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    physical_cores().map_or(allowed, |cores| cores.min(allowed)).max(1)
}

/// Counts cores by the lists of threads that share a core, on Linux.
fn physical_cores() -> Option<u32> {
    let entries = fs::read_dir("/sys/devices/system/cpu").ok()?;
    let siblings = entries
        .filter_map(Result::ok)
        .filter_map(|entry| fs::read_to_string(entry.path().join("topology/thread_siblings_list")).ok());
    let cores: BTreeSet<String> = siblings.map(|list| list.trim().to_owned()).collect();
    u32::try_from(cores.len()).ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_at_least_one_and_at_most_what_the_process_may_use() {
        let allowed = u32::try_from(thread::available_parallelism().unwrap().get()).unwrap();
        assert!((1..=allowed).contains(&default_threads()));
    }
}
