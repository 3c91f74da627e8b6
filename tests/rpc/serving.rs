//! The worker as a process: streams, exit codes, and several clients.

use std::net::TcpListener;
use std::process::Output;

use ggrun::model::{caps, rpc};
use serde_json::Value;

use super::client::Client;
use super::{Worker, command};
use crate::deadline::{Watchdog, finish, output};

#[test]
fn the_engine_has_all_patches() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/patches/llama.cpp");
    let mut series: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    series.sort();
    let caps = caps();
    let found: Vec<String> = caps.patches.iter().map(|name| format!("{name}.patch")).collect();
    assert_eq!(found, series, "rebuild an older llama.cpp with `cargo clean -p llama-cpp-sys-2`");
    assert!(caps.rpc);
}

#[test]
fn a_worker_prints_its_endpoint_and_ends_on_a_signal() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let worker = Worker::start();
        assert_eq!(worker.endpoint.host, "127.0.0.1");
        rpc::greet(&worker.endpoint).unwrap();
        let client = Client::of(&worker);
        worker.signal(signal);
        let (ended, out, err) = worker.end();
        assert_eq!((ended, &*out), (Some(code), ""), "{err}");
        assert!(err.starts_with("offering CPU, ") && err.ends_with("interrupted\n"), "{err}");
        // A greeting alone is no client.
        assert_eq!(err.matches("client connected\n").count(), 1, "{err}");
        client.ends();
    }
}

#[test]
fn a_worker_describes_itself_as_json() {
    let mut child = command(&["--port", "0", "--json", "-d", "CPU"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let _watchdog = Watchdog::of(&child);
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert!(json["endpoint"].as_str().unwrap().starts_with("127.0.0.1:"), "{json}");
    assert_eq!(json["devices"][0]["name"], "CPU");
    assert!(json["devices"][0]["memory_bytes"].as_u64().unwrap() > 1 << 20, "{json}");
}

#[track_caller]
fn refused(output: &Output, code: i32, says: &[&str]) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(code), &b""[..]), "{err}");
    for words in says {
        assert!(err.contains(words), "`{words}` is not in\n{err}");
    }
}

#[test]
fn addresses_and_devices_that_cannot_be_served_are_errors() {
    let remote = output(&mut command(&["--host", "0.0.0.0"]));
    refused(&remote, 2, &["`0.0.0.0`", "no password and no encryption", "--allow-remote"]);
    let other = output(&mut command(&["--host", "::1"]));
    refused(&other, 2, &["invalid value `::1`"]);
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let busy = output(&mut command(&["--port", &port]));
    refused(&busy, 1, &[&format!("cannot listen on `127.0.0.1:{port}`"), "--port 0"]);
    let device = output(&mut command(&["--device", "CUDA7"]));
    refused(&device, 1, &["unknown device `CUDA7`, expected CPU"]);
}

#[test]
fn allow_remote_prints_a_warning() {
    let mut child = command(&["--host", "0.0.0.0", "--port", "0", "--allow-remote"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _watchdog = Watchdog::of(&child);
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    child.kill().unwrap();
    let err = String::from_utf8(finish(child).stderr).unwrap();
    assert!(line.starts_with("0.0.0.0:"), "{line}");
    assert!(err.starts_with("warning: listening on `0.0.0.0:") && err.contains("read and write"), "{err}");
}
