//! Whole tensors through `transcode::fill`, reading included: the gate projections of eight experts in each encoding,
//! from files in the page cache. Rates count the bytes stored in the checkpoint. Each case compares its result with the
//! reference decoder after the measurement.

mod cases;

use std::sync::atomic::AtomicBool;

use divan::Bencher;
use divan::counter::BytesCount;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::plan::{Plan, TensorPlan};
use gguf_export::quant::reference;
use gguf_export::transcode::{Scratch, fill};
use gguf_export::{PlanOptions, ggml, survey};

fn main() {
    divan::main();
}

#[divan::bench(args = cases::ENCODINGS)]
fn to_gguf(bencher: Bencher<'_, '_>, encoding: &str) {
    let model = cases::model(encoding);
    let dir = tempfile::tempdir().expect("a folder for the checkpoint");
    model.write(dir.path());
    let checkpoint = Checkpoint::open(dir.path()).expect("it is a checkpoint");
    let stop = AtomicBool::new(false);
    let plan = survey(&checkpoint, &PlanOptions::default(), 1, &stop, &|_| {}).expect("it has a plan");
    let tensor = plan.tensors.iter().find(|t| t.name.contains("ffn_gate_exps")).expect("it has experts");

    let mut scratch = Scratch::default();
    let mut out = vec![0; usize::try_from(tensor.bytes()).expect("it fits memory")];
    let mut run = || fill(&checkpoint, &plan, tensor, 0..tensor.rows(), &mut scratch, &mut out);
    run().expect("it is exact");
    let source = source_bytes(&checkpoint, &plan, tensor);
    bencher.counter(BytesCount::new(source)).bench_local(&mut run);
    compare(&checkpoint, &plan, tensor, &out);
}

fn source_bytes(checkpoint: &Checkpoint, plan: &Plan, tensor: &TensorPlan) -> u64 {
    let ids = tensor.pieces.iter().flat_map(|p| plan.weights[p.weight as usize].tensors());
    ids.map(|id| checkpoint.info(id).bytes).sum()
}

fn compare(checkpoint: &Checkpoint, plan: &Plan, tensor: &TensorPlan, out: &[u8]) {
    let mut found = vec![0f32; usize::try_from(tensor.rows() * tensor.columns()).expect("it fits memory")];
    ggml::decode_row(tensor.ty(), out, &mut found).expect("whole blocks");
    let mut found = found.into_iter();
    for piece in &tensor.pieces {
        let rows = piece.start..piece.start + piece.rows;
        let expected = reference::decode(checkpoint, &plan.weights[piece.weight as usize], rows);
        for value in expected.expect("it decodes").values {
            assert_eq!(found.next().map(f64::from), Some(value), "{}", tensor.name);
        }
    }
}
