//! Exports from shards that are provided one after the other and released early: the same bytes, no read before a shard
//! is provided or after it is released, and no shard fetched twice after an interruption.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests create and delete temporary files and rely on panics"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::{GO, Place, bytes, plan};
use gguf_export::checkpoint::{Checkpoint, Identity, Shard};
use gguf_export::export::{Exported, export_supplied, missing};
use gguf_export::ggml::GgmlType;
use gguf_export::io::{ByteSource, LateFile};
use gguf_export::plan::Fidelity;
use gguf_export::quant::{Choices, ZeroPoints};
use gguf_export::supply::{Needed, Present, Supply};
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{
    Error, ExportOptions, Findings, Plan, PlanOptions, Progress, Result, survey, survey_supplied,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use testkit::{Encoding, Fp8, GIdx, Gptq, Model, Mtp, ScaleDtype};

/// Writes the tensors of a checkpoint to new shards, chosen by `shard_of`.
fn spread(from: &Checkpoint, to: &Path, shards: usize, shard_of: impl Fn(usize) -> usize) {
    let mut files: Vec<(BTreeMap<String, serde_json::Value>, Vec<u8>)> = vec![Default::default(); shards];
    for (number, (id, info)) in from.ids().enumerate() {
        let mut data = Vec::new();
        from.read_all(id, &mut data).unwrap();
        let (header, body) = &mut files[shard_of(number)];
        let begin = body.len();
        body.append(&mut data);
        let entry = serde_json::json!({
            "dtype": info.dtype.name(), "shape": info.shape, "data_offsets": [begin, body.len()],
        });
        header.insert(info.name.clone(), entry);
    }
    for (number, (header, body)) in files.into_iter().enumerate() {
        let header = serde_json::to_string(&header).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(to.join(name(number)), [&length, header.as_bytes(), &body].concat()).unwrap();
    }
}

/// Limit of a wait for a shard. A longer one is a deadlock.
const WAIT_LIMIT: Duration = Duration::from_mins(5);

fn name(shard: usize) -> String {
    format!("shard-{shard}.safetensors")
}

/// A checkpoint whose shards are in the folder `far` until they are provided in the folder `near`.
struct Site {
    place: Place,
    /// The bytes of the expected GGUF.
    expected: Vec<u8>,
    shards: usize,
}

impl Site {
    fn new(model: &Model, shards: usize, shard_of: impl Fn(usize) -> usize) -> Self {
        let place = Place::with(model);
        let source = place.open();
        std::fs::create_dir(place.path().join("far")).unwrap();
        std::fs::create_dir(place.path().join("near")).unwrap();
        spread(&source, &place.path().join("far"), shards, shard_of);
        for entry in std::fs::read_dir(place.source()).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !file.contains("safetensors") {
                std::fs::copy(&path, place.path().join("near").join(file)).unwrap();
            }
        }
        let out = place.path().join("expected.gguf");
        gguf_export::export(&source, &plan(&source), &out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
        Self { expected: bytes(&out), place, shards }
    }

    fn far(&self, shard: usize) -> PathBuf {
        self.place.path().join("far").join(name(shard))
    }

    fn near(&self, shard: usize) -> PathBuf {
        self.place.path().join("near").join(name(shard))
    }

    /// The checkpoint, opened by its headers only.
    fn checkpoint(&self) -> Checkpoint {
        self.checkpoint_read_by(&|path, len| Arc::new(LateFile::new(path, len)))
    }

    fn checkpoint_read_by(&self, source: &dyn Fn(&Path, u64) -> Arc<dyn ByteSource>) -> Checkpoint {
        let shard = |number| {
            let whole = bytes(&self.far(number));
            let header = 8 + usize::try_from(u64::from_le_bytes(*whole.first_chunk().unwrap())).unwrap();
            Shard {
                path: self.near(number),
                head: whole[..header].to_vec(),
                bytes: whole.len() as u64,
                identity: Identity::Content { sha256: Sha256::digest(&whole).into() },
                source: source(&self.near(number), whole.len() as u64),
                only: None,
            }
        };
        Checkpoint::assemble(&self.place.path().join("near"), (0..self.shards).map(shard).collect()).unwrap()
    }

    /// Exports, and interrupts the export after `stop_after` tiles.
    fn export(&self, supply: &OneAtATime<'_>, threads: usize, stop_after: usize) -> Result<Exported> {
        let options = ExportOptions { threads, prove: true, ..ExportOptions::default() };
        self.export_with(supply, &options, stop_after)
    }

    /// The shards that the next run needs.
    fn missing_shards(&self, options: &ExportOptions) -> Vec<usize> {
        let checkpoint = self.checkpoint();
        let missing = missing(&checkpoint, &plan(&checkpoint), &self.place.out(), options).unwrap();
        missing.unwrap().shards.into_iter().collect()
    }

    fn export_with(
        &self,
        supply: &OneAtATime<'_>,
        options: &ExportOptions,
        stop_after: usize,
    ) -> Result<Exported> {
        let checkpoint = self.checkpoint();
        let plan = plan(&checkpoint);
        let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        export_supplied(&checkpoint, &plan, &self.place.out(), options, supply, &stop, &|progress| {
            if matches!(progress, Progress::Advanced { .. })
                && seen.fetch_add(1, Ordering::Relaxed) + 1 == stop_after
            {
                stop.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// Copies a shard when it is waited for, and deletes it when it is released.
struct OneAtATime<'a> {
    site: &'a Site,
    state: Mutex<State>,
    gone: Condvar,
}

#[derive(Debug, Default)]
struct State {
    needed: Option<Vec<Needed>>,
    /// The shards that are provided.
    present: BTreeSet<usize>,
    done: Vec<usize>,
    /// The largest number of shards present at once.
    most: usize,
    passes: usize,
    failed: bool,
}

impl<'a> OneAtATime<'a> {
    fn new(site: &'a Site) -> Self {
        Self { site, state: Mutex::default(), gone: Condvar::new() }
    }
}

impl Supply for OneAtATime<'_> {
    fn needed(&self, shards: &[Needed]) {
        let mut state = self.state.lock().unwrap();
        let before = numbers(state.needed.replace(shards.to_vec()).as_ref());
        let done = std::mem::take(&mut state.done);
        assert!(before.iter().all(|shard| done.contains(shard)), "{done:?} of {before:?}");
        state.passes += 1;
    }

    fn wait(&self, shard: usize) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        let needed = state.needed.as_ref().unwrap().iter().find(|needed| needed.shard == shard);
        let with = needed.unwrap_or_else(|| panic!("shard {shard} was not needed")).with.clone();
        let before = numbers(state.needed.as_ref()).into_iter().take_while(|&other| other != shard);
        let before: Vec<usize> = before.collect();
        assert!(!state.done.contains(&shard), "shard {shard} was done");
        // Earlier shards must be provided first, and released unless they are in `with`.
        let may_be_provided = |state: &State| {
            before.iter().all(|other| state.present.contains(other) || state.done.contains(other))
                && state.present.iter().all(|present| with.contains(present))
        };
        while !state.present.contains(&shard) && !may_be_provided(&state) {
            if state.failed {
                return Err(Error::Stopped);
            }
            let (woken, timeout) = self.gone.wait_timeout(state, WAIT_LIMIT).unwrap();
            assert!(!timeout.timed_out(), "shard {shard} was not provided within {WAIT_LIMIT:?}");
            state = woken;
        }
        if state.present.insert(shard) {
            std::fs::copy(self.site.far(shard), self.site.near(shard)).unwrap();
            state.most = state.most.max(state.present.len());
            self.gone.notify_all();
        }
        Ok(())
    }

    fn done(&self, shard: usize) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        assert!(state.present.remove(&shard), "shard {shard} is not present");
        state.done.push(shard);
        // Truncated first, so that a late read through an open file fails.
        std::fs::File::options().write(true).open(self.site.near(shard)).unwrap().set_len(0).unwrap();
        std::fs::remove_file(self.site.near(shard)).unwrap();
        self.gone.notify_all();
        Ok(())
    }

    fn failed(&self) {
        self.state.lock().unwrap().failed = true;
        self.gone.notify_all();
    }
}

fn numbers(needed: Option<&Vec<Needed>>) -> Vec<usize> {
    needed.into_iter().flatten().map(|needed| needed.shard).collect()
}

fn model() -> Model {
    Model::uniform(Encoding::Gptq(Gptq::sym(4, 128)))
}

fn tensors() -> usize {
    Place::with(&model()).open().tensors().len()
}

#[test]
fn at_most_two_shards_are_present_if_tensors_are_in_order() {
    // Twelve layers in four shards, which end in the middle of a layer.
    let model = Model { layers: model().layers.into_iter().cycle().take(12).collect(), ..model() };
    let count = Place::with(&model).open().tensors().len();
    let site = Site::new(&model, 4, |tensor| tensor * 4 / count);
    let supply = OneAtATime::new(&site);
    let exported = site.export(&supply, 1, usize::MAX).unwrap();
    assert!(exported.report.is_some_and(|report| report.equal() && report.tensors > 10));
    let state = supply.state.into_inner().unwrap();
    assert_eq!(numbers(state.needed.as_ref()), [0, 1, 2, 3]);
    assert_eq!(state.done, [0, 1, 2, 3]);
    assert!(state.most <= 2, "{} shards at once", state.most);
}

#[test]
fn an_export_resumes_after_a_shard_could_not_be_provided() {
    struct Absent<'a>(OneAtATime<'a>);
    impl Supply for Absent<'_> {
        fn needed(&self, shards: &[Needed]) {
            self.0.needed(shards);
        }
        fn wait(&self, shard: usize) -> Result<()> {
            let path = self.0.site.near(shard);
            if shard == 2 {
                Err(Error::Supply { path, source: "connection lost".into() })
            } else {
                self.0.wait(shard)
            }
        }
        fn done(&self, shard: usize) -> Result<()> {
            self.0.done(shard)
        }
        fn failed(&self) {
            self.0.failed();
        }
    }
    let count = tensors();
    let site = Site::new(&model(), 3, |tensor| tensor * 3 / count);
    let checkpoint = site.checkpoint();
    let supply = Absent(OneAtATime::new(&site));
    let options = ExportOptions { prove: true, ..ExportOptions::default() };
    let result =
        export_supplied(&checkpoint, &plan(&checkpoint), &site.place.out(), &options, &supply, &GO, &|_| {});
    assert!(matches!(result, Err(Error::Supply { .. })), "{result:?}");
    let before = supply.0.state.into_inner().unwrap().done;
    assert!(!before.is_empty());
    let supply = OneAtATime::new(&site);
    for shard in 0..3 {
        drop(std::fs::remove_file(site.near(shard)));
    }
    site.export(&supply, 2, usize::MAX).unwrap();
    let needed = numbers(supply.state.into_inner().unwrap().needed.as_ref());
    assert!(needed.iter().all(|shard| !before.contains(shard)), "{needed:?} after {before:?}");
    assert_eq!(header_free(&bytes(&site.place.out())), header_free(&site.expected));
}

