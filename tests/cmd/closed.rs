//! Every command with standard output or standard error closed, without a reader, or on a full disk.

use std::fs::{self, File, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::Model;

use super::Sandbox;
use super::sandbox::Ran;
use crate::deadline::Watchdog;
use crate::hub::server::Server;
use crate::support::tiny_gguf;

/// Longer than any command here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Commands as they are typed, in a folder with `source`, `out.gguf`, `tiny.gguf` and `in.jsonl`; each must give the same
/// result when it is run again.
const CASES: [&str; 31] = [
    "--help",
    "--version",
    "no-such-command",
    "convert source -o again.gguf -f --progress always",
    "convert source --dry-run",
    "convert nothing",
    "verify out.gguf source --progress always",
    "verify out.gguf changed",
    "inspect out.gguf --tensors",
    "run -m tiny.gguf -p Hi -n 4 -t 1",
    "run -m tiny.gguf -p Hi -n 4 -t 1 -vv",
    "run -m tiny.gguf -p Hi -n 4 -t 1 --json",
    "run -m tiny.gguf --list-devices",
    "chat -m tiny.gguf -n 4 -t 1",
    "batch -m tiny.gguf in.jsonl -o - -t 1 --progress plain",
    "batch -m tiny.gguf in.jsonl --dry-run -t 1",
    "serve -m tiny.gguf --list-devices",
    "serve -m tiny.gguf --host 203.0.113.1 --port 9",
    "plan -m tiny.gguf",
    "bench -m tiny.gguf -p 8 -n 2 -r 1 -t 1",
    "download org/name --cache-dir cache --progress always",
    "download org/name --cache-dir cache --dry-run",
    "download org/nothing --cache-dir cache",
    "cache ls --cache-dir cache",
    "cache verify --cache-dir cache --progress always",
    "cache rm org/name --cache-dir cache --dry-run",
    "cache prune --cache-dir cache",
    "doctor",
    "demo",
    "completions bash",
    "man .",
];

struct Place {
    sandbox: Sandbox,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let sandbox = Sandbox::with(&Model::tiny());
        sandbox.run(&["convert", "source", "-o", "out.gguf"]).said(0, "out.gguf\n");
        Model { vocab: 40, ..Model::tiny() }.write(&sandbox.path("changed"));
        fs::copy(tiny_gguf(), sandbox.path("tiny.gguf")).unwrap();
        fs::write(sandbox.path("in.jsonl"), "{\"prompt\": \"Hi\", \"max_tokens\": 4}\n").unwrap();
        fs::write(sandbox.path("talk"), "Hi\n/stats\n/think fold\n").unwrap();
        let files = [("config.json", b"{}".to_vec()), ("m.safetensors", vec![7; 5000])];
        let place = Self { sandbox, server: Server::new(&files) };
        assert_eq!(place.normal("download org/name --cache-dir cache").code, Some(0));
        place
    }

    fn command(&self, line: &str) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = self.sandbox.command(&words);
        command.env("HF_ENDPOINT", self.server.endpoint()).env("HF_HUB_CACHE", self.sandbox.path("cache"));
        command.stdin(File::open(self.sandbox.path("talk")).unwrap());
        command
    }

    fn normal(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line))
    }

    /// The same with a redirection of the shell behind it.
    fn redirected(&self, line: &str, redirection: &str) -> Command {
        let mut command = self.sandbox.shell(&format!("exec \"$0\" \"$@\" {redirection}"));
        command.args(line.split(' '));
        command.env("HF_ENDPOINT", self.server.endpoint()).env("HF_HUB_CACHE", self.sandbox.path("cache"));
        command.stdin(File::open(self.sandbox.path("talk")).unwrap());
        command
    }
}

/// A pipe that nothing reads.
fn broken() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// The exit code, which a panic would make 101. A signal, such as the watchdog's, is a failure.
fn ended(mut child: Child, what: &str) -> Option<i32> {
    let _watchdog = Watchdog::after(PATIENCE, &child);
    let status = child.wait().unwrap();
    assert!(status.code().is_some(), "{what}: {status}");
    status.code()
}

fn code(command: &mut Command, what: &str) -> Option<i32> {
    ended(command.spawn().unwrap(), what)
}

#[test]
fn every_command_is_in_the_list() {
    let help = Sandbox::new().run(&["--help"]).out;
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 10, "{help}");
    // The worker serves until it is told to end, so it has a test of its own.
    for name in names.into_iter().filter(|name| !["help", "worker"].contains(name)) {
        assert!(CASES.iter().any(|case| case.split(' ').next() == Some(name)), "`{name}` has no case");
    }
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    let place = Place::new();
    for line in CASES {
        let usual = place.normal(line);
        for (stderr, what) in [(broken as fn() -> Stdio, "without a reader"), (full, "on a full disk")] {
            let what = format!("{line}, standard error {what}");
            let out = File::create(place.sandbox.path("said")).unwrap();
            let ended = code(place.command(line).stdout(out).stderr(stderr()), &what);
            assert_eq!(ended, usual.code, "{what}: {usual:?}");
            let said = String::from_utf8(place.sandbox.read("said")).unwrap();
            // What doctor says of the load and of the bandwidth, which depends on it, changes while tests run.
            let depends = |line: &&str| ["busy", "bandwidth"].iter().any(|word| line.contains(word));
            let lines = |text: &str| text.lines().filter(|line| !depends(line)).count();
            assert_eq!(lines(&said), lines(&usual.out), "{what}: {said}");
        }
        for redirection in ["2>&-", "<&- >&- 2>&-"] {
            let what = format!("{line} {redirection}");
            let ended = code(place.redirected(line, redirection).stdout(Stdio::null()), &what);
            assert_eq!(ended, usual.code, "{what}: {usual:?}");
        }
    }
}

