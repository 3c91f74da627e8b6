//! `ggrun completions`: a script for a shell.

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;

use crate::cli::exit::Outcome;
use crate::cli::ui::out::print;

/// Prints a completion script for a shell
///
/// bash: ggrun completions bash > ~/.local/share/bash-completion/completions/ggrun
/// zsh: ggrun completions zsh > ~/.zfunc/_ggrun
/// fish: ggrun completions fish > ~/.config/fish/completions/ggrun.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// Shell to write the script for
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Completions, mut root: Command) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "ggrun", &mut script);
    print(&String::from_utf8(script).context("the script is not UTF-8")?)?;
    Ok(Outcome::Success)
}
