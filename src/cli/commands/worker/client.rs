//! The process that serves one client: how the worker starts it, and what it does.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use ggrun::model::rpc::{self, Lent};
use ggrun::model::share_by_speed;

use crate::cli::exit::Outcome;

/// How often the process checks that the worker is still running.
const POLL: Duration = Duration::from_millis(50);
/// The stack of the thread that serves. llama.cpp reads a graph recursively.
const STACK: usize = 64 << 20;

/// What every process of a client serves.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) devices: Vec<String>,
    pub(super) threads: u32,
}

impl Child {
    /// Serves a client in a process of its own until it disconnects.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub(super) fn serve(&self, stream: TcpStream) -> io::Result<ExitStatus> {
        let mut command = Command::new(own_path()?);
        command.arg("worker").arg("--serve-client").arg(std::process::id().to_string());
        command.arg("--device").arg(self.devices.join(",")).arg("--threads").arg(self.threads.to_string());
        // An abort is expected here, and needs no debugger.
        command.env("GGML_NO_BACKTRACE", "1");
        let mut child = command.stdin(OwnedFd::from(stream)).stdout(Stdio::null()).spawn()?;
        drop(command); // It holds the socket, which must close when the process ends.
        child.wait()
    }
}

/// The program of this process, even if its file was replaced since.
fn own_path() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Serves the client whose socket is standard input, until it disconnects or the worker ends.
///
/// # Errors
///
/// When standard input is not a socket, or llama.cpp cannot serve it.
pub(super) fn serve(parent: u32, devices: Vec<Lent>, threads: u32) -> anyhow::Result<Outcome> {
    let socket = io::stdin().as_fd().try_clone_to_owned().context("cannot use standard input as a socket")?;
    thread::spawn(move || {
        while parent_id() == parent {
            thread::sleep(POLL);
        }
        signal_hook::low_level::exit(0);
    });
    share_by_speed();
    let work = move || rpc::serve_socket(socket, &devices, threads);
    let serving = thread::Builder::new().stack_size(STACK).spawn(work).context("cannot start a thread")?;
    match serving.join() {
        Ok(served) => served?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    Ok(Outcome::Success)
}
