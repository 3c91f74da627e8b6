//! Workers on loopback: `ggrun worker` as a process, and models placed on one.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod client;
mod clients;
mod hostile;
mod layouts;
mod lost;
mod serve;
mod serving;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use ggrun::model::rpc::Endpoint;

use crate::deadline::Watchdog;
use crate::ports::Refusing;

/// A worker process that is killed when dropped, with the processes that serve its clients.
pub(crate) struct Worker {
    process: Child,
    _watchdog: Watchdog,
    out: BufReader<ChildStdout>,
    pub(crate) endpoint: Endpoint,
    /// Its port, once it is killed.
    port: Option<Refusing>,
}

impl Worker {
    /// One thread, because tests run in parallel.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Self {
        let mut command = command(&[&["--port", "0", "-t", "1"], more].concat());
        command.process_group(0);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let watchdog = Watchdog::of(&process);
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let endpoint = line.trim_end().parse().unwrap_or_else(|_| panic!("`{line}` is not an endpoint"));
        Self { process, _watchdog: watchdog, out, endpoint, port: None }
    }

    /// Kills it, like a power failure. On a busy machine, the processes of clients end a moment later, and until then their
    /// sockets take data.
    fn kill(&mut self) {
        self.signal_all("KILL");
        self.process.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while self.has_processes() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.port = Some(Refusing::at(self.endpoint.port));
    }

    /// Whether a process of its group exists.
    fn has_processes(&self) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("kill -s 0 -- -{}", self.process.id())]).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    fn signal(&self, name: &str) {
        self.send(name, &self.process.id().to_string());
    }

    /// Signals the processes of clients as well.
    fn signal_all(&self, name: &str) {
        self.send(name, &format!("-{}", self.process.id()));
    }

    fn send(&self, name: &str, to: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -s {name} -- {to}")]).status().unwrap();
        assert!(sent.success(), "{} has ended", self.endpoint);
    }

    /// Waits for its end: exit code, rest of standard output, standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.process.wait().unwrap().code(), out, err)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("worker").args(arguments).stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}
