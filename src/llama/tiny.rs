//! The bundled model for unit tests.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::{ExportOptions, PlanOptions, export, survey};

use super::{CacheType, ContextParams, Flash, LoadMode, LoadParams, Rope, SplitMode, Weights};
use crate::engine::Abort;

/// Loads the model, exported to this folder.
pub(super) fn load(folder: &Path) -> Weights {
    let path = folder.join("tiny.gguf");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-thinker");
    let checkpoint = Checkpoint::open(&source).unwrap();
    let go = AtomicBool::new(false);
    let plan = survey(&checkpoint, &PlanOptions::default(), 1, &go, &|_| {}).unwrap();
    export(&checkpoint, &plan, &path, &ExportOptions::default(), &go, &|_| {}).unwrap();
    let params = LoadParams {
        path: &path,
        devices: &[],
        gpu_layers: 0,
        split_mode: SplitMode::default(),
        main_gpu: 0,
        tensor_split: &[],
        overrides: &[],
        load: LoadMode::Read,
        room: 0,
        metadata: &[],
        check_tensors: false,
        repack: false,
    };
    Weights::load(&params, |_| true).unwrap()
}

/// A small context.
pub(super) fn params(sequences: u32) -> ContextParams {
    ContextParams {
        sequences,
        context: 64,
        batch: 64,
        ubatch: 64,
        threads: 1,
        threads_batch: 1,
        cache_k: CacheType::F32,
        cache_v: CacheType::F32,
        flash: Flash::Off,
        kv_offload: true,
        copies_from: Some(super::COPIES_FROM),
        rope: Rope::default(),
        abort: Abort::default(),
    }
}
