//! `ggrun run` and `ggrun chat` on a terminal.

use std::path::Path;
use std::process::{Command, Output};

use rexpect::session::{PtySession, spawn_command};

use super::chat::{answered, leave, open, text, typed};
use super::command::ggrun;
use super::tiny_gguf;
use crate::deadline::{PATIENCE, output};

/// Sets the clipboard of a terminal, and erases its screen in 8-bit codes.
const HOSTILE: &str = "\x1b]52;c;QUFB\x07\u{9b}2J";
const SHOWN: &str = "\\u{1b}]52;c;QUFB\\u{7}\\u{9b}2J";

fn spawn(mut command: Command) -> PtySession {
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    spawn_command(command, u64::try_from(PATIENCE.as_millis()).ok()).unwrap()
}

/// The text as `rexpect` has it: a character for each byte.
fn bytes(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Leaves a conversation, and returns it as Markdown.
fn exported(session: &mut PtySession, folder: &Path) -> String {
    let export = folder.join("talk.md");
    session.send_line(&format!("/export {}", export.display())).unwrap();
    session.exp_string("wrote").unwrap();
    leave(session);
    std::fs::read_to_string(export).unwrap()
}

/// An answer with control characters, and reasoning with them.
fn hostile(more: &[&str]) -> Vec<String> {
    let grammar = r#"root ::= "a\x1B]52;c;QUFB\x07\x9B2Jz""#;
    let message = format!("b{HOSTILE}y");
    let arguments =
        ["-p", "Hi", "--grammar", grammar, "--reasoning-budget", "2", "--reasoning-budget-message", &message];
    arguments.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
}

#[test]
fn text_of_the_model_cannot_control_a_terminal_unless_it_is_asked_for() {
    let gguf = tiny_gguf();
    let run = |more: &[&str]| {
        let arguments = hostile(more);
        ggrun(&gguf, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let whole = spawn(run(&[])).exp_eof().unwrap();
    assert!(whole.contains(&format!("a{SHOWN}z")) && whole.contains(&format!("b{SHOWN}y")), "{whole:?}");
    assert!(!whole.contains("\x1b]52") && !whole.contains('\u{9b}'), "{whole:?}");
    let raw = spawn(run(&["--raw"])).exp_eof().unwrap();
    assert!(
        raw.contains(&bytes(&format!("a{HOSTILE}z"))) && raw.contains(&bytes(&format!("b{HOSTILE}y"))),
        "{raw:?}"
    );
    let Output { stdout, .. } = output(&mut run(&[]));
    assert_eq!(text(&stdout), format!("a{HOSTILE}z\n"), "a pipe gets the bytes");
}

#[test]
fn names_of_files_cannot_control_a_terminal_and_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("{}{HOSTILE}{}", "a".repeat(100), "b".repeat(110));
    let path = folder.path().join(&name);
    std::fs::write(&path, "x").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.args(["inspect", &name]).current_dir(folder.path());
    let whole = spawn(command).exp_eof().unwrap();
    assert!(
        whole.contains("\\u{1b}]52") && whole.contains(&bytes("…")) && whole.contains("bbb`"),
        "{whole:?}"
    );
    assert!(!whole.contains("\x1b]52") && !whole.contains('\u{9b}'), "{whole:?}");
    assert!(!whole.contains(&"b".repeat(100)), "{whole:?}");
}

#[test]
fn a_long_prompt_is_read_with_a_bar_and_can_be_stopped() {
    // One token for each step takes longer than two seconds on any machine.
    let question = "word ".repeat(30_000);
    let arguments = ["-c", "60000", "-b", "1", "-ub", "1", "-f", "question.txt"];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("question.txt"), question).unwrap();
    let mut command = ggrun(&tiny_gguf(), &arguments);
    command.current_dir(folder.path());
    let mut session = spawn(command);
    session.exp_string("Reading the prompt").unwrap();
    session.exp_string(" tokens").unwrap();
    session.exp_string(" left").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("interrupted").unwrap();
    let status = session.process().wait();
    assert!(format!("{status:?}").contains("130"), "{status:?}");
}

#[test]
fn ctrl_c_discards_what_is_typed_and_does_not_count_then() {
    let state = tempfile::tempdir().unwrap();
    let mut session = open(state.path(), &[]);
    for _ in 0..2 {
        session.send_control('c').unwrap();
        session.exp_string("press Ctrl-C again to leave").unwrap();
        session.exp_string("> ").unwrap();
        session.send("some words").unwrap();
        session.flush().unwrap();
        session.exp_string("some words").unwrap();
        session.send_control('c').unwrap();
        session.exp_string("> ").unwrap();
    }
    session.send_control('c').unwrap();
    session.exp_string("press Ctrl-C again to leave").unwrap();
    session.exp_string("> ").unwrap();
    session.send_control('c').unwrap();
    let status = session.process().wait();
    assert!(format!("{status:?}").contains("130"), "{status:?}");
}

#[test]
fn a_question_that_is_edited_stays_until_the_new_one_is_asked() {
    let state = tempfile::tempdir().unwrap();
    let mut session = open(state.path(), &[]);
    session.send_line("What is 17 + 25?").unwrap();
    answered(&mut session);
    session.send_line("/edit").unwrap();
    session.exp_string("What is 17 + 25?").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("> ").unwrap();
    assert!(exported(&mut session, state.path()).contains("17 + 25 = 42"));
}

#[test]
fn a_question_of_several_lines_keeps_them_when_it_is_edited() {
    let state = tempfile::tempdir().unwrap();
    let mut session = open(state.path(), &[]);
    session.send_line("\"\"\"one").unwrap();
    session.exp_string(". ").unwrap();
    session.send_line("two\"\"\"").unwrap();
    answered(&mut session);
    session.send_line("/edit").unwrap();
    session.exp_string("one").unwrap();
    session.exp_string("two").unwrap();
    session.send_line("!").unwrap();
    answered(&mut session);
    let markdown = exported(&mut session, state.path());
    assert!(markdown.starts_with("## User\n\none\ntwo!\n"), "{markdown}");
}

#[test]
fn a_question_with_control_characters_is_not_put_on_the_prompt() {
    let state = tempfile::tempdir().unwrap();
    assert!(typed(state.path(), &[], &format!("Hello {HOSTILE}\n/save a\n")).status.success());
    let mut session = open(state.path(), &["--session", "a"]);
    session.send_line("/edit").unwrap();
    session.exp_string("the question has control characters; `/edit TEXT` replaces it").unwrap();
    leave(&mut session);
}

#[test]
fn tab_completes_and_the_last_answer_is_copied() {
    let state = tempfile::tempdir().unwrap();
    let mut session = open(state.path(), &[]);
    session.send_line("What is 17 + 25?").unwrap();
    answered(&mut session);
    session.send("/cop\t").unwrap();
    session.flush().unwrap();
    session.exp_string("y").unwrap();
    session.send_line("").unwrap();
    // "17 + 25 = 42" in Base64.
    session.exp_string("\x1b]52;c;MTcgKyAyNSA9IDQy\x07").unwrap();
    session.exp_string("12 characters").unwrap();
    leave(&mut session);
}

#[test]
fn a_name_in_a_conversation_cannot_control_the_terminal() {
    let state = tempfile::tempdir().unwrap();
    let saved = typed(state.path(), &[], &format!("Hello {HOSTILE}\n/save a\n"));
    assert!(saved.status.success());
    let mut session = open(state.path(), &["--session", "a"]);
    session.send_line("/undo").unwrap();
    let before = session.exp_string("removed: Hello").unwrap();
    let after = session.exp_string("2J").unwrap();
    assert!(!before.contains("\x1b]52") && after.contains("\\u{1b}]52"), "{before:?} {after:?}");
    leave(&mut session);
}

/// A worker that does not respond is like a disk that does not.
#[test]
fn a_load_that_takes_long_has_a_bar_and_can_be_stopped() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let mut session = spawn(ggrun(&tiny_gguf(), &["-p", "Hi", "--rpc", &endpoint]));
    session.exp_string("Loading the model").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("interrupted").unwrap();
    let status = session.process().wait();
    assert!(format!("{status:?}").contains("130"), "{status:?}");
    drop(listener);
}
