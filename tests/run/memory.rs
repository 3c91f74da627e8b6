//! Too little memory ends a command with exit code 4 and a message, never with a signal.

use std::process::{Command, Output, Stdio};

use crate::deadline::output;
use crate::support::{data, tiny_gguf};

/// Runs with a limit of the address space in KiB.
fn run(kib: u64, more: &str) -> (Option<i32>, String) {
    limited(kib, &format!("run --no-config -p Hi -n 2 -c 128 -t 2 --temp 0 {more} -m \"$1\""))
}

/// Runs a command line in which `$1` is a GGUF and `$2` its checkpoint.
fn limited(kib: u64, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    let line = format!("ulimit -c 0; ulimit -v {kib}; exec \"$0\" {line}");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_ggrun")]).arg(tiny_gguf()).arg(data("tiny-thinker"));
    command.stdin(Stdio::null());
    let Output { status, stderr, .. } = output(&mut command);
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// The least limit with which the program starts. Below, it cannot be mapped.
#[cfg(target_os = "linux")]
fn least() -> u64 {
    (10_000..).step_by(2000).find(|kib| limited(*kib, "--version").0 == Some(0)).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn any_limit_of_the_address_space_ends_with_an_answer_or_exit_code_4() {
    let (mut answers, mut short) = (0, 0);
    let least = least();
    for more in ["", "-cram 0", "-cram 0 -fit off", "-cram 0 -fit off -lm mmap"] {
        for kib in (least..1_250_000).step_by(75_000) {
            let (code, said) = run(kib, more);
            match code {
                Some(0) => answers += 1,
                Some(4) => short += 1,
                _ => panic!("{kib} KiB, `{more}`: {code:?}\n{said}"),
            }
            if code == Some(4) {
                assert!(
                    said.contains("memory") || said.contains("cannot start"),
                    "{kib} KiB, `{more}`: {said}"
                );
            }
        }
    }
    assert!(answers > 4 && short > 8, "{answers} answers, {short} too small");
}

#[cfg(target_os = "linux")]
#[test]
fn commands_that_load_no_model_end_with_exit_code_4_too() {
    let least = least();
    let mut short = 0;
    for line in ["inspect \"$2\"", "verify \"$1\" \"$2\"", "convert \"$2\" --dry-run", "plan \"$1\""] {
        for kib in (least..least + 40_000).step_by(2000) {
            let (code, said) = limited(kib, line);
            assert!(matches!(code, Some(0 | 4)), "{kib} KiB, `{line}`: {code:?}\n{said}");
            short += u32::from(code == Some(4));
        }
    }
    assert!(short > 4, "{short}");
}
