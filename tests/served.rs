//! `ggrun serve` as a process with the bundled model, and requests to it.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::{PATIENCE, Watchdog};
use crate::support::tiny_gguf;

/// A server that is killed when dropped.
pub(crate) struct Served {
    process: Child,
    address: String,
    /// What it wrote until it was ready.
    pub(crate) notes: String,
    _watchdog: Watchdog,
}

impl Served {
    /// Starts a server on one thread. Returns once it has written its address and `awaited`.
    pub(crate) fn start(configure: impl FnOnce(&mut Command), awaited: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command.arg("serve").arg("-m").arg(tiny_gguf()).args(["-t", "1", "--port", "0"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LLAMA_") {
                command.env_remove(name);
            }
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        configure(&mut command);
        let mut process = command.spawn().unwrap();
        let watchdog = Watchdog::of(&process);
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let (mut notes, mut address) = (String::new(), None);
        while address.is_none() || !notes.contains(awaited) {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "{notes}");
            let is_address = |c: &char| c.is_ascii_digit() || ".:".contains(*c);
            let named = line.split_once("http://").map(|(_, rest)| rest.chars().take_while(is_address));
            address = address.or(named.map(Iterator::collect::<String>));
            notes += &line;
        }
        // A full pipe would stop the server.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let address = address.unwrap().trim_end_matches([':', '.']).to_owned();
        Self { process, address, notes, _watchdog: watchdog }
    }

    /// Sends a request, whose headers end with line breaks, and returns the connection; `None` if that fails.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all((head + body).as_bytes()).ok()?;
        Some(stream)
    }

    /// The status and the body of a response; `None` if none arrives.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, String)> {
        let mut text = String::new();
        self.send(method, path, headers, body)?.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Ends it with a signal that it handles, and returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
