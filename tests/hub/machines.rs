//! The hub and its cache on the machines that people have: without a network, without links, on another disk, read-only,
//! and with a mirror.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ggrun::hub::{Error, Hub};
use serde_json::{Value, json};

use super::process::said;
use super::server::{COMMIT, Fault, hash};
use super::{Site, bytes, entries};
use crate::deadline::output;
use crate::ports::Refusing;

const SHARD: &str = "model.safetensors";

fn site() -> (Site, Vec<u8>) {
    let shard = bytes(300_000, 1);
    (Site::new(&[("config.json", b"{}".to_vec()), (SHARD, shard.clone())]), shard)
}

/// Requests for files since a request, and their bytes.
fn fetched_since(site: &Site, before: usize) -> usize {
    site.server.asked()[before..].iter().filter(|asked| asked.path.contains("/resolve/")).count()
}

#[test]
fn without_a_network_a_complete_cache_is_used_and_anything_else_fails_soon() {
    let (site, shard) = site();
    let nowhere = Refusing::at(0);
    let endpoint = nowhere.url();
    let away = [("HF_ENDPOINT", endpoint.as_str())];
    let fetched = site.fetch_with(&away);
    let Error::Network { reason, attempts, .. } = fetched.error() else { panic!("{}", fetched.error()) };
    assert!(reason.ends_with("(connection refused)") && *attempts == Some(4), "{reason}, {attempts:?}");
    site.fetch().folder();
    let fetched = site.fetch_with(&away);
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert!(fetched.unreachable.as_ref().unwrap().ends_with("(connection refused)"));
    let unresolvable = site.fetch_with(&[("HF_ENDPOINT", "http://nothing.invalid")]);
    assert_eq!(unresolvable.folder(), fetched.folder());
    // A server that answers, but not with a listing, is as good as none. One may be that of a network with a login page.
    site.server.list_as("<html>");
    let portal = site.fetch();
    assert_eq!(portal.folder(), fetched.folder());
    assert!(portal.unreachable.as_ref().unwrap().starts_with("invalid response for `org/name`"));
    site.server.fail_always("/main", Fault::Status(503, "Retry-After: 999999\r\n"));
    assert_eq!(site.fetch().folder(), fetched.folder());
}

#[test]
fn without_a_network_a_command_warns_and_names_what_the_cache_lacks() {
    let index = r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}"#;
    let files = [("m-1.safetensors", bytes(5000, 1)), ("m-2.safetensors", bytes(5000, 2))];
    let index = ("model.safetensors.index.json", index.as_bytes().to_vec());
    let site = Site::new(&[("config.json", b"{}".to_vec()), index, files[0].clone(), files[1].clone()]);
    let nowhere = Refusing::at(0);
    let away = |words: &[&str]| output(site.command(words).env("HF_ENDPOINT", nowhere.url()));
    let words = ["download", "org/name"];
    let none = away(&words);
    assert_eq!(none.status.code(), Some(1), "{}", said(&none));
    assert!(said(&none).contains("(connection refused) (4 attempts)"), "{}", said(&none));
    // Offline mode would not help: the cache has been tried.
    assert!(said(&none).contains("hint: ") && !said(&none).contains("OFFLINE"), "{}", said(&none));
    assert!(site.run(&words).status.success());
    let used = away(&words);
    assert!(used.status.success(), "{}", said(&used));
    assert!(said(&used).contains("warning: cannot reach `127.0.0.1:"), "{}", said(&used));
    assert!(said(&used).contains("; using the files of `org/name` in the cache"), "{}", said(&used));
    assert_eq!(used.stdout, site.run(&words).stdout);
    // A conversion of the repository needs all of it.
    fs::remove_file(site.blob(&files[1].1)).unwrap();
    let torn = away(&words);
    assert_eq!(torn.status.code(), Some(1));
    let lacks =
        "`m-2.safetensors` is not in the cache, and the hub is not available: cannot reach `127.0.0.1:";
    assert!(said(&torn).contains(lacks), "{}", said(&torn));
    let other = away(&["download", "org/name", "m-3.safetensors"]);
    assert!(said(&other).contains("`org/name/m-3.safetensors` is not in the cache, and"), "{}", said(&other));
}

