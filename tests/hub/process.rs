//! `ggrun download` as a process: its output, and its behavior after faults.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::server::{COMMIT, Fault};
use super::{Site, bytes, entries};
use crate::deadline::{Watchdog, finish, output, wait_for};

const INDEX: &str = "model.safetensors.index.json";

impl Site {
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command
            .args(words)
            .env_clear()
            .env("HOME", self.home.path())
            .env("HF_ENDPOINT", self.server.endpoint());
        command.env("HF_HUB_CACHE", self.cache()).env("HF_HUB_DOWNLOAD_TIMEOUT", "60").stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Output {
        output(&mut self.command(words))
    }
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A checkpoint of three shards, and files that a conversion does not need.
fn site() -> Site {
    let index = r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-3.safetensors"}}"#;
    Site::new(&[
        ("config.json", b"{}".to_vec()),
        (INDEX, index.as_bytes().to_vec()),
        ("m-1.safetensors", bytes(400_000, 1)),
        ("m-2.safetensors", bytes(500_000, 2)),
        ("m-3.safetensors", bytes(600_000, 3)),
        ("pytorch_model.bin", bytes(5000, 4)),
        ("original/m-1.safetensors", bytes(5000, 5)),
    ])
}

const SHARDS: [&str; 3] = [
    "name/resolve/0123456789abcdef0123456789abcdef01234567/m-1.safetensors",
    "m-2.safetensors",
    "m-3.safetensors",
];

/// Bytes of all shards that were sent.
fn sent(site: &Site) -> usize {
    SHARDS.iter().map(|name| site.server.sent(name)).sum()
}

#[test]
fn only_the_files_for_a_conversion_are_fetched_and_stdout_has_their_folder() {
    let site = site();
    let dry = site.run(&["download", "org/name", "--dry-run"]);
    assert!(dry.status.success(), "{dry:?}");
    assert!(said(&dry).contains("1.43 MiB to fetch"), "{}", said(&dry));
    assert_eq!(sent(&site), 0);
    let output = site.run(&["download", "org/name"]);
    let folder = site.repo().join("snapshots").join(COMMIT);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", folder.display()), "{output:?}");
    let mut names: Vec<_> =
        entries(&folder).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "m-1.safetensors", "m-2.safetensors", "m-3.safetensors", INDEX]);
    let output = site.run(&["download", "org/name", "original/m-1.safetensors", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((shown["commit"].as_str(), shown["files"][0]["bytes"].as_u64()), (Some(COMMIT), Some(5000)));
    assert!(folder.join("original/m-1.safetensors").is_file());
    let output = site.run(&["download", "org/name", "nothing"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("`org/name/nothing` does not exist"), "{}", said(&output));
}

#[test]
fn a_dry_run_counts_the_missing_bytes() {
    let site = site();
    fs::create_dir_all(site.repo().join("blobs")).unwrap();
    let shard = bytes(600_000, 3);
    fs::write(site.partial(&shard), &shard[..500_000]).unwrap();
    let words = ["download", "org/name", "m-3.safetensors", "--dry-run"];
    let dry = site.run(&words);
    assert!(said(&dry).contains("97.66 KiB to fetch"), "{}", said(&dry));
    let dry = site.run(&[&words[..], &["--json"]].concat());
    let shown: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(shown["files"][0]["bytes_to_fetch"].as_u64(), Some(100_000));
    assert_eq!(sent(&site), 0);
}

#[test]
fn an_index_that_names_missing_shards_is_refused_before_a_weight_is_fetched() {
    let index = br#"{"weight_map": {"a": "m-1.safetensors", "b": "../m-2.safetensors"}}"#;
    let site = Site::new(&[
        ("config.json", b"{}".to_vec()),
        (INDEX, index.to_vec()),
        ("m-1.safetensors", bytes(4000, 1)),
    ]);
    let output = site.run(&["download", "org/name"]);
    assert_eq!(output.status.code(), Some(1));
    let words = "names `../m-2.safetensors`, which the repository does not have";
    assert!(said(&output).contains(words) && said(&output).contains("hint:"), "{}", said(&output));
    assert_eq!(site.server.sent("m-1.safetensors"), 0);
}

#[test]
fn the_hint_about_a_token_does_not_show_the_token() {
    let site = site();
    site.server.fail_always("/main", Fault::Status(403, ""));
    let output = output(site.command(&["download", "org/name"]).env("HF_TOKEN", "hf_secret"));
    assert_eq!(output.status.code(), Some(1));
    let words = format!("accept the conditions at {}/org/name", site.server.endpoint());
    assert!(said(&output).contains(&words) && said(&output).contains("HF_TOKEN"), "{}", said(&output));
    assert!(!said(&output).contains("hf_secret"));
}

#[test]
fn two_processes_share_the_download() {
    let site = site();
    for name in ["m-1.safetensors", "m-2.safetensors", "m-3.safetensors"] {
        site.server.fail(name, Fault::Slow(Duration::from_millis(2)));
    }
    let start = || {
        site.command(&["download", "org/name"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (one, other) = (start(), start());
    for process in [one, other] {
        let output = finish(process);
        assert!(output.status.success(), "{}", said(&output));
    }
    site.assert_consistent();
    assert_eq!(sent(&site), 1_500_000, "every byte was sent once");
}

#[test]
fn a_download_killed_at_any_moment_resumes_and_no_partial_file_counts_as_complete() {
    let (mut random, mut begun, mut resumed) = (99u64, 0, 0);
    for _ in 0..5 {
        let site = site();
        for kill in 0..5 {
            for name in ["m-1.safetensors", "m-2.safetensors", "m-3.safetensors"] {
                site.server.fail(name, Fault::Slow(Duration::from_millis(1)));
            }
            let mut command = site.command(&["download", "org/name", "-j", "2"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            if kill == 4 {
                site.server.mend();
                wait_for("the download to end", || child.try_wait().unwrap());
                break;
            }
            // Killed after some number of bytes, so that no machine is too slow or too fast for it.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let until = sent(&site) + 50_000 + usize::try_from((random >> 33) % 250_000).unwrap();
            wait_for("more bytes", || {
                (sent(&site) >= until || child.try_wait().unwrap().is_some()).then_some(())
            });
            child.kill().unwrap();
            child.wait().unwrap();
            site.assert_consistent();
            begun += entries(&site.repo().join("blobs")).len();
        }
        assert!(site.run(&["download", "org/name"]).status.success());
        site.assert_consistent();
        assert!(site.repo().join("refs/main").is_file());
        assert!(!entries(&site.repo().join("blobs")).iter().any(|blob| blob.extension().is_some()));
        resumed += site.server.asked().iter().filter(|asked| asked.elsewhere && asked.from > 0).count();
    }
    assert!(begun > 20, "some files were begun before the kills");
    assert!(resumed >= 10, "{resumed} of the requests after 20 kills resumed a file");
}

#[test]
fn ctrl_c_ends_a_stalled_download() {
    let site = site();
    site.server.fail_always("m-1.safetensors", Fault::Stall(1000));
    // The download's own timeout is an hour, so only the signal can end it before the deadline.
    let mut command = site.command(&["download", "org/name"]);
    command.env("HF_HUB_DOWNLOAD_TIMEOUT", "3600").stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for("the first bytes of a shard", || {
        site.server.asked().iter().any(|asked| asked.elsewhere && asked.sent > 0).then_some(())
    });
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    site.assert_consistent();
}

#[test]
fn a_long_pause_is_explained_and_ctrl_c_ends_it() {
    use std::io::BufRead as _;
    let site = site();
    site.server.fail_always("/main", Fault::Status(429, "Retry-After: 299\r\n"));
    let mut command = site.command(&["download", "org/name"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let _watchdog = Watchdog::of(&child);
    let mut line = String::new();
    std::io::BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let said = "org/name: rate limited by the hub (429); retrying in 299.0 s (1 of 8); Ctrl-C stops, and";
    assert!(line.starts_with(said), "{line}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // A longer one is not waited for.
    site.server.mend();
    site.server.fail_always("/main", Fault::Status(429, "Retry-After: 7000\r\n"));
    let output = site.run(&["download", "org/name"]);
    assert_eq!(output.status.code(), Some(1));
    let said = super::process::said(&output);
    assert!(
        said.contains("returned 429 and asks to retry after 7000 s") && said.contains("in 2 hours"),
        "{said}"
    );
}

#[test]
fn a_full_disk_is_reported_and_the_same_command_resumes() {
    let site = site();
    let ggrun = env!("CARGO_BIN_EXE_ggrun");
    let mut command = Command::new("bash");
    // Limits files to 450 blocks of 1024 bytes.
    command.args(["-c", &format!("ulimit -f 450; exec {ggrun} download org/name -j 1")]);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", site.home.path())
        .env("HF_ENDPOINT", site.server.endpoint());
    let output = output(command.env("HF_HUB_CACHE", site.cache()));
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(
        said(&output).contains("the disk is full")
            && said(&output).contains("run the same command to resume"),
        "{}",
        said(&output)
    );
    site.assert_consistent();
    assert!(site.run(&["download", "org/name"]).status.success());
    let from: Vec<usize> = site
        .server
        .asked()
        .iter()
        .filter(|a| a.elsewhere && a.path.ends_with(SHARDS[1]))
        .map(|a| a.from)
        .collect();
    assert_eq!(from, [0, 450 * 1024], "the partial file is resumed");
    assert_eq!(
        fs::read(site.repo().join("snapshots").join(COMMIT).join("m-3.safetensors")).unwrap(),
        bytes(600_000, 3)
    );
}

#[test]
fn doctor_reports_whether_the_hub_is_reachable_and_where_the_token_is_from() {
    let site = site();
    let doctor = |token: &str| {
        let output = output(site.command(&["doctor"]).env("HF_TOKEN", token));
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    // This server has no accounts, but any response counts.
    assert!(doctor("").contains("  reachable"), "{}", doctor(""));
    for status in [403, 429, 500] {
        site.server.fail("/api/whoami-v2", Fault::Status(status, ""));
        assert!(doctor("").contains("  reachable"), "{status}");
    }
    site.server.fail_always("/api/whoami-v2", Fault::Status(401, ""));
    assert!(doctor("").contains("  reachable"), "{}", doctor(""));
    let shown = doctor("hf_secret");
    assert!(shown.contains("reachable, token rejected") && shown.contains("token from HF_TOKEN"), "{shown}");
    assert!(shown.contains("- The hub rejected the token from HF_TOKEN"), "{shown}");
    assert!(!shown.contains("hf_secret") && !shown.contains("not reachable"));
    let shown = site.server.asked().iter().filter(|a| a.token.as_deref() == Some("Bearer hf_secret")).count();
    assert_eq!(shown, 1);
}

#[test]
fn files_are_selected_by_patterns_and_a_wrong_name_gets_a_suggestion() {
    let files = ["a/m-Q4_0.gguf", "a/m-Q8_0.gguf", "readme.md"].map(|name| (name, bytes(2000, 3)));
    let site = Site::new(&files);
    let there = |words: &[&str]| {
        let output = site.run(&[&["download", "org/name", "--dry-run", "--json"], words].concat());
        assert!(output.status.success(), "{}", said(&output));
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let names =
            shown["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(there(&["--include", "*.gguf"]), "a/m-Q4_0.gguf a/m-Q8_0.gguf");
    assert_eq!(
        there(&["--include", "a/", "--include", "*.md", "--exclude", "*Q8*"]),
        "a/m-Q4_0.gguf readme.md"
    );
    assert_eq!(there(&["--all", "--exclude", "a/*"]), "readme.md");
    for (words, code, why) in [
        (&["--include", "*.bin"][..], 1, "no file of `org/name` matches the patterns"),
        (&["--include", "[a"], 2, "invalid value `[a`"),
        (&["--include", "*", "readme.md"], 2, "cannot be used with"),
        (&["README.md"], 1, "did you mean `readme.md`?"),
        (&["zzz"], 1, "--all --dry-run"),
    ] {
        let output = site.run(&[&["download", "org/name"], words].concat());
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
}
