//! Room for a new file: a budget for all files, a reserve on the disk, and the least recently used files that make way.

use std::time::SystemTime;

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was written or last restored.
    pub(super) used: SystemTime,
}

/// The limits of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that all files may take.
    pub(super) budget: u64,
    /// Bytes of the disk that stay free.
    pub(super) reserve: u64,
    /// Free bytes of the disk.
    pub(super) free: u64,
}

/// The files to remove, least recently used first, before one of `bytes` is written; `None` if it does not fit even then.
pub(super) fn make_way(mut files: Vec<Stored>, bytes: u64, room: Room) -> Option<Vec<String>> {
    files.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
    let mut held = files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
    let mut free = room.free;
    let mut removed = Vec::new();
    let mut files = files.into_iter();
    while held.saturating_add(bytes) > room.budget || free < bytes.saturating_add(room.reserve) {
        let file = files.next()?;
        held -= file.bytes;
        free = free.saturating_add(file.bytes);
        removed.push(file.name);
    }
    Some(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn stored(name: usize, bytes: u64, used: u64) -> Stored {
        Stored { name: name.to_string(), bytes, used: SystemTime::UNIX_EPOCH + Duration::from_secs(used) }
    }

    #[test]
    fn the_least_recently_used_files_make_way_and_no_more_than_are_necessary() {
        let files = || vec![stored(0, 30, 3), stored(1, 30, 1), stored(2, 30, 2)];
        let room = Room { budget: 100, reserve: 100, free: 500 };
        assert_eq!(make_way(files(), 10, room).unwrap(), [""; 0]);
        assert_eq!(make_way(files(), 11, room).unwrap(), ["1"]);
        assert_eq!(make_way(files(), 41, room).unwrap(), ["1", "2"]);
        assert_eq!(make_way(files(), 100, room).unwrap(), ["1", "2", "0"]);
        assert_eq!(make_way(files(), 101, room), None);
        let full = Room { free: 105, ..room };
        assert_eq!(make_way(files(), 5, full).unwrap(), [""; 0]);
        assert_eq!(make_way(files(), 6, full).unwrap(), ["1"], "the reserve stays free");
        assert_eq!(make_way(files(), 6, Room { free: 0, ..room }), None);
    }

    proptest! {
        #[test]
        fn neither_budget_nor_reserve_is_exceeded(
            files in prop::collection::vec((0u64..50, 0u64..9), 0..9),
            bytes in 0u64..200, budget in 0u64..300, reserve in 0u64..100, free in 0u64..400,
        ) {
            let files: Vec<Stored> =
                files.into_iter().enumerate().map(|(name, (bytes, used))| stored(name, bytes, used)).collect();
            let held: u64 = files.iter().map(|file| file.bytes).sum();
            let room = Room { budget, reserve, free };
            let fits = |removed: u64| held - removed + bytes <= budget && free + removed >= bytes + reserve;
            let size = |name: &String| files[name.parse::<usize>().unwrap()].bytes;
            match make_way(files.clone(), bytes, room) {
                None => prop_assert!(!fits(held)),
                Some(removed) => {
                    prop_assert!(fits(removed.iter().map(size).sum()));
                    if let Some((_, fewer)) = removed.split_last() {
                        prop_assert!(!fits(fewer.iter().map(size).sum()));
                    }
                    let used = |name: &String| files[name.parse::<usize>().unwrap()].used;
                    let kept = files.iter().filter(|file| !removed.contains(&file.name));
                    let oldest = kept.map(|file| file.used).min();
                    prop_assert!(removed.iter().all(|name| oldest.is_none_or(|oldest| used(name) <= oldest)));
                }
            }
        }
    }
}
