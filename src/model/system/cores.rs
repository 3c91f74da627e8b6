//! The cores that this process may use and their speeds, from the files in which Linux describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::files::{field, text};

/// Physical cores that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    /// All of them.
    pub all: u32,
    /// Those that are not much slower than the fastest: performance cores on a hybrid processor.
    pub fast: u32,
}

impl Cores {
    /// Reads the description of the processors. `None` without one, as on systems other than Linux.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        let status = text(root, "proc/self/status").unwrap_or_default();
        let allowed = field(&status, "Cpus_allowed_list").and_then(list);
        let of_kernel = text(root, "sys/devices/cpu_core/cpus").as_deref().and_then(list);
        let mut speeds = BTreeMap::new();
        for (number, siblings) in siblings(root) {
            if allowed.as_ref().is_some_and(|allowed| !allowed.contains(&number)) {
                continue;
            }
            let speed = match &of_kernel {
                Some(fast) => u64::from(fast.contains(&number)),
                None => speed(root, number),
            };
            // Threads of a core have its speed.
            speeds.insert(siblings, speed);
        }
        let fastest = speeds.values().copied().max()?;
        let count = |fast: u64| speeds.values().filter(|speed| **speed >= fast).count();
        Some(Self { all: narrow(count(0)), fast: narrow(count(fastest - fastest / SLOWER)) })
    }

    /// Whether the cores differ in speed.
    #[must_use]
    pub fn are_uneven(self) -> bool {
        self.fast < self.all
    }
}

/// A core is slow if it lacks more than this part of the speed of the fastest. Cores of one kind differ by a few per cent in
/// their highest frequencies, kinds by a fifth and more.
const SLOWER: u64 = 5;

/// The number of physical cores of the machine, whether this process may use them or not.
pub(crate) fn physical(root: &Path) -> Option<u32> {
    let cores: BTreeSet<String> = siblings(root).into_values().collect();
    (!cores.is_empty()).then(|| narrow(cores.len()))
}

/// The processors that are online, each with the list of those of the same core.
fn siblings(root: &Path) -> BTreeMap<u32, String> {
    let entries = fs::read_dir(root.join(CPUS)).into_iter().flatten().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("cpu")?.parse().ok());
    numbers.filter_map(|cpu| Some((cpu, of_processor(root, cpu, "topology/thread_siblings_list")?))).collect()
}

/// The speed of a processor, in a unit of the system: its capacity on ARM, its highest frequency elsewhere.
fn speed(root: &Path, cpu: u32) -> u64 {
    let value = |name: &str| of_processor(root, cpu, name)?.parse().ok();
    value("cpu_capacity").or_else(|| value("cpufreq/cpuinfo_max_freq")).unwrap_or(0)
}

fn of_processor(root: &Path, cpu: u32, name: &str) -> Option<String> {
    text(root, format!("{CPUS}/cpu{cpu}/{name}"))
}

const CPUS: &str = "sys/devices/system/cpu";

/// A list of processors such as `0-3,8`.
fn list(text: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last.checked_sub(first)? >= MOST {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// More processors than any machine has.
const MOST: u32 = 1 << 16;

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::system::tests::machine;

    /// A machine whose processor `i` has the siblings and the value of the file.
    fn with(cpus: &[(&str, &str)], file: &str, more: &[(&str, &str)]) -> tempfile::TempDir {
        let mut files: Vec<(String, &str)> = Vec::new();
        for (number, (siblings, value)) in cpus.iter().enumerate() {
            files.push((format!("{CPUS}/cpu{number}/topology/thread_siblings_list"), siblings));
            files.push((format!("{CPUS}/cpu{number}/{file}"), value));
        }
        files.push((format!("{CPUS}/cpufreq/other"), "x"));
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        machine(&[&files[..], more].concat())
    }

    fn read(root: &tempfile::TempDir) -> Option<(u32, u32)> {
        Cores::read(root.path()).map(|cores| (cores.all, cores.fast))
    }

    const FREQUENCY: &str = "cpufreq/cpuinfo_max_freq";

    /// Two performance cores with two threads each, two efficiency cores.
    const HYBRID: [(&str, &str); 6] = [
        ("0-1", "5200000\n"),
        ("0-1", "5200000\n"),
        ("2-3", "5400000\n"),
        ("2-3", "5400000\n"),
        ("4", "4300000\n"),
        ("5", "4300000\n"),
    ];

    #[test]
    fn threads_of_a_core_count_once() {
        let root = with(
            &[("0,2", "3000000"), ("1,3", "3000000"), ("0,2", "3000000"), ("1,3", "3000000")],
            FREQUENCY,
            &[],
        );
        assert_eq!(read(&root), Some((2, 2)));
        assert_eq!(physical(root.path()), Some(2));
    }

    #[test]
    fn slow_cores_are_known_by_the_list_of_fast_ones() {
        let alike = HYBRID.map(|(siblings, _)| (siblings, "5000000"));
        let root = with(&alike, FREQUENCY, &[("sys/devices/cpu_core/cpus", "0-3\n")]);
        assert_eq!(read(&root), Some((4, 2)));
        assert!(Cores::read(root.path()).unwrap().are_uneven());
    }

    #[test]
    fn slow_cores_are_known_by_capacity() {
        let cores = [("0", "250"), ("1", "250"), ("2", "871"), ("3", "1024")];
        assert_eq!(read(&with(&cores, "cpu_capacity", &[])), Some((4, 2)));
    }

    #[test]
    fn slow_cores_are_known_by_frequency() {
        assert_eq!(read(&with(&HYBRID, FREQUENCY, &[])), Some((4, 2)));
    }

    #[test]
    fn cores_of_one_kind_are_all_fast() {
        let cores = [("0", "5700000"), ("1", "5650000"), ("2", "5100000"), ("3", "4600000")];
        assert_eq!(read(&with(&cores, FREQUENCY, &[])), Some((4, 4)));
        assert_eq!(read(&with(&cores, "nothing", &[])), Some((4, 4)), "nothing is known about their speed");
    }

    #[test]
    fn only_cores_that_the_process_may_use_count() {
        let fast = ("sys/devices/cpu_core/cpus", "0-3");
        for (allowed, expected) in [("0-5", (4, 2)), ("2,4", (2, 1)), ("4-5", (2, 2)), ("0-1", (1, 1))] {
            let status = format!("Name:\tggrun\nCpus_allowed:\tff\nCpus_allowed_list:\t{allowed}\n");
            let root = with(&HYBRID, FREQUENCY, &[fast, ("proc/self/status", &status)]);
            assert_eq!(read(&root), Some(expected), "{allowed}");
            assert_eq!(physical(root.path()), Some(4), "{allowed}");
        }
    }

    #[test]
    fn nothing_is_known_without_the_files() {
        assert_eq!(read(&machine(&[])), None);
        assert_eq!(physical(machine(&[]).path()), None);
        for bad in ["", "a", "3-1", "1-", "0-4294967295"] {
            assert_eq!(list(bad), None, "{bad}");
        }
    }
}
