//! Workers that are lost: an error, not a hang.

use std::io::Read as _;
use std::process::{Child, Command, Output, Stdio};

use ggrun::model::{GpuLayers, LoadError, LoadOptions, Loading, Model};

use super::Worker;
use crate::deadline::{Watchdog, finish, output};
use crate::support::tiny_gguf;

/// A request with all layers on the worker, long enough to be still running when the worker is lost.
fn ask(worker: &Worker) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("run").arg("-m").arg(tiny_gguf()).args(["-t", "1", "--temp", "0", "-ngl", "all"]);
    command.args(["-p", "What is 8427 + 9683?", "--ignore-eos", "-n", "3000"]);
    command.args(["--rpc", &worker.endpoint.to_string()]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the first text of the reasoning, which follows the line about the load.
fn begun(child: &mut Child) {
    let _watchdog = Watchdog::of(child);
    let err = child.stderr.as_mut().unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        err.read_exact(&mut byte).unwrap();
    }
    err.read_exact(&mut byte).unwrap();
}

#[track_caller]
fn failed(output: &Output, says: &[&str]) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    for words in says {
        assert!(err.contains(words), "`{words}` is not in\n{err}");
    }
}

#[test]
fn a_worker_that_dies_is_an_error() {
    let mut worker = Worker::start();
    let mut child = ask(&worker).spawn().unwrap();
    begun(&mut child);
    worker.kill();
    let output = finish(child);
    let lost = format!("lost the connection to the worker at `{}`", worker.endpoint);
    failed(&output, &[&lost, "start the worker again"]);
}

#[test]
fn a_worker_that_does_not_answer_is_an_error() {
    let worker = Worker::start();
    let mut child = ask(&worker).env("GGRUN_RPC_TIMEOUT", "1").spawn().unwrap();
    begun(&mut child);
    worker.signal_all("STOP");
    failed(&finish(child), &["lost the connection to the worker"]);
    worker.signal_all("CONT");
}

#[test]
fn a_worker_that_dies_while_it_receives_the_weights_is_an_error() {
    let mut worker = Worker::start();
    let (rpc, endpoint) = (vec![worker.endpoint.clone()], worker.endpoint.to_string());
    let options =
        LoadOptions { threads: 1, rpc, gpu_layers: GpuLayers::All, ..LoadOptions::new(tiny_gguf()) };
    let mut alive = true;
    let kill_at_half = move |Loading { done, total }| {
        if alive && done > total / 2 {
            worker.kill();
            alive = false;
        }
        true
    };
    let error = Model::load(options, kill_at_half).unwrap_err();
    let LoadError::Refused { log, .. } = &error else { panic!("{error}") };
    assert!(log.iter().any(|line| line.contains(&endpoint)), "{error}");
}

#[test]
fn a_worker_that_dies_between_load_and_answer_is_an_error() {
    let mut worker = Worker::start();
    let rpc = vec![worker.endpoint.clone()];
    let options =
        LoadOptions { threads: 1, rpc, gpu_layers: GpuLayers::All, ..LoadOptions::new(tiny_gguf()) };
    let model = Model::load(options, |_| true).unwrap();
    worker.kill();
    let error = model.spawn().unwrap_err();
    assert!(error.to_string().contains(&worker.endpoint.to_string()), "{error}");
}

#[test]
fn a_worker_that_cannot_be_reached_is_an_error() {
    let mut worker = Worker::start();
    worker.kill();
    let output = output(&mut ask(&worker));
    failed(&output, &[&format!("cannot connect to a worker at `{}`", worker.endpoint), "`ggrun worker`"]);
}

#[test]
fn a_worker_that_serves_its_most_clients_is_an_error() {
    let worker = Worker::start_with(&["--clients", "1"]);
    let rpc = vec![worker.endpoint.clone()];
    let options =
        LoadOptions { threads: 1, rpc, gpu_layers: GpuLayers::All, ..LoadOptions::new(tiny_gguf()) };
    let _model = Model::load(options, |_| true).unwrap();
    let output = output(&mut ask(&worker));
    failed(
        &output,
        &["it may already serve its maximum number of clients", "wait until another client ends"],
    );
}
