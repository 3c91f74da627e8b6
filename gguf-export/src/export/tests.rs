//! Exports that end at any change of the disk, and are run again.

#![allow(clippy::disallowed_methods, reason = "tests read and write temporary files")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use testkit::{Encoding, Gptq, Model};

use super::*;
use crate::io::kill::{Kind, after};
use crate::supply::Needed;
use crate::{PlanOptions, survey};

static GO: AtomicBool = AtomicBool::new(false);
const LEFTOVER: &str = "findings.survey";

/// Shards of which none can be read, as after their deletion.
struct Deleted;

impl Supply for Deleted {
    fn needed(&self, shards: &[Needed]) {
        assert_eq!(shards, [], "no deleted shard is needed");
    }

    fn wait(&self, shard: usize) -> Result<()> {
        panic!("shard {shard} was deleted");
    }

    fn done(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn failed(&self) {}
}

/// A folder with a checkpoint in `source`, for exports to `out.gguf` and `right.gguf`.
struct Site {
    dir: tempfile::TempDir,
    checkpoint: Checkpoint,
    plan: Plan,
    /// Bytes per file, for a split export.
    most: Option<u64>,
}

impl Site {
    fn new(most: Option<u64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let encoding = Encoding::Gptq(Gptq::sym(4, 128));
        Model { expert_count: 2, expert_used: 1, ..Model::uniform(encoding) }
            .write(&dir.path().join("source"));
        let (checkpoint, plan) = opened(dir.path());
        Self { dir, checkpoint, plan, most }
    }

    fn export(&self, name: &str, overwrite: bool, supply: &dyn Supply) -> Result<Exported> {
        export_to(self.dir.path(), (&self.checkpoint, &self.plan), self.most, name, overwrite, supply)
    }

    /// The files beside the checkpoint whose names begin with `prefix`, sorted, with their content.
    fn files(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names
            .into_iter()
            .map(|name| (name.clone(), std::fs::read(self.dir.path().join(name)).unwrap()))
            .collect()
    }

    /// True if the export is past its last use of the source.
    fn is_complete(&self) -> bool {
        let journal = std::fs::read_to_string(self.dir.path().join("out.gguf.part.journal"));
        journal.is_ok_and(|text| text.ends_with("complete\n"))
    }

    /// Puts the files in place that an export finds: an older output if it is to be replaced, and one for its end.
    fn prepare(&self, overwrite: bool, right: &[(String, Vec<u8>)]) {
        std::fs::write(self.dir.path().join(LEFTOVER), "needed until the end").unwrap();
        for (name, _) in right.iter().filter(|_| overwrite) {
            std::fs::write(self.dir.path().join(name.replace("right", "out")), "old").unwrap();
        }
    }

    /// Runs a killed export again, without the source if that may have been deleted by then. Nothing but the output must be
    /// left, which is removed.
    fn run_again(&self, overwrite: bool, right: &[(String, Vec<u8>)], at: u32) {
        let named = |(name, bytes): &(String, Vec<u8>)| (name.replace("out", "right"), bytes.clone());
        let is_finished = !super::is_unfinished(&self.dir.path().join("out.gguf"))
            && self.files("out").iter().map(named).eq(right.iter().cloned());
        if !is_finished {
            let supply: &dyn Supply = if self.is_complete() { &Deleted } else { &Present };
            let again = self.export("out.gguf", overwrite, supply);
            let exported = again.unwrap_or_else(|error| panic!("after {at} changes: {error}"));
            assert!(exported.report.is_some(), "after {at} changes");
        }
        for ((name, bytes), (expected_name, expected)) in self.files("out").iter().zip(right) {
            assert_eq!(name.replace("out", "right"), *expected_name, "after {at} changes");
            assert!(bytes == expected, "after {at} changes: {name}");
            std::fs::remove_file(self.dir.path().join(name)).unwrap();
        }
        let left: Vec<String> =
            [self.files("out"), self.files(LEFTOVER)].concat().into_iter().map(|f| f.0).collect();
        assert_eq!(left, [""; 0], "after {at} changes");
    }

