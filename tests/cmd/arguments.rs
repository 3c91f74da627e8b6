//! Arguments are checked before a model is looked for: each wrong one is named although there is no model.

use super::Sandbox;

/// A model that does not exist.
const MODEL: &str = "no/such.gguf";

#[track_caller]
fn refused(sandbox: &Sandbox, arguments: &[&str], says: &str) {
    let ran = sandbox.run(arguments);
    assert!(ran.code == Some(1) || ran.code == Some(2), "{arguments:?}: {ran:?}");
    assert!(ran.err.contains(says), "{arguments:?}: `{says}` is not in\n{}", ran.err);
    assert!(!ran.err.contains(MODEL), "{arguments:?}: {}", ran.err);
    assert_eq!(ran.out, "");
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let write = |name: &str, text: &str| std::fs::write(sandbox.path(name), text).unwrap();
    write("in.jsonl", "{\"prompt\": \"x\"}\n");
    write("bad.gbnf", "root ::= (");
    write("bad.json", "{");
    write("tools.json", "{}");
    write("bad.jinja", "{% if %}");
    sandbox
}

#[test]
fn a_wrong_generation_option_is_reported_before_the_model() {
    let sandbox = sandbox();
    let cases: [(&[&str], &str); 14] = [
        (&["--grammar", "root ::= ("], "grammar"),
        (&["--grammar-file", "bad.gbnf"], "grammar"),
        (&["--grammar-file", "no/file"], "cannot read the grammar from `no/file`"),
        (&["--json-schema", "{"], "schema"),
        (&["--json-schema", "[1]"], "schema"),
        (&["--json-schema-file", "bad.json"], "schema"),
        (&["--top-p", "2"], "top-p"),
        (&["--min-p", "-1"], ""),
        (&["--temp", "nan"], "temperature"),
        (&["--repeat-penalty", "0"], "repeat penalty"),
        (&["--tools", "tools.json"], "tools.json"),
        (&["--tool-choice", "required"], "tool"),
        (&["--chat-template-file", "bad.jinja"], "chat template"),
        (&["--chat-template", "chatml"], "`chatml` is not a Jinja template"),
    ];
    let commands: [&[&str]; 3] = [&["run", "-p", "x"], &["chat"], &["batch", "in.jsonl", "-o", "out.jsonl"]];
    for command in commands {
        for (options, says) in cases {
            refused(&sandbox, &[command, &["-m", MODEL], options].concat(), says);
        }
    }
}

#[test]
fn an_invalid_grammar_or_schema_is_one_error_with_its_reason() {
    let sandbox = sandbox();
    for (options, says) in [
        (["--grammar", "junk"], "error: invalid grammar: expected `::=` at line 1, column 5\n"),
        (["--grammar", "root ::= \"<\" ("], "error: invalid grammar: expected `)` at line 1, column 15\n"),
        (
            ["--grammar", "root ::= \"a\"{5,1}"],
            "error: invalid grammar: the counts of `{5,1}` are out of order",
        ),
        (
            ["-j", "{\"type\":\"nope\"}"],
            "error: invalid JSON schema: `type` at `#`: it is `\"nope\"`, expected one of `null`",
        ),
        (["-j", "{\"not\":{}}"], "error: invalid JSON schema: `not` at `#`: it is not supported"),
    ] {
        for quiet in [&[][..], &["-q"]] {
            let ran = sandbox.run(&[quiet, &["run", MODEL, "hi"], &options].concat());
            assert_eq!(ran.code, Some(1), "{options:?}: {ran:?}");
            assert!(ran.err.starts_with(says), "{options:?}: {}", ran.err);
        }
    }
}

