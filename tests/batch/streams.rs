//! Compressed input, pipes, full disks.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Ran, Work, short};

#[test]
fn gzip_zstd_and_pipes_are_read() {
    let work = Work::new(&short(3));
    let plain = fs::read(work.path("in.jsonl")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(
        File::create(work.path("in.jsonl.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    gz.write_all(&plain).unwrap();
    gz.finish().unwrap();
    let packed = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
    fs::write(work.path("in.jsonl.zst"), packed).unwrap();
    for name in ["in.jsonl.gz", "in.jsonl.zst"] {
        let out = format!("{name}.out");
        Ran::of(&mut work.command(&[name, "-o", &out])).ended(0, "3 answered");
        assert_eq!(work.by_id(&out).len(), 3);
    }
    let mut child = work.command(&["-", "-o", "-", "--order", "input"]);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&plain).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let out = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<&str> = out.lines().map(|line| line.split('"').nth(7).unwrap()).collect();
    assert_eq!(ids, ["r0", "r1", "r2"]);
}

#[test]
fn a_truncated_archive_is_an_error() {
    let work = Work::new(&short(400));
    let plain = fs::read(work.path("in.jsonl")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain).unwrap();
    let packed = gz.finish().unwrap();
    fs::write(work.path("cut.jsonl.gz"), &packed[..packed.len() / 2]).unwrap();
    Ran::of(&mut work.command(&["cut.jsonl.gz", "-o", "out.jsonl"]))
        .ended(1, "cannot read rows from `cut.jsonl.gz`");
}

#[test]
fn a_closed_pipe_is_success() {
    let work = Work::new(&short(3));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = work.command(&["in.jsonl", "-o", "-"]);
    let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn answers_are_read_from_a_named_pipe() {
    let work = Work::new(&short(3));
    let pipe = work.path("pipe");
    if !Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
        println!("skipped: this machine has no mkfifo");
        return;
    }
    let reader = std::thread::spawn(move || fs::read_to_string(pipe).unwrap());
    Ran::of(&mut work.command(&["in.jsonl", "-o", "pipe"])).ended(0, "3 answered");
    assert_eq!(reader.join().unwrap().lines().count(), 3);
    // The shell passes a pipe as `/dev/fd/N`.
    let command = work.command(&["in.jsonl", "-o", "/dev/stdout"]);
    let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\" \"$@\" | cat"]).arg(command.get_program()).args(words);
    let ran = Ran::of(shell.current_dir(work.folder.path()).stdin(Stdio::null()));
    ran.ended(0, "3 answered");
    assert_eq!(ran.out.lines().count(), 3, "{ran:?}");
}

#[test]
fn json_progress_is_one_object_a_line_and_the_totals_are_an_object() {
    let work = Work::new(&short(3));
    let ran = work.run(&["--progress", "json", "--json"]);
    ran.ended(0, "");
    let total: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&total["rows_done"], &total["complete"]), (&3.into(), &true.into()));
    for line in ran.err.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn a_full_disk_loses_no_written_row() {
    let work = Work::new(&short(40));
    fs::create_dir(work.path("disk")).unwrap();
    let within = |script: &str| {
        let mount = "mount -t tmpfs -o size=20k tmpfs disk";
        let command = work.command(&["in.jsonl", "-o", "disk/out.jsonl"]);
        let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        let mut shell = Command::new("unshare");
        shell
            .args(["-rm", "sh", "-c", &format!("{mount} && {script}")])
            .arg(command.get_program())
            .args(words);
        Ran::of(shell.current_dir(work.folder.path()).stdin(Stdio::null()))
    };
    if within("exit 77").code != Some(77) {
        println!("skipped: this user cannot mount a tmpfs");
        return;
    }
    let full = within(
        "\"$0\" \"$@\"; code=$?; tail -c 1 disk/out.jsonl | od -An -c; mount -o remount,size=1m disk; \"$0\" \"$@\" && cat disk/out.jsonl | wc -l; exit $code",
    );
    full.ended(4, "No space left on device");
    assert!(full.err.contains("hint: free some space and run the same command to resume"), "{full:?}");
    assert_eq!(full.out.split_whitespace().collect::<Vec<_>>(), ["\\n", "40"], "{full:?}");
}
