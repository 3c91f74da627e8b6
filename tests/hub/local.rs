//! `ggrun download --local-dir`.

use std::fs;

use super::convert::site;
use super::process::said;
use super::server::{COMMIT, Fault, hash};
use super::{Site, bytes};
use crate::deadline::output;

const SHARD: &str = "q/model.safetensors";

fn small_site() -> (Site, Vec<u8>) {
    let shard = bytes(300_000, 1);
    (Site::new(&[("config.json", b"{}".to_vec()), (SHARD, shard.clone())]), shard)
}

#[test]
fn files_go_to_a_plain_folder_once_and_are_resumed() {
    let (site, shard) = small_site();
    let dir = site.home.path().join("out");
    let words = ["download", "org/name", "--all", "--local-dir", dir.to_str().unwrap()];
    site.server.fail(SHARD, Fault::Cut(100_000));
    let ran = site.run(&words);
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("{}\n", dir.display()));
    assert_eq!(fs::read(dir.join(SHARD)).unwrap(), shard);
    assert!(!fs::symlink_metadata(dir.join(SHARD)).unwrap().is_symlink() && !site.cache().exists());
    assert_eq!(site.server.sent(SHARD), shard.len(), "every byte was sent once");
    let record = dir.join(".cache/huggingface/download").join(format!("{SHARD}.metadata"));
    let lines: Vec<String> = fs::read_to_string(&record).unwrap().lines().map(str::to_owned).collect();
    assert_eq!((lines[0].as_str(), &lines[1], lines.len()), (COMMIT, &hash(&shard), 3));
    assert_eq!(fs::read_to_string(dir.join(".cache/huggingface/.gitignore")).unwrap(), "*\n");
    let dry = site.run(&[&words[..], &["--dry-run"]].concat());
    assert!(said(&dry).contains("0 B to fetch"), "{}", said(&dry));
    assert!(String::from_utf8_lossy(&dry.stdout).contains("in the folder"), "{dry:?}");
    assert!(site.run(&words).status.success());
    // Without its record a file is hashed, and one that differs is fetched again.
    fs::remove_file(&record).unwrap();
    assert!(site.run(&words).status.success());
    assert_eq!(site.server.sent(SHARD), shard.len(), "nothing is fetched twice");
    fs::write(dir.join(SHARD), vec![9; shard.len()]).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
    fs::File::options().write(true).open(dir.join(SHARD)).unwrap().set_modified(later).unwrap();
    assert!(site.run(&words).status.success());
    assert_eq!(fs::read(dir.join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.sent(SHARD), 2 * shard.len());
}

#[test]
fn an_interrupted_download_to_a_folder_is_resumed() {
    let (site, shard) = small_site();
    let dir = site.home.path().join("out");
    let partial =
        dir.join(".cache/huggingface/download").join(format!("{SHARD}.{}.incomplete", hash(&shard)));
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(&partial, &shard[..200_000]).unwrap();
    let words = ["download", "org/name", SHARD, "--local-dir", dir.to_str().unwrap()];
    let dry = site.run(&[&words[..], &["--dry-run"]].concat());
    assert!(said(&dry).contains("97.66 KiB to fetch"), "{}", said(&dry));
    assert!(site.run(&words).status.success());
    assert_eq!((site.server.sent(SHARD), fs::read(dir.join(SHARD)).unwrap() == shard), (100_000, true));
    assert!(!partial.exists());
}

#[test]
fn files_of_the_cache_are_copied() {
    let shard = bytes(300_000, 1);
    let site = Site::new(&[("config.json", b"{}".to_vec()), ("m.safetensors", shard.clone())]);
    site.fetch().folder();
    let dir = site.home.path().join("out");
    let words = ["download", "org/name", "--all", "--local-dir", dir.to_str().unwrap()];
    let dry = site.run(&[&words[..], &["--dry-run"]].concat());
    assert!(said(&dry).contains("0 B to fetch"), "{}", said(&dry));
    assert_eq!(String::from_utf8_lossy(&dry.stdout).matches("in the cache").count(), 2, "{dry:?}");
    // A file has its blob, even if another commit named it.
    fs::remove_dir_all(site.repo().join("snapshots")).unwrap();
    assert!(site.run(&words).status.success());
    assert_eq!(site.server.sent("m.safetensors"), shard.len());
    assert_eq!(fs::read(dir.join("m.safetensors")).unwrap(), shard);
}

#[cfg(unix)]
#[test]
fn a_damaged_file_of_the_cache_is_fetched_again_instead_of_copied() {
    use std::os::unix::fs::PermissionsExt as _;
    let (site, shard) = small_site();
    assert!(site.run(&["download", "org/name", "--all"]).status.success());
    let blob = site.blob(&shard);
    let mut damaged = shard.clone();
    damaged[7] ^= 1;
    fs::write(&blob, &damaged).unwrap();
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o444)).unwrap();
    let dir = site.home.path().join("out");
    let words = ["download", "org/name", "--all", "--local-dir", dir.to_str().unwrap()];
    let offline = output(site.command(&words).env("HF_HUB_OFFLINE", "1"));
    assert_eq!(offline.status.code(), Some(1), "{}", said(&offline));
    let why = format!("has the hash {}, expected {}", hash(&damaged), hash(&shard));
    assert!(said(&offline).contains(&why), "{}", said(&offline));
    assert!(!dir.join(SHARD).exists());
    let before = site.server.sent(SHARD);
    let ran = site.run(&words);
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(fs::read(dir.join(SHARD)).unwrap(), shard);
    assert_eq!(site.server.sent(SHARD) - before, shard.len());
    // A copy may be written to, whatever the mode of the cache's file is.
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode();
    fs::remove_dir_all(&dir).unwrap();
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, &shard).unwrap();
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o444)).unwrap();
    let before = site.server.sent(SHARD);
    assert!(site.run(&words).status.success());
    assert_eq!((site.server.sent(SHARD), mode(dir.join(SHARD)) & 0o200), (before, 0o200));
}

#[test]
fn a_folder_of_downloaded_files_is_converted() {
    let (site, _source) = site();
    let dir = site.home.path().join("model");
    let done = site.run(&["download", "org/name", "--local-dir", dir.to_str().unwrap()]);
    assert!(done.status.success(), "{}", said(&done));
    let out = site.out();
    let mut convert = site.command(&["convert", dir.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    let ran = output(convert.env("HF_HUB_OFFLINE", "1"));
    assert!(ran.status.success(), "{}", said(&ran));
    let proven = site.run(&["verify", out.to_str().unwrap(), dir.to_str().unwrap()]);
    assert!(proven.status.success(), "{proven:?}");
}
