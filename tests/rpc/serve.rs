//! A server whose worker is lost: its requests fail with 500, and it goes on when the worker is back.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::Worker;
use crate::deadline::{PATIENCE, Watchdog, wait_for};
use crate::support::tiny_gguf;

/// A server, and the address that it listens on.
struct Server {
    process: Child,
    address: String,
    _watchdog: Watchdog,
}

impl Server {
    fn start(worker: &Worker) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command.arg("serve").arg("-m").arg(tiny_gguf()).args(["-t", "1", "-ngl", "all", "--port", "0"]);
        command.args(["--rpc", &worker.endpoint.to_string()]).env("NO_COLOR", "1");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LLAMA_ARG_") {
                command.env_remove(name);
            }
        }
        let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let watchdog = Watchdog::of(&process);
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("http://")?;
                Some(rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect::<String>())
            })
            .expect("the server names its address");
        // A full pipe would stop the server.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, address: address.trim_end_matches(':').to_owned(), _watchdog: watchdog }
    }

    fn connect(&self, request: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        Some(stream)
    }

    /// The status and the body of a response.
    fn send(&self, request: &str) -> Option<(u16, String)> {
        let mut text = String::new();
        self.connect(request)?.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn health(&self) -> Option<u16> {
        let request = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        self.send(request).map(|(status, _)| status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A request for an answer of this many tokens.
fn ask(tokens: u32, stream: bool) -> String {
    let body = format!(
        r#"{{"messages": [{{"role": "user", "content": "What is 17 + 25?"}}], "max_tokens": {tokens}, "ignore_eos": true, "stream": {stream}}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_server_goes_on_when_its_lost_worker_is_back() {
    let mut worker = Worker::start();
    let server = Server::start(&worker);
    wait_for("the model", || (server.health() == Some(200)).then_some(()));
    assert_eq!(server.send(&ask(4, false)).unwrap().0, 200);
    thread::scope(|scope| {
        let whole = scope.spawn(|| server.send(&ask(3000, false)).unwrap());
        let mut lines =
            BufReader::new(server.connect(&ask(3000, true)).unwrap()).lines().map_while(Result::ok);
        lines.by_ref().find(|line| line.contains(r#""reasoning_content":"#)).expect("the answer begins");
        worker.kill();
        let last = lines.filter(|line| line.starts_with("data: {")).last().unwrap();
        assert!(last.contains(&worker.endpoint.to_string()) && last.contains("server_error"), "{last}");
        let (status, body) = whole.join().unwrap();
        assert_eq!(status, 500, "{body}");
        assert!(body.contains("server_error"), "{body}");
    });
    wait_for("the server to notice", || (server.health() == Some(503)).then_some(()));
    let _again = Worker::start_with(&["--port", &worker.endpoint.port.to_string()]);
    wait_for("the model", || (server.health() == Some(200)).then_some(()));
    assert_eq!(server.send(&ask(4, false)).unwrap().0, 200);
}
