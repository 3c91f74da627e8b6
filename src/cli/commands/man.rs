//! `ggrun man`: manual pages, one for each command.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Command;
use clap_mangen::Man;
use ggrun::atomic::{Access, NewFile};

use crate::cli::exit::Outcome;
use crate::cli::ui::out::print;

/// Writes manual pages for every command into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ggrun man ~/.local/share/man/man1")]
pub(crate) struct ManPages {
    /// Folder to write to; it must exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &ManPages, mut root: Command) -> anyhow::Result<Outcome> {
    let folder = &args.folder;
    ensure!(folder.is_dir(), "`{}` is not a folder", folder.display());
    root.build();
    let mut written = Vec::new();
    write(&root, "ggrun", folder, &mut written)?;
    for path in written {
        print(&format!("{}\n", path.display()))?;
    }
    Ok(Outcome::Success)
}

/// Writes the page of a command and those below it, whole or not at all.
fn write(command: &Command, name: &str, folder: &Path, written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let path = folder.join(format!("{name}.1"));
    let failed = || format!("cannot write `{}`", path.display());
    let page = Man::new(command.clone().name(name.to_owned()).bin_name(name.replace('-', " ")));
    let mut file = NewFile::beside(&path, Access::Usual).with_context(failed)?;
    page.render(&mut file).with_context(failed)?;
    file.commit().with_context(failed)?;
    written.push(path);
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write(below, &format!("{name}-{}", below.get_name()), folder, written)?;
    }
    Ok(())
}
