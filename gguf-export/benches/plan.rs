//! From headers to a complete plan, for a header-only stand-in for the 80B model: 48 layers, 73,728 expert modules.
//! Asserts the number of tensors and reports the time.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use divan::Bencher;
use divan::counter::ItemsCount;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::{Plan, PlanOptions, survey};
use testkit::{HeaderOnly, header_only};

/// Tensors in the checkpoint: 48 layers of 512 experts with three Linears of three tensors each, and the rest.
const STORED: usize = 222_447;
/// Tensors in the GGUF.
const WRITTEN: usize = 843;

fn main() {
    divan::main();
}

/// Reads and checks all headers and the index.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn open(bencher: Bencher<'_, '_>) {
    let dir = stand_in();
    let bencher = bencher.counter(ItemsCount::new(STORED));
    bencher.bench_local(|| assert_eq!(opened(dir.path()).tensors().len(), STORED));
}

/// Resolves every module and lays out the GGUF.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn draft(bencher: Bencher<'_, '_>) {
    let dir = stand_in();
    let checkpoint = opened(dir.path());
    let bencher = bencher.counter(ItemsCount::new(STORED));
    bencher.bench_local(|| {
        let plan = Plan::draft(&checkpoint, &PlanOptions::default()).expect("the stand-in has a plan");
        assert_eq!(plan.tensors.len(), WRITTEN);
    });
}

/// Everything before the first weight is read: open, draft, metadata with the vocabulary.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn open_to_complete_plan(bencher: Bencher<'_, '_>) {
    let dir = stand_in();
    let bencher = bencher.counter(ItemsCount::new(STORED));
    bencher.bench_local(|| {
        let checkpoint = opened(dir.path());
        let stop = AtomicBool::new(false);
        let plan = survey(&checkpoint, &PlanOptions::default(), 1, &stop, &|_| {}).expect("it has a plan");
        assert!(plan.settled() && plan.tensors.len() == WRITTEN);
    });
}

fn stand_in() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder for the stand-in");
    header_only::write(dir.path(), &HeaderOnly::default());
    dir
}

fn opened(dir: &Path) -> Checkpoint {
    Checkpoint::open(dir).expect("the stand-in is a checkpoint")
}
