//! The sizes and hashes of files that a mirror's listing lacks, from the headers of the files themselves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap};

use super::client::Client;
use super::failure::Failure;
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
    let request = async || -> Result<HeaderMap, Failure> {
        let response = client.head(&what, client.file_url(repo, commit, &file.name), stop).await?;
        Ok(response.headers().clone())
    };
    let headers = client.wait(Retries::new(&what).until(request, stop, observer))?;
    let (bytes, hash) = read(&headers);
    let lacks = |lacks| Error::Undescribed { what: what.clone(), lacks };
    let bytes = file.bytes.or(bytes).ok_or_else(|| lacks("size"))?;
    let hash = file.hash.clone().or(hash).ok_or_else(|| lacks("hash"))?;
    Ok((bytes, hash))
}

/// The size and the hash in the headers of a file. The body of a redirect has a length of its own, so the hub's headers
/// come first.
fn read(headers: &HeaderMap) -> (Option<u64>, Option<String>) {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let linked = text(LINKED_ETAG).or_else(|| text(LINKED_SIZE)).is_some();
    let size = if linked { text(LINKED_SIZE) } else { text(CONTENT_LENGTH.as_str()) };
    let tag = text(LINKED_ETAG).or_else(|| text(ETAG.as_str()));
    let hash = tag.map(|tag| tag.trim_start_matches("W/").trim_matches('"')).and_then(git_or_sha256);
    (size.and_then(|size| size.parse().ok()), hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &str)]) -> (Option<u64>, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, value.parse().unwrap());
        }
        read(&headers)
    }

    #[test]
    fn sizes_and_hashes_are_those_of_the_file_and_not_of_a_redirect() {
        let (git, sha) = ("01".repeat(20), "ab".repeat(32));
        let tag = format!("W/\"{git}\"");
        assert_eq!(of(&[("etag", &tag), ("content-length", "5")]), (Some(5), Some(git.clone())));
        let linked =
            [("x-linked-etag", &*sha), ("x-linked-size", "9"), ("etag", &*git), ("content-length", "0")];
        assert_eq!(of(&linked), (Some(9), Some(sha.clone())));
        assert_eq!(of(&[("x-linked-etag", &sha), ("content-length", "0")]), (None, Some(sha)));
        assert_eq!(
            of(&[("etag", "\"d41d8cd98f00b204e9800998ecf8427e\""), ("content-length", "-1")]),
            (None, None)
        );
    }
}
