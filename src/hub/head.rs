//! The sizes and hashes of files that a mirror's listing lacks, from the headers of the files themselves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap};

use super::client::{Client, Headers};
use super::listing::{Listed, ListedFile, git_or_sha256};
use super::retry::Retries;
use super::{Error, Listing, Observer, RepoName};

/// Requests at once.
const AT_ONCE: usize = 8;
/// The largest number of files that are asked for one by one.
const MAX_FILES: usize = 2000;
/// The hub's own headers of a file that is stored on another server.
const LINKED_SIZE: &str = "x-linked-size";
const LINKED_ETAG: &str = "x-linked-etag";

/// Completes a listing. Sends no request if every file has its size and its hash.
pub(super) fn complete(
    client: &Client,
    repo: &RepoName,
    listed: Listed,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Listing, Error> {
    let unknown: Vec<&ListedFile> = listed.files.iter().filter(|file| !file.is_described()).collect();
    if unknown.len() > MAX_FILES {
        let reason =
            format!("sizes or hashes of {} files missing, expected at most {MAX_FILES}", unknown.len());
        return Err(Error::Response { what: repo.to_string(), reason });
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(file) = unknown.get(next.fetch_add(1, Ordering::Relaxed)) {
            let described = describe(client, repo, &listed.commit, file, stop, observer);
            let failed = described.is_err();
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.push((file.name.clone(), described));
            if failed {
                next.store(unknown.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(unknown.len()) {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = found.iter().position(|(_, described)| described.is_err()) {
        found.swap_remove(at).1?;
    }
    listed.complete(|file| {
        let at = found.iter().position(|(name, _)| *name == file.name);
        at.map_or(Err(Error::Stopped), |at| found.swap_remove(at).1)
    })
}

fn describe(
    client: &Client,
    repo: &RepoName,
    commit: &str,
    file: &ListedFile,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(u64, String), Error> {
    let what = format!("{}/{}", repo.id(), file.name);
    let look = |headers: &Headers| {
        let (bytes, hash) = read(headers);
        (file.bytes.or(bytes), file.hash.clone().or(hash))
    };
    let enough = |headers: &Headers| matches!(look(headers), (Some(_), Some(_)));
    let request = async || client.head(&what, client.file_url(repo, commit, &file.name), enough, stop).await;
    let headers = client.wait(Retries::new(&what).until(request, stop, observer))?;
    let lacks = |lacks| Error::Undescribed { what: what.clone(), lacks };
    let (bytes, hash) = look(&headers);
    Ok((bytes.ok_or_else(|| lacks("size"))?, hash.ok_or_else(|| lacks("hash"))?))
}

/// The size and the hash in the headers of a file. The hub's own headers come first. The length of a redirect is that of
/// its body.
fn read(headers: &Headers) -> (Option<u64>, Option<String>) {
    let text = |of: &HeaderMap, name: &str| of.get(name)?.to_str().ok().map(|text| text.trim().to_owned());
    let any = |name: &str| text(&headers.redirect, name).or_else(|| text(&headers.file, name));
    let size = any(LINKED_SIZE).or_else(|| text(&headers.file, CONTENT_LENGTH.as_str()));
    let tags = [any(LINKED_ETAG), text(&headers.file, ETAG.as_str()), text(&headers.redirect, ETAG.as_str())];
    let hash = |tag: String| git_or_sha256(tag.trim_start_matches("W/").trim_matches('"'));
    (size.and_then(|size| size.parse().ok()), tags.into_iter().flatten().find_map(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn sizes_and_hashes_are_those_of_the_file_and_not_of_a_redirect() {
        let of = |redirect: &[(&'static str, &str)], file: &[(&'static str, &str)]| {
            read(&Headers { redirect: map(redirect), file: map(file) })
        };
        let (git, sha) = ("01".repeat(20), "ab".repeat(32));
        let tag = format!("W/\"{git}\"");
        assert_eq!(of(&[], &[("etag", &tag), ("content-length", "5")]), (Some(5), Some(git.clone())));
        let linked =
            [("x-linked-etag", &*sha), ("x-linked-size", "9"), ("etag", &*git), ("content-length", "0")];
        assert_eq!(of(&linked, &[]), (Some(9), Some(sha.clone())));
        assert_eq!(of(&linked, &[("etag", &tag), ("content-length", "8")]), (Some(9), Some(sha.clone())));
        let other = [("etag", &*git), ("content-length", "120")];
        assert_eq!(of(&other, &[]), (None, Some(git.clone())));
        assert_eq!(of(&other, &[("content-length", "8")]), (Some(8), Some(git)));
        assert_eq!(
            of(&[("x-linked-etag", &sha), ("content-length", "0")], &[("content-length", "8")]),
            (Some(8), Some(sha))
        );
        let md5 = "\"d41d8cd98f00b204e9800998ecf8427e\"";
        assert_eq!(of(&[], &[("etag", md5), ("content-length", "-1")]), (None, None));
    }
}
