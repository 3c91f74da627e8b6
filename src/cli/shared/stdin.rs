//! Text from standard input: a pipe or a file, never a terminal or a device.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::fs::FileType;

use crate::cli::ui::err;

/// The largest text, in bytes.
const LONGEST: u64 = 1 << 28;
/// Time after which a note says that the input has not ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// The text, if standard input is a pipe or a file, without the newline at its end.
///
/// A pipe is read until it is closed; `< /dev/null` prevents that. A note is printed if it is still open after two
/// seconds.
///
/// # Errors
///
/// When it cannot be read, is not UTF-8, or has more than 256 MiB.
pub(crate) fn text() -> anyhow::Result<Option<String>> {
    let Ok(stat) = rustix::fs::fstat(io::stdin().as_fd()) else { return Ok(None) };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Fifo | FileType::Socket => {}
        _ => return Ok(None),
    }
    let (done, waiting) = channel::<()>();
    thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            err::note("waiting for the end of standard input; `< /dev/null` skips it");
        }
    });
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes);
    drop(done);
    read.context("cannot read standard input")?;
    if bytes.len() as u64 > LONGEST {
        bail!("standard input is larger than 256 MiB");
    }
    let mut text = String::from_utf8(bytes).ok().context("standard input is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(Some(text))
}
