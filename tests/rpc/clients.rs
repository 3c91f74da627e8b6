//! Several clients of one worker: idle, silent and slow ones block no other.

use std::process::{Command, Stdio};

use ggrun::model::rpc::{self, WorkerError};
use ggrun::model::{GpuLayers, LoadOptions, Model};

use super::Worker;
use super::client::{Client, HELLO, message};
use crate::deadline::{output, wait_for};
use crate::support::tiny_gguf;

#[test]
fn a_silent_client_blocks_no_other() {
    let worker = Worker::start_with(&["--clients", "2"]);
    let mut others: Vec<Client> = (0..20).map(|_| Client::silent(&worker)).collect();
    for beginning in [1, 8, 9, 32] {
        let mut slow = Client::silent(&worker);
        slow.send(&message(HELLO, &[0; 24])[..beginning]);
        others.push(slow);
    }
    others.extend((0..20).map(|_| Client::greeted(&worker)));
    // One that is served and idle.
    others.push(Client::of(&worker));
    rpc::greet(&worker.endpoint).unwrap();
    Client::of(&worker).is_served();
    // Whatever never became a client is closed.
    others.into_iter().next().unwrap().ends();
}

#[test]
fn two_clients_use_a_worker_at_once() {
    let worker = Worker::start();
    let rpc = vec![worker.endpoint.clone()];
    let options =
        LoadOptions { threads: 1, rpc, gpu_layers: GpuLayers::All, ..LoadOptions::new(tiny_gguf()) };
    let _model = Model::load(options, |_| true).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("run").arg("-m").arg(tiny_gguf()).args(["-t", "1", "--temp", "0", "-ngl", "all", "-n", "4"]);
    command.args(["-p", "Hi", "--rpc", &worker.endpoint.to_string()]).stdin(Stdio::null());
    let ran = output(&mut command);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_client_that_ends_makes_room_for_another() {
    let worker = Worker::start_with(&["--clients", "1"]);
    let first = Client::of(&worker);
    assert!(matches!(rpc::greet(&worker.endpoint), Err(WorkerError::Silent { .. })));
    drop(first);
    wait_for("the room", || rpc::greet(&worker.endpoint).ok());
    Client::of(&worker).is_served();
}

#[test]
fn the_processes_of_clients_end_with_the_worker() {
    let mut worker = Worker::start();
    let mut client = Client::of(&worker);
    client.is_served();
    // Only the worker: it cannot end them itself.
    worker.process.kill().unwrap();
    client.ends();
    worker.process.wait().unwrap();
}
