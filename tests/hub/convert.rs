//! `ggrun convert ORG/NAME`: converted while it arrives, with little disk, whatever happens in between.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Encoding, GIdx, Gptq, LayerKind, Model, Mtp, ScaleDtype};

use super::process::said;
use super::server::{Fault, hash};
use super::{Site, entries};

pub(super) const SHARDS: usize = 5;

/// A quantised model of twelve layers in five shards, and the folder that it was written to.
pub(super) fn site() -> (Site, tempfile::TempDir) {
    site_of(Encoding::Gptq(Gptq::sym(4, 128)))
}

fn site_of(encoding: Encoding) -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    model(encoding).write(folder.path());
    (site_in(folder.path()), folder)
}

fn model(encoding: Encoding) -> Model {
    let layers = [LayerKind::Linear, LayerKind::Full].into_iter().cycle().take(12).collect();
    Model { layers, shards: SHARDS, ..Model::uniform(encoding) }
}

fn site_in(folder: &Path) -> Site {
    let files = files_of(folder);
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    Site::new(&files)
}

/// The same model unquantised, with an MTP layer.
pub(super) fn original() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    Model { mtp: Mtp::Bf16, shards: 2, ..model(Encoding::Bf16) }.write(place.path());
    place
}

pub(super) fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let named =
        |path: &PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
    entries(folder).iter().map(named).collect()
}

pub(super) fn shard(number: usize) -> String {
    format!("model-{number:05}-of-{SHARDS:05}.safetensors")
}

pub(super) fn shard_bytes(folder: &Path) -> Vec<u64> {
    (1..=SHARDS).map(|n| fs::metadata(folder.join(shard(n))).unwrap().len()).collect()
}

impl Site {
    pub(super) fn out(&self) -> PathBuf {
        self.home.path().join("out.gguf")
    }

    pub(super) fn convert(&self, more: &[&str]) -> std::process::Output {
        let out = self.out();
        self.run(&[&["convert", "org/name", "-o", out.to_str().unwrap()], more].concat())
    }

    /// The right bytes: all is fetched, then converted from the folder.
    pub(super) fn right(&self) -> Vec<u8> {
        let folder = self.run(&["download", "org/name"]);
        let folder = String::from_utf8(folder.stdout).unwrap();
        let out = self.home.path().join("right.gguf");
        let output = self.run(&["convert", folder.trim(), "-o", out.to_str().unwrap()]);
        assert!(output.status.success(), "{}", said(&output));
        let right = fs::read(&out).unwrap();
        fs::remove_dir_all(self.cache()).unwrap();
        right
    }

    /// Hashes of shards that are in the cache, wholly or in part.
    pub(super) fn shards_here(&self, hashes: &BTreeSet<String>) -> usize {
        let names = entries(&self.repo().join("blobs"));
        let stems = names.iter().filter_map(|path| path.file_stem()?.to_str());
        stems.filter(|stem| hashes.contains(*stem)).count()
    }
}

pub(super) fn hashes(folder: &Path) -> BTreeSet<String> {
    (1..=SHARDS).map(|n| hash(&fs::read(folder.join(shard(n))).unwrap())).collect()
}

#[test]
fn what_arrives_is_converted_and_stays_in_the_cache() {
    let (site, folder) = site();
    let right = site.right();
    let output = site.convert(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", site.out().display()));
    assert!(fs::read(site.out()).unwrap() == right);
    assert_eq!(site.shards_here(&hashes(folder.path())), SHARDS);
    site.nothing_is_half();
    // The commit is in the file.
    let shown = site.run(&["inspect", site.out().to_str().unwrap(), "--json"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(super::server::COMMIT));
}

#[test]
fn a_plan_needs_headers_alone() {
    let (site, folder) = site();
    let output = site.convert(&["--dry-run"]);
    assert!(output.status.success(), "{}", said(&output));
    let all: u64 = shard_bytes(folder.path()).iter().sum();
    let sent: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum();
    assert!((sent as u64) < all / 2 && sent > 0, "{sent} of {all} bytes");
    assert_eq!(site.shards_here(&hashes(folder.path())), 0);
}

#[test]
fn a_part_that_is_not_the_one_that_was_asked_for_is_refused() {
    let (site, _folder) = site();
    site.server.fail_always(&shard(2), Fault::Shifted);
    let output = site.convert(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("another range than was asked for"), "{}", said(&output));
}

/// Converts on a slow line, and tells the most shards that were there at once.
fn most_at_once(site: &Site, hashes: &BTreeSet<String>, more: &[&str]) -> usize {
    for number in 1..=SHARDS {
        site.server.fail_always(&shard(number), Fault::Slow(Duration::from_millis(1)));
    }
    let over = AtomicBool::new(false);
    let most = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(site.shards_here(hashes));
            }
            most
        });
        let output = site.convert(&[&["--delete-source-as-you-go", "-j", "4"], more].concat());
        over.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("proven while it was written: equal"), "{}", said(&output));
        watch.join().unwrap()
    });
    site.server.mend();
    most
}

