//! `ggrun download`: a repository of the hub into the shared cache.

mod wanted;

use ggrun::hub::{Event, Hub, Listing, RemoteFile, RepoName, Settings};
use serde_json::json;

use super::args::When;
use super::interrupt::Interrupt;
use super::progress::Bar;
use super::{Outcome, text};
use wanted::{Glob, wanted};

/// Files that are fetched at once, if nobody says.
pub(crate) const JOBS: u8 = 4;

/// Fetches a model of Hugging Face's hub into the cache that its own tools share
///
/// Of a checkpoint what a conversion needs, else the files that are named. What is in the cache is not fetched again,
/// every file is held against the hash that the repository lists, and the same command goes on where it was interrupted.
/// Prints the folder in which the files have their own names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun download Intel/Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound
  ggrun download ORG/NAME@v1.0 --dry-run           the files, their sizes, and what is there already
  ggrun download ORG/NAME-GGUF model-Q4_0.gguf
  ggrun download ORG/NAME-GGUF --include \"*Q4_0*\"

HF_TOKEN or the file that `hf auth login` writes says who asks, HF_ENDPOINT where the hub is, HF_HOME or HF_HUB_CACHE
where files go; HF_HUB_OFFLINE=1 asks nobody.")]
pub(crate) struct Download {
    /// ORG/NAME, or ORG/NAME@REVISION: a branch, a tag or a commit
    #[arg(value_name = "REPO")]
    repo: RepoName,
    /// Only these files
    #[arg(value_name = "FILE", conflicts_with_all = ["all", "include", "exclude"])]
    files: Vec<String>,
    /// Every file of the repository
    #[arg(long)]
    all: bool,
    /// Of all files those whose path fits, "*.gguf" or "q4/"; may be given again
    #[arg(long, value_name = "GLOB", conflicts_with = "all")]
    include: Vec<Glob>,
    /// Of these, or of all, none whose path fits
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<Glob>,
    /// Files that are fetched at once
    #[arg(short, long, value_name = "N", default_value_t = JOBS, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Says what would be fetched, and fetches nothing but the index
    #[arg(long)]
    dry_run: bool,
    /// Another folder than the shared cache
    #[arg(long, value_name = "FOLDER")]
    cache_dir: Option<std::path::PathBuf>,
    /// When progress is shown
    #[arg(long, value_enum, default_value_t = When::Auto)]
    progress: When,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Download) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen();
    let stop = interrupt.flag();
    let mut settings = Settings::read()?;
    if let Some(folder) = &args.cache_dir {
        settings.cache.clone_from(folder);
    }
    let hub = Hub::new(settings)?;
    let bar = Bar::new("Downloading", args.progress);
    let observer = |event: Event<'_>| bar.fetch(event);
    let fetch = || {
        let listing = hub.listing(&args.repo, stop, &observer)?;
        let files = wanted(args, &hub, &listing, interrupt.flag(), &observer)?;
        let rows = files.iter().map(|file| describe(&hub, &args.repo, &listing, file));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let jobs = usize::from(args.jobs);
        let fetch = || hub.fetch(&args.repo, &listing, &files, jobs, stop, &observer);
        let folder = if args.dry_run { None } else { Some(fetch()?) };
        Ok::<_, anyhow::Error>((listing.commit.clone(), rows, folder))
    };
    let done = fetch();
    bar.clear();
    let (commit, rows, folder) = done?;
    if args.json {
        let files: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name, "bytes": row.bytes, "hash": row.hash, "cached_before": row.there,
                    "bytes_to_fetch": row.to_fetch,
                })
            })
            .collect();
        super::print(&format!(
            "{:#}\n",
            json!({
                "schema_version": 1, "repository": args.repo.id(), "revision": args.repo.revision(),
                "commit": commit, "folder": folder, "files": files,
            })
        ))?;
    } else if let Some(folder) = folder {
        super::print(&format!("{}\n", folder.display()))?;
    } else {
        let table: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let there = match row.bytes - row.to_fetch {
                    _ if row.to_fetch == 0 => "in the cache".to_owned(),
                    0 => String::new(),
                    part => format!("{} in the cache", text::bytes(part)),
                };
                vec![row.name.clone(), text::bytes(row.bytes), there]
            })
            .collect();
        super::print(&text::table(&table, &[1]))?;
        let to_come: u64 = rows.iter().map(|row| row.to_fetch).sum();
        eprintln!("{} to fetch, commit {commit}", text::bytes(to_come));
    }
    Ok(Outcome::Success)
}

/// A file as it was before.
struct Row {
    name: String,
    bytes: u64,
    hash: String,
    there: bool,
    /// Bytes that were still to come.
    to_fetch: u64,
}

fn describe(
    hub: &Hub,
    repo: &RepoName,
    listing: &Listing,
    file: &RemoteFile,
) -> Result<Row, ggrun::hub::Error> {
    let there = hub.cache().repo(repo).find(&listing.commit, &file.name).is_some();
    let to_fetch = if there { 0 } else { hub.to_fetch(repo, file)? };
    Ok(Row { name: file.name.clone(), bytes: file.bytes, hash: file.hash.clone(), there, to_fetch })
}
