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

/// What is too small for a file even if all others are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRoom {
    /// The budget.
    #[error("the state has {bytes} bytes, more than the budget of {budget} for all states")]
    Budget { bytes: u64, budget: u64 },
    /// The disk, without the reserve.
    #[error(
        "the state has {bytes} bytes and {reserve} must stay free, but only {free} can be made available on the disk"
    )]
    Disk { bytes: u64, reserve: u64, free: u64 },
}

/// Bytes of all files.
pub(super) fn total(files: &[Stored]) -> u64 {
    files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
}

/// The files to remove before one of `bytes` is written: those that it replaces come first, then the least recently used.
pub(super) fn make_way(
    files: &[Stored],
    replaced: &[String],
    bytes: u64,
    room: Room,
) -> Result<Vec<String>, NoRoom> {
    let Room { budget, reserve, mut free } = room;
    let mut held = total(files);
    let mut files: Vec<&Stored> = files.iter().collect();
    files.sort_by_key(|file| (!replaced.contains(&file.name), file.used, &file.name));
    let mut files = files.into_iter();
    let mut removed = Vec::new();
    while held.saturating_add(bytes) > budget || free < bytes.saturating_add(reserve) {
        let Some(file) = files.next() else {
            let no_room = NoRoom::Disk { bytes, reserve, free };
            return Err(if bytes > budget { NoRoom::Budget { bytes, budget } } else { no_room });
        };
        held -= file.bytes;
        free = free.saturating_add(file.bytes);
        removed.push(file.name.clone());
    }
    Ok(removed)
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
        let files = [stored(0, 30, 3), stored(1, 30, 1), stored(2, 30, 2)];
        let make_way = |bytes, room| make_way(&files, &[], bytes, room);
        let room = Room { budget: 100, reserve: 100, free: 500 };
        assert_eq!(make_way(10, room).unwrap(), [""; 0]);
        assert_eq!(make_way(11, room).unwrap(), ["1"]);
        assert_eq!(make_way(41, room).unwrap(), ["1", "2"]);
        assert_eq!(make_way(100, room).unwrap(), ["1", "2", "0"]);
        assert_eq!(make_way(101, room), Err(NoRoom::Budget { bytes: 101, budget: 100 }));
        let full = Room { free: 105, ..room };
        assert_eq!(make_way(5, full).unwrap(), [""; 0]);
        assert_eq!(make_way(6, full).unwrap(), ["1"], "the reserve stays free");
        let none = Room { free: 0, ..room };
        assert_eq!(make_way(6, none), Err(NoRoom::Disk { bytes: 6, reserve: 100, free: 90 }));
    }

    #[test]
    fn files_that_are_replaced_make_way_before_others() {
        let files = [stored(0, 30, 3), stored(1, 30, 1), stored(2, 30, 2)];
        let room = Room { budget: 100, reserve: 0, free: 500 };
        let make_way = |replaced: &[&str], bytes| {
            let replaced: Vec<String> = replaced.iter().map(|&name| name.to_owned()).collect();
            super::make_way(&files, &replaced, bytes, room).unwrap()
        };
        assert_eq!(
            make_way(&["0"], 10),
            [""; 0],
            "while there is room, they stay until the new one is written"
        );
        assert_eq!(make_way(&["0"], 40), ["0"]);
        assert_eq!(make_way(&["0", "2"], 50), ["2", "0"]);
        assert_eq!(make_way(&["0"], 50), ["0", "1"]);
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
            match make_way(&files, &[], bytes, room) {
                Err(_) => prop_assert!(!fits(held)),
                Ok(removed) => {
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