/// A file of which one read, counted from 0, returns wrong bytes.
#[derive(Debug)]
struct Unreliable {
    file: LateFile,
    reads: AtomicUsize,
    wrong: usize,
}

impl ByteSource for Unreliable {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn close(&self) {
        self.file.close();
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_at(offset, buffer)?;
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.wrong {
            for byte in buffer {
                *byte ^= 1;
            }
        }
        Ok(())
    }
}

#[test]
fn a_difference_ends_the_export_before_its_shards_are_released() {
    let count = tensors();
    let site = Site::new(&model(), 2, |tensor| tensor * 2 / count);
    let mut found = 0;
    for wrong in [0, 1, 2, 3, 10, 50, 100] {
        let unreliable = |path: &Path, len| {
            let (file, reads) = (LateFile::new(path, len), AtomicUsize::new(0));
            Arc::new(Unreliable { file, reads, wrong }) as Arc<dyn ByteSource>
        };
        let checkpoint = site.checkpoint_read_by(&unreliable);
        let plan = plan(&checkpoint);
        let supply = OneAtATime::new(&site);
        let options = ExportOptions { prove: true, resume: false, ..ExportOptions::default() };
        match export_supplied(&checkpoint, &plan, &site.place.out(), &options, &supply, &GO, &|_| {}) {
            Err(Error::Differs { what, path }) => {
                assert!(what.contains("tensor `") && path == site.place.part(), "{what}");
                found += 1;
            }
            // Data that contradicts its format fails earlier.
            Err(Error::Tensor { .. }) => {}
            other => panic!("{wrong}: {other:?}"),
        }
        assert!(!site.place.out().exists());
        for shard in 0..2 {
            drop(std::fs::remove_file(site.near(shard)));
        }
    }
    assert!(found > 2, "{found} differences");
}

