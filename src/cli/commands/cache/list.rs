//! `ggrun cache ls`.

use std::time::SystemTime;

use ggrun::hub::cache::{MOST_ENTRIES, Repository, Scan, Snapshot, Target};
use serde_json::{Value, json};

use super::args::Ls;
use super::find::{repository, short};
use crate::cli::exit::Outcome;
use crate::cli::ui::err::note;
use crate::cli::ui::out::print;
use crate::cli::ui::text;

pub(super) fn run(args: &Ls) -> anyhow::Result<Outcome> {
    let cache = args.place.cache();
    let scan = match &args.repo {
        Some(name) => {
            let found = repository(&cache, name)?;
            Scan { complete: found.complete, repositories: vec![found] }
        }
        None => cache.scan(MOST_ENTRIES),
    };
    if args.place.json {
        let repositories: Vec<Value> = scan.repositories.iter().map(object).collect();
        print(&format!(
            "{:#}\n",
            json!({
                "schema_version": 1, "cache": cache.root().display().to_string(), "complete": scan.complete,
                "bytes": total(&scan), "repositories": repositories,
            })
        ))?;
        return Ok(Outcome::Success);
    }
    let rows: Vec<_> = scan.repositories.iter().flat_map(|found| rows(found, args.repo.is_some())).collect();
    print(&text::table(&rows, &[2]))?;
    let count = match scan.repositories.len() {
        1 => "1 repository".to_owned(),
        n => format!("{} repositories", text::count(n as u64)),
    };
    let least = if scan.complete { "" } else { "at least " };
    note(&format!("{count}, {least}{} in {}", text::bytes(total(&scan)), cache.root().display()));
    Ok(Outcome::Success)
}

fn total(scan: &Scan) -> u64 {
    scan.repositories.iter().map(|found| found.bytes).sum()
}

fn rows(found: &Repository, by_file: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |revision: String, bytes: u64, what: String, when: Option<SystemTime>| {
        let name = if rows.is_empty() { found.name.clone() } else { String::new() };
        rows.push(vec![name, revision, text::bytes(bytes), what, ago(when)]);
    };
    for snapshot in &found.snapshots {
        let names: Vec<&str> = found.refs_of(&snapshot.commit).collect();
        let revision = [short(&snapshot.commit), names.join(" ").as_str()].join(" ").trim_end().to_owned();
        let missing =
            snapshot.files.values().filter(|file| matches!(file.target, Target::Missing(_))).count();
        let files = text::plural(snapshot.files.len() as u64, "file");
        let files = if missing > 0 { format!("{files}, {missing} missing") } else { files };
        row(revision, snapshot.bytes(), files, used(found, snapshot));
        for (name, file) in snapshot.files.iter().filter(|_| by_file) {
            let note = match &file.target {
                Target::Missing(_) => " (missing)",
                Target::Elsewhere(_) => " (outside the cache)",
                Target::Blob(_) | Target::Itself => "",
            };
            row(String::new(), file.bytes, format!("{name}{note}"), None);
        }
    }
    let left: Vec<_> = found.unreferenced().collect();
    if !left.is_empty() {
        let bytes = left.iter().map(|(_, blob)| blob.bytes).sum();
        let newest = left.iter().filter_map(|(_, blob)| blob.modified).max();
        row("unreferenced".to_owned(), bytes, text::plural(left.len() as u64, "file"), newest);
    }
    if !found.unfinished.is_empty() {
        let bytes = found.unfinished.values().map(|blob| blob.bytes).sum();
        let newest = found.unfinished.values().filter_map(|blob| blob.modified).max();
        row("unfinished".to_owned(), bytes, text::plural(found.unfinished.len() as u64, "file"), newest);
    }
    if rows.is_empty() {
        rows.push(vec![found.name.clone(), "empty".to_owned(), text::bytes(found.bytes)]);
    }
    rows
}

/// The time at which a file of a commit was last read or written.
fn used(found: &Repository, snapshot: &Snapshot) -> Option<SystemTime> {
    let blob = |file: &ggrun::hub::cache::Entry| match &file.target {
        Target::Blob(hash) => found.blobs.get(hash).and_then(|blob| blob.used.max(blob.modified)),
        _ => None,
    };
    snapshot.files.values().filter_map(blob).max().max(snapshot.modified)
}

fn ago(when: Option<SystemTime>) -> String {
    let passed = when.and_then(|when| when.elapsed().ok());
    passed.map(|passed| format!("used {} ago", indicatif::HumanDuration(passed))).unwrap_or_default()
}

fn object(found: &Repository) -> Value {
    let unreferenced: Vec<Value> =
        found.unreferenced().map(|(hash, blob)| json!({ "hash": hash, "bytes": blob.bytes })).collect();
    let unfinished: Vec<Value> =
        found.unfinished.iter().map(|(name, blob)| json!({ "name": name, "bytes": blob.bytes })).collect();
    let snapshots: Vec<Value> = found.snapshots.iter().map(|snapshot| revision(found, snapshot)).collect();
    json!({
        "repository": found.name, "path": found.folder.path().display().to_string(), "bytes": found.bytes,
        "complete": found.complete, "snapshots": snapshots, "unreferenced": unreferenced, "unfinished": unfinished,
    })
}

fn revision(found: &Repository, snapshot: &Snapshot) -> Value {
    let files: Vec<Value> = snapshot
        .files
        .iter()
        .map(|(name, file)| {
            let (hash, missing) = match &file.target {
                Target::Blob(hash) => (Some(hash), false),
                Target::Missing(hash) => (Some(hash), true),
                Target::Itself => (None, false),
                Target::Elsewhere(_) => (None, true),
            };
            json!({ "name": name, "hash": hash, "bytes": file.bytes, "missing": missing })
        })
        .collect();
    let seconds = |when: Option<SystemTime>| {
        when.and_then(|when| when.duration_since(SystemTime::UNIX_EPOCH).ok()).map(|since| since.as_secs())
    };
    json!({
        "commit": snapshot.commit, "refs": found.refs_of(&snapshot.commit).collect::<Vec<_>>(),
        "path": snapshot.path.display().to_string(), "bytes": snapshot.bytes(),
        "modified": seconds(snapshot.modified), "used": seconds(used(found, snapshot)), "files": files,
    })
}
