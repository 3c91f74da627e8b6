//! `verify` of a whole file in each encoding, on one thread, from files in the page cache. Rates count the bytes of the
//! GGUF, most of which are the experts. Each case asserts that the files are equal.

use std::sync::atomic::AtomicBool;

use divan::Bencher;
use divan::counter::BytesCount;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, PlanOptions, export, survey};
use testkit::{Awq, CtPacked, Encoding, Fp8, Gptq, LayerKind, Model, NvFp4};

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 10, sample_size = 1, args = [
    "int4 sym", "int8 sym", "int4 asym", "int3 sym", "int4 asym AWQ", "int4 compressed-tensors", "FP8 block", "MXFP4",
    "NVFP4", "BF16",
])]
fn verified(bencher: Bencher<'_, '_>, encoding: &str) {
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
