//! `ggrun inspect ORG/NAME`: describes a repository without fetching weights.

use std::fs;

use serde_json::Value;

use super::convert::{SHARDS, files_of, hashes, shard, shard_bytes, site};
use super::process::said;
use super::server::COMMIT;
use super::{Site, entries};

impl Site {
    fn describe(&self, name: &str) -> Value {
        let output = self.run(&["inspect", name, "--json"]);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn a_checkpoint_is_described_by_its_headers() {
    let (site, folder) = site();
    let mut near = site.describe("org/name");
    let all: u64 = shard_bytes(folder.path()).iter().sum();
    let sent: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum();
    assert!((sent as u64) < all / 2 && sent > 0, "{sent} of {all} bytes");
    assert_eq!(site.shards_here(&hashes(folder.path())), 0);
    assert_eq!(near["files"][0]["path"], format!("org/name/{}", shard(1)));
    let mut whole = site.describe(folder.path().to_str().unwrap());
    for described in [&mut near, &mut whole] {
        described["files"] = Value::Null;
    }
    assert_eq!(near, whole);
    // Headers in the cache are not requested.
    assert!(site.run(&["download", "org/name"]).status.success());
    let before: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum();
    let path = site.describe("org/name")["files"][0]["path"].as_str().unwrap().to_owned();
    assert!(fs::metadata(&path).is_ok() && path.contains(COMMIT), "{path}");
    assert_eq!((1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum::<usize>(), before);
}

#[test]
fn a_gguf_is_described_by_the_headers_of_its_parts() {
    let (checkpoint, folder) = site();
    let ggufs = tempfile::tempdir().unwrap();
    let out = ggufs.path().join("m-Q4_0.gguf");
    let words = ["convert", folder.path().to_str().unwrap(), "-o", out.to_str().unwrap()];
    let output = checkpoint.run(&[&words[..], &["--split-max-size", "1M"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let mut files = files_of(ggufs.path());
    assert!(files.len() > 1, "{:?}", entries(ggufs.path()));
    files.sort();
    let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let first = ggufs.path().join(&files[0].0);
    let site =
        Site::new(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>());
    for name in ["org/name", "org/name:q4_0"] {
        let (mut near, mut whole) = (site.describe(name), checkpoint.describe(first.to_str().unwrap()));
        assert_eq!(near["files"][1]["path"], format!("org/name/{}", files[1].0));
        for described in [&mut near, &mut whole] {
            described["files"] = Value::Null;
        }
        assert_eq!(near, whole);
    }
    let sent: usize = files.iter().map(|(name, _)| site.server.sent(name)).sum();
    assert!(sent < all && sent > 0, "{sent} of {all} bytes in two descriptions");
    let output = site.run(&["inspect", "org/name:Q8_0"]);
    assert!(said(&output).contains("no `Q8_0` model"), "{}", said(&output));
}
