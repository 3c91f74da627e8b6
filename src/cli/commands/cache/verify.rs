//! `ggrun cache verify`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ggrun::hub::cache::{MOST_ENTRIES, Removal, Repository, Target};
use ggrun::hub::hash;
use gguf_export::Progress;
use serde_json::{Value, json};

use super::args::VerifyCache;
use super::find::{commit, repository};
use super::plain::{self, Plain};
use crate::cli::error::Interrupted;
use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::ui::err::{note, warning};
use crate::cli::ui::out::print_result;
use crate::cli::ui::progress::Bar;
use crate::cli::ui::{ask, text};

/// A file that is missing or differs from the hub.
struct Finding {
    repository: String,
    /// A hash, or the name of a file.
    what: String,
    why: String,
}

pub(super) fn run(args: &VerifyCache) -> anyhow::Result<Outcome> {
    let cache = args.place.cache();
    let interrupt = Interrupt::listen();
    let mut found = match &args.repo {
        Some(name) => vec![repository(&cache, name)?],
        None => cache.scan(MOST_ENTRIES).repositories,
    };
    if let (Some(name), [one]) = (&args.repo, &mut found[..])
        && name.to_string() != name.id()
    {
        let commit = commit(one, name.revision())?;
        one.snapshots.retain(|snapshot| snapshot.commit == commit);
        let needed: BTreeSet<String> = one.needed(|_| true).into_iter().map(str::to_owned).collect();
        one.blobs.retain(|hash, _| needed.contains(hash));
    }
    let plain = Plain::of(&cache, &found, interrupt.flag());
    let own = found.iter().flat_map(|one| &one.snapshots).flat_map(plain::files);
    let own = own.filter(|(_, file)| plain.hashes.contains_key(&file.path)).map(|(_, file)| file.bytes);
    let bytes = own.chain(found.iter().flat_map(|one| one.blobs.values()).map(|blob| blob.bytes)).sum();
    let bar = Bar::new("Verifying", args.progress);
    bar.observe(Progress::Planned { tensors: 0, bytes, resumed: 0 });
    let (mut findings, mut removals, mut files) = (Vec::new(), Vec::new(), 0u64);
    for one in &found {
        let (wrong, paths) = check(one, &plain, &bar, &interrupt, &mut findings)?;
        files += one.blobs.len() as u64;
        if !wrong.is_empty() || !paths.is_empty() {
            // All links to the file, also those of other revisions.
            removals.extend(one.folder.scan(MOST_ENTRIES).map(|all| Removal::files(&all, &wrong, paths)));
        }
    }
    files += plain.hashes.len() as u64;
    bar.clear();
    if args.place.json {
        let findings: Vec<Value> = findings.iter().map(object).collect();
        print_result(&format!(
            "{:#}\n",
            json!({
                "schema_version": 1, "files": files, "bytes": bytes, "wrong": findings, "unchecked": plain.unknown,
            })
        ))?;
    } else {
        let line = |finding: &Finding| format!("{}: {}: {}\n", finding.repository, finding.what, finding.why);
        print_result(&findings.iter().map(line).collect::<String>())?;
    }
    if let Some(reason) = &plain.reason {
        let files = text::plural(plain.unknown, "file");
        warning(&format!("{files} not checked, because the cache has no hash: {reason}"));
    }
    if findings.is_empty() {
        note(&format!("{}, {}: all match their hashes", text::plural(files, "file"), text::bytes(bytes)));
        return Ok(Outcome::Success);
    }
    note(&format!("{} of {}", text::plural(findings.len() as u64, "problem"), text::plural(files, "file")));
    if removals.is_empty() {
        // A missing file is fetched when a command needs it.
    } else if !args.delete {
        note("`--delete` removes files that differ, so that they are fetched again");
    } else if args.yes || ask::may(&format!("Remove {}?", text::plural(count(&removals), "file")))? {
        for removal in &removals {
            removal.carry_out()?;
        }
        note(&format!("removed {}", text::plural(count(&removals), "file")));
    }
    Ok(Outcome::Differs)
}

fn count(removals: &[Removal]) -> u64 {
    removals.iter().map(|removal| (removal.blobs.len() + removal.plain.len()) as u64).sum()
}

/// Reads every file of a repository, and returns the hashes of the blobs and the paths of the plain files that differ.
fn check(
    one: &Repository,
    plain: &Plain,
    bar: &Bar,
    interrupt: &Interrupt,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<(BTreeSet<String>, Vec<PathBuf>)> {
    let (mut wrong, mut paths) = (BTreeSet::new(), Vec::new());
    let mut find = |what: &str, why: String| {
        findings.push(Finding { repository: one.name.clone(), what: what.to_owned(), why });
    };
    let hash = |path: &Path, expected: &str| {
        let advance = |bytes| bar.observe(Progress::Advanced { tensor: &one.name, bytes });
        let hash = hash::of_file(path, expected, interrupt.flag(), advance);
        if interrupt.is_raised() {
            bar.clear();
            return Err(Interrupted.into());
        }
        hash.with_context(|| format!("cannot read `{}`", path.display()))
    };
    for (name, blob) in &one.blobs {
        match hash(&blob.path, name)? {
            Some(hash) if hash == *name => {}
            Some(hash) => {
                find(name, format!("has the hash {hash}"));
                wrong.insert(name.clone());
            }
            None => find(name, "cannot be checked: its name is not a hash".to_owned()),
        }
    }
    for snapshot in &one.snapshots {
        for (name, file) in &snapshot.files {
            match &file.target {
                Target::Missing(hash) => find(name, format!("missing file {hash}")),
                Target::Elsewhere(to) => {
                    find(name, format!("links outside the cache, to `{}`", to.display()));
                }
                Target::Itself => {
                    let Some(expected) = plain.hashes.get(&file.path) else { continue };
                    let found = hash(&file.path, expected)?.unwrap_or_default();
                    if found != *expected {
                        find(name, format!("has the hash {found}, expected {expected}"));
                        paths.push(file.path.clone());
                    }
                }
                Target::Blob(_) => {}
            }
        }
    }
    Ok((wrong, paths))
}

fn object(finding: &Finding) -> Value {
    json!({ "repository": finding.repository, "what": finding.what, "why": finding.why })
}
