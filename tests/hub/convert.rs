//! `ggrun convert ORG/NAME`: converts while downloading, with little disk space, and resumes after interruptions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testkit::{Encoding, GIdx, Gptq, LayerKind, Model, Mtp, ScaleDtype};

use super::process::said;
use super::server::{Asked, Fault, hash};
use super::{Site, entries};
use crate::deadline::wait_for;

pub(super) const SHARDS: usize = 5;

/// A quantized model of twelve layers in five shards, and its folder.
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

/// The same model unquantized, with an MTP layer.
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

    /// The expected GGUF: converted from the folder after everything was fetched.
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

    /// The number of shards in the cache, complete or partial.
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
fn shards_are_converted_while_downloading_and_kept_in_the_cache() {
    let (site, folder) = site();
    let right = site.right();
    let output = site.convert(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", site.out().display()));
    assert!(fs::read(site.out()).unwrap() == right);
    assert_eq!(site.shards_here(&hashes(folder.path())), SHARDS);
    site.assert_consistent();
    // The metadata include the commit.
    let shown = site.run(&["inspect", site.out().to_str().unwrap(), "--json"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(super::server::COMMIT));
}

#[test]
fn a_damaged_shard_with_a_hard_link_or_a_copy_for_a_blob_is_fetched_again() {
    let (site, folder) = site();
    let right = site.right();
    let bytes = fs::read(folder.path().join(shard(2))).unwrap();
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for is_blob_damaged in [true, false] {
        assert!(site.run(&["download", "org/name"]).status.success());
        let name = site.repo().join("snapshots").join(super::server::COMMIT).join(shard(2));
        fs::remove_file(&name).unwrap();
        if is_blob_damaged {
            fs::write(site.blob(&bytes), &damaged).unwrap();
            fs::hard_link(site.blob(&bytes), &name).unwrap();
        } else {
            fs::write(&name, &damaged).unwrap();
        }
        let before = site.server.sent(&shard(2));
        let output = site.convert(&["--force"]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(fs::read(site.out()).unwrap() == right, "damaged bytes were converted");
        let again = site.server.sent(&shard(2)) - before;
        assert_eq!(again, if is_blob_damaged { bytes.len() } else { 0 }, "a sound blob is used");
        site.assert_consistent();
    }
}

#[test]
fn a_plan_needs_only_headers() {
    let (site, folder) = site();
    let output = site.convert(&["--dry-run"]);
    assert!(output.status.success(), "{}", said(&output));
    let all: u64 = shard_bytes(folder.path()).iter().sum();
    let sent: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum();
    assert!((sent as u64) < all / 2 && sent > 0, "{sent} of {all} bytes");
    assert_eq!(site.shards_here(&hashes(folder.path())), 0);
}

#[test]
fn a_second_copy_of_the_weights_is_not_fetched_and_named() {
    let (_, folder) = site();
    let copy = "consolidated.safetensors";
    fs::write(folder.path().join(copy), b"the weights once more").unwrap();
    let site = site_in(folder.path());
    let output = site.convert(&["--dry-run"]);
    assert!(output.status.success(), "{}", said(&output));
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(plan.contains(&format!("did not read `{copy}`")), "{plan}");
    assert_eq!(site.server.sent(copy), 0);
}

#[test]
fn a_wrong_byte_range_is_refused() {
    let (site, _folder) = site();
    site.server.fail_always(&shard(2), Fault::Shifted);
    let output = site.convert(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("wrong byte range"), "{}", said(&output));
}

/// Converts over a slow connection, and returns the largest number of shards on the disk at once.
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
        assert!(said(&output).contains("proven while written: equal"), "{}", said(&output));
        watch.join().unwrap()
    });
    site.server.mend();
    most
}

#[test]
fn at_most_two_shards_are_on_the_disk_and_none_is_left() {
    let (site, folder) = site();
    let right = site.right();
    let hashes = hashes(folder.path());
    let most = most_at_once(&site, &hashes, &[]);
    assert!((1..=2).contains(&most), "{most} shards at once");
    assert_eq!(site.shards_here(&hashes), 0);
    assert!(fs::read(site.out()).unwrap() == right);
    site.assert_consistent();
}

