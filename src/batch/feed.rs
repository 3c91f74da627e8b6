//! The inputs of the loop: lines read on another thread, and wake-ups by the engine.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::Wake;
use std::thread::{self, Thread};

use super::{Error, Line, Source};

/// The maximum number of lines to read ahead.
const AHEAD: usize = 4;

/// Reads on a thread of its own, so that answers do not wait for a slow input. The thread ends with the input, or once
/// the receiver is dropped.
pub(super) fn read_ahead(mut source: Source) -> Receiver<Result<(u64, Line), Error>> {
    let (sender, lines) = sync_channel(AHEAD);
    let reader = thread::current();
    thread::spawn(move || {
        while let Some(line) = source.read().transpose() {
            let failed = line.is_err();
            if sender.send(line).is_err() || failed {
                break;
            }
            reader.unpark();
        }
        drop(sender);
        reader.unpark();
    });
    lines
}

/// Wakes the polling thread.
pub(super) struct Unpark(pub(super) Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
