//! The layout of the cache, and that no name and no link leads out of a repository's folder.

use std::path::Component;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn cache() -> (TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    let folder = Cache::at(root.path()).repo(&"Org/Name.x@v1".parse().unwrap());
    (root, folder)
}

fn with_blob(folder: &Folder, hash: &str, bytes: &str) {
    folder.make_blobs().unwrap();
    fs::write(folder.blob(hash).unwrap(), bytes).unwrap();
}

#[test]
fn paths_are_those_of_huggingface_hub() {
    let (root, folder) = cache();
    let own = root.path().join("models--Org--Name.x");
    assert_eq!(folder.path(), own);
    assert_eq!(folder.blob(COMMIT).unwrap(), own.join("blobs").join(COMMIT));
    assert_eq!(folder.partial(COMMIT).unwrap(), own.join(format!("blobs/{COMMIT}.incomplete")));
    assert_eq!(folder.snapshot(COMMIT).unwrap(), own.join("snapshots").join(COMMIT));
    assert!(!own.exists(), "asking for paths creates nothing");
    drop(folder.lock(OTHER, &AtomicBool::new(false)).unwrap());
    assert!(root.path().join(format!(".locks/models--Org--Name.x/{OTHER}.lock")).is_file());
}

#[cfg(unix)]
#[test]
fn a_file_of_a_commit_is_a_relative_link_at_any_depth() {
    let (_root, folder) = cache();
    with_blob(&folder, OTHER, "bytes");
    for (file, target) in [("a.txt", "../../blobs/"), ("x/y/a.txt", "../../../../blobs/")] {
        assert_eq!(folder.find(COMMIT, file), None);
        let at = folder.link(COMMIT, file, OTHER).unwrap();
        assert_eq!(fs::read_link(&at).unwrap(), PathBuf::from(format!("{target}{OTHER}")));
        assert_eq!(fs::read_to_string(&at).unwrap(), "bytes");
        assert_eq!(folder.find(COMMIT, file), Some(at.clone()));
        // Linked again, and in place of another file.
        folder.link(COMMIT, file, OTHER).unwrap();
        fs::remove_file(&at).unwrap();
        fs::write(&at, "old").unwrap();
        folder.link(COMMIT, file, OTHER).unwrap();
        assert_eq!(fs::read_to_string(&at).unwrap(), "bytes");
    }
    let left = fs::read_dir(folder.locks().unwrap()).unwrap().count();
    assert_eq!(left, 0, "no temporary file is left");
}

#[test]
fn a_revision_leads_to_the_recorded_commit() {
    let (_root, folder) = cache();
    for revision in ["main", "refs/pr/1"] {
        assert_eq!(folder.commit_of(revision), None);
        folder.set_ref(revision, COMMIT).unwrap();
        assert_eq!(folder.commit_of(revision).as_deref(), Some(COMMIT));
        folder.set_ref(revision, OTHER).unwrap();
        let file = folder.path().join("refs").join(revision);
        assert_eq!(fs::read_to_string(&file).unwrap(), OTHER, "no newline, as in huggingface_hub");
    }
    assert_eq!(folder.commit_of(COMMIT).as_deref(), Some(COMMIT), "a commit stands for itself");
    folder.set_ref(COMMIT, COMMIT).unwrap();
    assert!(!folder.path().join("refs").join(COMMIT).exists());
    for damaged in ["", "01234", "main", &COMMIT.to_uppercase()] {
        fs::write(folder.path().join("refs/main"), damaged).unwrap();
        assert_eq!(folder.commit_of("main"), None, "{damaged}");
    }
    fs::write(folder.path().join("refs/main"), format!("{COMMIT}\n")).unwrap();
    assert_eq!(folder.commit_of("main").as_deref(), Some(COMMIT));
}

#[test]
fn invalid_names_are_refused() {
    let (root, folder) = cache();
    with_blob(&folder, OTHER, "bytes");
    let wrong =
        ["", "..", ".", "a/..", "../a", "a/../../b", "/a", "a//b", "a/", "a\\b", "a\0b", "a\nb", "./a"];
    for name in wrong {
        assert!(matches!(folder.link(COMMIT, name, OTHER), Err(Error::Name { .. })), "{name:?}");
        assert!(matches!(folder.set_ref(name, COMMIT), Err(Error::Name { .. })), "{name:?}");
        assert_eq!(folder.find(COMMIT, name), None, "{name:?}");
        assert_eq!(folder.commit_of(name), None, "{name:?}");
    }
    let long = "a".repeat(41);
    for hash in wrong.into_iter().chain(["a", &OTHER.to_uppercase(), &long]) {
        assert!(matches!(folder.blob(hash), Err(Error::Name { .. })), "{hash:?}");
        assert!(matches!(folder.partial(hash), Err(Error::Name { .. })), "{hash:?}");
        assert!(matches!(folder.try_lock(hash), Err(Error::Name { .. })), "{hash:?}");
        assert!(matches!(folder.snapshot(hash), Err(Error::Name { .. })), "{hash:?}");
        assert!(matches!(folder.link(hash, "a", OTHER), Err(Error::Name { .. })), "{hash:?}");
        assert!(matches!(folder.set_ref("main", hash), Err(Error::Name { .. })), "{hash:?}");
    }
    let created: Vec<_> =
        fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(created, ["models--Org--Name.x"], "a refusal creates nothing");
}

