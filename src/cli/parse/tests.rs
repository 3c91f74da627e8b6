//! Whole command lines: what the arguments are, and where values come from.

use std::collections::BTreeMap;

use clap::ArgAction;

use super::*;
use crate::cli::args::Command as Named;
use crate::cli::config::entry::WrongConfig;

/// Parses a line with these variables and this configuration file.
fn parsed(line: &[&str], variables: &[(&str, &str)], config: Option<&str>) -> Result<Parsed, Stop> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    if let Some(text) = config {
        std::fs::write(&path, text).unwrap();
    }
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let variable = |name: &str| match (name, config) {
        ("GGRUN_CONFIG", Some(_)) => Some(path.clone().into_os_string()),
        _ => variables.get(name).map(OsString::from),
    };
    parse(["ggrun"].iter().chain(line).map(OsString::from), &variable)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The error and the hint, in one text.
#[track_caller]
fn refused(line: &[&str], variables: &[(&str, &str)], config: Option<&str>) -> String {
    match parsed(line, variables, config).unwrap_err() {
        Stop::Usage { message, hint } => format!("{message}\n{}", hint.unwrap_or_default()),
        Stop::Clap(error) => error.to_string(),
        Stop::Config(error) => {
            let hint = match &error {
                WrongConfig::Line { hint, .. } => hint.clone(),
                _ => None,
            };
            format!("{error}\n{}", hint.unwrap_or_default())
        }
        Stop::Print(text) => panic!("{text}"),
    }
}

#[track_caller]
fn printed(line: &str, variables: &[(&str, &str)], config: Option<&str>) -> String {
    match parsed(&words(line), variables, config) {
        Err(Stop::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// The row of an option in `--print-config`.
#[track_caller]
fn row(text: &str, name: &str) -> Vec<String> {
    let row = text.lines().find(|line| line.split_whitespace().next() == Some(name));
    row.unwrap_or_else(|| panic!("{name} is not in\n{text}")).split_whitespace().map(str::to_owned).collect()
}

/// Every command, with its path of names.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn visit(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let path = [path, &[below.get_name().to_owned()]].concat();
            visit(below, &path, found);
            found.push((path, below.clone()));
        }
    }
    let mut root = Args::command();
    root.build();
    let mut found = Vec::new();
    visit(&root, &[], &mut found);
    found
}

/// Arguments without which a command is refused.
fn needed(path: &[String]) -> Vec<String> {
    let words: &[&str] = match path.join(" ").as_str() {
        "convert" => &["source"],
        "verify" => &["a.gguf", "source"],
        "inspect" => &["a.gguf"],
        "download" | "cache rm" => &["o/n"],
        "batch" => &["in.jsonl", "-o", "out.jsonl"],
        "completions" => &["bash"],
        "man" => &["."],
        _ => &[],
    };
    let path = path.iter().cloned();
    path.chain(words.iter().map(|word| (*word).to_owned())).collect()
}

/// Two values of an option that it takes.
fn samples(line: &[String], long: &str) -> [String; 2] {
    let tried = [
        "1",
        "2",
        "on",
        "off",
        "none",
        "auto",
        "0.5",
        "8G",
        "9G",
        "8M",
        "9M",
        "a.gguf",
        "b.gguf",
        "o/n",
        "p/n",
        "f16",
        "f32",
        "md",
        "json",
        "a=CPU",
        "b=CPU",
        "h:1",
        "h:2",
        "{}",
        r#"{"a":1}"#,
        "15+1",
        "16+1",
        "127.0.0.1",
        "127.0.0.2",
        "top_k",
        "top_p",
        "layer",
        "row",
        "linear",
        "yarn",
        "distribute",
        "isolate",
        "input",
        "completion",
        "always",
        "never",
        "hide",
        "show",
        "plain",
        "bar",
        "0-1",
        "0-2",
        "k=int:1",
        "k=int:2",
        "q8_0",
        "bf16",
        "*.a",
        "*.b",
        "v1",
        "v2",
        "http://a.lan",
        "http://b.lan",
    ];
    let takes = |value: &&str| {
        let mut line: Vec<&str> = line.iter().map(String::as_str).collect();
        let option = format!("--{long}={value}");
        line.push(&option);
        parsed(&line, &[], None).is_ok()
    };
    let found: Vec<&str> = tried.into_iter().filter(takes).take(2).collect();
    match found[..] {
        [one, other] => [one.to_owned(), other.to_owned()],
        _ => panic!("no samples for --{long} of {line:?}: {found:?}"),
    }
}