/// An int4 model whose scales and `g_idx` must be read for the plan.
fn veiled() -> Encoding {
    Encoding::Gptq(Gptq { scale: ScaleDtype::Bf16, g_idx: GIdx::Trivial, ..Gptq::sym(4, 128) })
}

#[test]
fn surveyed_shards_are_fetched_once_if_the_gguf_is_as_large() {
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
    site.assert_consistent();
    assert_eq!(records(&site), 0);
}

#[test]
fn surveyed_shards_are_fetched_again_if_the_gguf_is_smaller() {
    // In BF16 the GGUF would have half of the size. Only a survey of all values shows that BF16 is not exact.
    let (site, folder) = site_of(Encoding::F32);
    let right = site.right();
    let before: Vec<usize> = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).collect();
    let hashes = hashes(folder.path());
    let most = most_at_once(&site, &hashes, &[]);
    // Two of five shards have the size of the smallest GGUF, and two are in use.
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

/// Rewrites a folder's shards with every tensor in a random shard.
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
fn tensors_in_any_order_of_shards_are_converted_without_a_deadlock() {
    let mut seed = 11u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    for encoding in [veiled(), Encoding::F32, Encoding::Gptq(Gptq::sym(4, 128)), veiled(), Encoding::F32] {
        // Either all tensors are scattered, or few are.
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
            let what = format!("{encoding:?}, {scattered}, {jobs} jobs");
            let status = wait_for(&what, || child.try_wait().unwrap());
            assert!(status.success());
            assert!(fs::read(&out).unwrap() == right);
            assert_eq!(site.shards_here(&hashes(folder.path())), 0);
            fs::remove_file(&out).unwrap();
        }
    }
}

