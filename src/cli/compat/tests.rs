//! Spellings, and what becomes of them.

use clap::{Arg, ArgAction};

use super::*;

/// A command with options of each kind; the real ones are tested as processes.
fn root() -> Command {
    let option = |name: &'static str| Arg::new(name).long(name);
    let answering = |name: &'static str| {
        Command::new(name)
            .arg(option("prompt").short('p').allow_hyphen_values(true))
            .arg(option("system-prompt").allow_hyphen_values(true))
            .arg(option("n-gpu-layers").allow_negative_numbers(true))
            .arg(option("model").short('m'))
            .arg(option("seed").short('s').allow_negative_numbers(true))
            .arg(option("predict").short('n').allow_negative_numbers(true))
            .arg(option("verbose").short('v').action(ArgAction::Count))
            .arg(option("logit-bias").short('l'))
    };
    let raw = option("no-conversation").action(ArgAction::SetTrue);
    let mut root = Command::new("ggrun").subcommand(answering("run").arg(raw)).subcommand(answering("chat"));
    root.build();
    root
}

fn rewritten(typed: &str) -> Result<Rewritten, Refused> {
    rewrite(&root(), &typed.split(' ').map(OsString::from).collect::<Vec<_>>())
}

#[track_caller]
fn check(typed: &str, meant: &str) {
    let found = rewritten(typed).unwrap();
    assert_eq!(found.arguments, meant.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert_eq!(found.notes, [""; 0]);
}

#[track_caller]
fn note(typed: &str, meant: &str, says: &str) {
    let found = rewritten(typed).unwrap();
    assert_eq!(found.arguments, meant.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert!(found.notes.len() == 1 && found.notes[0].contains(says), "{:?}", found.notes);
}

#[track_caller]
fn refused(typed: &str, says: &str, hint: &str) {
    let error = rewritten(typed).unwrap_err();
    assert!(error.message.contains(says), "{error}");
    assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{:?}", error.hint);
}

#[test]
fn single_dash_spellings_become_long_options() {
    check("ggrun run -sys Hi -ngl 99", "ggrun run --system-prompt Hi --n-gpu-layers 99");
    check("ggrun run -ngl=99 -m a.gguf", "ggrun run --n-gpu-layers=99 -m a.gguf");
    check("ggrun run -no-cnv", "ggrun run --no-conversation");
}

#[test]
fn text_that_looks_like_an_option_stays_text() {
    check("ggrun run -p -sys -sys -ngl", "ggrun run -p -sys --system-prompt -ngl");
    check("ggrun run -p -- -sys x", "ggrun run -p -- --system-prompt x");
    check("ggrun run -- -sys", "ggrun run -- -sys");
}

#[test]
fn other_options_stay_as_they_are() {
    check("ggrun run -s 3 -n -1 -n5 -vv", "ggrun run -s 3 -n -1 -n5 -vv");
}

#[test]
fn options_without_effect_go_with_a_note() {
    note("ggrun run --jinja -n 1", "ggrun run -n 1", "`--jinja` has no effect: ");
    note("ggrun run -cnv -n 1", "ggrun run -n 1", "`ggrun chat` holds a conversation");
    note("ggrun chat -cnv", "ggrun chat", "is a conversation");
    note("ggrun run --poll 50 -n 1", "ggrun run -n 1", "`--poll` has no effect: ");
    note("ggrun run -st -n 1", "ggrun run -n 1", "one prompt");
}

#[test]
fn what_would_change_the_answer_is_refused_by_name() {
    refused("ggrun chat -no-cnv", "`-no-cnv` is not supported by `ggrun chat`", "ggrun run -no-cnv");
    refused("ggrun run --context-shift", "`--context-shift` is not supported", "-c");
    refused("ggrun chat --swa-full", "`--swa-full` is not supported", "always cache only the window");
}

#[test]
fn an_unknown_spelling_is_refused_with_the_closest() {
    refused("ggrun run -nlg 99", "unknown option `-nlg` of `ggrun run`", "did you mean `-ngl`?");
    refused("ggrun run -systems", "unknown option `-systems`", "did you mean `-");
    refused("ggrun run -mlock", "unknown option `-mlock`", "");
    refused("ggrun run -xmn 3", "unknown option `-xmn`", "");
}

#[test]
fn every_spelling_is_one_dash_or_foreign_and_listed_once() {
    for (at, spelling) in TABLE.iter().enumerate() {
        assert!(!spelling.names.is_empty());
        for name in spelling.names {
            let again = |other: &Spelling| other.names.contains(name) && other.commands == spelling.commands;
            assert!(!TABLE[at + 1..].iter().any(again), "{name} is listed twice");
        }
    }
}
