//! The conversion loop as a library call, without the command line.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ggrun::convert::{self, Error, Options, Step};
use ggrun::hub::{Event, Hub, RemoteFile, Retention, ShardStream};
use gguf_export::{ExportOptions, Progress};

use super::Site;
use super::convert::{shard_bytes, site};

fn options(site: &Site) -> Options {
    Options { output: Some(site.out()), ..Options::new() }
}

#[test]
fn a_repository_is_converted_by_a_library_call_that_reports_shards_and_tensors() {
    let (site, _source) = site();
    let hub = Hub::new(site.settings(&[])).unwrap();
    let (received, written) = (AtomicU64::new(0), AtomicU64::new(0));
    let tensors = Mutex::new(Vec::new());
    let observer = |step: Step<'_>| match step {
        Step::Source(Event::Received { bytes, .. }) => drop(received.fetch_add(bytes, Ordering::Relaxed)),
        Step::Export(Progress::Advanced { tensor, bytes }) => {
            written.fetch_add(bytes, Ordering::Relaxed);
            tensors.lock().unwrap().push(tensor.to_owned());
        }
        _ => {}
    };
    let options = Options { delete_shards: true, ..options(&site) };
    let stop = AtomicBool::new(false);
    let repo = "org/name".parse().unwrap();
    let done = convert::repository(&hub, &repo, None, &options, &stop, &observer).unwrap();
    assert!(done.report.unwrap().equal(), "deleted shards are proven");
    assert_eq!(done.files[0].path, site.out());
    let bytes = std::fs::read(site.out()).unwrap();
    assert!(bytes == site.right(), "other bytes than those of a conversion from a folder");
    assert!(received.into_inner() > 0 && written.into_inner() > 0);
    let tensors = tensors.into_inner().unwrap();
    assert!(done.plan.tensors.iter().all(|tensor| tensors.contains(&tensor.name)), "{tensors:?}");
}

#[test]
fn only_needed_shards_that_are_not_in_the_cache_take_room() {
    let (site, source) = site();
    let hub = Hub::new(site.settings(&[])).unwrap();
    let (repo, stop) = ("org/name".parse().unwrap(), AtomicBool::new(false));
    let listing = hub.listing(&repo, &stop, &|_| {}).unwrap();
    let files = hub.checkpoint_files(&repo, &listing, &stop, &|_| {}).unwrap();
    let shards: Vec<&RemoteFile> = files.into_iter().filter(|file| file.name.ends_with("tensors")).collect();
    let peak = |retention, needed: &[usize]| {
        let stream = ShardStream::new(&hub, (&repo, &listing), &shards, retention, &stop, &|_| {}).unwrap();
        stream.peak_bytes(|shard| needed.contains(&shard)).unwrap()
    };
    let bytes = shard_bytes(source.path());
    let largest = |numbers: &[usize], at_once: usize| -> u64 {
        let mut bytes: Vec<u64> = numbers.iter().map(|number| bytes[*number]).collect();
        bytes.sort_unstable();
        bytes.iter().rev().take(at_once).sum()
    };
    for needed in [&[][..], &[3], &[3, 4], &[2, 3, 4], &[0, 1, 2, 3, 4]] {
        assert_eq!(peak(Retention::Keep, needed), largest(needed, needed.len()), "{needed:?}");
        assert_eq!(peak(Retention::Delete, needed), largest(needed, 2), "{needed:?}");
    }
    hub.fetch_one(&repo, &listing, shards[3], &stop, &|_| {}).unwrap();
    assert_eq!(peak(Retention::Keep, &[3, 4]), bytes[4]);
}

#[test]
fn a_conversion_that_cannot_be_done_has_a_typed_error_and_writes_nothing() {
    let site = Site::new(&[("config.json", b"{}".to_vec()), ("README.md", vec![1])]);
    let hub = Hub::new(site.settings(&[])).unwrap();
    let (repo, missing) = ("org/name".parse().unwrap(), "missing/name".parse().unwrap());
    let convert = |repo| {
        let stop = AtomicBool::new(false);
        convert::repository(&hub, repo, None, &options(&site), &stop, &|_| {}).unwrap_err()
    };
    let error = convert(&missing);
    assert!(matches!(error, Error::Hub(_)), "{error:?}");
    assert!(matches!(convert(&repo), Error::NoShards { .. }));
    assert!(!site.out().exists());
}

#[test]
fn a_conversion_that_is_stopped_says_so_and_writes_nothing() {
    let (site, _source) = site();
    let hub = Hub::new(site.settings(&[])).unwrap();
    let stop = AtomicBool::new(true);
    let repo = "org/name".parse().unwrap();
    let stopped = convert::repository(&hub, &repo, None, &options(&site), &stop, &|_| {}).unwrap_err();
    assert!(matches!(&stopped, Error::Hub(error) if error.is_stopped()), "{stopped:?}");
    assert!(!site.out().exists());
}

#[test]
fn a_folder_is_converted_by_the_same_options() {
    let (site, source) = site();
    let export = ExportOptions { threads: 2, prove: true, ..ExportOptions::default() };
    let options = Options { export, ..options(&site) };
    let stop = AtomicBool::new(false);
    let dry = Options { dry_run: true, ..options.clone() };
    let planned = convert::folder(source.path(), None, &dry, &stop, &|_| {}).unwrap();
    assert!(!site.out().exists() && planned.report.is_none());
    let done = convert::folder(source.path(), None, &options, &stop, &|_| {}).unwrap();
    assert!(done.report.unwrap().equal());
    assert_eq!(std::fs::metadata(site.out()).unwrap().len(), planned.files[0].bytes);
}
