//! Workers that go away: an error, and soon.

use std::io::Read as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ggrun::model::{GpuLayers, LoadError, LoadOptions, Model};

use super::Worker;
use crate::support::tiny_gguf;

/// Longer than anything here takes, and shorter than a wait that has no end.
const SOON: Duration = Duration::from_secs(20);

/// An answer that takes longer than a busy machine keeps a test waiting, all layers on the worker.
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

/// Waits for the first word of the thinking, which follows the line about the load.
fn begun(child: &mut Child) {
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
    let killed = Instant::now();
    worker.kill();
    let output = child.wait_with_output().unwrap();
    let lost = format!("lost the connection to the worker at `{}`", worker.endpoint);
    failed(&output, &[&lost, "start the worker again"]);
    assert!(killed.elapsed() < SOON);
}

#[test]
fn a_worker_that_does_not_answer_is_an_error() {
    let worker = Worker::start();
    let mut child = ask(&worker).env("GGRUN_RPC_TIMEOUT", "1").spawn().unwrap();
    begun(&mut child);
    let halted = Instant::now();
    worker.signal("STOP");
    failed(&child.wait_with_output().unwrap(), &["lost the connection to the worker"]);
    assert!(halted.elapsed() < SOON);
    worker.signal("CONT");
}

#[test]
fn a_worker_that_dies_while_it_is_given_the_weights_is_an_error() {
    let mut worker = Worker::start();
    let (rpc, endpoint) = (vec![worker.endpoint.clone()], worker.endpoint.to_string());
    let options =
        LoadOptions { threads: 1, rpc, gpu_layers: GpuLayers::All, ..LoadOptions::new(tiny_gguf()) };
    let mut alive = true;
    let kill_at_half = move |done: f32| {
        if alive && done > 0.5 {
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
fn a_worker_that_is_not_there_is_an_error() {
    let mut worker = Worker::start();
    worker.kill();
    let output = ask(&worker).output().unwrap();
    failed(&output, &[&format!("cannot connect to a worker at `{}`", worker.endpoint), "`ggrun worker`"]);
}

#[test]
fn a_worker_that_serves_another_is_an_error() {
    let worker = Worker::start();
    let rpc = vec![worker.endpoint.clone()];
    let options =
        LoadOptions { threads: 1, rpc, gpu_layers: GpuLayers::All, ..LoadOptions::new(tiny_gguf()) };
    let _model = Model::load(options, |_| true).unwrap();
    let output = ask(&worker).output().unwrap();
    failed(&output, &["it serves one client at a time", "wait for its other client"]);
}
