//! The general paths, reading included: the experts of one layer of each encoding through `transcode::fill`, as
//! tiles of one expert, from files in the page cache. Rates are bytes of source as the checkpoint stores them.
//! What was written is held against the reference decoder before the clock runs.

use std::sync::atomic::AtomicBool;

use divan::Bencher;
use divan::counter::BytesCount;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml;
use gguf_export::plan::{Form, Plan, TensorPlan};
use gguf_export::quant::{Coding, reference};
use gguf_export::transcode::{Scratch, fill};
use gguf_export::{PlanOptions, survey};
use testkit::{Awq, CtPacked, Encoding, Fp8, Gptq, Model};

fn main() {
    divan::main();
}

const CASES: [(&str, Encoding); 8] = [];

#[divan::bench(args = CASES)]
fn experts(bencher: Bencher<'_, '_>, case: &(&str, Encoding)) {}
