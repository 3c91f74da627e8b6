//! `ggrun download`: fetches files of a repository into the shared cache, or into a plain folder.

mod args;
mod glob;
mod wanted;

use ggrun::hub::{Event, Hub, Listing, LocalDir, RemoteFile, Settings};
use serde_json::json;

pub(crate) use args::Download;
use wanted::wanted;

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::ui::err::note;
use crate::cli::ui::out::print;
use crate::cli::ui::progress::Bar;
use crate::cli::ui::text;

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
        let local = args.local_dir.as_ref().map(LocalDir::at);
        let rows = files.iter().map(|file| describe(&hub, args, local.as_ref(), &listing, file));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let jobs = usize::from(args.jobs);
        let fetch = || match &local {
            None => hub.fetch(&args.repo, &listing, &files, jobs, stop, &observer),
            Some(dir) => {
                hub.fetch_to(dir, (&args.repo, &listing), &files, jobs, stop, &observer)?;
                Ok(dir.path().to_owned())
            }
        };
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
                    "name": row.name, "bytes": row.bytes, "hash": row.hash, "cached_before": row.to_fetch == 0,
                    "bytes_to_fetch": row.to_fetch,
                })
            })
            .collect();
        print(&format!(
            "{:#}\n",
            json!({
                "schema_version": 1, "repository": args.repo.id(), "revision": args.repo.revision(),
                "commit": commit, "folder": folder, "files": files,
            })
        ))?;
    } else if let Some(folder) = folder {
        print(&format!("{}\n", folder.display()))?;
    } else {
        let table: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let there = match row.bytes - row.to_fetch {
                    _ if row.to_fetch == 0 => row.place.to_owned(),
                    0 => String::new(),
                    part => format!("{} {}", text::bytes(part), row.place),
                };
                vec![row.name.clone(), text::bytes(row.bytes), there]
            })
            .collect();
        print(&text::table(&table, &[1]))?;
        let to_come: u64 = rows.iter().map(|row| row.to_fetch).sum();
        note(&format!("{} to fetch, commit {commit}", text::bytes(to_come)));
    }
    Ok(Outcome::Success)
}

/// A file as it was before the download.
struct Row {
    name: String,
    bytes: u64,
    hash: String,
    /// Bytes that were neither in the cache nor in the folder.
    to_fetch: u64,
    /// Where the other bytes were.
    place: &'static str,
}

fn describe(
    hub: &Hub,
    args: &Download,
    local: Option<&LocalDir>,
    listing: &Listing,
    file: &RemoteFile,
) -> Result<Row, ggrun::hub::Error> {
    let uncached = hub.missing_bytes(&args.repo, listing, file)?;
    let (to_fetch, place) = match local {
        None => (uncached, "in the cache"),
        Some(dir) => match file.bytes - dir.bytes(&listing.commit, file)? {
            // It is copied.
            1.. if uncached == 0 => (0, "in the cache"),
            missing => (missing, "in the folder"),
        },
    };
    Ok(Row { name: file.name.clone(), bytes: file.bytes, hash: file.hash.clone(), to_fetch, place })
}
