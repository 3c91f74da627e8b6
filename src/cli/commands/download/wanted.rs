//! Selects files of a repository.

use std::sync::atomic::AtomicBool;

use ggrun::hub::{Hub, Listing, Observer, RemoteFile};

use super::args::Download;
use super::glob::Glob;

/// The similarity above which a name is suggested, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The files that are given or match the patterns, or all, or those that a conversion needs.
pub(super) fn wanted<'l>(
    args: &Download,
    hub: &Hub,
    listing: &'l Listing,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> anyhow::Result<Vec<&'l RemoteFile>> {
    let (repo, patterns) = (&args.repo, !args.include.is_empty() || !args.exclude.is_empty());
    if !args.files.is_empty() {
        return args.files.iter().map(|name| named(args, listing, name)).collect();
    }
    if args.all || patterns {
        let any = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        let fits = |file: &&RemoteFile| {
            (args.include.is_empty() || any(&args.include, &file.name)) && !any(&args.exclude, &file.name)
        };
        let files: Vec<&RemoteFile> = listing.files.iter().filter(fits).collect();
        if files.is_empty() && patterns {
            let of = if listing.only_cached.is_some() { ", of those in the cache," } else { "" };
            anyhow::bail!("no file of `{repo}`{of} matches the patterns");
        }
        return Ok(files);
    }
    let files = hub.checkpoint_files(repo, listing, stop, observer)?;
    if !files.iter().any(|file| file.name.ends_with(".safetensors")) {
        listing.needs(&repo.to_string())?;
        anyhow::bail!("`{repo}` has no safetensors files; give the names of files, or `--all`");
    }
    Ok(files)
}

fn named<'l>(args: &Download, listing: &'l Listing, name: &str) -> anyhow::Result<&'l RemoteFile> {
    if let Some(file) = listing.find(name) {
        return Ok(file);
    }
    let alike = |file: &&RemoteFile| strsim::jaro_winkler(&file.name.to_lowercase(), &name.to_lowercase());
    let closest = listing.files.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let what = format!("{}/{name}", args.repo.id());
    listing.needs(&what)?;
    match closest.filter(|file| alike(file) >= ALIKE) {
        Some(file) => anyhow::bail!("`{what}` does not exist; did you mean `{}`?", file.name),
        None => anyhow::bail!("`{what}` does not exist; `--all --dry-run` lists the files"),
    }
}
