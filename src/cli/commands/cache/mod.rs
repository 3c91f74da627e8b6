//! `ggrun cache`: lists, verifies and cleans the cache that Hugging Face's tools share.

mod args;
mod find;
mod list;
mod plain;
mod remove;
mod verify;

pub(crate) use args::CacheArgs;
use args::CacheCommand;

use crate::cli::exit::Outcome;

pub(crate) fn run(args: &CacheArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        CacheCommand::Ls(args) => list::run(args),
        CacheCommand::Rm(args) => remove::rm(args),
        CacheCommand::Verify(args) => verify::run(args),
        CacheCommand::Prune(args) => remove::prune(args),
    }
}
