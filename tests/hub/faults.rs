//! Every fault that a hub, a line or a disk can have.

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

/// A configuration and a shard of 300 kB, which another host keeps.
fn site() -> (Site, Vec<u8>) {
    let shard = bytes(300_000, 1);
    (Site::new(&[("config.json", small()), (SHARD, shard.clone())]), shard)
}

#[test]
fn a_repository_comes_as_the_hubs_own_tools_lay_it_out_and_comes_once() {
    let (site, shard) = site();
    let fetched = site.fetch();
    let folder = fetched.folder();
    assert_eq!(folder, site.repo().join("snapshots").join(COMMIT));
    assert_eq!(fs::read(folder.join(SHARD)).unwrap(), shard);
    let to = fs::read_link(folder.join("config.json")).unwrap();
    assert_eq!(to.to_str().unwrap(), format!("../../blobs/{}", hash(&small())));
    assert_eq!(fs::read_to_string(site.repo().join("refs/main")).unwrap(), COMMIT);
    // What huggingface_hub makes of the same repository: tests/golden/make_hub_cache.py.
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hub_cache.txt");
    assert_eq!(tree(&site.cache()).join("\n") + "\n", fs::read_to_string(golden).unwrap());
    let asked = site.server.asked().len();
    site.fetch().folder();
    assert_eq!(site.server.asked().len(), asked + 1, "only the listing is asked for again");
}

/// Every file of a cache but its locks, with its length or where it leads.
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
fn a_connection_that_is_cut_goes_on_by_range_and_every_byte_comes_once() {
    let (site, shard) = site();
    for _ in 0..12 {
        site.server.fail(SHARD, Fault::Cut(20_000));
    }
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(fetched.waited.len(), 12, "more than the tries that bring nothing: {:?}", fetched.waited);
    assert_eq!(site.server.sent(SHARD), shard.len());
}

#[test]
fn what_an_earlier_run_left_is_gone_on_from() {
    let (site, shard) = site();
    fs::create_dir_all(site.repo().join("blobs")).unwrap();
    fs::write(site.partial(&shard), &shard[..100_000]).unwrap();
    site.fetch().folder();
    assert_eq!(site.server.sent(SHARD), 200_000);
    // What it left is all of it.
    fs::remove_file(site.blob(&shard)).unwrap();
    fs::write(site.partial(&shard), &shard).unwrap();
    site.fetch().folder();
    assert_eq!(site.server.sent(SHARD), 200_000);
}

