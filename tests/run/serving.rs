//! `ggrun serve` as a process: what it refuses before it listens, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::tiny_gguf;
use crate::deadline::{Watchdog, output};

fn serve(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("serve").args(["-t", "1", "--port", "0", "-np", "1", "-c", "4096"]).args(options);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "# no key\n").unwrap();
    let (file, gguf) = (file.to_str().unwrap(), tiny_gguf());
    let gguf = gguf.to_str().unwrap();
    for (options, code, says) in [
        (["-m", gguf, "--api-key-file", file], 2, "has no API key"),
        (["-m", gguf, "--api-key-file", "no.keys"], 2, "cannot read API keys"),
        (["-m", gguf, "--cors-origins", "box.lan"], 2, "SCHEME://HOST"),
        (["-m", gguf, "--allowed-host", "box.lan:80"], 2, "expected a host name"),
        (["-m", gguf, "--host", ""], 2, "expected an address"),
        (["-m", gguf, "--host", "::1,::1"], 2, "`--host` names `::1` twice"),
        (["-m", gguf, "--alias", ""], 2, "expected a name"),
        (["-m", gguf, "--path", "no-page"], 1, "no file `index.html`"),
        (["-m", gguf, "--state-dir", file], 1, "as the state folder"),
        (["-m", "no.gguf", "--alias", "x"], 1, "no.gguf"),
        (["-m", file, "--alias", "x"], 1, "expected a GGUF file"),
    ] {
        let out = output(&mut serve(&options));
        let notes = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{options:?}: {notes}");
        assert!(notes.contains(says) && !notes.contains("listening on"), "{options:?}: {notes}");
    }
}

#[test]
fn errors_are_json_too_also_those_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let (file, gguf) = (file.to_str().unwrap(), tiny_gguf());
    let gguf = gguf.to_str().unwrap();
    for (options, code, says) in [
        (&["-m", gguf, "--api-key-file", "no.keys"][..], 2, "cannot read API keys"),
        (&["-m", gguf, "--host", "::1,::1"], 2, "`--host` names `::1` twice"),
        (&["-m", file], 1, "expected a GGUF file"),
        (&["-m", gguf, "--alias", ""], 2, "expected a name"),
        (&["-m", gguf, "--nothing"], 2, "--nothing"),
        (&["-m"], 2, "a value is required"),
    ] {
        let out = output(&mut serve(&[&["--log-json"], options].concat()));
        let notes = String::from_utf8(out.stderr).unwrap();
        let lines: Vec<serde_json::Value> =
            notes.lines().map(|line| serde_json::from_str(line).expect(&notes)).collect();
        let [error] = &lines[..] else { panic!("{options:?}: {notes}") };
        assert_eq!((out.status.code(), &error["level"]), (Some(code), &"error".into()), "{notes}");
        let message = error["message"].as_str().unwrap();
        assert!(notes.contains(says) && !message.starts_with("error"), "{options:?}: {notes}");
    }
}

#[test]
fn a_signal_says_for_what_it_waits_and_notes_can_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = tiny_gguf();
    let mut command =
        serve(&["-m", gguf.to_str().unwrap(), "--drain", "1", "--log-json", "-v", "--isolate-keys"]);
    let mut child = command.env("XDG_STATE_HOME", folder.path()).stderr(Stdio::piped()).spawn().unwrap();
    let _watchdog = Watchdog::of(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["message"].as_str().unwrap_or_default().to_owned()
    });
    let warning = lines.find(|line| line.contains("--isolate-keys")).unwrap();
    assert_eq!(warning, "`--isolate-keys` has no effect without an API key");
    let address = lines.find_map(|line| Some(line.strip_prefix("listening on http://")?.to_owned())).unwrap();
    let page = lines.next().unwrap();
    assert_eq!(page, format!("open http://{address} in a browser to chat"));
    let stored = lines.find(|line| line.starts_with("conversations at /api/conversations")).unwrap();
    assert!(stored.contains(folder.path().to_str().unwrap()), "{stored}");
    lines.find(|line| line.starts_with("try: ")).unwrap();

    let body = r#"{"prompt": "1", "stream": true, "ignore_eos": true}"#;
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(stream, "POST /completion HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut begin = [0; 600];
    stream.read_exact(&mut begin).unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let waits = lines.find(|line| line.starts_with("shutting down")).unwrap();
    assert_eq!(waits, "shutting down: 1 request may take up to 1 s; press Ctrl-C again to stop now");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
