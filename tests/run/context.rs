//! `ggrun chat`: errors change nothing, and a full context is not the end.

use std::path::Path;
use std::process::Output;

use super::chat::{text, typed};

/// Runs a conversation, which must succeed, and returns both streams.
fn talk(state: &Path, arguments: &[&str], lines: &str) -> (String, String) {
    let Output { status, stdout, stderr } = typed(state, arguments, lines);
    assert!(status.success(), "{}", text(&stderr));
    (text(&stdout), text(&stderr))
}

#[test]
fn an_error_keeps_the_turn_that_was_to_be_changed() {
    let state = tempfile::tempdir().unwrap();
    let export = state.path().join("talk.md");
    // The template refuses a system prompt with this word.
    let template = state.path().join("template.jinja");
    let source = std::fs::read_to_string(crate::support::data("tiny-thinker/chat_template.jinja")).unwrap();
    let refuse = "{%- if messages[0].role == 'system' and 'bad' in messages[0].content %}\
                  {{- raise_exception('a bad prompt') }}{%- endif %}";
    std::fs::write(&template, format!("{refuse}{source}")).unwrap();
    let long = "word ".repeat(400);
    let lines = format!(
        "What is 17 + 25?\n/edit {long}\n/system a bad one\n/regen\n/edit other\n/system -\n\
         /set reasoning-budget-message </think>\n/edit\n/export {}\n",
        export.display()
    );
    let arguments = ["-c", "256", "--chat-template-file", template.to_str().unwrap()];
    let (out, err) = talk(state.path(), &arguments, &lines);
    assert_eq!(out, "17 + 25 = 42\n");
    assert_eq!(err.matches("the previous question and answer are kept").count(), 2, "{err}");
    assert_eq!(err.matches("the previous answer is kept").count(), 1, "{err}");
    // What would fail with the next question fails at once.
    assert!(err.contains("error: `reasoning_budget_message` has `</think>`"), "{err}");
    let markdown = std::fs::read_to_string(export).unwrap();
    assert!(markdown.starts_with("## User\n\nWhat is 17 + 25?\n\n## Assistant\n\n> "), "{markdown}");
    assert!(markdown.ends_with("\n\n17 + 25 = 42\n\n") && !markdown.contains("word"), "{markdown}");
}

#[test]
fn a_question_that_failed_can_be_asked_again() {
    let state = tempfile::tempdir().unwrap();
    let template = state.path().join("template.jinja");
    let source = std::fs::read_to_string(crate::support::data("tiny-thinker/chat_template.jinja")).unwrap();
    let refuse =
        "{%- if messages[0].role == 'system' %}{{- raise_exception('no system prompts') }}{%- endif %}";
    std::fs::write(&template, format!("{refuse}{source}")).unwrap();
    let lines = "/system x\nWhat is 17 + 25?\n/system -\n/retry\n/retry\n";
    let (out, err) = talk(state.path(), &["--chat-template-file", template.to_str().unwrap()], lines);
    assert_eq!(out, "17 + 25 = 42\n".repeat(2));
    assert!(err.contains("the question is removed; /retry asks it again"), "{err}");
}

#[test]
fn a_context_that_is_nearly_full_is_announced_and_a_full_one_has_ways_out() {
    let state = tempfile::tempdir().unwrap();
    let lines = "What is 17 + 25?\n/stats\n842 - 83 = ?\nWhat is the capital of Kenya?\nSpell cloud backwards.\n\
                 Reverse the word wind.\nReverse the word wind.\nReverse the word wind.\n842 - 83 = ?\nHi\nHi\n\
                 /undo\n/undo\n/undo\n/undo\nWhat is 17 + 25?\n";
    let (out, err) = talk(state.path(), &["-c", "256"], lines);
    assert!(err.contains(" % of the context in use, 82 of 256 tokens\n"), "{err}");
    assert!(err.contains("the context is nearly full, "), "{err}");
    assert!(
        err.contains("the prompt has ") && err.contains("hint: /compact replaces earlier turns"),
        "{err}"
    );
    assert!(out.ends_with('\n') && out.lines().count() >= 6, "{out}");
}

#[test]
fn a_conversation_is_compacted_to_a_summary_and_continues() {
    let state = tempfile::tempdir().unwrap();
    let export = state.path().join("talk.md");
    let lines = format!(
        "/compact\nWhat is 17 + 25?\nWhat is the capital of Kenya?\n842 - 83 = ?\n/compact\n/export {}\n\
         What is 17 + 25?\n",
        export.display()
    );
    let (_, err) = talk(state.path(), &["-c", "1024", "--thinking", "hide"], &lines);
    assert!(err.contains("error: no conversation to summarize"), "{err}");
    assert!(err.contains("earlier turns are replaced by this summary: "), "{err}");
    let markdown = std::fs::read_to_string(export).unwrap();
    let questions: Vec<&str> = markdown.split("## User\n\n").skip(1).collect();
    assert_eq!(questions.len(), 2, "{markdown}");
    assert!(questions[0].starts_with("Summarize our conversation so far."), "{markdown}");
    assert!(questions[1].starts_with("842 - 83 = ?"), "the last turn is kept: {markdown}");
}

#[test]
fn a_file_is_put_before_the_next_message() {
    let state = tempfile::tempdir().unwrap();
    let (file, export) = (state.path().join("some notes.txt"), state.path().join("talk.md"));
    std::fs::write(&file, "\u{feff}What is\n").unwrap();
    let lines = format!(
        "/read {}\n17 + 25?\n/read no/such\n/read {}\n/copy\n/export {}\n",
        file.display(),
        state.path().display(),
        export.display()
    );
    let (_, err) = talk(state.path(), &[], &lines);
    assert!(err.contains("tokens; the next message begins with it"), "{err}");
    assert!(err.contains("error: cannot read `no/such`") && err.contains("expected a file"), "{err}");
    assert!(err.contains("error: cannot copy: no terminal"), "{err}");
    let markdown = std::fs::read_to_string(export).unwrap();
    assert!(markdown.starts_with("## User\n\nWhat is\n\n17 + 25?\n\n"), "{markdown}");
}
