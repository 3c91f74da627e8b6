//! Exports give the same bytes for any number of threads, splits and interruptions, and never an unfinished file under a
//! final name.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests damage temporary files and rely on panics"
)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{GO, Place, plan, story};
use gguf_export::checkpoint::Checkpoint;
use gguf_export::io::{ByteSource, FileSource};
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{Error, ExportOptions, Plan, Progress, Result, export, gguf};
use testkit::{Encoding, Gptq, Model};

/// A model with several tensors, and so with several tiles.
fn model() -> Model {
    Model { shards: 2, ..Model::uniform(Encoding::Gptq(Gptq::sym(4, 128))) }
}

fn write(place: &Place, options: &ExportOptions) -> Result<Vec<PathBuf>> {
    let checkpoint = place.open();
    export(&checkpoint, &plan(&checkpoint), &place.out(), options, &GO, &|_| {})
}

/// The expected bytes, from an export of the same folder to another name.
fn expected(place: &Place) -> Vec<u8> {
    let checkpoint = place.open();
    let out = place.path().join("right");
    export(&checkpoint, &plan(&checkpoint), &out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    std::fs::remove_file(out).unwrap();
    bytes
}

/// Interrupts an export after `tiles` tiles.
fn interrupted(place: &Place, tiles: usize, threads: usize) {
    let checkpoint = place.open();
    let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    let options = ExportOptions { threads, ..ExportOptions::default() };
    let result = export(&checkpoint, &plan(&checkpoint), &place.out(), &options, &stop, &|progress| {
        if matches!(progress, Progress::Advanced { .. }) && seen.fetch_add(1, Ordering::Relaxed) + 1 == tiles
        {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(&result, Err(Error::Interrupted { part }) if *part == place.part()), "{result:?}");
    assert_eq!(place.left_behind(), ["out.gguf.part", "out.gguf.part.journal"]);
}

/// Completes an export and returns the resumed, the written and the total bytes.
fn finished(place: &Place) -> [u64; 3] {
    let checkpoint = place.open();
    let [resumed, advanced, total] = [const { AtomicU64::new(0) }; 3];
    export(&checkpoint, &plan(&checkpoint), &place.out(), &ExportOptions::default(), &GO, &|progress| {
        match progress {
            Progress::Planned { bytes, resumed: done, .. } => {
                resumed.store(done, Ordering::Relaxed);
                total.store(bytes, Ordering::Relaxed);
            }
            Progress::Advanced { bytes, .. } => _ = advanced.fetch_add(bytes, Ordering::Relaxed),
            _ => {}
        }
    })
    .unwrap();
    assert_eq!(place.left_behind(), ["out.gguf"]);
    [resumed, advanced, total].map(|n| n.load(Ordering::Relaxed))
}

#[test]
fn every_number_of_threads_gives_the_same_bytes() {
    let place = Place::with(&model());
    let right = expected(&place);
    for threads in [0, 1, 2, 7, 1000] {
        write(&place, &ExportOptions { threads, overwrite: true, ..ExportOptions::default() }).unwrap();
        assert!(std::fs::read(place.out()).unwrap() == right, "{threads} threads");
        assert_eq!(place.left_behind(), ["out.gguf"]);
    }
}

/// Type, dimensions and bytes of each tensor.
fn contents(path: &Path) -> BTreeMap<String, (String, Vec<u64>, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for (path, header) in gguf::open_all(path).unwrap() {
        let source = FileSource::open(&path).unwrap();
        for t in &header.tensors {
            let mut bytes = vec![0; usize::try_from(t.bytes()).unwrap()];
            source.read_at(header.data_offset + t.offset, &mut bytes).unwrap();
            assert!(all.insert(t.name.clone(), (t.ty.to_string(), t.dims.clone(), bytes)).is_none());
        }
    }
    all
}

#[test]
fn split_files_hold_the_same_tensors() {
    let place = Place::with(&model());
    write(&place, &ExportOptions::default()).unwrap();
    let whole = contents(&place.out());
    for (most, least) in [(1, 20), (100_000, 5), (300_000, 2), (u64::MAX, 1)] {
        let split = tempfile::tempdir().unwrap();
        let checkpoint = place.open();
        let options = ExportOptions { threads: 3, split_max_bytes: Some(most), ..ExportOptions::default() };
        let files =
            export(&checkpoint, &plan(&checkpoint), &split.path().join("m.gguf"), &options, &GO, &|_| {})
                .unwrap();
        assert!(files.len() >= least, "{} files of {most} bytes", files.len());
        assert_eq!(std::fs::read_dir(split.path()).unwrap().count(), files.len());
        assert!(contents(&files[0]) == whole);
        let options = VerifyOptions { threads: 2, ..VerifyOptions::default() };
        let report = verify(&checkpoint, &files[0], options, &GO, &|_| {}).unwrap();
        assert!(report.equal(), "{:?}", report.differences);
    }
}

#[test]
fn an_interrupted_export_resumes() {
    let place = Place::with(&model());
    let right = expected(&place);
    for (tiles, threads) in [(1, 1), (5, 1), (17, 3), (30, 2)] {
        interrupted(&place, tiles, threads);
        let [resumed, written, total] = finished(&place);
        assert!(
            resumed > 0 && written > 0 && resumed + written == total,
            "{resumed} and {written} of {total}"
        );
        assert!(std::fs::read(place.out()).unwrap() == right, "{tiles} tiles");
        std::fs::remove_file(place.out()).unwrap();
    }
    // Several consecutive interruptions.
    for _ in 0..5 {
        interrupted(&place, 3, 2);
    }
    let [resumed, ..] = finished(&place);
    assert!(resumed > 0 && std::fs::read(place.out()).unwrap() == right);
}

#[test]
fn a_resumed_split_export_gives_the_same_files() {
    let place = Place::with(&model());
    let checkpoint = place.open();
    let plan = plan(&checkpoint);
    let options = ExportOptions { split_max_bytes: Some(200_000), ..ExportOptions::default() };
    let run = |out: &Path, tiles: usize| {
        let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        export(&checkpoint, &plan, out, &options, &stop, &|progress| {
            if matches!(progress, Progress::Advanced { .. })
                && seen.fetch_add(1, Ordering::Relaxed) + 1 == tiles
            {
                stop.store(true, Ordering::Relaxed);
            }
        })
    };
    let whole = run(&place.path().join("right.gguf"), 0).unwrap();
    assert!(matches!(run(&place.out(), 12), Err(Error::Interrupted { .. })));
    // Remove one of the unfinished files.
    let lost = place.left_behind().into_iter().find(|n| n.starts_with("out-00002-of")).unwrap();
    std::fs::remove_file(place.path().join(lost)).unwrap();
    assert!(matches!(run(&place.out(), 12), Err(Error::Interrupted { .. })));
    let files = run(&place.out(), 0).unwrap();
    for (a, b) in files.iter().zip(&whole) {
        assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap(), "{}", a.display());
    }
    assert!(!place.left_behind().iter().any(|n| n.contains(".part")), "{:?}", place.left_behind());
}

#[test]
fn without_resume_everything_is_written_again() {
    let place = Place::with(&model());
    let right = expected(&place);
    interrupted(&place, 10, 1);
    std::fs::write(place.part(), vec![0xAA; right.len()]).unwrap();
    write(&place, &ExportOptions { resume: false, ..ExportOptions::default() }).unwrap();
    assert!(std::fs::read(place.out()).unwrap() == right);
}

#[test]
fn a_file_of_the_checkpoint_is_never_overwritten() {
    let place = Place::with(&model());
    let shard = place.open().shards().next().unwrap().to_owned();
    let before = std::fs::read(&shard).unwrap();
    let over = ExportOptions { overwrite: true, ..ExportOptions::default() };
    let refused = |out: &Path| {
        let checkpoint = place.open();
        let result = export(&checkpoint, &plan(&checkpoint), out, &over, &GO, &|_| {});
        assert!(matches!(&result, Err(Error::OutputIsSource { path }) if path == out), "{result:?}");
        assert!(std::fs::read(&shard).unwrap() == before);
    };
    refused(&shard);
    // Neither through a link.
    std::fs::hard_link(&shard, place.out()).unwrap();
    refused(&place.out());
    std::fs::remove_file(place.out()).unwrap();
    std::os::unix::fs::symlink(&shard, place.out()).unwrap();
    refused(&place.out());
}

/// Changes an interrupted export. The next run must give the expected bytes, and resume only if `is_valid`.
fn tampered(name: &str, change: impl FnOnce(&Place), is_valid: bool) {
    let place = Place::with(&model());
    interrupted(&place, 20, 1);
    change(&place);
    let right = expected(&place);
    let [resumed, ..] = finished(&place);
    assert!(std::fs::read(place.out()).unwrap() == right, "{name}: other bytes");
    assert_eq!(resumed > 0, is_valid, "{name}: {resumed} bytes were resumed");
}

fn append(path: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.extend_from_slice(text);
    std::fs::write(path, bytes).unwrap();
}

fn cut(path: &Path, len: u64) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn an_incomplete_journal_line_is_discarded() {
    tampered("incomplete", |p| append(&p.journal(), b"21 3"), true);
    let identity =
        |p: &Place| std::fs::read_to_string(p.journal()).unwrap().lines().next().unwrap().to_owned();
    tampered(
        "only the incomplete line",
        |p| std::fs::write(p.journal(), identity(p) + "\n0 1 2").unwrap(),
        false,
    );
    tampered("identity alone", |p| std::fs::write(p.journal(), identity(p) + "\n").unwrap(), false);
    tampered("incomplete identity", |p| std::fs::write(p.journal(), &identity(p)[..30]).unwrap(), false);
    // Text appended after an incomplete line must not join it: `2` and `5 ...` would become `25`.
    for torn in [&b"2"[..], b"3", b"1", b"21 2"] {
        let place = Place::with(&model());
        let right = expected(&place);
        interrupted(&place, 3, 1);
        append(&place.journal(), torn);
        interrupted(&place, 3, 1);
        let journal = std::fs::read_to_string(place.journal()).unwrap();
        let listed: Vec<usize> =
            journal.lines().skip(1).flat_map(str::split_whitespace).map(|n| n.parse().unwrap()).collect();
        assert_eq!(listed, [0, 1, 2, 3, 4, 5], "{journal}");
        finished(&place);
        assert!(std::fs::read(place.out()).unwrap() == right);
    }
}

#[test]
fn an_invalid_journal_is_not_resumed_from() {
    tampered("no journal", |p| std::fs::remove_file(p.journal()).unwrap(), false);
    tampered("garbage", |p| std::fs::write(p.journal(), [0xFF, 0, 0xFE].repeat(1000)).unwrap(), false);
    tampered("empty", |p| std::fs::write(p.journal(), "").unwrap(), false);
    tampered("garbage in a line", |p| append(&p.journal(), b"1 x 2\n"), false);
    tampered("a tile out of range", |p| append(&p.journal(), b"99999\n"), false);
    tampered("a negative tile", |p| append(&p.journal(), b"-1\n"), false);
    tampered(
        "of another version",
        |p| {
            let text = std::fs::read_to_string(p.journal()).unwrap();
            std::fs::write(p.journal(), text.replacen("gguf-export ", "gguf-export 9", 1)).unwrap();
        },
        false,
    );
    tampered(
        "of another export",
        |p| {
            let other = Place::with(&Model { seed: 1, ..model() });
            interrupted(&other, 20, 1);
            std::fs::copy(other.journal(), p.journal()).unwrap();
        },
        false,
    );
    tampered("no unfinished file", |p| std::fs::remove_file(p.part()).unwrap(), false);
    tampered("an empty file", |p| cut(&p.part(), 0), false);
    tampered("a short file", |p| cut(&p.part(), p.part().metadata().unwrap().len() - 1), false);
    tampered("a long file", |p| cut(&p.part(), p.part().metadata().unwrap().len() + 1), false);
    // The header and tiles that are not in the journal may have any content.
    tampered(
        "garbage at both ends",
        |p| {
            let mut bytes = std::fs::read(p.part()).unwrap();
            let len = bytes.len();
            bytes[..100].fill(0xAA);
            bytes[len - 100..].fill(0xAA);
            std::fs::write(p.part(), bytes).unwrap();
        },
        true,
    );
}

#[test]
fn an_export_of_a_changed_checkpoint_starts_again() {
    let shard = |p: &Place| p.source().join("model-00001-of-00002.safetensors");
    let edit = |p: &Place, file: &Path| {
        let bytes = std::fs::read(p.source().join(file)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(p.source().join(file), bytes).unwrap();
    };
    tampered("the same bytes rewritten", |p| edit(p, &shard(p)), false);
    tampered(
        "other bytes",
        |p| {
            let mut model = model().build();
            model.tensor("model.layers.0.mlp.experts.0.up_proj.qweight").data.fill(0x5A);
            std::thread::sleep(Duration::from_millis(20));
            model.write(&p.source());
        },
        false,
    );
    // The tensors and the header of the GGUF are the same, but the zero points have another layout.
    let place = Place::with(&Model::uniform(Encoding::Gptq(Gptq {
        zero: testkit::StoredZero::MinusOne,
        ..Gptq::asym(4, 32)
    })));
    interrupted(&place, 20, 1);
    let path = place.source().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let other = text.replace("auto_round:auto_gptq", "auto_round:gptqmodel");
    assert_ne!(text, other);
    std::fs::write(&path, other).unwrap();
    let right = expected(&place);
    let [resumed, ..] = finished(&place);
    assert!(std::fs::read(place.out()).unwrap() == right && resumed == 0);
}

#[test]
fn a_checkpoint_that_changes_during_an_export_is_an_error() {
    let change = |change: &(dyn Fn(&Path) + Sync), at: usize, leaves: bool| {
        let place = Place::with(&Model::uniform(Encoding::Gptq(Gptq::sym(4, 128))));
        let checkpoint = place.open();
        let plan = plan(&checkpoint);
        let path = place.source().join("model.safetensors");
        let seen = AtomicUsize::new(0);
        let result = export(&checkpoint, &plan, &place.out(), &ExportOptions::default(), &GO, &|progress| {
            if matches!(progress, Progress::Advanced { .. }) && seen.fetch_add(1, Ordering::Relaxed) == at {
                std::thread::sleep(Duration::from_millis(20));
                change(&path);
            }
        });
        let message = story(&result.unwrap_err());
        assert!(message.contains("model.safetensors"), "{message}");
        assert!(!place.out().exists());
        if !leaves {
            assert_eq!(place.left_behind(), [""; 0]);
        }
        message
    };
    let message = change(&|path| cut(path, 100_000), 3, true);
    assert!(message.contains("cannot read"), "{message}");
    for at in [0, 30] {
        let message = change(
            &|path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, bytes).unwrap();
            },
            at,
            false,
        );
        assert!(message.contains("it has changed since it was opened"), "{message}");
    }
    // Truncated between plan and export.
    let place = Place::with(&Model::uniform(Encoding::Gptq(Gptq::sym(4, 128))));
    let checkpoint = place.open();
    let plan = plan(&checkpoint);
    cut(&place.source().join("model.safetensors"), 100_000);
    let error =
        export(&checkpoint, &plan, &place.out(), &ExportOptions::default(), &GO, &|_| {}).unwrap_err();
    assert!(story(&error).contains("model.safetensors") && !place.out().exists(), "{error}");
}

#[test]
fn a_second_export_to_the_same_file_is_refused() {
    let place = Place::with(&model());
    let right = expected(&place);
    let checkpoint = place.open();
    let plan = plan(&checkpoint);
    let options = ExportOptions::default();
    let tried = AtomicBool::new(false);
    export(&checkpoint, &plan, &place.out(), &options, &GO, &|progress| {
        if matches!(progress, Progress::Advanced { .. }) && !tried.swap(true, Ordering::Relaxed) {
            let error = export(&checkpoint, &plan, &place.out(), &options, &GO, &|_| {}).unwrap_err();
            assert!(story(&error).contains("another process is writing it"), "{error}");
        }
    })
    .unwrap();
    assert!(tried.load(Ordering::Relaxed) && std::fs::read(place.out()).unwrap() == right);
    assert_eq!(place.left_behind(), ["out.gguf"]);
}

/// A mounted tmpfs of a given size; `None` if this user may not mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    #[allow(clippy::print_stdout, reason = "reports a skipped test")]
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = |kind: &str| {
            Command::new(kind)
                .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
                .arg(dir.path())
                .output()
        };
        match mount("mount") {
            Ok(out) if out.status.success() => Some(Self(dir)),
            _ => {
                println!("skipped: this user cannot mount a tmpfs");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

fn on_disk(disk: &Disk, place: &Place, observer: &(dyn Fn(Progress<'_>) + Sync)) -> Result<Vec<PathBuf>> {
    let checkpoint = place.open();
    export(
        &checkpoint,
        &plan(&checkpoint),
        &disk.0.path().join("out.gguf"),
        &ExportOptions::default(),
        &GO,
        observer,
    )
}

#[test]
fn a_disk_that_is_too_small_is_refused_before_writing() {
    let Some(disk) = Disk::new("200k") else { return };
    let place = Place::with(&model());
    let result = on_disk(&disk, &place, &|_| {});
    assert!(
        matches!(&result, Err(Error::NoSpace { needed, available, .. }) if needed > available && *available > 0),
        "{result:?}"
    );
    assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 0);
}

#[test]
fn an_export_resumes_after_the_disk_was_full() {
    let place = Place::with(&model());
    let right = expected(&place);
    for after in [0, 2, 10, 25] {
        let kib = right.len().div_ceil(1024) + 64;
        let Some(disk) = Disk::new(&format!("{kib}k")) else { return };
        let (filler, seen) = (disk.0.path().join("filler"), AtomicUsize::new(0));
        let result = on_disk(&disk, &place, &|progress| {
            if matches!(progress, Progress::Advanced { .. }) && seen.fetch_add(1, Ordering::Relaxed) == after
            {
                // Fills the disk.
                _ = std::fs::write(&filler, vec![1; right.len() * 2]);
            }
        });
        assert!(matches!(&result, Err(Error::Io { .. })), "{result:?}");
        assert!(!disk.0.path().join("out.gguf").exists() && disk.0.path().join("out.gguf.part").exists());
        // While the filler exists, the space of the unfinished file is not enough.
        assert!(on_disk(&disk, &place, &|_| {}).is_err());
        std::fs::remove_file(&filler).unwrap();
        on_disk(&disk, &place, &|_| {}).unwrap();
        assert!(std::fs::read(disk.0.path().join("out.gguf")).unwrap() == right, "after {after} tiles");
        assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 1);
    }
}

#[test]
fn an_unfinished_file_counts_as_free_space() {
    let place = Place::with(&model());
    let right = expected(&place);
    let Some(disk) = Disk::new(&format!("{}k", right.len().div_ceil(1024) + 64)) else { return };
    // The whole file is on the disk without a journal, as after a kill.
    std::fs::write(disk.0.path().join("out.gguf.part"), vec![0xAA; right.len()]).unwrap();
    on_disk(&disk, &place, &|_| {}).unwrap();
    assert!(std::fs::read(disk.0.path().join("out.gguf")).unwrap() == right);
}

const VICTIM: &str = "GGUF_EXPORT_TEST_VICTIM";

/// Time after which the process ends itself, should the test that started it fail to kill it.
const VICTIM_LIMIT: Duration = Duration::from_mins(1);

/// Not a test in itself: the process that [`a_killed_export_leaves_no_incomplete_file`] starts and kills.
#[test]
fn victim() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let dir = Path::new(&dir);
    let checkpoint = Checkpoint::open(&dir.join("source")).unwrap();
    let plan: Plan = plan(&checkpoint);
    let out = dir.join("out.gguf");
    let started = Instant::now();
    for round in 0.. {
        if started.elapsed() > VICTIM_LIMIT {
            return;
        }
        // Every other round is interrupted, so that some kills find a journal with tiles.
        let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        let options = ExportOptions { threads: 2, overwrite: true, ..ExportOptions::default() };
        drop(export(&checkpoint, &plan, &out, &options, &stop, &|progress| {
            if round % 2 == 0
                && matches!(progress, Progress::Advanced { .. })
                && seen.fetch_add(1, Ordering::Relaxed) == 15
            {
                stop.store(true, Ordering::Relaxed);
            }
        }));
    }
}

#[test]
fn a_killed_export_leaves_no_incomplete_file() {
    let place = Place::with(&model());
    let right = expected(&place);
    let [mut absent, mut resumed_once] = [0, 0];
    let mut random = testkit::rng::Rng::named(1, "moments");
    for _ in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["victim", "--exact", "--test-threads", "1"])
            .env(VICTIM, place.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Kill at a random moment after the first file appears.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !place.part().exists() && !place.out().exists() {
            assert!(Instant::now() < deadline, "the export did not start within 30 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(random.below(30_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        if place.out().exists() {
            assert!(
                std::fs::read(place.out()).unwrap() == right,
                "the file under the final name is incomplete"
            );
            std::fs::remove_file(place.out()).unwrap();
        } else {
            absent += 1;
        }
        let [resumed, ..] = finished(&place);
        resumed_once += usize::from(resumed > 0);
        assert!(std::fs::read(place.out()).unwrap() == right, "after a kill the next run wrote other bytes");
        std::fs::remove_file(place.out()).unwrap();
    }
    println!("{absent} of 20 kills left no finished file, {resumed_once} exports were resumed");
}
