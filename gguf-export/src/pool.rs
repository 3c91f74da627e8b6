//! Runs a function for each index of a list on a few threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Calls `work` once for each index below `count`, on `threads` threads, each with a state of its own. Stops early
/// when a call fails or `stop` is set; of several errors, returns the one with the lowest index.
pub(crate) fn each<S, E: Send>(
    count: usize,
    threads: usize,
    stop: &AtomicBool,
    state: impl Fn() -> S + Sync,
    work: impl Fn(usize, &mut S) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let first: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let worker = || {
        let mut state = state();
        while !failed.load(Ordering::Relaxed) && !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            if let Err(error) = work(index, &mut state) {
                failed.store(true, Ordering::Relaxed);
                let mut first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if first.as_ref().is_none_or(|(i, _)| index < *i) {
                    *first = Some((index, error));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, count.max(1)) {
            scope.spawn(worker);
        }
        worker();
    });
    match first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_visited_once() {
        let seen: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        let done = each(
            100,
            7,
            &AtomicBool::new(false),
            || (),
            |i, ()| {
                seen[i].fetch_add(1, Ordering::Relaxed);
                Ok::<(), ()>(())
            },
        );
        assert_eq!(done, Ok(()));
        assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn an_error_stops_the_pool() {
        let done =
            each(1 << 40, 2, &AtomicBool::new(false), || (), |i, ()| if i < 5 { Ok(()) } else { Err(i) });
        assert!(done.unwrap_err() >= 5);
    }
}