/// Replaces every link by its file, as where links cannot be made.
fn without_links(site: &Site) {
    let snapshot = site.repo().join("snapshots").join(COMMIT);
    for path in entries(&snapshot) {
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    fs::remove_dir_all(site.repo().join("blobs")).unwrap();
}

#[test]
fn files_that_are_no_links_are_believed_and_verified() {
    let (site, shard) = site();
    site.fetch().folder();
    without_links(&site);
    let before = site.server.asked().len();
    let folder = site.fetch().folder().to_owned();
    assert_eq!(fetched_since(&site, before), 0, "nothing is fetched again");
    assert_eq!(fs::read(folder.join(SHARD)).unwrap(), shard);
    let dry = site.run(&["download", "org/name", "--all", "--dry-run"]);
    assert!(said(&dry).contains("0 B to fetch"), "{}", said(&dry));
    let sound = site.run(&["cache", "verify"]);
    assert!(said(&sound).contains("2 files, 292.97 KiB: all match"), "{}", said(&sound));
    let unasked = output(site.command(&["cache", "verify"]).env("HF_HUB_OFFLINE", "1"));
    assert!(said(&unasked).contains("warning: 2 files not checked"), "{}", said(&unasked));
    // Damage is found, and the file is fetched again.
    let mut damaged = shard.clone();
    damaged[7] ^= 1;
    fs::write(folder.join(SHARD), damaged).unwrap();
    let found = site.run(&["cache", "verify", "--delete", "-y"]);
    assert_eq!(found.status.code(), Some(3), "{}", said(&found));
    let line = format!(", expected {}\n", hash(&shard));
    assert!(String::from_utf8_lossy(&found.stdout).ends_with(&line), "{found:?}");
    assert!(!folder.join(SHARD).exists() && folder.join("config.json").exists());
    site.fetch().folder();
    assert_eq!(fs::read(folder.join(SHARD)).unwrap(), shard);
    // A size that differs from the listing is not believed.
    fs::remove_file(folder.join(SHARD)).unwrap();
    fs::write(folder.join(SHARD), &shard[1..]).unwrap();
    site.fetch().folder();
    assert_eq!(fs::read(folder.join(SHARD)).unwrap(), shard);
}

#[test]
fn a_hub_that_does_not_answer_is_asked_once_about_all_files_that_are_no_links() {
    let (site, _) = site();
    let folder = site.fetch().folder().to_owned();
    without_links(&site);
    let other = folder.with_file_name("1".repeat(40));
    fs::create_dir(&other).unwrap();
    fs::copy(folder.join(SHARD), other.join(SHARD)).unwrap();
    site.server.fail_always("", Fault::Status(503, "Retry-After: 999999\r\n"));
    let before = site.server.asked().len();
    let ran = site.run(&["cache", "verify"]);
    assert!(said(&ran).contains("warning: 3 files not checked"), "{}", said(&ran));
    assert!(said(&ran).contains("returned 503"), "{}", said(&ran));
    assert_eq!(site.server.asked().len() - before, 1);
    // An error of one commit says nothing about another.
    site.server.mend();
    site.server.fail_always(&"1".repeat(40), Fault::Status(404, ""));
    let ran = site.run(&["cache", "verify"]);
    assert!(said(&ran).contains("warning: 1 file not checked"), "{}", said(&ran));
}

#[cfg(unix)]
#[test]
fn a_cache_that_was_moved_and_linked_is_used_and_removed() {
    for what in ["hub", "hub/models--org--name"] {
        let (site, shard) = site();
        site.fetch().folder();
        let (from, to) = (site.home.path().join(what), site.home.path().join("moved"));
        fs::rename(&from, &to).unwrap();
        std::os::unix::fs::symlink(&to, &from).unwrap();
        let before = site.server.asked().len();
        let folder = site.fetch().folder().to_owned();
        assert_eq!(fetched_since(&site, before), 0, "{what}");
        assert_eq!(fs::read(folder.join(SHARD)).unwrap(), shard);
        let listed = site.run(&["cache", "ls", "--json"]);
        let shown: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(shown["repositories"][0]["bytes"], json!(300_000 + 2 + 40), "{what}: {shown}");
        assert!(site.run(&["cache", "verify"]).status.success());
        let gone = site.run(&["cache", "rm", "org/name", "-y"]);
        assert!(gone.status.success(), "{}", said(&gone));
        assert!(fs::symlink_metadata(site.repo()).is_err(), "{what}");
        assert_eq!(to.exists(), what == "hub", "only the repository is removed");
        site.fetch().folder();
    }
}

/// Every path below a folder, and when it was changed.
fn tree(folder: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = vec![(folder.to_owned(), fs::symlink_metadata(folder).unwrap().modified().unwrap())];
    for path in entries(folder) {
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(tree(&path));
        } else {
            found.push((path.clone(), fs::symlink_metadata(&path).unwrap().modified().unwrap()));
        }
    }
    found.sort();
    found
}

