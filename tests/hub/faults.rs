//! Every fault of the hub, of the connection and of the disk.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ggrun::hub::{Error, Event, Hub, Origin, Settings};

use super::server::{COMMIT, Fault, hash};
use super::{Site, bytes, entries};

const SHARD: &str = "model.safetensors";

fn small() -> Vec<u8> {
    b"{\"a\": 1}".to_vec()
}

/// A configuration, and a shard of 300 kB that is stored on another host.
fn site() -> (Site, Vec<u8>) {
    let shard = bytes(300_000, 1);
    (Site::new(&[("config.json", small()), (SHARD, shard.clone())]), shard)
}

#[test]
fn a_repository_is_fetched_once_into_the_layout_of_huggingface_hub() {
    let (site, shard) = site();
    let fetched = site.fetch();
    let folder = fetched.folder();
    assert_eq!(folder, site.repo().join("snapshots").join(COMMIT));
    assert_eq!(fs::read(folder.join(SHARD)).unwrap(), shard);
    let to = fs::read_link(folder.join("config.json")).unwrap();
    assert_eq!(to.to_str().unwrap(), format!("../../blobs/{}", hash(&small())));
    assert_eq!(fs::read_to_string(site.repo().join("refs/main")).unwrap(), COMMIT);
    // The cache that huggingface_hub makes of the same repository, by tests/golden/make_hub_cache.py.
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hub_cache.txt");
    assert_eq!(tree(&site.cache()).join("\n") + "\n", fs::read_to_string(golden).unwrap());
    let asked = site.server.asked().len();
    site.fetch().folder();
    assert_eq!(site.server.asked().len(), asked + 1, "only the listing is requested again");
}