/// `planted` is a symbolic link in the cache to a folder outside of it.
#[cfg(unix)]
#[test]
fn no_planted_link_leads_out() {
    for planted in [
        "blobs",
        "snapshots",
        "refs",
        "refs/x",
        &format!("snapshots/{COMMIT}"),
        &format!("snapshots/{COMMIT}/x"),
    ] {
        let (_root, folder) = cache();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("y"), COMMIT).unwrap();
        fs::write(outside.path().join(OTHER), COMMIT).unwrap();
        let at = folder.path().join(planted);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path(), &at).unwrap();
        let linked = folder.link(COMMIT, "x/y", OTHER);
        let recorded = folder.set_ref("x/y", COMMIT);
        assert!(linked.is_err() || recorded.is_err(), "{planted}");
        assert_eq!(folder.find(COMMIT, "x/y"), None, "{planted}");
        if planted.starts_with("refs") {
            assert!(matches!(recorded, Err(Error::NotFolder { .. })), "{planted}: {recorded:?}");
            assert_eq!(folder.commit_of("x/y"), None, "{planted}");
        } else {
            assert!(matches!(linked, Err(Error::NotFolder { .. })), "{planted}: {linked:?}");
        }
        if planted == "blobs" {
            assert!(folder.blob(OTHER).is_err() && folder.make_blobs().is_err(), "{planted}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2, "{planted}: nothing was written there");
        assert_eq!(fs::read_to_string(outside.path().join("y")).unwrap(), COMMIT);
    }
}

/// A user has moved the folder to another disk.
#[cfg(unix)]
#[test]
fn a_cache_and_a_repository_may_be_links_to_folders() {
    use std::os::unix::fs::symlink;
    for linked in ["", "models--Org--Name.x"] {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache = root.path().join("hub");
        let folder = Cache::at(&cache).repo(&"Org/Name.x".parse().unwrap());
        with_blob(&folder, OTHER, "bytes");
        let at = folder.link(COMMIT, "x/y", OTHER).unwrap();
        let from = if linked.is_empty() { cache.clone() } else { cache.join(linked) };
        fs::rename(&from, elsewhere.path().join("moved")).unwrap();
        symlink(elsewhere.path().join("moved"), &from).unwrap();
        assert_eq!(folder.find(COMMIT, "x/y"), Some(at), "{linked:?}");
        folder.link(COMMIT, "z", OTHER).unwrap();
        folder.set_ref("main", COMMIT).unwrap();
        assert_eq!(folder.commit_of("main").as_deref(), Some(COMMIT));
        assert_eq!(fs::read_to_string(folder.find(COMMIT, "z").unwrap()).unwrap(), "bytes");
        assert!(fs::symlink_metadata(&from).unwrap().is_symlink(), "{linked:?}");
        // The disk is not mounted: nothing is created in its place.
        fs::rename(elsewhere.path().join("moved"), elsewhere.path().join("unmounted")).unwrap();
        assert!(matches!(folder.make_blobs(), Err(Error::Dangling { .. })), "{linked:?}");
        assert!(matches!(folder.set_ref("main", COMMIT), Err(Error::Dangling { .. })));
        assert_eq!(folder.find(COMMIT, "x/y"), None);
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_is_not_found_and_is_replaced_without_touching_its_target() {
    let (root, folder) = cache();
    with_blob(&folder, OTHER, "bytes");
    let secret = root.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let at = folder.link(COMMIT, "a", OTHER).unwrap();
    fs::remove_file(&at).unwrap();
    std::os::unix::fs::symlink(&secret, &at).unwrap();
    assert_eq!(folder.find(COMMIT, "a"), None);
    folder.link(COMMIT, "a", OTHER).unwrap();
    assert_eq!(folder.find(COMMIT, "a"), Some(at));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    fs::create_dir_all(folder.path().join("refs")).unwrap();
    fs::write(&secret, COMMIT).unwrap();
    std::os::unix::fs::symlink(&secret, folder.path().join("refs/main")).unwrap();
    assert_eq!(folder.commit_of("main"), None);
    folder.set_ref("main", OTHER).unwrap();
    assert_eq!(
        (folder.commit_of("main").as_deref(), fs::read_to_string(&secret).unwrap().as_str()),
        (Some(OTHER), COMMIT)
    );
}

#[cfg(unix)]
#[test]
fn locks_that_lead_out_are_refused() {
    for planted in [".locks", ".locks/models--Org--Name.x"] {
        let (root, folder) = cache();
        let outside = tempfile::tempdir().unwrap();
        let at = root.path().join(planted);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path(), at).unwrap();
        assert!(matches!(folder.try_lock(OTHER), Err(Error::NotFolder { .. })), "{planted}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{planted}");
    }
}

proptest! {
    #[test]
    fn no_name_leads_to_a_path_outside(name in r"(\.\.|\.|/|\\|[a-z0-9 ~:%\x00-\x1f]|é){0,12}") {
        let (_root, folder) = cache();
        let own = folder.path();
        let inside = |path: &Path| {
            path.strip_prefix(&own).is_ok_and(|rest| rest.components().all(|part| matches!(part, Component::Normal(_))))
        };
        with_blob(&folder, OTHER, "bytes");
        if let Ok(path) = folder.link(COMMIT, &name, OTHER) {
            prop_assert!(inside(&path), "{path:?}");
            prop_assert_eq!(folder.find(COMMIT, &name), Some(path));
        }
        if folder.set_ref(&name, COMMIT).is_ok() {
            prop_assert!(inside(&own.join("refs").join(&name)));
        }
        for path in [folder.blob(&name), folder.snapshot(&name)].into_iter().flatten() {
            prop_assert!(inside(&path), "{path:?}");
        }
        let around = fs::read_dir(own.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
        let known = [std::ffi::OsStr::new("models--Org--Name.x"), std::ffi::OsStr::new(".locks")];
        prop_assert!(around.into_iter().all(|name| known.contains(&name.as_os_str())));
    }
}
