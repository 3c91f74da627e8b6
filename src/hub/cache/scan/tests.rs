//! Scans of caches that `huggingface_hub` left, of damaged ones and of hostile ones.

use super::*;

const OLD: &str = "0000000000000000000000000000000000000001";
const NEW: &str = "0000000000000000000000000000000000000002";
const SHARED: &str = "1111111111111111111111111111111111111111";
const ALONE: &str = "2222222222222222222222222222222222222222";
const LEFT: &str = "3333333333333333333333333333333333333333";

fn folder(root: &Path) -> Folder {
    Cache::at(root).repo(&"a/b".parse().unwrap())
}

fn write(path: PathBuf, bytes: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![0; bytes]).unwrap();
}

/// Two commits that share a file, an unreferenced file, and a partial one.
fn fill(folder: &Folder) {
    for (hash, bytes) in [(SHARED, 1000), (ALONE, 200), (LEFT, 30)] {
        write(folder.blob(hash).unwrap(), bytes);
    }
    write(folder.partial(&"4".repeat(40)).unwrap(), 4);
    folder.link(OLD, "x/shared", SHARED).unwrap();
    folder.link(NEW, "shared", SHARED).unwrap();
    folder.link(NEW, "alone", ALONE).unwrap();
    folder.set_ref("main", NEW).unwrap();
    folder.set_ref("refs/pr/1", NEW).unwrap();
}

#[test]
fn every_byte_is_counted_once_and_every_file_is_classified() {
    let root = tempfile::tempdir().unwrap();
    fill(&folder(root.path()));
    fs::create_dir_all(root.path().join("datasets--c--d--e/blobs")).unwrap();
    fs::create_dir_all(root.path().join("other--c--d")).unwrap();
    let scan = Cache::at(root.path()).scan(MOST_ENTRIES);
    assert!(scan.complete);
    let names: Vec<&str> = scan.repositories.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["datasets/c/d--e", "a/b"]);
    let found = &scan.repositories[1];
    assert_eq!(found.bytes, 1234 + 2 * 40, "blobs and refs");
    let snapshots: Vec<_> =
        found.snapshots.iter().map(|s| (s.commit.as_str(), s.bytes(), s.files.len())).collect();
    assert_eq!(snapshots, [(OLD, 1000, 1), (NEW, 1200, 2)]);
    assert_eq!(found.snapshots[0].files["x/shared"].target, Target::Blob(SHARED.to_owned()));
    assert_eq!(found.refs_of(NEW).collect::<Vec<_>>(), ["main", "refs/pr/1"]);
    assert_eq!(found.refs_of(OLD).count(), 0);
    assert_eq!(found.unreferenced().map(|(hash, _)| hash).collect::<Vec<_>>(), [LEFT]);
    assert_eq!(found.unfinished.values().map(|blob| blob.bytes).collect::<Vec<_>>(), [4]);
    assert_eq!(found.needed(|snapshot| snapshot.commit == OLD), BTreeSet::from([SHARED]));
}

#[test]
fn a_file_that_is_not_a_link_counts_and_a_hard_link_does_not_count_twice() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    write(folder.blob(SHARED).unwrap(), 1000);
    let snapshot = folder.snapshot(NEW).unwrap();
    write(snapshot.join("moved"), 10);
    fs::hard_link(folder.blob(SHARED).unwrap(), snapshot.join("second-name")).unwrap();
    let found = folder.scan(MOST_ENTRIES).unwrap();
    assert_eq!(found.snapshots[0].files["moved"].target, Target::Itself);
    #[cfg(unix)]
    assert_eq!(found.bytes, 1010);
}

#[cfg(unix)]
#[test]
fn links_are_compared_by_name_and_not_followed() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(outside.path().join("large"), 5000);
    let folder = folder(root.path());
    fill(&folder);
    let before = folder.scan(MOST_ENTRIES).unwrap().bytes;
    fs::remove_file(folder.blob(ALONE).unwrap()).unwrap();
    let snapshot = folder.snapshot(NEW).unwrap();
    let plant = |to: &Path, name: &str| std::os::unix::fs::symlink(to, snapshot.join(name)).unwrap();
    plant(&outside.path().join("large"), "out");
    plant(outside.path(), "folder-out");
    plant(Path::new("."), "loop");
    plant(&folder.blob(SHARED).unwrap(), "absolute");
    plant(Path::new("../../blobs/../../../../etc/passwd"), "far");
    let found = folder.scan(MOST_ENTRIES).unwrap();
    assert!(found.complete);
    assert_eq!(found.bytes, before - 200);
    let target = |name: &str| found.snapshots[1].files[name].target.clone();
    assert_eq!(target("alone"), Target::Missing(ALONE.to_owned()));
    assert_eq!(target("absolute"), Target::Blob(SHARED.to_owned()));
    for name in ["out", "folder-out", "loop", "far"] {
        assert!(matches!(target(name), Target::Elsewhere(_)), "{name}");
    }
    // A repository, and folders of one, that are links to the outside.
    std::os::unix::fs::symlink(outside.path(), root.path().join("models--c--d")).unwrap();
    assert_eq!(Cache::at(root.path()).scan(MOST_ENTRIES).repositories.len(), 1);
    for part in ["blobs", "snapshots", "refs"] {
        let own = root.path().join("models--e--f");
        fs::create_dir_all(&own).unwrap();
        std::os::unix::fs::symlink(outside.path(), own.join(part)).unwrap();
        let found = Cache::at(root.path()).repo(&"e/f".parse().unwrap()).scan(MOST_ENTRIES).unwrap();
        assert_eq!((found.complete, found.bytes), (false, 0), "{part}");
        fs::remove_dir_all(own).unwrap();
    }
}

#[test]
fn a_limited_scan_is_marked_incomplete() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    fill(&folder);
    let mut deep = folder.snapshot(NEW).unwrap();
    for _ in 0..200 {
        deep.push("d");
    }
    write(deep.join("file"), 1);
    let all = folder.scan(MOST_ENTRIES).unwrap();
    assert!(all.complete && all.snapshots[1].files.len() == 3);
    for limit in [0, 1, 10, 100] {
        assert!(!folder.scan(limit).unwrap().complete, "{limit}");
        assert!(!Cache::at(root.path()).scan(limit).complete, "{limit}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_counted() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe\n");
    write(folder.snapshot(NEW).unwrap().join(odd), 3);
    fs::create_dir_all(root.path().join(odd)).unwrap();
    let scan = Cache::at(root.path()).scan(MOST_ENTRIES);
    assert_eq!((scan.repositories.len(), scan.repositories[0].bytes), (1, 3));
}