#[test]
fn an_existing_output_is_refused_before_anything_is_fetched() {
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

/// The number of survey files next to the output.
fn records(site: &Site) -> usize {
    entries(site.home.path()).iter().filter(|path| path.extension().is_some_and(|e| e == "survey")).count()
}

#[test]
fn an_interrupted_conversion_does_not_repeat_the_survey() {
    let (site, folder) = site_of(veiled());
    let right = site.right();
    // The survey is finished when this file exists, and the process is killed before the export is finished.
    let out = site.out();
    let journal = out.with_extension("gguf.part.journal");
    let words = ["convert", "org/name", "-o", out.to_str().unwrap(), "--delete-source-as-you-go"];
    let mut child = site.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let hashes = hashes(folder.path());
    wait_for("a shard to be deleted", || {
        assert_eq!(child.try_wait().unwrap(), None, "it was too quick to be interrupted");
        (journal.exists() && site.shards_here(&hashes) < SHARDS).then_some(())
    });
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
    // A deleted shard may be missing in the journal, and headers are read again.
    assert!(again < lengths.iter().sum::<u64>() * 2 / 5, "{again} bytes again with {left} shards there");
    assert_eq!(records(&site), 0);
}

#[test]
fn a_conversion_killed_at_any_moment_resumes_without_the_deleted_shards() {
    let (site, folder) = site();
    let right = site.right();
    let before: usize = (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum();
    for number in 1..=SHARDS {
        site.server.fail_always(&shard(number), Fault::Slow(Duration::from_millis(1)));
    }
    let sent = || (1..=SHARDS).map(|n| site.server.sent(&shard(n))).sum::<usize>();
    let all: u64 = shard_bytes(folder.path()).iter().sum();
    let (mut random, mut kills) = (5u64, 0);
    let out = site.out();
    loop {
        let words = ["convert", "org/name", "-o", out.to_str().unwrap(), "--delete-source-as-you-go"];
        let mut child = site.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Killed after at most a sixth of all bytes, so that no machine is too slow or too fast for it.
        let until = sent() + usize::try_from((random >> 33) % (all / 6)).unwrap();
        wait_for("more bytes", || (sent() >= until || child.try_wait().unwrap().is_some()).then_some(()));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        site.assert_consistent();
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
    let sent = sent() - before;
    // Every run fetches the headers again, and bytes in transit are lost when the process is killed.
    assert!((sent as u64) < all * 3, "{sent} bytes sent of {all} in {kills} runs");
    assert_eq!(site.shards_here(&hashes(folder.path())), 0);
}

#[test]
fn only_a_shard_with_a_wrong_hash_is_fetched_again() {
    let (site, folder) = site();
    site.server.fail_always(&shard(3), Fault::Garbage);
    let output = site.convert(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("has the wrong hash after two downloads"), "{}", said(&output));
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
        assert_eq!(whole, 1, "shard {number} was fetched once");
    }
    site.assert_consistent();
}

#[test]
fn only_a_shard_that_changed_in_the_cache_is_fetched_again() {
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
    site.assert_consistent();
}

#[test]
fn a_denied_access_gets_a_hint_and_the_conversion_resumes_later() {
    let (site, _folder) = site();
    site.server.fail_always(&shard(4), Fault::Status(403, ""));
    let output = site.convert(&["--delete-source-as-you-go"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("accept the conditions at"), "{}", said(&output));
    site.server.mend();
    let output = site.convert(&["--delete-source-as-you-go"]);
    assert!(output.status.success(), "{}", said(&output));
}

/// Removes the file with the MTP layer from the index.
fn unlist_mtp(folder: &Path) {
    let path = folder.join("model.safetensors.index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    index["weight_map"].as_object_mut().unwrap().retain(|name, _| !name.starts_with("mtp."));
    fs::write(path, index.to_string()).unwrap();
}

#[test]
fn files_that_the_index_does_not_name_are_converted_and_lend_their_mtp_layer() {
    let place = original();
    unlist_mtp(place.path());
    let whole = site_in(place.path());
    let output = whole.convert(&["--delete-source-as-you-go"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("has its MTP layer"), "{}", said(&output));
    let (out, source) = (whole.out(), place.path().to_str().unwrap());
    let output = whole.run(&["verify", out.to_str().unwrap(), source]);
    assert!(output.status.success(), "{}", said(&output));

    let (site, _folder) = site();
    site.server.add_original(files_of(place.path()));
    let output = site.convert(&["--mtp-from", "org/original"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("has its MTP layer"), "{}", said(&output));
}

#[test]
fn a_quantized_mtp_layer_of_another_quantization_is_refused() {
    let (site, _folder) = site();
    let place = tempfile::tempdir().unwrap();
    let encoding = Encoding::Gptq(Gptq::sym(8, 128));
    Model { mtp: Mtp::Quantized, shards: 2, ..model(encoding) }.write(place.path());
    site.server.add_original(files_of(place.path()));
    let output = site.convert(&["--mtp-from", "org/original"]);
    let says = said(&output);
    assert!(!output.status.success() && !site.out().exists(), "{says}");
    assert!(says.contains(".qweight` of `") && says.contains("a different `quantization_config`"), "{says}");
}

#[test]
fn only_the_mtp_layer_is_fetched_from_the_other_repository() {
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
    let mtp_from = ["--mtp-from", "org/original"];
    for (source, ty) in [(&local, "q8_0"), (&["convert", "org/name", "-o", out.to_str().unwrap()], "bf16")] {
        drop(fs::remove_file(&out));
        let output = site.run(&[&source[..], &mtp_from, &["--mtp-type", ty]].concat());
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("has its MTP layer"), "{}", said(&output));
        assert!(said(&output).contains("proven while written: equal"), "{}", said(&output));
        let shown = site.run(&["inspect", out.to_str().unwrap(), "--tensors"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        let line = shown.lines().find(|line| line.contains("blk.12.nextn.eh_proj.weight")).unwrap();
        assert!(line.to_lowercase().contains(ty), "{line}");
        assert!(!entries(site.home.path()).iter().any(|path| path.to_string_lossy().contains("mtp")));
    }
    let sent: usize =
        site.server.asked().iter().filter(|a| a.path.contains("org/original")).map(|a| a.sent).sum();
    assert!(sent < all, "{sent} bytes of {all} in two conversions");
    let is_length = |a: &Asked| a.sent == 8 && !a.path.contains("org/original");
    let lengths: Vec<String> = site.server.asked().into_iter().filter(is_length).map(|a| a.path).collect();
    let once: BTreeSet<&String> = lengths.iter().collect();
    assert!(!once.is_empty() && once.len() == lengths.len(), "each header is fetched once: {lengths:?}");
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
