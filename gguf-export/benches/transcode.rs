//! Whole tensors through `transcode::fill`, reading included: the gate projections of eight experts in each encoding,
//! from files in the page cache. Rates count the bytes stored in the checkpoint. Each case compares its result with the
//! reference decoder after the measurement.

use std::sync::atomic::AtomicBool;

use divan::Bencher;
use divan::counter::BytesCount;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::plan::{Plan, TensorPlan};
use gguf_export::quant::reference;
use gguf_export::transcode::{Scratch, fill};
use gguf_export::{PlanOptions, ggml, survey};
use testkit::{Awq, CtPacked, Encoding, Fp8, Gptq, LayerKind, Model, NvFp4};

fn main() {
    divan::main();
}

#[divan::bench(args = [
    "int4 sym", "int8 sym", "int4 asym", "int3 sym", "int4 asym AWQ", "int4 compressed-tensors", "FP8 block", "MXFP4",
    "NVFP4", "BF16",
])]
fn to_gguf(bencher: Bencher<'_, '_>, encoding: &str) {
    let encoding = match encoding {
        "int4 sym" => Encoding::Gptq(Gptq::sym(4, 128)),
        "int8 sym" => Encoding::Gptq(Gptq::sym(8, 128)),
        "int4 asym" => Encoding::Gptq(Gptq::asym(4, 128)),
        "int3 sym" => Encoding::Gptq(Gptq::sym(3, 128)),
        "int4 asym AWQ" => Encoding::Awq(Awq::asym(4, 128)),
        "int4 compressed-tensors" => Encoding::CtPacked(CtPacked::sym(4, 128)),
        "FP8 block" => Encoding::Fp8(Fp8::block()),
        "MXFP4" => Encoding::MxFp4,
        "NVFP4" => Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: true }),
        _ => Encoding::Bf16,
    };
    let model = Model {
        hidden: 1024,
        expert_dim: 512,
        expert_count: 8,
        layers: vec![LayerKind::Linear],
        linears: Encoding::Bf16,
        ..Model::uniform(encoding)
    };
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