    /// Ends an export at each of its first and last changes, then runs it again.
    fn every_end(&self, overwrite: bool) {
        self.export("right.gguf", false, &Present).unwrap();
        let right = self.files("right");
        self.prepare(overwrite, &right);
        let whole = || self.export("out.gguf", overwrite, &Present);
        let (done, made) = after(MOST, Kind::Fail, whole);
        done.unwrap();
        let total = made.expect("fewer changes");
        self.run_again(overwrite, &right, total);
        let end = 3 * u32::try_from(right.len()).unwrap() + 9;
        assert!(total > end + 12, "{total} changes");
        let mut complete = 0;
        for at in (0..12).chain(total - end..total) {
            self.prepare(overwrite, &right);
            let (result, made) = after(at, Kind::Fail, whole);
            assert!(result.is_err() && made.is_none(), "after {at} changes: {result:?}");
            complete += usize::from(self.is_complete());
            self.run_again(overwrite, &right, at);
        }
        // Each rename and each sync of its folder, the removals, and the line of the journal before them.
        assert!(complete >= 2 * right.len() + 2, "{complete} ends after the last use of the source");
    }
}

/// More changes than an export makes.
const MOST: u32 = 1_000_000;

fn opened(dir: &Path) -> (Checkpoint, Plan) {
    let checkpoint = Checkpoint::open(&dir.join("source")).unwrap();
    let plan = survey(&checkpoint, &PlanOptions::default(), 1, &GO, &|_| {}).unwrap();
    (checkpoint, plan)
}

fn export_to(
    dir: &Path,
    (checkpoint, plan): (&Checkpoint, &Plan),
    most: Option<u64>,
    name: &str,
    overwrite: bool,
    supply: &dyn Supply,
) -> Result<Exported> {
    let options = ExportOptions {
        overwrite,
        split_max_bytes: most,
        prove: true,
        remove_at_end: vec![dir.join(LEFTOVER)],
        ..ExportOptions::default()
    };
    export_supplied(checkpoint, plan, &dir.join(name), &options, supply, &GO, &|_| {})
}

#[test]
fn a_split_export_that_ends_at_any_change_is_finished_by_the_next_run() {
    let site = Site::new(Some(150_000));
    site.every_end(false);
    assert!(site.files("right").len() > 3);
}

#[test]
fn an_export_over_an_older_one_that_ends_at_any_change_is_finished_by_the_next_run() {
    Site::new(Some(150_000)).every_end(true);
    Site::new(None).every_end(true);
}

#[test]
fn a_single_file_that_ends_at_any_change_is_finished_by_the_next_run() {
    Site::new(None).every_end(false);
}

const VICTIM: &str = "GGUF_EXPORT_TEST_KILLED";

/// Not a test in itself: the process that [`a_killed_process_leaves_what_the_next_run_needs`] starts.
#[test]
fn victim() {
    let Ok(place) = std::env::var(VICTIM) else { return };
    let (changes, dir) = place.split_once(' ').unwrap();
    let dir = Path::new(dir);
    let (checkpoint, plan) = opened(dir);
    let export = || export_to(dir, (&checkpoint, &plan), Some(150_000), "out.gguf", false, &Present);
    let (result, made) = after(changes.parse().unwrap(), Kind::Abort, export);
    result.unwrap();
    std::fs::write(dir.join("made"), made.unwrap().to_string()).unwrap();
}

#[test]
fn a_killed_process_leaves_what_the_next_run_needs() {
    let site = Site::new(Some(150_000));
    site.export("right.gguf", false, &Present).unwrap();
    let right = site.files("right");
    let run = |changes: u32| {
        site.prepare(false, &right);
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["export::tests::victim", "--exact", "--test-threads", "1"]);
        let place = format!("{changes} {}", site.dir.path().display());
        child.env(VICTIM, place).output().unwrap().status.success()
    };
    assert!(run(MOST));
    let total: u32 = std::fs::read_to_string(site.dir.path().join("made")).unwrap().parse().unwrap();
    site.run_again(false, &right, total);
    for at in total - 2 * u32::try_from(right.len()).unwrap() - 6..total {
        assert!(!run(at), "after {at} changes");
        site.run_again(false, &right, at);
    }
}

