//! The worker as a process: streams, exit codes, and clients that send garbage.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Output;

use ggrun::model::{caps, rpc};
use serde_json::Value;

use super::{Worker, command};
use crate::deadline::{PATIENCE, Watchdog, finish, output};

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
        worker.signal(signal);
        let (ended, out, err) = worker.end();
        assert_eq!((ended, &*out), (Some(code), ""), "{err}");
        assert!(err.starts_with("offering CPU, ") && err.ends_with("interrupted\n"), "{err}");
        assert_eq!(err.matches("client connected\n").count(), 1, "{err}");
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

const HELLO: u8 = 14;

/// A message: command, length, bytes.
fn message(command: u8, bytes: &[u8]) -> Vec<u8> {
    [&[command][..], &(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// A connection after a valid greeting.
fn greeted(worker: &Worker) -> TcpStream {
    let mut stream = TcpStream::connect((worker.endpoint.host.as_str(), worker.endpoint.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&message(HELLO, &[0; 24])).unwrap();
    stream.read_exact(&mut [0; 8 + 28]).unwrap();
    stream
}

/// A serialized tensor with this type, operation, number of elements, buffer and address.
fn tensor(ty: u32, op: u32, elements: u32, buffer: u64, data: u64) -> Vec<u8> {
    let mut bytes = 1u64.to_le_bytes().to_vec();
    bytes.extend(ty.to_le_bytes());
    bytes.extend(buffer.to_le_bytes());
    bytes.extend([elements, 1, 1, 1, 4, 4, 4, 4, op].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend([0; 64 + 4 + 10 * 8 + 8 + 8]);
    bytes.extend(data.to_le_bytes());
    bytes.extend([0; 64 + 4]);
    bytes
}

#[test]
fn a_worker_survives_invalid_messages() {
    const ALLOC_BUFFER: u8 = 0;
    const SET_TENSOR: u8 = 6;
    const INIT_TENSOR: u8 = 12;
    let worker = Worker::start();
    let mut garbage: Vec<Vec<u8>> = vec![b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 4096], Vec::new()];
    garbage.push(message(HELLO, &[0; 3]));
    for bytes in garbage {
        let mut stream = TcpStream::connect((worker.endpoint.host.as_str(), worker.endpoint.port)).unwrap();
        stream.write_all(&bytes).unwrap();
        drop(stream);
        rpc::greet(&worker.endpoint).unwrap();
    }
    let lengths = [u64::MAX, 1 << 63, 1 << 60].map(|n| [&[SET_TENSOR][..], &n.to_le_bytes()].concat());
    let unknown = [message(99, &[]), vec![INIT_TENSOR, 1], message(INIT_TENSOR, &[7; 12])];
    for bytes in lengths.into_iter().chain(unknown) {
        greeted(&worker).write_all(&bytes).unwrap();
        rpc::greet(&worker.endpoint).unwrap();
    }
    let (f32, q4_0, none) = (0, 2, 0);
    for (ty, op, elements, address) in [
        (f32, none, u32::MAX, 0),
        (f32, none, 64, u64::MAX - 8),
        (f32, 100_000, 1, 0),
        (q4_0, none, 33, 0),
        (77, none, 1, 0),
    ] {
        let mut stream = greeted(&worker);
        let device_and_size = [&0u32.to_le_bytes()[..], &64u64.to_le_bytes()].concat();
        stream.write_all(&message(ALLOC_BUFFER, &device_and_size)).unwrap();
        let mut answer = [0; 8 + 16];
        stream.read_exact(&mut answer).unwrap();
        let buffer = u64::from_le_bytes(*answer[8..].first_chunk().unwrap());
        assert_ne!(buffer, 0);
        stream.write_all(&message(INIT_TENSOR, &tensor(ty, op, elements, buffer, address))).unwrap();
        // The worker closes the connection.
        assert_eq!(stream.read(&mut answer).unwrap(), 0, "type {ty}, operation {op}, {elements} elements");
        rpc::greet(&worker.endpoint).unwrap();
    }
}