#[test]
fn no_more_than_two_shards_are_there_and_none_is_left() {
    let (site, folder) = site();
    let right = site.right();
    let hashes = hashes(folder.path());
    let most = most_at_once(&site, &hashes, &[]);
    assert!((1..=2).contains(&most), "{most} shards at once");
    assert_eq!(site.shards_here(&hashes), 0);
    assert!(fs::read(site.out()).unwrap() == right);
    site.nothing_is_half();
}

/// An int4 model whose scales and orders of columns must be read before there is a plan.
fn veiled() -> Encoding {
    Encoding::Gptq(Gptq { scale: ScaleDtype::Bf16, g_idx: GIdx::Trivial, ..Gptq::sym(4, 128) })
}

#[test]
fn what_decides_on_types_comes_once_where_the_gguf_will_need_its_room() {
    let (site, folder) = site_of(veiled());
    let right = site.right();
    let before: Vec<usize> = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).collect();
    let hashes = hashes(folder.path());
    most_at_once(&site, &hashes, &[]);
    assert_eq!(site.shards_here(&hashes), 0);
    assert!(fs::read(site.out()).unwrap() == right);
    let lengths = shard_bytes(folder.path());
    for number in 1..=SHARDS {
        let sent = (site.server.sent(&shard(number)) - before[number - 1]) as u64;
        assert!(sent < lengths[number - 1] * 3 / 2, "{sent} bytes of shard {number}");
    }
    site.nothing_is_half();
    assert_eq!(records(&site), 0);
}

#[test]
fn what_decides_on_types_goes_again_where_the_gguf_is_smaller() {
    // As BF16 it would have half of the size, which is known not to hold it when all of it was read.
    let (site, folder) = site_of(Encoding::F32);
    let right = site.right();
    let before: Vec<usize> = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).collect();
    let hashes = hashes(folder.path());
    let most = most_at_once(&site, &hashes, &[]);
    // Two of five have the size of the smallest GGUF, and two are at work.
    assert!((3..=4).contains(&most), "{most} shards at once");
    assert!(fs::read(site.out()).unwrap() == right);
    let lengths = shard_bytes(folder.path());
    for number in 1..=SHARDS {
        let sent = (site.server.sent(&shard(number)) - before[number - 1]) as u64;
        let times = if number <= 2 { 1 } else { 2 };
        assert!(sent / lengths[number - 1] == times, "{sent} bytes of shard {number}");
    }
    assert_eq!(site.shards_here(&hashes), 0);
    assert_eq!(records(&site), 0);
}