#[cfg(unix)]
#[test]
fn a_complete_cache_is_not_written_to() {
    use std::os::unix::fs::PermissionsExt;
    let (site, shard) = site();
    site.fetch().folder();
    fs::remove_dir_all(site.cache().join(".locks")).unwrap();
    let before = tree(&site.cache());
    let allow = |mode| {
        for (path, _) in before.iter().filter(|(path, _)| !path.is_symlink() && path.is_dir()) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o555);
    let fetched = site.fetch();
    let ran = site.run(&["download", "org/name"]);
    allow(0o755);
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert!(ran.status.success(), "{}", said(&ran));
    // Root may write everywhere, so this is what counts.
    assert!(tree(&site.cache()) == before);
}

#[test]
fn sizes_and_hashes_that_a_mirror_does_not_list_are_asked_for() {
    let (site, shard) = site();
    let bare = json!({ "sha": COMMIT, "siblings": [{ "rfilename": "config.json" }, { "rfilename": SHARD }] });
    site.server.list_as(&bare.to_string());
    let fetched = site.fetch();
    assert_eq!(fs::read(fetched.folder().join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.sent(SHARD), shard.len());
    // The hash is as binding as a listed one.
    site.empty();
    site.server.fail_always(SHARD, Fault::Garbage);
    assert!(matches!(site.fetch().error(), Error::Hash { .. }));
    site.server.mend();
    let absent = json!({ "sha": COMMIT, "siblings": [{ "rfilename": "absent.json" }] });
    site.server.list_as(&absent.to_string());
    assert!(matches!(site.fetch().error(), Error::NotFound { what, .. } if what == "org/name/absent.json"));
}

#[test]
fn the_length_of_a_redirect_is_not_the_size_of_its_file() {
    let (site, shard) = site();
    for sibling in [json!({ "rfilename": SHARD }), json!({ "rfilename": SHARD, "blobId": hash(&shard) })] {
        site.server.list_as(&json!({ "sha": COMMIT, "siblings": [sibling] }).to_string());
        site.server.redirect_bare();
        assert_eq!(fs::read(site.fetch().folder().join(SHARD)).unwrap(), shard, "{sibling}");
        site.empty();
    }
}

#[test]
fn a_part_of_a_truncated_file_is_requested_instead_of_read_from_the_cache() {
    let (site, shard) = site();
    let folder = site.fetch().folder().to_owned();
    without_links(&site);
    let hub = Hub::new(site.settings(&[])).unwrap();
    let (repo, go) = ("org/name".parse().unwrap(), AtomicBool::new(false));
    let listing = hub.listing(&repo, &go, &|_| {}).unwrap();
    let file = listing.find(SHARD).unwrap();
    let read = |range| hub.read_range(&repo, &listing, file, range, &go, &|_| {}).unwrap();
    let before = site.server.asked().len();
    assert_eq!((read(0..8), fetched_since(&site, before)), (shard[..8].to_vec(), 0));
    fs::write(folder.join(SHARD), vec![9; 100]).unwrap();
    assert_eq!((read(0..8), read(200..300)), (shard[..8].to_vec(), shard[200..300].to_vec()));
}
