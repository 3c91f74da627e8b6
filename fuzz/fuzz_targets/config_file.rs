//! Reads any text as a configuration file. Every entry must be on a line of the text.

#![no_main]

// The modules instead of their crate, which depends on llama.cpp.
#[allow(dead_code, unreachable_pub, reason = "the target uses only the parser")]
#[path = "../../src/cli/config"]
mod config {
    mod entry;
    mod file;

    /// The lines of the entries of a valid file.
    pub(crate) fn lines(root: &clap::Command, text: &str) -> Option<Vec<usize>> {
        let config = file::parse(root, std::path::Path::new("config.toml"), text).ok()?;
        Some(config.entries.iter().map(|entry| entry.line).collect())
    }
}

use clap::{Arg, ArgAction, Command};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let option = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Set);
    let mut root = Command::new("ggrun")
        .arg(option("log-file").global(true))
        .subcommand(Command::new("run").arg(option("temp")).arg(option("model")))
        .subcommand(Command::new("cache").subcommand(Command::new("ls").arg(option("sort"))));
    root.build();
    let count = text.split('\n').count();
    for line in config::lines(&root, text).unwrap_or_default() {
        assert!((1..=count).contains(&line));
    }
});
