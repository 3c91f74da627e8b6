//! In tests, ends an operation before a chosen change of the disk, as a kill would.

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "it fails in tests")]
pub(super) fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use in_tests::step;
#[cfg(test)]
pub(crate) use in_tests::{Kind, after};

#[cfg(test)]
mod in_tests {
    use std::cell::Cell;
    use std::io;

    /// What happens at the chosen change.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Kind {
        /// It fails, and so does every later one, so that nothing is cleaned up.
        Fail,
        /// The process ends.
        Abort,
    }

    thread_local! {
        static LEFT: Cell<Option<(u32, Kind)>> = const { Cell::new(None) };
    }

    /// Runs `work` on this thread, and lets it make `changes` changes. Returns the number that it made, or `None` if it
    /// attempted more.
    pub(crate) fn after<T>(changes: u32, kind: Kind, work: impl FnOnce() -> T) -> (T, Option<u32>) {
        LEFT.set(Some((changes, kind)));
        let done = work();
        let made = LEFT.take().and_then(|(left, _)| changes.checked_sub(left));
        (done, made)
    }

    pub(in crate::io) fn step() -> io::Result<()> {
        let Some((left, kind)) = LEFT.get() else { return Ok(()) };
        match (left, kind) {
            (0, Kind::Abort) => std::process::abort(),
            (0 | u32::MAX, _) => {
                LEFT.set(Some((u32::MAX, kind)));
                Err(io::Error::other("killed"))
            }
            _ => {
                LEFT.set(Some((left - 1, kind)));
                Ok(())
            }
        }
    }
}
