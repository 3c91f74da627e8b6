//! What is removed and what is kept, and that an interrupted removal leaves no name without its file.

use std::collections::BTreeMap;

use super::*;
use crate::hub::cache::Cache;

const OLD: &str = "0000000000000000000000000000000000000001";
const NEW: &str = "0000000000000000000000000000000000000002";
const SHARED: &str = "1111111111111111111111111111111111111111";
const ALONE: &str = "2222222222222222222222222222222222222222";
const LEFT: &str = "3333333333333333333333333333333333333333";
const UNFINISHED: &str = "4444444444444444444444444444444444444444";

fn filled() -> (tempfile::TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    let folder = Cache::at(root.path()).repo(&"a/b".parse().unwrap());
    folder.make_blobs().unwrap();
    for (hash, bytes) in [(SHARED, 1000), (ALONE, 200), (LEFT, 30)] {
        fs::write(folder.blob(hash).unwrap(), vec![0; bytes]).unwrap();
    }
    fs::write(folder.partial(UNFINISHED).unwrap(), "part").unwrap();
    folder.link(OLD, "x/shared", SHARED).unwrap();
    folder.link(NEW, "shared", SHARED).unwrap();
    folder.link(NEW, "alone", ALONE).unwrap();
    folder.set_ref("main", NEW).unwrap();
    (root, folder)
}

fn scan(folder: &Folder) -> Repository {
    folder.scan(MOST_ENTRIES).unwrap()
}

fn left(folder: &Folder) -> (Vec<String>, Vec<String>) {
    let found = scan(folder);
    (found.snapshots.into_iter().map(|s| s.commit).collect(), found.blobs.into_keys().collect())
}

#[test]
fn a_commit_is_removed_without_files_that_another_needs() {
    let (_root, folder) = filled();
    let removal = Removal::commit(&scan(&folder), NEW);
    assert_eq!((removal.bytes(), removal.refs.as_slice()), (200, &["main".to_owned()][..]));
    assert_eq!(removal.carry_out().unwrap(), 200);
    assert_eq!(left(&folder), (vec![OLD.to_owned()], vec![SHARED.to_owned(), LEFT.to_owned()]));
    assert_eq!(folder.commit_of("main"), None);
    assert_eq!(fs::read(folder.find(OLD, "x/shared").unwrap()).unwrap().len(), 1000);
    assert_eq!(scan(&folder).unfinished.len(), 1);
}

#[test]
fn unreferenced_files_are_removed_and_referenced_ones_kept() {
    let (_root, folder) = filled();
    let removal = Removal::unneeded(&scan(&folder));
    assert_eq!(removal.carry_out().unwrap(), 34);
    assert_eq!(left(&folder), (vec![NEW.to_owned()], vec![SHARED.to_owned(), ALONE.to_owned()]));
    assert!(scan(&folder).unfinished.is_empty());
    assert!(Removal::unneeded(&scan(&folder)).is_empty());
    assert!(folder.find(NEW, "alone").is_some() && folder.commit_of("main").is_some());
}

#[test]
fn a_whole_repository_is_removed() {
    let (root, folder) = filled();
    fs::create_dir_all(folder.path().join(".no_exist").join(NEW)).unwrap();
    fs::write(folder.path().join(".no_exist").join(NEW).join("missing"), "").unwrap();
    let removal = Removal::whole(&scan(&folder));
    assert_eq!(removal.bytes(), 1234);
    assert_eq!(removal.carry_out().unwrap(), 1234);
    assert!(!folder.path().exists());
    assert!(root.path().exists());
    assert_eq!(removal.carry_out().unwrap(), 0, "everything was removed already");
}

#[test]
fn a_blob_is_removed_with_all_its_names() {
    let (_root, folder) = filled();
    let removal = Removal::files(&scan(&folder), &BTreeSet::from([SHARED.to_owned()]), Vec::new());
    assert_eq!((removal.links.len(), removal.carry_out().unwrap()), (2, 1000));
    assert!(folder.find(OLD, "x/shared").is_none() && folder.find(NEW, "alone").is_some());
    assert!(fs::symlink_metadata(folder.snapshot(OLD).unwrap().join("x/shared")).is_err());
}

#[test]
fn nothing_is_removed_while_another_process_downloads() {
    let (_root, folder) = filled();
    let held = folder.try_lock(UNFINISHED).unwrap().unwrap();
    for removal in [Removal::whole(&scan(&folder)), Removal::unneeded(&scan(&folder))] {
        assert!(matches!(removal.carry_out(), Err(Error::Busy { .. })));
    }
    assert_eq!(scan(&folder).bytes, 1234 + 40);
    drop(held);
    Removal::whole(&scan(&folder)).carry_out().unwrap();
    assert!(!folder.path().exists());
}

#[test]
fn a_file_that_became_needed_after_planning_is_kept() {
    let (_root, folder) = filled();
    let removal = Removal::unneeded(&scan(&folder));
    folder.link(NEW, "late", LEFT).unwrap();
    assert_eq!(removal.carry_out().unwrap(), 4);
    assert!(folder.find(NEW, "late").is_some());
}

#[cfg(unix)]
#[test]
fn nothing_outside_is_removed_through_planted_links() {
    for planted in ["blobs", "snapshots", "refs", "snapshots/x/y"] {
        let (_root, folder) = filled();
        let outside = tempfile::tempdir().unwrap();
        for name in [SHARED, ALONE, LEFT, NEW, OLD, "main"] {
            fs::write(outside.path().join(name), "kept").unwrap();
        }
        let removals = [Removal::whole(&scan(&folder)), Removal::unneeded(&scan(&folder))];
        let at = folder.path().join(planted);
        drop(fs::rename(&at, folder.path().join("aside")));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(outside.path(), &at).unwrap();
        for removal in removals {
            drop(removal.carry_out());
        }
        drop(Removal::whole(&scan(&folder)).carry_out());
        let kept: BTreeMap<_, _> = fs::read_dir(outside.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
            .collect();
        assert_eq!(kept.len(), 6, "{planted}");
        assert!(kept.values().all(|text| text == "kept"));
    }
}

#[test]
fn an_interrupted_removal_is_finished_by_the_next() {
    let (_root, folder) = filled();
    let snapshot = folder.snapshot(OLD).unwrap();
    fs::rename(&snapshot, snapshot.with_extension(REMOVED)).unwrap();
    assert!(folder.find(OLD, "x/shared").is_none());
    let removal = Removal::unneeded(&scan(&folder));
    assert_eq!(removal.snapshots.len(), 1);
    removal.carry_out().unwrap();
    assert_eq!(left(&folder).0, [NEW]);
    assert_eq!(fs::read_dir(folder.path().join("snapshots")).unwrap().count(), 1);
}