#[test]
fn proven_tiles_are_resumed_by_any_run_and_others_only_without_prove() {
    let count = tensors();
    for (first, second, again) in [(true, true, false), (true, false, false), (false, true, true)] {
        let site = Site::new(&model(), 3, |tensor| tensor * 3 / count);
        let run = |prove: bool, stop_after: usize| {
            let supply = OneAtATime::new(&site);
            let options = ExportOptions { prove, ..Default::default() };
            let missing = site.missing_shards(&options);
            let result = site.export_with(&supply, &options, stop_after);
            for shard in 0..3 {
                drop(std::fs::remove_file(site.near(shard)));
            }
            let state = supply.state.into_inner().unwrap();
            let mut needed = numbers(state.needed.as_ref());
            needed.sort_unstable();
            assert_eq!(missing, needed);
            (result, state)
        };
        let (result, state) = run(first, 30);
        assert!(matches!(result, Err(Error::Interrupted { .. })), "{result:?}");
        assert!(!state.done.is_empty());
        let unfinished = ExportOptions { prove: first, ..Default::default() };
        assert!(site.missing_shards(&unfinished).iter().all(|shard| !state.done.contains(shard)));
        let from_the_start = ExportOptions { resume: false, ..unfinished };
        assert_eq!(site.missing_shards(&from_the_start), [0, 1, 2]);
        let (result, after) = run(second, usize::MAX);
        assert_eq!(result.unwrap().report.is_some(), second);
        let fetched = numbers(after.needed.as_ref()).iter().any(|shard| state.done.contains(shard));
        assert_eq!(fetched, again, "{first} then {second}");
        assert_eq!(header_free(&bytes(&site.place.out())), header_free(&site.expected));
    }
}