#[test]
fn a_wrong_file_is_reported_before_the_model() {
    let sandbox = sandbox();
    let cases: [(&[&str], &str); 12] = [
        (&["run", "-f", "no/file"], "cannot read the prompt from `no/file`"),
        (&["run", "-p", "x", "-sysf", "no/file"], "cannot read the system prompt from `no/file`"),
        (&["run"], "no prompt"),
        (&["run", "-p", ""], "the prompt is empty"),
        (&["batch", "no/file", "-o", "out"], "cannot read rows from `no/file`"),
        (&["batch", "-"], "no output, expected `-o`"),
        (&["batch", "in.jsonl", "-o", "no/out"], "`no` is not a folder"),
        (&["batch", "in.jsonl", "-o", "in.jsonl"], "`in.jsonl` cannot be both the input and `-o`"),
        (&["batch", "in.jsonl", "-o", "out", "--errors", "out"], "`out` cannot be both `-o` and `--errors`"),
        (&["bench", "--quality", "no/file"], "cannot read the text from `no/file`"),
        (&["bench", "--quality", "in.jsonl", "--kl", "no/file"], "cannot read `no/file`"),
        (&["bench", "--quality", "in.jsonl", "--save-logits", "no/out"], "`no` is not a folder"),
    ];
    for (arguments, says) in cases {
        refused(&sandbox, &[arguments, &["-m", MODEL]].concat(), says);
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_command_without_a_model_says_how_to_name_one() {
    let sandbox = sandbox();
    for arguments in
        [&["run", "-p", "x"][..], &["chat"], &["plan"], &["bench"], &["batch", "in.jsonl", "-o", "out"]]
    {
        sandbox.run(arguments).refused(2, &["no model, expected MODEL, `-m` or `-hf`"]);
    }
}

#[test]
fn a_folder_with_a_checkpoint_gets_the_command_that_converts_it() {
    let sandbox = Sandbox::with(&testkit::Model::tiny());
    for command in
        [&["run", "source", "x"][..], &["chat", "source"], &["plan", "source"], &["bench", "source"]]
    {
        let says =
            ["`source` is a checkpoint, expected a GGUF", "hint: convert it first: `ggrun convert source`"];
        sandbox.run(command).refused(1, &says);
    }
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    sandbox.run(&["plan", "folder"]).refused(1, &["`folder` is a folder, expected a GGUF file"]);
    std::fs::write(sandbox.path("folder/a.gguf"), "").unwrap();
    sandbox.run(&["plan", "folder"]).refused(1, &["expected a file such as `folder/a.gguf`"]);
}

#[test]
fn color_reaches_help_and_usage_errors() {
    let sandbox = sandbox();
    let run = |arguments: &[&str]| sandbox.run(arguments);
    for when in [&["--color", "always"][..], &["-co", "always"], &["--color=on"]] {
        assert!(run(&[&["run", "--help"], when].concat()).out.contains("\x1b["), "{when:?}");
        for wrong in ["--bogus", "-nlg"] {
            assert!(run(&[&["run", wrong], when].concat()).err.starts_with("\x1b["), "{wrong} {when:?}");
        }
    }
    for plain in [&["run", "--bogus", "-p", "--color=always"][..], &["run", "--bogus", "--color", "never"]] {
        assert!(run(plain).err.starts_with("error:"), "{plain:?}");
    }
}

#[test]
fn threads_are_put_on_cores_that_exist() {
    let sandbox = sandbox();
    sandbox
        .run(&["plan", MODEL, "-C", "0x80000000000000000000000000000000"])
        .refused(1, &["cannot run on cores 127"]);
    // What the system takes is not refused; the model is looked for.
    sandbox.run(&["plan", MODEL, "--prio", "-1"]).refused(1, &[MODEL]);
    sandbox.run(&["plan", MODEL, "-Cr", "0-0"]).refused(1, &[MODEL]);
}

#[test]
fn options_without_effect_are_noted_and_unknown_spellings_refused() {
    let sandbox = sandbox();
    let run = |options: &[&str]| sandbox.run(&[&["run", MODEL, "x"], options].concat());
    for option in ["--jinja", "-cnv", "-st", "--no-warmup", "--no-context-shift", "--simple-io"] {
        run(&[option]).refused(1, &[&format!("note: `{option}` has no effect: "), MODEL]);
    }
    run(&["--poll", "50"]).refused(1, &["note: `--poll` has no effect: ", MODEL]);
    run(&["-nlg", "99"]).refused(2, &["unknown option `-nlg` of `ggrun run`", "did you mean `-ngl`?"]);
    run(&["--no-jinja"]).refused(2, &["`--no-jinja` is not supported by `ggrun run`"]);
    let honoured: [&[&str]; 14] = [
        &["-no-cnv"],
        &["-lv", "3"],
        &["--color", "never"],
        &["-e"],
        &["--check-tensors"],
        &["--rope-scaling", "yarn"],
        &["--rope-scale", "4"],
        &["--yarn-orig-ctx", "100"],
        &["--yarn-ext-factor", "1"],
        &["--override-kv", "a=int:1"],
        &["--chat-template", "{{ messages }}"],
        &["-sys", "x"],
        &["-Cr", "0-0"],
        &["--prio", "0"],
    ];
    for options in honoured {
        let ran = run(options);
        ran.refused(1, &[MODEL]);
        assert!(!ran.err.contains("no effect"), "{options:?}: {}", ran.err);
    }
}
