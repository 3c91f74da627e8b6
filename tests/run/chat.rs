//! `ggrun chat` through a pipe and on a terminal.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::tiny_gguf;
use crate::deadline::finish;

fn chat(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("chat").arg("-m").arg(tiny_gguf()).args(["-t", "1", "--temp", "0"]).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_STATE_HOME", state).env("HOME", state).env_remove("NO_COLOR").env("TERM", "xterm");
    command
}

/// Runs a whole conversation with its input from a pipe.
pub(super) fn typed(state: &Path, arguments: &[&str], lines: &str) -> Output {
    let mut command = chat(state, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    finish(child)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn through_a_pipe_stdout_has_only_the_answers() {
    let state = tempfile::tempdir().unwrap();
    let lines =
        "What is 17 + 25?\n842 - 83 = ?\n/undo\n\"\"\"\nReverse the word wind.\"\"\"\n/nonsense\n/stats\n";
    let Output { status, stdout, stderr } = typed(state.path(), &[], lines);
    let stderr = text(&stderr);
    assert!(status.success(), "{stderr}");
    let answers = text(&stdout);
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers[..2], ["17 + 25 = 42", "842 - 83 = 759"]);
    assert_eq!(answers.len(), 3);
    assert!(stderr.contains("carry 1") && stderr.contains("reused"), "{stderr}");
    assert!(
        stderr.contains("removed: 842 - 83 = ?") && stderr.contains("unknown command /nonsense"),
        "{stderr}"
    );
    assert!(!stderr.contains('\x1b'), "no escape sequences without a terminal");
}

#[test]
fn with_json_every_answer_is_one_object() {
    let state = tempfile::tempdir().unwrap();
    let Output { stdout, .. } = typed(state.path(), &["--json"], "What is 17 + 25?\n/regen\n");
    let values: Vec<serde_json::Value> =
        text(&stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(values.len(), 2);
    assert!(values.iter().all(|value| value["content"] == "17 + 25 = 42"));
    assert!(values[1]["usage"]["reused_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn options_can_be_set_and_unknown_ones_are_refused() {
    let state = tempfile::tempdir().unwrap();
    let lines = "/set predict 3\nWhat is 17 + 25?\n/set temp hot\n/set nothing 1\n/set\n/think sideways\n/think hide\n\
                 /set -1\n/system Be brief.\n/system\n";
    let Output { status, stdout, stderr } = typed(state.path(), &[], lines);
    let stderr = text(&stderr);
    assert!(status.success() && stdout.is_empty(), "the three tokens are all reasoning: {stderr}");
    for words in ["token limit", "`hot`", "--nothing", "predict: 3 (set)\n", "expected show", "Be brief."] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

#[test]
fn options_are_listed_checked_at_once_and_unset() {
    let state = tempfile::tempdir().unwrap();
    let lines = "/set\n/set top-k 5\n/set top_k\n/set grammar root ::= (\n/set top-p 7\n/set tempp 1\n/think off\n\
                 /unset reasoning\n/set tool-choice required\n/set ignore-eos on\n/unset ignore-eos\n/unset n\n/unset predict\n\
                 What is 17 + 25?\n";
    let Output { status, stdout, stderr } = typed(state.path(), &["-n", "3", "--top-k", "9"], lines);
    let stderr = text(&stderr);
    assert!(status.success(), "{stderr}");
    let rows: Vec<Vec<&str>> = stderr.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in
        [["predict", "3", "set"], ["top-k", "9", "set"], ["temp", "0", "set"], ["seed", "-1", "default"]]
    {
        assert!(rows.iter().any(|found| found[..] == row), "{row:?}: {stderr}");
    }
    for words in [
        "top-k: 5 (set)\n",
        "error: invalid grammar",
        "error: top-p is `7`",
        "unknown option `--tempp`; did you mean `temp`?",
        "reasoning: off (set)\n",
        "error: `tool_choice` requires a call, but `tools` is empty",
        "ignore-eos: on (set)\n",
        "ignore-eos: off (default)\n",
        "predict: -1 (default)\n",
    ] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    // The limit of the command line is gone, and nothing that was refused holds.
    assert_eq!(text(&stdout), "17 + 25 = 42\n");
}

#[test]
fn chat_takes_every_option_that_run_takes() {
    let state = tempfile::tempdir().unwrap();
    let arguments = ["--stop", "=", "--reasoning-budget-message", "Enough.", "--reasoning-budget", "0"];
    let Output { status, stdout, stderr } = typed(state.path(), &arguments, "What is 17 + 25?\n/set stop\n");
    let stderr = text(&stderr);
    assert!(status.success(), "{stderr}");
    assert!(!text(&stdout).contains('='), "{stdout:?}");
    assert!(stderr.contains("reverse-prompt: = (set)"), "{stderr}");
}

#[test]
fn a_conversation_is_saved_listed_loaded_and_exported() {
    let state = tempfile::tempdir().unwrap();
    let export = state.path().join("talk.md");
    let lines = format!("What is 17 + 25?\n/save sums\n/export {}\n", export.display());
    assert!(typed(state.path(), &["-sys", "Be brief."], &lines).status.success());
    let kept = std::fs::read_to_string(state.path().join("ggrun/sessions/sums.jsonl")).unwrap();
    let roles: Vec<serde_json::Value> = kept
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["role"].clone())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    let markdown = std::fs::read_to_string(export).unwrap();
    assert!(
        markdown.contains("## User\n\nWhat is 17 + 25?") && markdown.contains("\n17 + 25 = 42\n"),
        "{markdown}"
    );

    let Output { stdout, stderr, .. } =
        typed(state.path(), &[], "/load\n/load sums\n/regen\n/load ../sums\n/save ../x\n/save a b\n");
    let stderr = text(&stderr);
    assert_eq!(text(&stdout), "17 + 25 = 42\n");
    for words in [
        "sums\n",
        "1 question so far",
        "`../sums` is not a",
        "`../x` is not a",
        "`a b` is not a conversation name",
    ] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    assert!(!state.path().join("ggrun/x").exists());
    // A session of that name is resumed at once and saved after every answer.
    assert!(typed(state.path(), &["--session", "sums"], "842 - 83 = ?\n").status.success());
    let kept = std::fs::read_to_string(state.path().join("ggrun/sessions/sums.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), 6);
}

#[test]
fn tool_calls_are_printed_and_their_results_are_typed() {
    let state = tempfile::tempdir().unwrap();
    let tools = state.path().join("tools.json");
    std::fs::write(&tools, r#"[{"name": "add", "parameters": {"type": "object"}}]"#).unwrap();
    let call = r#"root ::= "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 17}}\n</tool_call>""#;
    let arguments = ["--tools", tools.to_str().unwrap(), "--grammar", call];
    let export = state.path().join("talk.md");
    // The grammar makes the model call again after the result; an empty line ends that.
    let lines = format!("What is 17 + 25?\n42\n\n/export {}\n", export.display());
    let Output { status, stdout, stderr } = typed(state.path(), &arguments, &lines);
    let stderr = text(&stderr);
    assert!(status.success(), "{stderr}");
    assert_eq!(text(&stdout), "{\"name\":\"add\",\"arguments\":{\"a\":17}}\n".repeat(2));
    assert!(stderr.contains("a result is missing\nthe question is removed"), "{stderr}");
    assert_eq!(std::fs::read_to_string(export).unwrap(), "");
}

#[test]
fn a_question_that_is_too_long_is_removed_and_the_next_one_is_answered() {
    let state = tempfile::tempdir().unwrap();
    let long = "word ".repeat(400);
    let Output { stdout, stderr, .. } =
        typed(state.path(), &["-c", "256"], &format!("{long}\nWhat is 17 + 25?\n"));
    assert_eq!(text(&stdout), "17 + 25 = 42\n");
    assert!(text(&stderr).contains("the context holds"), "{}", text(&stderr));
}

#[test]
fn an_export_replaces_the_file_as_a_whole() {
    let state = tempfile::tempdir().unwrap();
    let [export, old] = ["talk.md", "old.md"].map(|name| state.path().join(name));
    std::fs::write(&export, "old").unwrap();
    std::fs::hard_link(&export, &old).unwrap();
    let lines = format!("What is 17 + 25?\n/export {}\n", export.display());
    assert!(typed(state.path(), &["-n", "1"], &lines).status.success());
    assert!(std::fs::read_to_string(export).unwrap().starts_with("## User\n\nWhat is 17 + 25?"));
    assert_eq!(std::fs::read_to_string(old).unwrap(), "old", "the old file is not written to");
}

#[test]
fn a_long_question_that_is_removed_is_shown_in_part() {
    let state = tempfile::tempdir().unwrap();
    let lines = format!("first {}last\n/undo\n", "word ".repeat(100));
    let Output { stderr, .. } = typed(state.path(), &["-n", "1"], &lines);
    let stderr = text(&stderr);
    let removed = stderr.lines().find_map(|line| line.strip_prefix("removed: ")).unwrap();
    assert!(removed.starts_with("first word") && removed.ends_with("word last"), "{removed}");
    assert_eq!(removed.chars().count(), 200);
}

#[test]
fn a_summary_that_is_cut_off_does_not_replace_the_conversation() {
    let state = tempfile::tempdir().unwrap();
    let export = state.path().join("talk.md");
    let lines = format!("{}\n/compact\n/export {}\n", "word ".repeat(130), export.display());
    let Output { stderr, .. } = typed(state.path(), &["-c", "512", "-n", "20", "--ignore-eos"], &lines);
    let stderr = text(&stderr);
    assert!(
        stderr.contains("error: the summary was cut off after 128 tokens; the conversation is"),
        "{stderr}"
    );
    assert!(std::fs::read_to_string(export).unwrap().starts_with("## User\n\nword word "));
}

#[test]
fn a_question_that_failed_is_edited_and_not_the_one_before_it() {
    let state = tempfile::tempdir().unwrap();
    let export = state.path().join("talk.md");
    let lines = format!(
        "What is 17 + 25?\n{}\n/edit 842 - 83 = ?\n/export {}\n",
        "word ".repeat(400),
        export.display()
    );
    let Output { stdout, .. } = typed(state.path(), &["-c", "256"], &lines);
    assert_eq!(text(&stdout), "17 + 25 = 42\n842 - 83 = 759\n");
    assert_eq!(std::fs::read_to_string(export).unwrap().matches("## User").count(), 2);
}

/// A conversation on a terminal, at its prompt.
#[cfg(unix)]
pub(super) fn open(state: &Path, arguments: &[&str]) -> rexpect::session::PtySession {
    let mut session = rexpect::session::spawn_command(
        chat(state, arguments),
        u64::try_from(crate::deadline::PATIENCE.as_millis()).ok(),
    )
    .unwrap();
    session.exp_string("/help lists the commands").unwrap();
    // Input before the prompt may be lost, as with any line editor.
    session.exp_string("> ").unwrap();
    session
}

/// Waits for the end of an answer, whose last line may be broken between words, and for the prompt.
#[cfg(unix)]
pub(super) fn answered(session: &mut rexpect::session::PtySession) {
    session.exp_regex("first\\s+token\\s+after").unwrap();
    session.exp_string("> ").unwrap();
}

/// Leaves a conversation at its prompt.
#[cfg(unix)]
pub(super) fn leave(session: &mut rexpect::session::PtySession) {
    session.send_line("/exit").unwrap();
    session.exp_eof().unwrap();
}

#[cfg(unix)]
mod terminal {
    use super::*;

    #[test]
    fn a_whole_conversation_on_a_terminal() {
        let state = tempfile::tempdir().unwrap();
        let mut session = open(state.path(), &[]);
        session.send_line("What is 17 + 25?").unwrap();
        // Thinking is dimmed.
        session.exp_string("\x1b[2m").unwrap();
        session.exp_string("17 + 25 = 42").unwrap();
        answered(&mut session);
        session.send_line("/think fold").unwrap();
        session.exp_string("\n").unwrap();
        session.exp_string("> ").unwrap();
        session.send_line("842 - 83 = ?").unwrap();
        session.exp_string(" words in ").unwrap();
        session.exp_string("842 - 83 = 759").unwrap();
        answered(&mut session);
        session.send_line("/edit").unwrap();
        session.exp_string("842 - 83 = ?").unwrap();
        // The question is on the prompt; delete its last three characters.
        session.send("\x7f\x7f\x7f").unwrap();
        session.flush().unwrap();
        session.send_line("= ? ").unwrap();
        session.exp_string("759").unwrap();
        answered(&mut session);
        session.send_line("/exit").unwrap();
        session.exp_eof().unwrap();
        let history = std::fs::read_to_string(state.path().join("ggrun/history")).unwrap();
        assert!(history.contains("What is 17 + 25?") && history.contains("/think fold"), "{history}");
    }

    #[test]
    fn the_history_lasts_across_conversations() {
        let state = tempfile::tempdir().unwrap();
        let mut session = open(state.path(), &[]);
        session.send_line("/system Always the same.").unwrap();
        session.exp_string("set for the next answers").unwrap();
        session.exp_string("> ").unwrap();
        session.send_line("/exit").unwrap();
        session.exp_eof().unwrap();
        let mut session = open(state.path(), &[]);
        // Twice up: the first is `/exit`.
        session.send("\x1b[A\x1b[A").unwrap();
        session.flush().unwrap();
        session.exp_string("Always the same.").unwrap();
    }

    #[test]
    fn ctrl_c_stops_an_answer_and_keeps_it_and_at_the_prompt_exits_with_130() {
        let state = tempfile::tempdir().unwrap();
        let mut session = open(state.path(), &["--ignore-eos", "--session", "stopped", "-c", "0"]);
        session.send_line("What is 17 + 25?").unwrap();
        session.exp_string("carry").unwrap();
        session.send_control('c').unwrap();
        session.exp_string("stopped").unwrap();
        session.exp_string("> ").unwrap();
        session.send_control('c').unwrap();
        let status = session.process().wait();
        drop(session);
        let kept = std::fs::read_to_string(state.path().join("ggrun/sessions/stopped.jsonl")).unwrap();
        assert!(kept.contains("carry"), "{kept}");
        assert!(format!("{status:?}").contains("130"), "{status:?}");
    }
}
