//! The default number of threads, and whether threads can be started.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::{io, thread};

use super::system::{Cores, physical};
use crate::llama::share_by_pieces;

/// The number of physical cores that this process may use, without the efficiency cores of a hybrid processor. Two threads on
/// one core slow each other down, and fast cores wait for slow ones.
#[must_use]
pub fn default_threads() -> u32 {
    let allowed = processors();
    Cores::read(Path::new("/")).map_or(allowed, |cores| cores.fast.min(allowed)).max(1)
}

/// Lets llama.cpp share work by the speed of its threads if the cores that this process may use differ in speed.
pub fn share_by_speed() {
    if Cores::read(Path::new("/")).is_some_and(Cores::are_uneven) {
        share_by_pieces();
    }
}

/// The number of processors that this process may use.
pub(super) fn processors() -> u32 {
    thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// The number of physical cores of the machine, which the load of all its programs is compared with: a container may use
/// only some of them.
#[must_use]
pub fn machine_cores() -> u32 {
    physical(Path::new("/")).unwrap_or_else(default_threads)
}

/// The stack of a thread of llama.cpp, by the default of most systems.
const STACK: usize = 8 << 20;

/// Starts this many threads at once and ends them. llama.cpp ends the process if it cannot start one.
///
/// # Errors
///
/// When the system refuses.
pub(super) fn try_start(count: u32) -> io::Result<()> {
    let (done, all) = (Mutex::new(false), Condvar::new());
    thread::scope(|scope| {
        let start = || {
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                while !*done {
                    done = all.wait(done).unwrap_or_else(PoisonError::into_inner);
                }
            })
        };
        let started = (0..count).try_for_each(|_| start().map(drop));
        *done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        all.notify_all();
        started
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_start_and_end() {
        assert!(try_start(0).is_ok() && try_start(5).is_ok());
    }

    #[test]
    fn the_default_is_at_least_one_and_at_most_what_the_process_may_use() {
        let allowed = u32::try_from(thread::available_parallelism().unwrap().get()).unwrap();
        assert!((1..=allowed).contains(&default_threads()));
    }
}
