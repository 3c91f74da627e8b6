//! `verify` of a whole file in each encoding, on one thread, from files in the page cache. Rates count the bytes of the
//! GGUF, most of which are the experts. Each case asserts that the files are equal.

mod cases;

use std::sync::atomic::AtomicBool;

use divan::Bencher;
use divan::counter::BytesCount;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, PlanOptions, export, survey};

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 10, sample_size = 1, args = cases::ENCODINGS)]
fn verified(bencher: Bencher<'_, '_>, encoding: &str) {
    let model = cases::model(encoding);
    let dir = tempfile::tempdir().expect("a folder for the checkpoint");
    let (source, out) = (dir.path().join("source"), dir.path().join("out.gguf"));
    model.write(&source);
    let checkpoint = Checkpoint::open(&source).expect("it is a checkpoint");
    let go = AtomicBool::new(false);
    let plan = survey(&checkpoint, &PlanOptions::default(), 1, &go, &|_| {}).expect("it has a plan");
    let export = export(&checkpoint, &plan, &out, &ExportOptions::default(), &go, &|_| {});
    export.expect("it is written");
    bencher.counter(BytesCount::new(plan.bytes())).bench_local(|| {
        let report =
            verify(&checkpoint, &out, VerifyOptions::default(), &go, &|_| {}).expect("both are read");
        assert!(report.equal(), "{:?}", report.differences);
    });
}