/// Exports to `right.gguf`, and to `out.gguf` until two of its files are renamed. Returns the former.
fn half_renamed(site: &Site) -> Vec<(String, Vec<u8>)> {
    site.export("right.gguf", false, &Present).unwrap();
    let right = site.files("right");
    site.prepare(false, &right);
    let (done, made) = after(MOST, Kind::Fail, || site.export("out.gguf", false, &Present));
    done.unwrap();
    site.run_again(false, &right, 0);
    site.prepare(false, &right);
    let at = made.unwrap() - 4 - 2 * (u32::try_from(right.len()).unwrap() - 2);
    drop(after(at, Kind::Fail, || site.export("out.gguf", false, &Present)));
    assert!(site.is_complete());
    right
}

#[test]
fn finished_files_are_kept_if_one_of_them_is_lost() {
    let site = Site::new(Some(150_000));
    let right = half_renamed(&site);
    let name = right.last().unwrap().0.replace("right", "out");
    let lost = site.dir.path().join(format!("{name}.part"));
    let refused = |found: &str| {
        let before = site.files("out");
        let error = site.export("out.gguf", false, &Present).unwrap_err();
        assert!(matches!(&error, Error::Lost { path, .. } if *path == lost), "{error}");
        assert!(error.to_string().contains(found), "{error}");
        assert!(site.files("out") == before);
    };
    let bytes = std::fs::read(&lost).unwrap();
    std::fs::write(&lost, &bytes[1..]).unwrap();
    refused("bytes long instead of");
    std::fs::remove_file(&lost).unwrap();
    refused("missing");
    let exported = site.export("out.gguf", true, &Present).unwrap();
    assert_eq!(exported.files.len(), right.len());
    assert!(site.files("out").iter().zip(&right).all(|(found, expected)| found.1 == expected.1));
}

#[test]
fn finished_files_are_kept_if_the_checkpoint_changes_before_they_are_renamed() {
    let site = Site::new(Some(150_000));
    half_renamed(&site);
    // The journal gets one more line, which lists no tiles.
    let data =
        || site.files("out").into_iter().filter(|file| !file.0.ends_with(".journal")).collect::<Vec<_>>();
    let before = data();
    let shard = site.dir.path().join("source/model.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(&shard, bytes).unwrap();
    site.export("out.gguf", false, &Present).unwrap_err();
    assert!(data() == before && super::is_unfinished(&site.dir.path().join("out.gguf")));
}

#[test]
fn a_file_that_was_changed_between_two_runs_is_not_accepted() {
    let site = Site::new(Some(150_000));
    let right = half_renamed(&site);
    let path = site.dir.path().join(right[0].0.replace("right", "out"));
    assert!(path.exists() && site.is_complete());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = site.export("out.gguf", false, &Present).unwrap_err();
    assert!(matches!(&error, Error::OutputExists { path: existing } if *existing == path), "{error}");
}

#[test]
fn a_plan_that_reads_the_configuration_otherwise_leaves_no_files() {
    let mut site = Site::new(None);
    for weight in &mut site.plan.weights {
        if let crate::quant::Coding::Int(int) = &mut weight.coding {
            int.bits = 5;
        }
    }
    let error = site.export("out.gguf", false, &Present).unwrap_err();
    assert!(matches!(&error, Error::Readings { field: "bits", .. }), "{error}");
    assert_eq!(site.files("out"), []);
}

#[test]
fn an_export_with_other_divisors_of_the_frequencies_does_not_resume() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/data/families/llama3");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let mut plan = survey(&checkpoint, &PlanOptions::default(), 1, &GO, &|_| {}).unwrap();
    let out = Path::new("out.gguf");
    let identity = |plan: &Plan| {
        let files = outputs(plan, out, &ExportOptions::default()).unwrap();
        journal::identity(&checkpoint, plan, &files)
    };
    let before = identity(&plan);
    assert_eq!(identity(&plan), before);
    let crate::arch::RopeScaling::Llama3 { factor, .. } = &mut plan.hparams.rope.scaling else { panic!() };
    *factor *= 2.0;
    assert_ne!(identity(&plan), before);
}