/// Options of which every value counts.
const LISTS: [&str; 17] = [
    "ignore-config-key",
    "reverse-prompt",
    "stop",
    "logit-bias",
    "dry-sequence-breaker",
    "override-tensor",
    "override-kv",
    "rpc",
    "include",
    "exclude",
    "pg",
    "n-prompt",
    "n-gen",
    "n-depth",
    "verbose",
    "quiet",
    "print-config",
];

#[test]
fn a_repeated_option_takes_its_last_value() {
    let (mut seen, mut known) = (0, BTreeMap::new());
    for (path, command) in commands() {
        let line = needed(&path);
        if command.has_subcommands() {
            continue;
        }
        for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
            let long = arg.get_long().unwrap();
            // One of each, where several commands share it.
            if !path.ends_with(&["run".to_owned()]) && arg.is_global_set() {
                continue;
            }
            if LISTS.contains(&long)
                || matches!(
                    arg.get_action(),
                    ArgAction::Help | ArgAction::Version | ArgAction::HelpShort | ArgAction::HelpLong
                )
            {
                continue;
            }
            assert!(!matches!(arg.get_action(), ArgAction::Append), "--{long} of {path:?} keeps every value");
            if ["config", "no-config", "list-devices"].contains(&long) {
                continue;
            }
            let with: &[&str] = match (path.join(" ").as_str(), long) {
                ("bench", "chunks" | "save-logits" | "kl") => &["--quality=t"],
                ("cache verify", "yes") => &["--delete"],
                ("serve", "ssl-cert-file") => &["--ssl-key-file=k"],
                ("serve", "ssl-key-file") => &["--ssl-cert-file=c"],
                ("serve", "state-budget") => &["--state-dir=d"],
                _ => &[],
            };
            let line: Vec<String> =
                line.iter().cloned().chain(with.iter().map(|&text| text.to_owned())).collect();
            let takes = arg.get_action().takes_values()
                && arg.get_num_args().is_none_or(|count| count.max_values() > 0);
            let options = if takes {
                let [one, other] =
                    known.entry(arg.to_string()).or_insert_with(|| samples(&line, long)).clone();
                vec![format!("--{long}={one}"), format!("--{long}={other}")]
            } else {
                vec![format!("--{long}"), format!("--{long}")]
            };
            let typed: Vec<&str> = line
                .iter()
                .chain(&options)
                .map(String::as_str)
                .chain(["--print-config", "--no-config"])
                .collect();
            let Err(Stop::Print(text)) = parsed(&typed, &[], None) else { panic!("{typed:?}") };
            if takes {
                let is_secret = arg.is_hide_env_values_set();
                let shown = if is_secret { "(hidden)" } else { options[1].split_once('=').unwrap().1 };
                let row = row(&text, long);
                assert_eq!(row[1..], [shown.to_owned(), "flag".to_owned()], "{typed:?}");
            }
            if long != "print-config" {
                let typed: Vec<&str> = line.iter().chain(&options).map(String::as_str).collect();
                assert!(parsed(&typed, &[], None).is_ok(), "{typed:?}: {:?}", parsed(&typed, &[], None));
            }
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn a_list_keeps_all_its_values() {
    let rows = printed(
        "run -m m.gguf -p x --print-config -ot a=CPU -ot b=CPU -l 1+1 -l 2+2 --rpc h:1 --rpc h:2",
        &[],
        None,
    );
    assert_eq!(row(&rows, "override-tensor")[1], "a=CPU,b=CPU");
    assert_eq!(row(&rows, "logit-bias")[1], "1+1,2+2");
    assert_eq!(row(&rows, "rpc")[1], "h:1,h:2");
}

#[test]
fn an_api_key_is_shown_as_hidden_whatever_sets_it() {
    let key = [("LLAMA_API_KEY", "s3cret")];
    for (line, set, config) in [
        ("serve -m m.gguf --api-key s3cret --print-config", &[][..], None),
        ("serve -m m.gguf --print-config", &key[..], None),
        ("serve -m m.gguf --print-config", &[], Some("[serve]\napi-key = 's3cret'")),
    ] {
        let text = printed(line, set, config);
        assert_eq!(row(&text, "api-key")[1], "(hidden)");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn an_error_from_a_variable_names_the_variable_and_no_flag() {
    let mut seen = std::collections::BTreeSet::new();
    for (path, command) in commands() {
        let line = needed(&path);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        for arg in command.get_arguments() {
            let Some(name) = arg.get_env().and_then(|name| name.to_str()) else { continue };
            // Any text is a path or a name of these.
            if [
                "LLAMA_ARG_MODEL",
                "LLAMA_ARG_HF_FILE",
                "LLAMA_ARG_DEVICE",
                "LLAMA_ARG_CHAT_TEMPLATE",
                "LLAMA_ARG_CHAT_TEMPLATE_FILE",
                "LLAMA_ARG_ALIAS",
                "LLAMA_ARG_STATIC_PATH",
                "LLAMA_ARG_TAGS",
                "LLAMA_ARG_HOST",
                "LLAMA_API_KEY",
                "LLAMA_ARG_SSL_CERT_FILE",
                "LLAMA_ARG_SSL_KEY_FILE",
            ]
            .contains(&name)
            {
                continue;
            }
            let error = refused(&line, &[(name, "%wrong")], None);
            let long = arg.get_long().unwrap();
            assert!(
                error.starts_with(&format!("invalid value `%wrong` in the environment variable {name}: ")),
                "{error}"
            );
            assert!(!error.contains(&format!("--{long}")), "{error}");
            for words in ["invalid digit", "invalid float", "found in string", "at line 1"] {
                assert!(!error.contains(words), "{error}");
            }
            seen.insert(name.to_owned());
        }
    }
    assert!(seen.len() > 25, "{seen:?}");
}

#[test]
fn two_variables_that_contradict_each_other_are_both_named() {
    let error =
        refused(&["run", "-p", "x"], &[("LLAMA_ARG_MODEL", "a.gguf"), ("LLAMA_ARG_HF_REPO", "o/n")], None);
    assert!(error.starts_with("LLAMA_ARG_MODEL and LLAMA_ARG_HF_REPO cannot be used together"), "{error}");
}

#[test]
fn a_flag_wins_over_a_variable_a_variable_over_the_file_and_the_file_over_the_default() {
    let config = Some("top-k = 1\n[run]\ntop-p = 0.5\nmin-p = 0.25\nctx-size = 100\n");
    let set = [("LLAMA_ARG_TOP_P", "0.75"), ("LLAMA_ARG_MIN_P", "0.5"), ("LLAMA_ARG_TEMP", "0")];
    let rows = printed("run -m m.gguf --min-p 1 --print-config", &set, config);
    assert_eq!(row(&rows, "top-k"), ["top-k", "1", "config.toml:1"]);
    assert_eq!(row(&rows, "top-p"), ["top-p", "0.75", "LLAMA_ARG_TOP_P"]);
    assert_eq!(row(&rows, "min-p"), ["min-p", "1", "flag"]);
    assert_eq!(row(&rows, "ctx-size"), ["ctx-size", "100", "config.toml:5"]);
    assert_eq!(row(&rows, "cache-type-k"), ["cache-type-k", "f16", "default"]);
    assert_eq!(
        row(&printed("chat -m m.gguf --print-config", &[], config), "ctx-size"),
        ["ctx-size", "default"]
    );
}

#[test]
fn a_flag_replaces_what_it_contradicts_in_a_variable_or_the_file() {
    let rows = printed("run -m a.gguf --print-config", &[("LLAMA_ARG_HF_REPO", "o/n")], None);
    assert_eq!(row(&rows, "hf-repo"), ["hf-repo", "default"]);
    let rows = printed("run -m a.gguf --cpu --print-config", &[], Some("device = 'CUDA0'"));
    assert_eq!(row(&rows, "device"), ["device", "default"]);
    let rows = printed("run -m a.gguf --repack --print-config", &[("LLAMA_ARG_NO_REPACK", "1")], None);
    assert_eq!(row(&rows, "no-repack")[1], "false");
    // The command's own table is nearer than the rest of the file.
    let rows = printed("run -m a.gguf --print-config", &[], Some("device = 'CUDA0'\n[run]\ncpu = true"));
    assert_eq!((row(&rows, "device").len(), row(&rows, "cpu")[1].as_str()), (2, "true"));
}

#[test]
fn the_last_of_an_option_and_its_opposite_counts() {
    for (line, off) in [("--repack -nr", true), ("-nr --repack", false)] {
        let Ok(Parsed { args, .. }) = parsed(&words(&format!("run -m m.gguf -p x {line}")), &[], None) else {
            panic!()
        };
        let Named::Run(args) = args.command else { panic!() };
        assert_eq!(args.placement.options("m.gguf".as_ref()).repack, Some(!off), "{line}");
    }
}

#[test]
fn values_of_the_file_are_those_of_the_options() {
    let config = Some(
        "[plan]\ncpu-moe = true\noverride-tensor = ['a=CPU', 'b=CPU']\ntensor-split = [3, 1]\nfit = false\n",
    );
    let Ok(Parsed { args, .. }) = parsed(&["plan", "m.gguf"], &[], config) else { panic!() };
    let Named::Plan(args) = args.command else { panic!() };
    let options = args.placement.options("m.gguf".as_ref());
    assert_eq!((options.cpu_experts, options.overrides.len(), options.fit), (Some(u32::MAX), 2, false));
    assert_eq!(options.tensor_split, [3.0, 1.0]);
}

#[test]
fn an_error_from_the_file_names_file_line_and_key() {
    let error = refused(&["run", "m.gguf", "x"], &[], Some("\n[run]\ntop-k = 'many'\n"));
    assert!(error.starts_with("invalid value `many` for `top-k` (`"), "{error}");
    assert!(error.contains("config.toml`, line 3): expected a whole number"), "{error}");
    for (config, says) in [
        ("top_k = 1", "line 1: unknown key `top_k`\ndid you mean `top-k`?"),
        ("[run]\nxyz = 1", "line 2: unknown key `xyz` in `[run]`"),
        ("[rum]\n", "line 1: unknown table `[rum]`\ndid you mean `run`?"),
        ("top-k = [1]", "line 1: `top-k` expects one value, found array"),
        ("cpu-moe = 'yes'", "line 1: `cpu-moe` expects true or false, found string"),
        ("top-k = 2026-01-01", "line 1: `top-k` expects text, a number, true or false, found datetime"),
        ("top-k = 1\ntop-k = 2", "line 2: not valid TOML"),
        ("config = 'x'", "unknown key `config`"),
        ("[aliases]\nq = 1", "line 2: alias `q` expects"),
        ("cpu = true\ndevice = 'x'", "cannot be used together"),
        ("model = 'a'\nhf-repo = 'o/n'", "cannot be used together"),
    ] {
        let error = refused(&["plan"], &[], Some(config));
        assert!(error.contains(says), "{config}: {error}");
    }
}

#[track_caller]
fn model(line: &[&str], config: Option<&str>, model: &str, prompt: Option<&str>) {
    let Parsed { args, .. } = parsed(line, &[], config).unwrap();
    let Named::Run(args) = args.command else { panic!() };
    let named = match args.model.named().unwrap() {
        crate::cli::options::model::Chosen::File(path) => path.display().to_string(),
        crate::cli::options::model::Chosen::Hub(repo, _) => repo.to_string(),
    };
    assert_eq!((named.as_str(), args.prompt.as_deref()), (model, prompt), "{line:?}");
}

#[test]
fn the_first_word_is_the_model_and_the_second_the_prompt() {
    let set = Some("model = 'default.gguf'");
    model(&["run", "m.gguf", "What?"], None, "m.gguf", Some("What?"));
    model(&["run", "o/n:Q4_0"], None, "o/n:Q4_0", None);
    model(&["run", "-m", "m.gguf", "What?"], None, "m.gguf", Some("What?"));
    model(&["run", "--hf-repo", "o/n", "What?"], None, "o/n", Some("What?"));
    model(&["run", "What?"], set, "default.gguf", Some("What?"));
    model(&["run", "m.gguf"], set, "m.gguf", None);
    model(&["run", "m.gguf", "--", "-5 + 3?"], None, "m.gguf", Some("-5 + 3?"));
    model(&["run", "-p", "What?"], set, "default.gguf", Some("What?"));
}

#[test]
fn words_too_many_are_refused_by_name() {
    for (line, says) in [
        (&["run", "m.gguf", "What", "is"][..], "unexpected argument `is`\nput the prompt in quotes"),
        (&["run", "-m", "m.gguf", "a", "b"], "unexpected argument `b`"),
        (&["run", "m.gguf", "a", "-p", "b"], "the prompt is given twice: `a` and `-p`"),
        (&["run", "m.gguf", "a", "-f", "b"], "the prompt is given twice: `a` and `-f`"),
        (&["run", "What is this?"], "`What is this?` does not name a model"),
        (&["plan", "-m", "m.gguf", "n.gguf"], "unexpected argument `n.gguf`\nthe model is named twice"),
        (&["chat", "m.gguf", "Hi"], "unexpected argument `Hi`"),
    ] {
        let error = refused(line, &[], None);
        assert!(error.contains(says), "{line:?}: {error}");
    }
}

#[test]
fn aliases_stand_for_models_wherever_one_is_named() {
    let config = Some("model = 'q'\n[aliases]\nq = 'o/n:Q4_0'\nlocal = '/models/a.gguf'\n");
    model(&["run", "local", "x"], config, "/models/a.gguf", Some("x"));
    model(&["run", "-m", "local"], config, "/models/a.gguf", None);
    model(&["run", "--model=local"], config, "/models/a.gguf", None);
    model(&["run", "-p", "x"], config, "o/n:Q4_0", Some("x"));
    let Ok(Parsed { args, .. }) = parsed(&["inspect", "local"], &[], config) else { panic!() };
    let Named::Inspect(args) = args.command else { panic!() };
    assert_eq!(args.path, PathBuf::from("/models/a.gguf"));
}

#[test]
fn an_unknown_option_with_a_value_is_named() {
    for line in [&["serve", "-m", "m.gguf", "--foo", "3"][..], &["run", "-m", "m.gguf", "hi", "--foo", "3"]] {
        let Err(Stop::Clap(error)) = parsed(line, &[], None) else { panic!("{line:?}") };
        assert!(error.to_string().contains("--foo"), "{error}");
    }
}

#[test]
fn commands_of_other_programs_are_met_with_their_equals() {
    for (name, says) in [
        ("ls", "ggrun cache ls"),
        ("list", "ggrun cache ls"),
        ("pull", "ggrun download"),
        ("rm", "ggrun cache rm"),
        ("show", "ggrun inspect"),
        ("start", "ggrun serve"),
        ("ps", "no model stays loaded"),
        ("push", "hf upload"),
    ] {
        let error = refused(&[name, "x"], &[], None);
        assert!(error.starts_with(&format!("unknown command `{name}`")) && error.contains(says), "{error}");
    }
}

#[test]
fn help_needs_neither_a_model_nor_a_valid_file() {
    for line in ["run --help", "--help", "help run", "run -h", "--version"] {
        assert!(
            matches!(parsed(&words(line), &[], Some("wrong")), Err(Stop::Clap(error)) if !error.use_stderr()),
            "{line}"
        );
    }
}

/// Lines of a screen, and its columns.
const SCREEN: (usize, usize) = (40, 100);

#[test]
fn short_help_fits_one_screen_and_long_help_is_grouped() {
    for (path, _) in commands() {
        let line: Vec<&str> = path.iter().map(String::as_str).chain(["-h"]).collect();
        let Err(Stop::Clap(error)) = parsed(&line, &[], None) else { panic!("{line:?}") };
        let text = error.render().to_string();
        let lines = text.lines().count();
        assert!(lines <= SCREEN.0, "{line:?} has {lines} lines\n{text}");
        let wide = text.lines().find(|line| line.chars().count() > SCREEN.1);
        assert_eq!(wide, None, "{line:?}");
    }
    for (path, command) in commands() {
        let options: Vec<_> = command.get_arguments().filter(|arg| arg.get_long().is_some()).collect();
        let loose = options.iter().filter(|arg| arg.get_help_heading().is_none()).count();
        assert!(loose <= 8, "{path:?} has {loose} options without a heading");
    }
}

#[test]
fn every_option_and_command_has_help_in_one_mood() {
    for (path, command) in commands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let first = about.split([' ', ',']).next().unwrap_or_default();
        assert!(first.ends_with('s'), "{path:?}: {about}");
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let first = help.split([' ', ':']).next().unwrap_or_default();
            assert!(!help.is_empty() && !help.ends_with('.'), "{path:?} {}: {help}", arg.get_id());
            assert!(
                !["Whether", "What", "How", "The", "A"].contains(&first),
                "{path:?} {}: {help}",
                arg.get_id()
            );
            let verb = ["Shows", "Prints", "Writes", "Takes", "Reads", "Sets", "Uses", "Removes", "Lists"];
            assert!(!verb.contains(&first), "{path:?} {}: {help}", arg.get_id());
        }
    }
}
