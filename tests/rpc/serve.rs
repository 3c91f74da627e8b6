//! A server whose worker is lost: its requests fail with 500, and it answers again when the worker is back.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use super::Worker;
use crate::deadline::wait_for;
use crate::served::Served;

const PATH: &str = "/v1/chat/completions";

fn health(server: &Served) -> Option<u16> {
    server.ask("GET", "/health", "", "").map(|(status, _)| status)
}

/// The body of a request for an answer of this many tokens.
fn question(tokens: u32, stream: bool) -> String {
    format!(
        r#"{{"messages": [{{"role": "user", "content": "What is 17 + 25?"}}], "max_tokens": {tokens}, "ignore_eos": true, "stream": {stream}}}"#
    )
}

#[test]
fn a_server_answers_again_when_its_lost_worker_is_back() {
    let mut worker = Worker::start();
    let endpoint = worker.endpoint.to_string();
    let configure = |command: &mut Command| {
        command.args(["-ngl", "all", "--rpc", &endpoint]);
    };
    let server = Served::start(configure, "");
    let answer = |tokens: u32| server.ask("POST", PATH, "", &question(tokens, false)).unwrap();
    let stream =
        |tokens: u32| -> TcpStream { server.send("POST", PATH, "", &question(tokens, true)).unwrap() };
    wait_for("the model", || (health(&server) == Some(200)).then_some(()));
    assert_eq!(answer(4).0, 200);
    thread::scope(|scope| {
        let whole = scope.spawn(|| answer(3000));
        let mut lines = BufReader::new(stream(3000)).lines().map_while(Result::ok);
        lines.by_ref().find(|line| line.contains(r#""reasoning_content":"#)).expect("the answer begins");
        worker.kill();
        let last = lines.filter(|line| line.starts_with("data: {")).last().unwrap();
        assert!(last.contains(&worker.endpoint.to_string()) && last.contains("server_error"), "{last}");
        let (status, body) = whole.join().unwrap();
        assert_eq!(status, 500, "{body}");
        assert!(body.contains("server_error"), "{body}");
    });
    wait_for("the server to notice", || (health(&server) == Some(503)).then_some(()));
    let port = worker.endpoint.port.to_string();
    drop(worker);
    let _again = Worker::start_with(&["--port", &port]);
    wait_for("the model", || (health(&server) == Some(200)).then_some(()));
    assert_eq!(answer(4).0, 200);
}