#[test]
fn what_an_earlier_run_left_is_not_trusted() {
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
fn those_that_the_hub_does_not_know_or_refuses_are_told_what_to_do() {
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
    assert!(matches!(site.fetch().error(), Error::NotFound { what } if what == "org/name"));
    // One answer each: asking again would change nothing.
    assert_eq!(site.server.asked().iter().filter(|asked| asked.path.ends_with("/main")).count(), 4);
}

#[test]
fn the_hub_is_left_alone_for_as_long_as_it_wants() {
    let (site, _) = site();
    site.server.fail("/main", Fault::Status(429, "Retry-After: 2\r\n"));
    let begin = Instant::now();
    let fetched = site.fetch();
    fetched.folder();
    // A lower bound, which holds on a machine of any speed.
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(fetched.waited, ["the hub wants to be asked less (429)"]);
    site.server.fail("/main", Fault::Status(429, "Retry-After: 86400\r\n"));
    assert!(matches!(site.fetch().error(), Error::Busy { wait } if wait.as_secs() == 86400));
}

#[test]
fn a_hub_that_stumbles_is_asked_again() {
    let (site, shard) = site();
    site.server.fail("/main", Fault::Status(500, ""));
    site.server.fail(SHARD, Fault::Status(503, "Retry-After: 0\r\n"));
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(fetched.waited.len(), 2, "{:?}", fetched.waited);
}

#[test]
fn an_end_is_heeded_while_nothing_comes() {
    let (site, _) = site();
    site.server.fail_always(SHARD, Fault::Stall(50_000));
    // Without the stop the fetch would end after this time, with another error.
    let settings = Settings { patience: Duration::from_mins(5), ..site.settings(&[]) };
    let (hub, repo) = (Hub::new(settings).unwrap(), "org/name".parse().unwrap());
    let stop = AtomicBool::new(false);
    let observer = |event: Event<'_>| {
        // All that is going to come of it is there.
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

/// Bytes of the unfinished file.
fn received(site: &Site) -> u64 {
    let partials = entries(&site.repo().join("blobs")).into_iter();
    let partials = partials.filter(|path| path.extension().is_some_and(|e| e == "incomplete"));
    partials.filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).max().unwrap_or(0)
}

#[test]
fn a_body_that_stalls_counts_as_a_broken_line() {
    let (site, shard) = site();
    site.server.fail(SHARD, Fault::Stall(50_000));
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(fetched.waited, ["nothing came for 1 s"]);
    assert_eq!(site.server.sent(SHARD), shard.len());
}

#[test]
fn another_length_than_was_listed_is_refused() {
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
fn nothing_stays_of_a_file_that_is_longer_than_was_listed_and_does_not_say_so() {
    let (site, shard) = site();
    site.server.fail_always(SHARD, Fault::Unsaid(400_000));
    let fetched = site.fetch();
    assert!(matches!(fetched.error(), Error::Length { expected: 300_000, .. }), "{}", fetched.error());
    assert!(!site.blob(&shard).exists() && !site.partial(&shard).exists());
    site.server.mend();
    site.fetch().folder();
}

#[test]
fn another_hash_than_was_listed_is_fetched_once_more_and_then_refused() {
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
    // Small files are held against git's hash.
    site.server.mend();
    site.empty();
    site.server.fail_always("config.json", Fault::Garbage);
    assert!(matches!(site.fetch().error(), Error::Hash { .. }));
}

#[test]
fn a_server_that_knows_no_ranges_is_borne() {
    let (site, shard) = site();
    site.server.fail(SHARD, Fault::Cut(100_000));
    site.server.fail(SHARD, Fault::Whole);
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.sent(SHARD), 100_000 + shard.len());
    // And one that sends another part is not believed.
    site.empty();
    site.server.fail(SHARD, Fault::Cut(100_000));
    site.server.fail(SHARD, Fault::Shifted);
    assert!(matches!(site.fetch().error(), Error::Answer { .. }));
    site.fetch().folder();
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let (site, _) = site();
    site.fetch_with(&[("HF_TOKEN", "hf_secret")]).folder();
    let asked = site.server.asked();
    assert!(asked.iter().any(|asked| asked.elsewhere), "the large file lies elsewhere");
    for asked in asked {
        let expected = if asked.elsewhere { None } else { Some("Bearer hf_secret") };
        assert_eq!(asked.token.as_deref(), expected, "{}", asked.path);
    }
}

#[test]
fn redirects_end_and_lead_to_no_other_protocol() {
    let (site, _) = site();
    let around = format!("{}/org/name/resolve/{COMMIT}/{SHARD}", site.server.endpoint());
    site.server.fail_always(SHARD, Fault::Elsewhere(around));
    assert!(site.fetch().error().to_string().contains("more than 10 redirects"));
    site.server.mend();
    for url in ["ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:x"] {
        site.server.fail(SHARD, Fault::Elsewhere(url.to_owned()));
        let fetched = site.fetch();
        assert!(fetched.error().to_string().contains("a redirect to nowhere"), "{url}: {}", fetched.error());
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
fn a_hub_that_talks_nonsense_is_refused() {
    let (site, _) = site();
    for listing in ["", "<html>", "{}", r#"{"sha": "../..", "siblings": []}"#] {
        site.server.list_as(listing);
        assert!(matches!(site.fetch().error(), Error::Answer { .. }), "{listing}");
    }
}

#[test]
fn no_line_is_said_and_offline_the_cache_is_enough() {
    let (site, shard) = site();
    assert!(matches!(site.fetch_with(&[("HF_HUB_OFFLINE", "1")]).error(), Error::Offline { .. }));
    site.fetch().folder();
    let asked = site.server.asked().len();
    let fetched = site.fetch_with(&[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.asked().len(), asked);
}