#[test]
fn a_failure_ends_all_waits_for_shards() {
    /// Provides the second shard only after the first is released, which always fails.
    struct Unreleasable<'a>(OneAtATime<'a>);
    impl Supply for Unreleasable<'_> {
        fn needed(&self, shards: &[Needed]) {
            self.0.needed(shards);
        }
        fn wait(&self, shard: usize) -> Result<()> {
            self.0.wait(shard)
        }
        fn done(&self, shard: usize) -> Result<()> {
            Err(Error::Supply { path: self.0.site.near(shard), source: "it cannot be deleted".into() })
        }
        fn failed(&self) {
            self.0.failed();
        }
    }
    let count = tensors();
    let site = Site::new(&model(), 3, |tensor| tensor * 3 / count);
    let checkpoint = site.checkpoint();
    let supply = Unreleasable(OneAtATime::new(&site));
    let options = ExportOptions { threads: 3, ..ExportOptions::default() };
    let result =
        export_supplied(&checkpoint, &plan(&checkpoint), &site.place.out(), &options, &supply, &GO, &|_| {});
    assert!(matches!(result, Err(Error::Supply { .. })), "{result:?}");
}

/// A shard of which only the tensors with a prefix are used.
fn shard_of(folder: &Path, file: &str, only: Option<&str>) -> Shard {
    let path = folder.join(file);
    let whole = bytes(&path);
    let header = 8 + usize::try_from(u64::from_le_bytes(*whole.first_chunk().unwrap())).unwrap();
    Shard {
        head: whole[..header].to_vec(),
        bytes: whole.len() as u64,
        identity: Identity::Content { sha256: Sha256::digest(&whole).into() },
        source: Arc::new(LateFile::new(&path, whole.len() as u64)),
        only: only.map(str::to_owned),
        path,
    }
}

