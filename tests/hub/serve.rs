//! `ggrun serve` with a model of the hub: connections are answered while it is downloaded.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Site;
use super::server::Fault;
use crate::deadline::{Watchdog, wait_for};
use crate::support::tiny_gguf;

const FILE: &str = "tiny-Q4_0.gguf";

/// Starts a server; returns it with its address.
fn serve(site: &Site) -> (Child, String, Watchdog) {
    let mut command = site.command(&["serve", "-hf", "org/name:Q4_0", "--port", "0", "-t", "1", "-np", "1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let watchdog = Watchdog::of(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| Some(line.strip_prefix("listening on http://")?.to_owned())).unwrap();
    // A full pipe would stop the server.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address, watchdog)
}

/// The status and the body of a response.
fn get(address: &str, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn terminate(mut child: Child) -> Option<i32> {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap().code()
}

#[test]
fn a_server_answers_while_its_model_is_downloaded_and_then_loads_it() {
    let gguf = fs::read(tiny_gguf()).unwrap();
    let half = gguf.len() / 2;
    let site = Site::new(&[(FILE, gguf)]);
    site.server.fail_always(FILE, Fault::Drip(half));
    let (child, address, _watchdog) = serve(&site);
    let health = wait_for("half of the file", || {
        let (status, body) = get(&address, "/health");
        assert_eq!((status, &body["status"]), (503, &"downloading".into()), "{body}");
        body["progress"].as_f64().is_some_and(|progress| progress >= 0.4).then_some(body)
    });
    assert_eq!(health["error"]["message"], "Downloading model");
    let (status, models) = get(&address, "/v1/models");
    assert_eq!((status, &models["data"][0]["id"]), (200, &"org/name:Q4_0".into()));
    assert_eq!(get(&address, "/").0, 200);
    assert_eq!(terminate(child), Some(143));

    site.server.mend();
    let (child, address, _watchdog) = serve(&site);
    wait_for("the model", || (get(&address, "/health").0 == 200).then_some(()));
    let (_, models) = get(&address, "/v1/models");
    assert_eq!(
        (&models["data"][0]["id"], models["data"].as_array().unwrap().len()),
        (&"org/name:Q4_0".into(), 1)
    );
    assert_eq!(terminate(child), Some(0));
}