/// Writes the tensors of a folder's shards anew, each into any of them.
fn scatter(folder: &Path, random: &mut impl FnMut() -> usize) {
    let mut shards = vec![(serde_json::Map::new(), Vec::new()); SHARDS];
    for number in 1..=SHARDS {
        let whole = fs::read(folder.join(shard(number))).unwrap();
        let length = usize::try_from(u64::from_le_bytes(*whole.first_chunk().unwrap())).unwrap();
        let (header, data) = (&whole[8..8 + length], &whole[8 + length..]);
        let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
        for (name, mut entry) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
            let at = |end: usize| usize::try_from(entry["data_offsets"][end].as_u64().unwrap()).unwrap();
            let bytes = &data[at(0)..at(1)];
            let (header, body) = &mut shards[random() % SHARDS];
            entry["data_offsets"] = serde_json::json!([body.len(), body.len() + bytes.len()]);
            body.extend_from_slice(bytes);
            header.insert(name, entry);
        }
    }
    let mut map = serde_json::Map::new();
    for (number, (header, body)) in (1..).zip(shards) {
        map.extend(header.keys().map(|name| (name.clone(), shard(number).into())));
        let header = serde_json::to_string(&header).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        fs::write(folder.join(shard(number)), [&length, header.as_bytes(), &body].concat()).unwrap();
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn whatever_shard_holds_what_nobody_waits_for_ever() {
    let mut seed = 11u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    for encoding in [veiled(), Encoding::F32, Encoding::Gptq(Gptq::sym(4, 128)), veiled(), Encoding::F32] {
        // Few tensors lie anywhere else than those before them, or all do.
        let scattered = random() % 2 == 0;
        let folder = tempfile::tempdir().unwrap();
        model(encoding).write(folder.path());
        let mut anywhere = 0;
        scatter(folder.path(), &mut || {
            anywhere = if scattered || random() % 8 == 0 { random() } else { anywhere };
            anywhere
        });
        let site = site_in(folder.path());
        let right = site.right();
        for jobs in ["1", "2", "4"] {
            let out = site.out();
            let words = ["convert", "org/name", "-o", out.to_str().unwrap(), "-j", jobs];
            let words = [&words[..], &["--delete-source-as-you-go"]].concat();
            let mut child = site.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let begin = Instant::now();
            let status = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break status,
                    None if begin.elapsed() > Duration::from_mins(2) => {
                        child.kill().unwrap();
                        panic!("it hangs: {encoding:?}, {scattered}, {jobs} jobs");
                    }
                    None => thread::sleep(Duration::from_millis(10)),
                }
            };
            assert!(status.success());
            assert!(fs::read(&out).unwrap() == right);
            assert_eq!(site.shards_here(&hashes(folder.path())), 0);
            fs::remove_file(&out).unwrap();
        }
    }
}

#[test]
fn an_output_that_exists_is_refused_before_anything_comes() {
    let (site, _folder) = site_of(veiled());
    fs::write(site.out(), "mine").unwrap();
    let output = site.convert(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("already exists") && said(&output).contains("--force"),
        "{}",
        said(&output)
    );
    assert!(site.server.asked().is_empty());
    assert_eq!(fs::read(site.out()).unwrap(), b"mine");
}

/// Files of surveys beside the output.
fn records(site: &Site) -> usize {
    entries(site.home.path()).iter().filter(|path| path.extension().is_some_and(|e| e == "survey")).count()
}