#[test]
fn the_mtp_layer_of_another_repository_is_exported_in_the_chosen_type() {
    let quantized = Place::with(&Model { mtp: Mtp::None, ..model() });
    let original = Place::with(&Model { mtp: Mtp::Bf16, ..Model::uniform(Encoding::Bf16) });
    let file = "model.safetensors";
    let open = || {
        let shards = vec![
            shard_of(&quantized.source(), file, None),
            shard_of(&original.source(), "model_extra_tensors.safetensors", Some("mtp.")),
        ];
        Checkpoint::assemble(&quantized.source(), shards).unwrap()
    };
    let out = quantized.out();
    for (ty, fidelity) in [(None, Fidelity::Exact), (Some(GgmlType::Q8_0), Fidelity::Rounded)] {
        let checkpoint = open();
        let options = PlanOptions { mtp: ty, ..PlanOptions::default() };
        let plan = survey(&checkpoint, &options, 2, &GO, &|_| {}).unwrap();
        assert_eq!(plan.mtp_layers, 1);
        let own = format!("blk.{}.", plan.hparams.layers.len());
        let (mtp, trunk): (Vec<_>, Vec<_>) = plan.tensors.iter().partition(|t| t.name.starts_with(&own));
        let matrices: Vec<_> = mtp.iter().filter(|t| t.dims.len() > 1).collect();
        assert!(matrices.len() > 5);
        let wanted = ty.unwrap_or(GgmlType::BF16);
        let is_wanted =
            |t: &&&gguf_export::plan::TensorPlan| t.ty() == wanted && t.fidelity == Some(fidelity);
        let count = matrices.iter().filter(|t| is_wanted(t)).count();
        assert!(count > 5, "{count} of {} matrices are {wanted}", matrices.len());
        assert!(trunk.iter().all(|t| t.fidelity == Some(Fidelity::Exact)), "nothing else is rounded");
        drop(std::fs::remove_file(&out));
        let options = ExportOptions { prove: true, ..ExportOptions::default() };
        export_supplied(&checkpoint, &plan, &out, &options, &Present, &GO, &|_| {}).unwrap();
        let options = VerifyOptions { threads: 2, allow_rounding: ty.is_some(), ..VerifyOptions::default() };
        let report = verify(&open(), &out, options, &GO, &|_| {}).unwrap();
        assert!(report.equal(), "{:?}", report.differences);
        assert_eq!(report.rounded > 0, ty.is_some());
    }
}

