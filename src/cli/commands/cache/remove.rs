//! `ggrun cache rm` and `ggrun cache prune`: list, confirm, remove.

use anyhow::bail;
use ggrun::hub::cache::{Cache, Error, MOST_ENTRIES, Removal, Repository};
use serde_json::json;

use super::args::{Consent, Place, Prune, Rm};
use super::find::{commit, repository, short};
use crate::cli::exit::Outcome;
use crate::cli::ui::err::{note, remark};
use crate::cli::ui::out::print;
use crate::cli::ui::{ask, text};

/// The part of a repository to remove.
struct Going {
    name: String,
    removal: Removal,
}

pub(super) fn rm(args: &Rm) -> anyhow::Result<Outcome> {
    let cache = args.place.cache();
    let mut going: Vec<Going> = Vec::new();
    for name in &args.repos {
        let found = repository(&cache, name)?;
        let whole = name.to_string() == name.id();
        let removal = if whole {
            Removal::whole(&found)
        } else {
            let others = going.iter().any(|one| one.name == found.name);
            if others {
                bail!("`{}` is given twice, expected one revision of a repository at a time", found.name);
            }
            if !found.complete {
                bail!(
                    "`{}` has unexpected files, so the files that other revisions need are unknown",
                    found.name
                );
            }
            Removal::commit(&found, &commit(&found, name.revision())?)
        };
        if !going.iter().any(|one| one.name == found.name) {
            going.push(Going { name: found.name, removal });
        }
    }
    settle(&cache, &going, &args.consent, &args.place)
}

pub(super) fn prune(args: &Prune) -> anyhow::Result<Outcome> {
    let cache = args.place.cache();
    let mut going = Vec::new();
    let own = |found: &Repository| {
        found
            .folder
            .path()
            .file_name()
            .is_some_and(|name| name.to_str().is_some_and(|name| name.starts_with("models--")))
    };
    for found in cache.scan(MOST_ENTRIES).repositories.into_iter().filter(own) {
        let removal = Removal::unneeded(&found);
        if removal.is_empty() {
            continue;
        }
        if !found.complete {
            remark(&format!("`{}` has unexpected files and is skipped", found.name));
        } else if found.folder.is_busy()? {
            remark(&format!("`{}` is being downloaded and is skipped", found.name));
        } else {
            going.push(Going { name: found.name, removal });
        }
    }
    settle(&cache, &going, &args.consent, &args.place)
}

/// Lists what would be removed, asks, and removes it.
fn settle(cache: &Cache, going: &[Going], consent: &Consent, place: &Place) -> anyhow::Result<Outcome> {
    let bytes: u64 = going.iter().map(|one| one.removal.bytes()).sum();
    if !place.json {
        print(&going.iter().flat_map(lines).collect::<String>())?;
    }
    let mut freed = 0;
    let wanted = !consent.dry_run && !going.is_empty();
    let agreed =
        wanted && (consent.yes || ask::may(&format!("Remove this and free {}?", text::bytes(bytes)))?);
    let mut failed = None;
    for one in going.iter().filter(|_| agreed) {
        match one.removal.carry_out() {
            Ok(bytes) => freed += bytes,
            // The others can still be removed.
            Err(error @ Error::Busy { .. }) => drop(failed.get_or_insert(error)),
            Err(error) => return Err(error.into()),
        }
    }
    if place.json {
        let removals: Vec<_> = going.iter().map(object).collect();
        print(&format!(
            "{:#}\n",
            json!({
                "schema_version": 1, "cache": cache.root().display().to_string(), "dry_run": consent.dry_run,
                "removed": agreed, "bytes": bytes, "freed": freed, "repositories": removals,
            })
        ))?;
    }
    match failed {
        Some(error) => return Err(error.into()),
        None if going.is_empty() => note("nothing to remove"),
        None if consent.dry_run => note(&format!("would free {}", text::bytes(bytes))),
        None if agreed => note(&format!("freed {}", text::bytes(freed))),
        None => note("nothing removed"),
    }
    Ok(Outcome::Success)
}

fn lines(one: &Going) -> Vec<String> {
    let removal = &one.removal;
    let mut lines = vec![format!("{}: {}\n", one.name, text::bytes(removal.bytes()))];
    for snapshot in &removal.snapshots {
        let files = text::plural(snapshot.files.len() as u64, "file");
        lines.push(format!("  revision {}, {files}\n", short(&snapshot.commit)));
    }
    if !removal.refs.is_empty() {
        lines.push(format!("  referenced by {}\n", removal.refs.join(", ")));
    }
    for (what, blobs) in [("stored", &removal.blobs), ("unfinished", &removal.unfinished)] {
        if !blobs.is_empty() {
            let bytes = blobs.iter().map(|(_, blob)| blob.bytes).sum();
            let count = text::plural(blobs.len() as u64, &format!("{what} file"));
            lines.push(format!("  {count}, {}\n", text::bytes(bytes)));
        }
    }
    lines
}

fn object(one: &Going) -> serde_json::Value {
    let removal = &one.removal;
    let commits: Vec<_> = removal.snapshots.iter().map(|snapshot| &snapshot.commit).collect();
    let names = |blobs: &[(String, ggrun::hub::cache::Blob)]| -> Vec<String> {
        blobs.iter().map(|(name, _)| name.clone()).collect()
    };
    json!({
        "repository": one.name, "whole": removal.whole, "bytes": removal.bytes(), "commits": commits,
        "refs": removal.refs, "blobs": names(&removal.blobs), "unfinished": names(&removal.unfinished),
    })
}
