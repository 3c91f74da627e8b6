//! Deadlines for everything that a test waits for, and the number of times it kills a process.

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The deadline of everything that a test waits for. Generous, so that only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// Polls until `ready` returns a value.
///
/// # Panics
///
/// After [`PATIENCE`], naming `what` was awaited.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Kills a process that runs longer than [`PATIENCE`], or another time, so that a test that waits for it fails instead of hanging.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Dropping it calls the watchdog off.
    _off: mpsc::Sender<()>,
}

impl Watchdog {
    pub(crate) fn of(child: &Child) -> Self {
        Self::after(PATIENCE, child)
    }

    #[expect(clippy::print_stderr, reason = "the log says why the process died")]
    pub(crate) fn after(patience: Duration, child: &Child) -> Self {
        let (sender, off) = mpsc::channel();
        let id = child.id().to_string();
        thread::spawn(move || {
            if off.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("process {id} still runs after {patience:?}; killing it");
                drop(Command::new("kill").args(["-KILL", &id]).status());
            }
        });
        Self { _off: sender }
    }
}

/// Waits for a process, at most [`PATIENCE`], and collects what its pipes still hold.
pub(crate) fn finish(child: Child) -> Output {
    let _watchdog = Watchdog::of(&child);
    child.wait_with_output().expect("a child can be waited for")
}

/// Runs a command with a deadline of [`PATIENCE`] and captures both streams.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("the command starts"))
}

/// How often a test kills a process: at least `least` times, then until its time is up. With `GGRUN_SLOW_TESTS` set,
/// `slow` times.
#[derive(Debug)]
pub(crate) struct Kills {
    least: u32,
    most: u32,
    until: Instant,
    pub(crate) done: u32,
}

impl Kills {
    pub(crate) fn new(least: u32, time: Duration, slow: u32) -> Self {
        let least = if std::env::var_os("GGRUN_SLOW_TESTS").is_some() { slow } else { least };
        Self { least, most: slow, until: Instant::now() + time, done: 0 }
    }

    /// Whether no further kill is due.
    pub(crate) fn over(&self) -> bool {
        self.done >= self.most || (self.done >= self.least && Instant::now() >= self.until)
    }
}
