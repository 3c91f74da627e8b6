//! Checks of arguments that do not need a model, made before one is loaded or downloaded.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail};
use ggrun::atomic;
use ggrun::model::{Model, check_rules, check_values};
use ggrun::session::GenerationOptions;

use super::file;
use super::generation::GenerationArgs;
use super::prompt::EscapeArgs;

/// The options of a command line. Refuses sampling values out of range, invalid grammars and schemas, and a choice of
/// tools that were not passed.
pub(crate) fn generation(args: &GenerationArgs, escape: &EscapeArgs) -> anyhow::Result<GenerationOptions> {
    let mut options = args.options()?;
    escape.apply(&mut options);
    options.check_tool_choice()?;
    let defaults = GenerationOptions::recommended(&Model::default_sampling(0));
    check_values(&options.clone().over(&defaults).params(0))?;
    options.rules.as_ref().map_or(Ok(()), check_rules)?;
    Ok(options)
}

/// Refuses an input that does not exist or cannot be read; `-` is standard input.
pub(crate) fn input(path: &Path) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        return Ok(());
    }
    let failed = || format!("cannot read `{}`", path.display());
    let meta = std::fs::metadata(path).with_context(failed)?;
    file::refuse_device(&meta).with_context(failed)?;
    // Opening a pipe would wait for its writer, and closing it would end the writer.
    if meta.is_file() {
        File::open(path).with_context(failed)?;
    }
    Ok(())
}

/// Refuses an output whose folder does not exist or cannot hold it; `-` is standard output.
pub(crate) fn output(path: &Path) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        return Ok(());
    }
    if path.is_dir() {
        bail!("cannot write `{}`: it is a folder", path.display());
    }
    let folder = atomic::folder(path);
    let failed = || format!("cannot write `{}`", path.display());
    if !folder.is_dir() {
        bail!("cannot write `{}`: `{}` is not a folder", path.display(), folder.display());
    }
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => drop(File::options().append(true).open(path).with_context(failed)?),
        // Opening a pipe would wait for its reader, and closing it would end the reader.
        Ok(_) => {}
        // Removed at once, whatever happens.
        Err(_) => drop(tempfile::tempfile_in(folder).with_context(failed)?),
    }
    Ok(())
}

/// Refuses two names of one file if at least one of them is written.
pub(crate) fn apart(one: (&str, &Path), other: (&str, &Path)) -> anyhow::Result<()> {
    if atomic::is_same(one.1, other.1) && one.1.as_os_str() != "-" {
        bail!("`{}` cannot be both {} and {}", one.1.display(), one.0, other.0);
    }
    Ok(())
}