/// Every file of a cache except its locks, with its size or the target of the link.
fn tree(cache: &std::path::Path) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), vec![cache.to_owned()]);
    while let Some(folder) = open.pop() {
        for path in entries(&folder) {
            let name = path.strip_prefix(cache).unwrap().display().to_string();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_symlink() {
                lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else if meta.is_file() {
                lines.push(format!("{name} {}", meta.len()));
            } else if name != ".locks" {
                open.push(path);
            }
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_lost_connection_is_resumed_by_range_and_every_byte_is_sent_once() {
    let (site, shard) = site();
    for _ in 0..12 {
        site.server.fail(SHARD, Fault::Cut(20_000));
    }
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(fetched.retried.len(), 12, "progress resets the count of retries: {:?}", fetched.retried);
    assert_eq!(site.server.sent(SHARD), shard.len());
}

#[test]
fn a_partial_file_is_resumed() {
    let (site, shard) = site();
    fs::create_dir_all(site.repo().join("blobs")).unwrap();
    fs::write(site.partial(&shard), &shard[..100_000]).unwrap();
    site.fetch().folder();
    assert_eq!(site.server.sent(SHARD), 200_000);
    // The partial file is complete.
    fs::remove_file(site.blob(&shard)).unwrap();
    fs::write(site.partial(&shard), &shard).unwrap();
    site.fetch().folder();
    assert_eq!(site.server.sent(SHARD), 200_000);
}

#[test]
fn a_damaged_partial_file_is_fetched_again() {
    let (site, shard) = site();
    fs::create_dir_all(site.repo().join("blobs")).unwrap();
    for wrong in [vec![9; 100_000], vec![9; 300_000], vec![9; 400_000]] {
        drop(fs::remove_file(site.blob(&shard)));
        fs::write(site.partial(&shard), wrong).unwrap();
        let fetched = site.fetch();
        assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    }
}

#[test]
fn client_errors_are_typed_and_not_retried() {
    let (site, _) = site();
    site.server.fail("/main", Fault::Status(401, ""));
    assert!(matches!(site.fetch().error(), Error::Unauthorized { token: None, .. }));
    site.server.fail("/main", Fault::Status(401, ""));
    let fetched = site.fetch_with(&[("HF_TOKEN", "hf_x")]);
    assert!(matches!(fetched.error(), Error::Unauthorized { token: Some(Origin::Variable("HF_TOKEN")), .. }));
    site.server.fail(SHARD, Fault::Status(403, ""));
    let fetched = site.fetch();
    let Error::Forbidden { page, what, .. } = fetched.error() else { panic!("{}", fetched.error()) };
    assert_eq!(
        (page, what.as_str()),
        (&format!("{}/org/name", site.server.endpoint()), "org/name/model.safetensors")
    );
    site.server.fail("/main", Fault::Status(404, ""));
    assert!(matches!(site.fetch().error(), Error::NotFound { what, status: 404, .. } if what == "org/name"));
    // One request each: a retry would not help.
    assert_eq!(site.server.asked().iter().filter(|asked| asked.path.ends_with("/main")).count(), 4);
}

#[test]
fn a_rate_limit_is_waited_for() {
    let (site, _) = site();
    site.server.fail("/main", Fault::Status(429, "Retry-After: 2\r\n"));
    let begin = Instant::now();
    let fetched = site.fetch();
    fetched.folder();
    // A lower bound, which holds on a machine of any speed.
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(fetched.retried, ["rate limited by the hub (429)"]);
}

#[test]
fn a_pause_that_is_too_long_to_wait_for_ends_the_request_at_once() {
    let (site, _) = site();
    for status in [429, 503] {
        site.server.fail_always("/main", Fault::Status(status, "Retry-After: 999999\r\n"));
        let fetched = site.fetch();
        let expected = (status, 999_999, 0);
        let Error::RetryLater { status, seconds, .. } = *fetched.error() else {
            panic!("{}", fetched.error())
        };
        assert_eq!((status, seconds, fetched.retried.len()), expected);
        site.server.mend();
    }
}

#[test]
fn a_response_that_drips_is_a_broken_transfer() {
    let (site, shard) = site();
    site.server.fail(SHARD, Fault::Drip(50_000));
    let fetched = site.fetch_with(&[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]);
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert!(
        fetched.retried.iter().any(|reason| reason == "less than 1.00 KiB/s received for 2 s"),
        "{:?}",
        fetched.retried
    );
}

#[test]
fn server_errors_are_retried() {
    let (site, shard) = site();
    site.server.fail("/main", Fault::Status(500, ""));
    site.server.fail(SHARD, Fault::Status(503, "Retry-After: 0\r\n"));
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(fetched.retried.len(), 2, "{:?}", fetched.retried);
}

#[test]
fn a_stop_takes_effect_while_the_server_stalls() {
    let (site, _) = site();
    site.server.fail_always(SHARD, Fault::Stall(50_000));
    // Without the stop the fetch would end after this time, with another error.
    let settings = Settings { timeout: Duration::from_mins(5), ..site.settings(&[]) };
    let (hub, repo) = (Hub::new(settings).unwrap(), "org/name".parse().unwrap());
    let stop = AtomicBool::new(false);
    let observer = |event: Event<'_>| {
        // Everything that the server sends before it stalls was received.
        if matches!(event, Event::Received { file, .. } if file == SHARD) && received(&site) >= 50_000 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let listing = hub.listing(&repo, &stop, &observer).unwrap();
    let files: Vec<_> = listing.files.iter().collect();
    let result = hub.fetch(&repo, &listing, &files, 2, &stop, &observer);
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    assert!(stop.load(Ordering::Relaxed), "the file stalled before the fetch was stopped");
}

/// The size of the partial file.
fn received(site: &Site) -> u64 {
    let partials = entries(&site.repo().join("blobs")).into_iter();
    let partials = partials.filter(|path| path.extension().is_some_and(|e| e == "incomplete"));
    partials.filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).max().unwrap_or(0)
}

#[test]
fn a_stalled_response_is_retried() {
    let (site, shard) = site();
    site.server.fail(SHARD, Fault::Stall(50_000));
    let fetched = site.fetch_with(&[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]);
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(fetched.retried, ["no data received for 1 s"]);
    assert_eq!(site.server.sent(SHARD), shard.len());
}

#[test]
fn a_size_that_differs_from_the_listing_is_refused() {
    for length in [299_999, 300_001, 0] {
        let (site, shard) = site();
        site.server.fail_always(SHARD, Fault::Length(length));
        let fetched = site.fetch();
        let wrong = matches!(fetched.error(), Error::Length { found, expected: 300_000, .. } if *found == length as u64);
        assert!(wrong, "{length}: {}", fetched.error());
        assert!(!site.blob(&shard).exists() && !site.repo().join("refs/main").exists());
        site.server.mend();
        site.fetch().folder();
    }
}

#[test]
fn a_longer_file_without_a_content_length_is_discarded() {
    let (site, shard) = site();
    site.server.fail_always(SHARD, Fault::NoLength(400_000));
    let fetched = site.fetch();
    assert!(matches!(fetched.error(), Error::Length { expected: 300_000, .. }), "{}", fetched.error());
    assert!(!site.blob(&shard).exists() && !site.partial(&shard).exists());
    site.server.mend();
    site.fetch().folder();
}

#[test]
fn a_wrong_hash_is_fetched_once_more_and_then_refused() {
    let (site, shard) = site();
    site.server.fail(SHARD, Fault::Garbage);
    site.fetch().folder();
    assert_eq!(site.server.sent(SHARD), 2 * shard.len());
    site.empty();
    site.server.fail_always(SHARD, Fault::Garbage);
    let fetched = site.fetch();
    assert!(
        matches!(fetched.error(), Error::Hash { expected, .. } if *expected == hash(&shard)),
        "{}",
        fetched.error()
    );
    assert!(!site.blob(&shard).exists() && !site.partial(&shard).exists());
    // Small files are checked against git's hash.
    site.server.mend();
    site.empty();
    site.server.fail_always("config.json", Fault::Garbage);
    assert!(matches!(site.fetch().error(), Error::Hash { .. }));
}

#[test]
fn a_server_without_range_requests_sends_the_file_again() {
    let (site, shard) = site();
    site.server.fail(SHARD, Fault::Cut(100_000));
    site.server.fail(SHARD, Fault::Whole);
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.sent(SHARD), 100_000 + shard.len());
    // A server that sends another range is refused.
    site.empty();
    site.server.fail(SHARD, Fault::Cut(100_000));
    site.server.fail(SHARD, Fault::Shifted);
    assert!(matches!(site.fetch().error(), Error::Response { .. }));
    site.fetch().folder();
}

#[test]
fn the_token_is_sent_to_the_hub_only() {
    let (site, _) = site();
    site.fetch_with(&[("HF_TOKEN", "hf_secret")]).folder();
    let asked = site.server.asked();
    assert!(asked.iter().any(|asked| asked.elsewhere), "the large file is on another host");
    for asked in asked {
        let expected = if asked.elsewhere { None } else { Some("Bearer hf_secret") };
        assert_eq!(asked.token.as_deref(), expected, "{}", asked.path);
    }
}

#[test]
fn redirects_are_limited_in_number_and_to_http() {
    let (site, _) = site();
    let around = format!("{}/org/name/resolve/{COMMIT}/{SHARD}", site.server.endpoint());
    site.server.fail_always(SHARD, Fault::Redirect(around));
    assert!(site.fetch().error().to_string().contains("more than 10 redirects"));
    site.server.mend();
    for url in ["ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:x"] {
        site.server.fail(SHARD, Fault::Redirect(url.to_owned()));
        let fetched = site.fetch();
        assert!(
            fetched.error().to_string().contains("redirects to a missing, invalid or insecure address"),
            "{url}: {}",
            fetched.error()
        );
    }
}

#[test]
fn a_file_name_that_leaves_the_cache_is_refused_before_anything_is_fetched() {
    for name in ["../../../evil", "/tmp/evil", "a/../../evil", "a\\\\b"] {
        let (site, _) = site();
        site.server.list_as(&format!(
            r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "{name}", "size": 1, "blobId": "{COMMIT}"}}]}}"#
        ));
        assert!(matches!(site.fetch().error(), Error::FileName { .. }), "{name}");
        assert!(!site.cache().exists());
        assert_eq!(site.server.asked().len(), 1);
    }
}

#[test]
fn an_invalid_listing_is_refused() {
    let (site, _) = site();
    for listing in ["", "<html>", "{}", r#"{"sha": "../..", "siblings": []}"#] {
        site.server.list_as(listing);
        assert!(matches!(site.fetch().error(), Error::Response { .. }), "{listing}");
    }
}

#[test]
fn offline_mode_uses_the_cache_only() {
    let (site, shard) = site();
    assert!(matches!(site.fetch_with(&[("HF_HUB_OFFLINE", "1")]).error(), Error::Offline { .. }));
    site.fetch().folder();
    let asked = site.server.asked().len();
    let fetched = site.fetch_with(&[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.asked().len(), asked);
}
