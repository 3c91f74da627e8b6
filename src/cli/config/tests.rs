//! Texts of configuration files, any of them.

use clap::{Arg, ArgAction, Command};
use proptest::prelude::*;

use super::entry::{Value, WrongConfig};
use super::file::parse;

fn root() -> Command {
    let mut root = Command::new("ggrun")
        .subcommand(
            Command::new("run")
                .arg(Arg::new("top_k").long("top-k"))
                .arg(Arg::new("stop").long("stop").action(ArgAction::Append))
                .arg(Arg::new("flag").long("flag").action(ArgAction::SetTrue)),
        )
        .subcommand(Command::new("cache").subcommand(Command::new("ls").arg(Arg::new("dir").long("dir"))));
    root.build();
    root
}

#[test]
fn tables_are_commands_and_keys_are_options() {
    let text = "top-k = 1_000\n[run]\nstop = [\"a\", 'b']\nflag = true\n[cache.ls]\ndir = \"\"\"x\ny\"\"\"\n[aliases]\nq = '~/m.gguf'\n";
    let config = parse(&root(), "c.toml".as_ref(), text).unwrap();
    let found: Vec<_> =
        config.entries.iter().map(|entry| (entry.path.join("."), entry.key.as_str(), entry.line)).collect();
    let expected = [("", "top-k", 1), ("run", "stop", 3), ("run", "flag", 4), ("cache.ls", "dir", 6)]
        .map(|(p, k, l)| (p.to_owned(), k, l));
    assert_eq!(found, expected);
    assert_eq!(config.entries[1].value, Value::List(vec!["a".into(), "b".into()]));
    assert_eq!(config.aliases, [("q".to_owned(), "~/m.gguf".to_owned(), 9)]);
    assert_eq!(config.alias("q", Some("/u".as_ref())), Some("/u/m.gguf".into()));
}

#[test]
fn a_large_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "#".repeat((1 << 20) + 1)).unwrap();
    let read = super::read::read(&root(), Some(file.path().to_owned()), &|_| None);
    assert!(matches!(read, Err(WrongConfig::Long { .. })));
    std::fs::write(file.path(), b"\xff").unwrap();
    let read = super::read::read(&root(), Some(file.path().to_owned()), &|_| None);
    assert!(matches!(read, Err(WrongConfig::Encoding { .. })));
}

proptest! {
    #[test]
    fn a_value_that_was_written_is_read_again(value in "[ -~é]{0,20}", at in 0usize..5) {
        let text = format!("{}top-k = {}\n", "\n".repeat(at), toml_text(&value));
        let config = parse(&root(), "c.toml".as_ref(), &text).unwrap();
        prop_assert_eq!(&config.entries[0].value, &Value::One(value));
        prop_assert_eq!(config.entries[0].line, at + 1);
    }

    #[test]
    fn no_text_makes_it_panic_and_every_error_has_a_line_of_the_text(
        text in "([a-z-]{0,6}|top-k|run|flag|\\[|\\]|=|\"|'|\n|#|\\.|1|true|\\{|\\}|,| ){0,20}",
    ) {
        if let Err(error) = parse(&root(), "c.toml".as_ref(), &text) {
            let WrongConfig::Line { line, .. } = error else { panic!("{error}") };
            prop_assert!(line >= 1 && line <= text.lines().count() + 1, "{}: {}", text, line);
        }
    }
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