#[test]
fn an_interrupted_conversion_reads_no_value_again_to_decide_on_types() {
    let (site, folder) = site_of(veiled());
    let right = site.right();
    // Everything was looked at when this file is there, and it fails before all of it is written.
    let out = site.out();
    let journal = out.with_extension("gguf.part.journal");
    let words = ["convert", "org/name", "-o", out.to_str().unwrap(), "--delete-source-as-you-go"];
    let mut child = site.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let hashes = hashes(folder.path());
    while !(journal.exists() && site.shards_here(&hashes) < SHARDS) {
        assert_eq!(child.try_wait().unwrap(), None, "it was too quick to be interrupted");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(records(&site), 1);
    let left = site.shards_here(&hashes);
    let sent = || (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum::<usize>() as u64;
    let before = sent();
    let output = site.run(&words);
    assert!(output.status.success(), "{}", said(&output));
    assert!(fs::read(&out).unwrap() == right);
    let lengths = shard_bytes(folder.path());
    let again = sent() - before;
    // One may have been let go of that the journal does not know of, and headers are read anew.
    assert!(again < lengths.iter().sum::<u64>() * 2 / 5, "{again} bytes again with {left} shards there");
    assert_eq!(records(&site), 0);
}

#[test]
fn killed_at_any_moment_it_goes_on_without_what_it_had_done_with() {
    let (site, folder) = site();
    let right = site.right();
    let before: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum();
    for number in 1..=SHARDS {
        site.server.fail_always(&shard(number), Fault::Slow(Duration::from_millis(1)));
    }
    let (mut random, mut kills) = (5u64, 0);
    let out = site.out();
    loop {
        let words = ["convert", "org/name", "-o", out.to_str().unwrap(), "--delete-source-as-you-go"];
        let mut child = site.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_millis(50 + (random >> 33) % 300));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        site.nothing_is_half();
        kills += 1;
        if kills == 12 {
            site.server.mend();
            let output = site.run(&words);
            assert!(output.status.success(), "{}", said(&output));
            break;
        }
    }
    assert!(kills >= 2, "{kills} kills");
    assert!(fs::read(&out).unwrap() == right);
    let all: u64 = shard_bytes(folder.path()).iter().sum();
    let sent: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum::<usize>() - before;
    // Headers come again with every run, and what a connection held when the process was killed is lost.
    assert!((sent as u64) < all * 3, "{sent} bytes sent of {all} in {kills} runs");
    assert_eq!(site.shards_here(&hashes(folder.path())), 0);
}

#[test]
fn a_shard_that_fails_its_hash_is_fetched_again_alone() {
    let (site, folder) = site();
    site.server.fail_always(&shard(3), Fault::Garbage);
    let output = site.convert(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("was fetched twice with the hash"), "{}", said(&output));
    site.server.mend();
    let right = {
        let output = site.convert(&[]);
        assert!(output.status.success(), "{}", said(&output));
        fs::read(site.out()).unwrap()
    };
    assert!(right.starts_with(b"GGUF"));
    let lengths = shard_bytes(folder.path());
    for number in [1, 2] {
        let whole = site
            .server
            .asked()
            .iter()
            .filter(|a| a.path.ends_with(&shard(number)) && a.sent as u64 == lengths[number - 1])
            .count();
        assert_eq!(whole, 1, "shard {number} came once");
    }
    site.nothing_is_half();
}

#[test]
fn a_shard_that_changed_in_the_cache_is_fetched_again_alone() {
    let (site, folder) = site();
    let right = site.right();
    assert!(site.run(&["download", "org/name"]).status.success());
    let whole = fs::read(folder.path().join(shard(2))).unwrap();
    let mut changed = whole.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    fs::write(site.blob(&whole), changed).unwrap();
    let before: Vec<usize> = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).collect();
    let output = site.convert(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(fs::read(site.out()).unwrap() == right);
    for number in 1..=SHARDS {
        let again = site.server.sent(&shard(number)) - before[number - 1];
        assert_eq!(again, if number == 2 { whole.len() } else { 0 }, "shard {number}");
    }
    site.nothing_is_half();
}

#[test]
fn no_line_is_said_with_what_to_do_and_what_is_there_stays() {
    let (site, _folder) = site();
    site.server.fail_always(&shard(4), Fault::Status(403, ""));
    let output = site.convert(&["--delete-source-as-you-go"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("accept the conditions at"), "{}", said(&output));
    site.server.mend();
    let output = site.convert(&["--delete-source-as-you-go"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_prediction_layer_comes_from_another_repository_and_nothing_else_of_it() {
    let (site, folder) = site();
    let place = original();
    let files = files_of(place.path());
    let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let trunk: Vec<String> =
        files.iter().map(|(name, _)| name.clone()).filter(|name| name.starts_with("model-0")).collect();
    assert_eq!(trunk.len(), 2);
    site.server.add_original(files);

    let out = site.out();
    let local = ["convert", folder.path().to_str().unwrap(), "-o", out.to_str().unwrap()];
    let lent = ["--mtp-from", "org/original"];
    for (source, ty) in [(&local, "q8_0"), (&["convert", "org/name", "-o", out.to_str().unwrap()], "bf16")] {
        drop(fs::remove_file(&out));
        let output = site.run(&[&source[..], &lent, &["--mtp-type", ty]].concat());
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("has its MTP layer"), "{}", said(&output));
        assert!(said(&output).contains("proven while it was written: equal"), "{}", said(&output));
        let shown = site.run(&["inspect", out.to_str().unwrap(), "--tensors"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        let line = shown.lines().find(|line| line.contains("blk.12.nextn.eh_proj.weight")).unwrap();
        assert!(line.to_lowercase().contains(ty), "{line}");
        assert!(!entries(site.home.path()).iter().any(|path| path.to_string_lossy().contains("mtp")));
    }
    let sent: usize =
        site.server.asked().iter().filter(|a| a.path.contains("org/original")).map(|a| a.sent).sum();
    assert!(sent < all, "{sent} bytes of {all} in two conversions");
    for name in trunk {
        assert_eq!(
            site.server
                .asked()
                .iter()
                .filter(|a| a.path.contains("org/original") && a.path.ends_with(&name))
                .count(),
            0
        );
    }
    let output = site.run(&[&local[..], &["--mtp-from", "org/name", "--force"]].concat());
    assert!(said(&output).contains("`org/name` has no MTP layer"), "{}", said(&output));
}
