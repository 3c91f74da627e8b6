//! Experts that llama.cpp reads from disk as they are chosen, with our patch: how much memory they may take, and how many
//! of them had to be read.
#![expect(unsafe_code, reason = "calls C functions by name")]

use std::ffi::{CStr, c_void};

use super::backend;

/// Bytes of the experts that were chosen since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streamed {
    /// All of them.
    pub chosen: u64,
    /// Those that were not in memory.
    pub read: u64,
}

impl Streamed {
    /// The share that was in memory, of what was chosen since `earlier`; `None` if nothing was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn hit_rate(self, earlier: Self) -> Option<f64> {
        let chosen = self.chosen.checked_sub(earlier.chosen).filter(|bytes| *bytes > 0)?;
        let read = self.read.saturating_sub(earlier.read);
        Some(1.0 - (read as f64 / chosen as f64).min(1.0))
    }
}

/// Whether this build of llama.cpp can read experts from disk as they are chosen.
#[must_use]
pub fn can_stream() -> bool {
    procedure(c"ggrun_stream_add").is_some()
}

/// What was read from disk so far.
#[must_use]
pub fn streamed() -> Streamed {
    let mut streamed = Streamed::default();
    if let Some(function) = procedure(c"ggrun_stream_counts") {
        // SAFETY: under this name our patch has a function of this type.
        let counts =
            unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut u64, *mut u64)>(function) };
        // SAFETY: it writes both numbers and keeps no pointer.
        unsafe { counts(&raw mut streamed.chosen, &raw mut streamed.read) };
    }
    streamed
}

/// Limits the memory of all experts that are read from disk in this process.
pub(super) fn set_room(bytes: u64) {
    if let Some(function) = procedure(c"ggrun_stream_room") {
        // SAFETY: under this name our patch has a function of this type, which takes a lock.
        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(u64)>(function)(bytes) };
    }
}

fn procedure(name: &CStr) -> Option<*mut c_void> {
    backend::procedure(c"CPU", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_rate_is_that_of_the_bytes_since_then() {
        let at = |chosen, read| Streamed { chosen, read };
        assert_eq!(at(1000, 900).hit_rate(at(1000, 900)), None);
        assert_eq!(at(1000, 900).hit_rate(at(800, 850)), Some(0.75));
        assert_eq!(at(1000, 900).hit_rate(at(0, 900)), Some(1.0));
        assert_eq!(at(10, 90).hit_rate(at(0, 0)), Some(0.0), "read ahead, and not chosen yet");
        assert_eq!(at(0, 0).hit_rate(at(1, 0)), None);
    }
}