#[test]
fn a_closed_standard_output_is_success_and_a_full_one_is_not() {
    let place = Place::new();
    for line in CASES {
        let usual = place.normal(line);
        let what = format!("{line} >&-");
        let ended = code(place.redirected(line, ">&-").stderr(Stdio::null()), &what);
        assert_eq!(ended, usual.code, "{what}: {usual:?}");
        let ended = code(place.command(line).stdout(broken()).stderr(Stdio::null()), line);
        assert_eq!(ended, usual.code, "{line}, standard output without a reader: {usual:?}");
        let ended = code(place.command(line).stdout(full()).stderr(Stdio::null()), line);
        if usual.out.is_empty() {
            assert_eq!(ended, usual.code, "{line}, standard output on a full disk: {usual:?}");
        } else {
            assert!(matches!(ended, Some(1 | 4)), "{line}, standard output on a full disk: {ended:?}");
        }
    }
}

#[test]
fn a_worker_ends_without_its_reader_and_serves_without_standard_error() {
    let sandbox = Sandbox::new();
    let worker = ["worker", "--port", "0", "-d", "CPU"];
    let unread = code(sandbox.command(&worker).stdout(broken()).stderr(Stdio::null()), "worker");
    assert_eq!(unread, Some(0));
    let full = code(sandbox.command(&worker).stdout(full()).stderr(Stdio::null()), "worker");
    assert_eq!(full, Some(1));
    for stderr in [broken as fn() -> Stdio, self::full] {
        let mut child = sandbox.command(&worker).stdout(Stdio::piped()).stderr(stderr()).spawn().unwrap();
        let _watchdog = Watchdog::after(PATIENCE, &child);
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut endpoint = String::new();
        std::io::BufRead::read_line(&mut out, &mut endpoint).unwrap();
        assert!(endpoint.starts_with("127.0.0.1:"), "{endpoint}");
        terminate(&child);
        assert_eq!(ended(child, "worker"), Some(143));
    }
}

/// Asks a process to end.
fn terminate(child: &Child) {
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_broken_connection_to_the_hub_is_a_failure() {
    let place = Place::new();
    place.server.fail_always("m.safetensors", crate::hub::server::Fault::Cut(0));
    let ran = place.normal("download org/name --cache-dir elsewhere");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.starts_with("error: ") || ran.err.contains("\nerror: "), "{ran:?}");
}

#[test]
fn the_log_is_quiet_loud_or_in_a_file() {
    let place = Place::new();
    let run = |more: &str| place.normal(&format!("run -m tiny.gguf -p Hi -n 4 -t 1 --temp 0{more}"));
    let (usual, quiet, loud) = (run(""), run(" -q"), run(" -v"));
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), (usual.out.as_str(), ""), "{quiet:?}");
    assert_eq!(loud.out, usual.out);
    assert!(!usual.err.contains("llama.cpp: "), "{usual:?}");
    assert!(loud.err.contains("warning: llama.cpp: model has unused tensor"), "{loud:?}");
    assert!(loud.err.contains("info: llama.cpp: ") && !loud.err.contains("debug: "), "{loud:?}");
    let filed = run(" -q --log-file log.txt");
    assert_eq!(filed.err, "");
    let log = String::from_utf8(place.sandbox.read("log.txt")).unwrap();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("unused tensor")), "{log}");
    assert!(log.starts_with("20"), "without a time: {log}");
    assert_eq!(run(" --log-file log.txt").code, Some(0));
    assert!(place.sandbox.read("log.txt").len() > log.len(), "the second run is appended");
    run(" --log-file no/such.txt").refused(1, &["error: cannot write the log to `no/such.txt`"]);
}

#[test]
fn the_variable_of_the_log_counts_where_no_option_does() {
    let place = Place::new();
    let run = |filter: &str, more: &str| {
        let line = format!("plan -m tiny.gguf{more}");
        Ran::of(place.command(&line).env("RUST_LOG", filter))
    };
    run("ggrun=loud", "").refused(2, &["error: `RUST_LOG` is `ggrun=loud`, expected"]);
    assert_eq!(run("ggrun=loud", " -v").code, Some(0));
    let line = "run -m tiny.gguf -p Hi -n 4 -t 1";
    let shown = Ran::of(place.command(line).env("RUST_LOG", "llama.cpp=warn"));
    assert!(shown.err.contains("warning: llama.cpp: "), "{shown:?}");
    assert!(!shown.err.contains("info: "), "{shown:?}");
    let hidden = Ran::of(place.command(&format!("{line} -q")).env("RUST_LOG", "trace"));
    assert_eq!(hidden.err, "");
}

#[test]
fn what_a_failure_says_of_llama_cpp_is_said_once() {
    let place = Place::new();
    let ran = place.normal(&format!("run -m tiny.gguf -p Hi -n 4 -t 1 -v --grammar {}", "root::=((("));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.err.contains("error: llama.cpp: "), "{ran:?}");
}