/// The last three quarters of a file, which are data; the header contains the folder's name.
fn header_free(file: &[u8]) -> &[u8] {
    &file[file.len() - file.len() * 3 / 4..]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_distribution_over_shards_gives_the_same_bytes_and_fetches_no_shard_twice(
        seed: u64, shards in 1usize..7, threads in 1usize..4, stops in prop::collection::vec(1usize..60, 0..3),
    ) {
        let shard_of = |tensor: usize| {
            let mixed = (seed ^ tensor as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
            usize::try_from(mixed % shards as u64).unwrap()
        };
        let site = Site::new(&model(), shards, shard_of);
        let mut done_before: BTreeSet<usize> = BTreeSet::new();
        for stop_after in stops.into_iter().chain([usize::MAX]) {
            let supply = OneAtATime::new(&site);
            let result = site.export(&supply, threads, stop_after);
            let state = supply.state.into_inner().unwrap();
            let needed = numbers(state.needed.as_ref());
            prop_assert!(needed.iter().all(|shard| !done_before.contains(shard)), "{needed:?} again, after {done_before:?}");
            done_before.extend(&state.done);
            for shard in 0..shards {
                drop(std::fs::remove_file(site.near(shard)));
            }
            match result {
                Ok(exported) => {
                    prop_assert!(exported.report.is_some());
                    prop_assert!(state.present.is_empty(), "{:?} not released", state.present);
                    break;
                }
                Err(Error::Interrupted { .. }) => {}
                Err(error) => return Err(TestCaseError::fail(common::story(&error))),
            }
        }
        let found = bytes(&site.place.out());
        prop_assert_eq!(found.len() % 32, site.expected.len() % 32);
        prop_assert!(header_free(&found) == header_free(&site.expected));
    }
}

/// Models whose types or column orders depend on their values.
fn models_to_survey() -> [Model; 4] {
    let gptq = Gptq { scale: ScaleDtype::Bf16, g_idx: GIdx::Trivial, ..Gptq::sym(4, 128) };
    let fp8 = Fp8 { scale_dtype: ScaleDtype::F32, ..Fp8::block() };
    [
        Encoding::Gptq(gptq),
        Encoding::Gptq(Gptq { g_idx: GIdx::Shuffled(1), ..gptq }),
        Encoding::Fp8(fp8),
        Encoding::F32,
    ]
    .map(|encoding| Model { mtp: Mtp::None, ..Model::uniform(encoding) })
}

fn types(plan: &Plan) -> Vec<(String, GgmlType, Option<Fidelity>)> {
    plan.tensors.iter().map(|t| (t.name.clone(), t.ty(), t.fidelity)).collect()
}

/// Surveys a checkpoint, and interrupts the survey after `stop_after` tensors.
fn survey_site(site: &Site, record: &Path, supply: &dyn Supply, stop_after: usize) -> Result<Plan> {
    survey_chosen(site, record, supply, stop_after, Choices::default())
}

fn survey_chosen(
    site: &Site,
    record: &Path,
    supply: &dyn Supply,
    stop_after: usize,
    config: Choices,
) -> Result<Plan> {
    let checkpoint = site.checkpoint();
    let mut findings = Findings::at(record, &checkpoint, &config)?;
    let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    let options = PlanOptions { allow_rounding: true, config, ..PlanOptions::default() };
    survey_supplied(&checkpoint, &options, 2, &mut findings, supply, &stop, &|progress| {
        if matches!(progress, Progress::Advanced { .. })
            && seen.fetch_add(1, Ordering::Relaxed) + 1 == stop_after
        {
            stop.store(true, Ordering::Relaxed);
        }
    })
}

/// A supply that provides no shards.
struct Nothing;

impl Supply for Nothing {
    fn needed(&self, shards: &[Needed]) {
        assert_eq!(shards, [], "no shard is needed");
    }
    fn wait(&self, shard: usize) -> Result<()> {
        panic!("shard {shard} is not needed");
    }
    fn done(&self, _: usize) -> Result<()> {
        Ok(())
    }
    fn failed(&self) {}
}

#[test]
fn values_are_surveyed_shard_by_shard_and_never_twice() {
    for model in models_to_survey() {
        let count = Place::with(&model).open().tensors().len();
        let site = Site::new(&model, 4, |tensor| tensor * 4 / count);
        let record = site.place.path().join("record");
        let options = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
        let right = types(&survey(&site.place.open(), &options, 2, &GO, &|_| {}).unwrap());
        let supply = OneAtATime::new(&site);
        assert_eq!(types(&survey_site(&site, &record, &supply, usize::MAX).unwrap()), right);
        let state = supply.state.into_inner().unwrap();
        assert!(state.most <= 2 && (1..=2).contains(&state.passes), "{state:?}");
        assert_eq!(types(&survey_site(&site, &record, &Nothing, usize::MAX).unwrap()), right);
        // The findings of another checkpoint are not used.
        let other = Site::new(&Model { vocab: model.vocab + 64, ..model }, 4, |tensor| tensor * 4 / count);
        let supply = OneAtATime::new(&other);
        survey_site(&other, &record, &supply, usize::MAX).unwrap();
        assert!(supply.state.into_inner().unwrap().passes > 0);
    }
}

#[test]
fn findings_of_other_choices_are_not_used() {
    let model = Model { mtp: Mtp::None, ..Model::uniform(Encoding::Gptq(Gptq::asym(4, 64))) };
    let site = Site::new(&model, 1, |_| 0);
    let record = site.place.path().join("record");
    let chosen = |zero_points| Choices { zero_points: Some(zero_points), ..Choices::default() };
    for choices in [Choices::default(), chosen(ZeroPoints::V1), chosen(ZeroPoints::V2)] {
        let supply = OneAtATime::new(&site);
        let plan = survey_chosen(&site, &record, &supply, usize::MAX, choices.clone()).unwrap();
        let right = PlanOptions { allow_rounding: true, config: choices.clone(), ..PlanOptions::default() };
        assert_eq!(types(&plan), types(&survey(&site.place.open(), &right, 2, &GO, &|_| {}).unwrap()));
        assert!(supply.state.into_inner().unwrap().passes > 0, "{choices:?}");
        survey_chosen(&site, &record, &Nothing, usize::MAX, choices).unwrap();
    }
    // A checkpoint without unknown keys has none to ignore.
    let ignoring = Choices { ignored_keys: vec!["x".to_owned()], ..Choices::default() };
    let findings = Findings::at(&record, &site.checkpoint(), &ignoring).unwrap();
    assert!(findings.file().is_some_and(|file| !file.exists()));
}

#[test]
fn an_interrupted_survey_resumes() {
    let model = &models_to_survey()[0];
    let count = Place::with(model).open().tensors().len();
    let site = Site::new(model, 4, |tensor| tensor * 4 / count);
    let record = site.place.path().join("record");
    let orders = Place::with(model).open().tensors().iter().filter(|t| t.name.ends_with("g_idx")).count();
    let supply = OneAtATime::new(&site);
    let result = survey_site(&site, &record, &supply, orders + 12);
    assert!(matches!(result, Err(Error::Stopped)), "{:?}", result.err());
    let before = supply.state.into_inner().unwrap();
    assert!(before.passes == 2 && !before.done.is_empty(), "{before:?}");
    for shard in 0..4 {
        drop(std::fs::remove_file(site.near(shard)));
    }
    let supply = OneAtATime::new(&site);
    survey_site(&site, &record, &supply, usize::MAX).unwrap();
    let after = supply.state.into_inner().unwrap();
    assert!(after.passes == 1 && after.done.iter().all(|shard| !before.done.contains(shard)), "{after:?}");
}

#[test]
fn damaged_findings_never_give_wrong_values() {
    let (mut equal, mut refused) = (0, 0);
    for model in [&models_to_survey()[0], &models_to_survey()[3]] {
        let site = Site::new(model, 1, |_| 0);
        let (record, out) = (site.place.path().join("record"), site.place.out());
        survey_site(&site, &record, &OneAtATime::new(&site), usize::MAX).unwrap();
        std::fs::copy(site.far(0), site.near(0)).unwrap();
        let whole = bytes(&record);
        let changed =
            |from: &str, to: &str| String::from_utf8(whole.clone()).unwrap().replace(from, to).into();
        let mut random = 7usize;
        for case in 0..24 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 20) % whole.len();
            let mut damaged: Vec<u8> = whole.clone();
            match case % 4 {
                0 => damaged.truncate(at),
                1 => damaged[at] ^= 1 << (random >> 60 & 7),
                // A larger type than necessary, or one that does not hold the values.
                2 => damaged = changed("fits Q4_0", "exceeds Q4_0"),
                _ => damaged = changed("exceeds", "fits"),
            }
            std::fs::write(&record, damaged).unwrap();
            let checkpoint = site.checkpoint();
            let plan = survey_site(&site, &record, &Present, usize::MAX).unwrap();
            drop(std::fs::remove_file(&out));
            match gguf_export::export(&checkpoint, &plan, &out, &ExportOptions::default(), &GO, &|_| {}) {
                Ok(_) => {
                    let options = VerifyOptions { threads: 2, ..VerifyOptions::default() };
                    let report = verify(&site.place.open(), &out, options, &GO, &|_| {}).unwrap();
                    assert!(report.equal(), "{report:?}");
                    equal += 1;
                }
                Err(Error::NotRepresentable { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(equal > 30 && refused > 5, "{equal} equal, {refused} refused");
}
