//! Test data and exported models, for tests and benchmarks.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::{ExportOptions, PlanOptions, export, survey};

/// A folder of `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Exports a checkpoint into the build's folder for temporary files.
pub(crate) fn exported(source: &Path, name: &str, options: &PlanOptions) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.gguf", std::process::id()));
    let go = AtomicBool::new(false);
    let checkpoint = Checkpoint::open(source).expect("a test checkpoint opens");
    let plan = survey(&checkpoint, options, 2, &go, &|_| {}).expect("it can be planned");
    let how = ExportOptions { overwrite: true, ..ExportOptions::default() };
    export(&checkpoint, &plan, &out, &how, &go, &|_| {}).expect("it can be exported");
    out
}

/// The bundled model as a GGUF, exported once for all tests.
pub(crate) fn tiny_gguf() -> PathBuf {
    static GGUF: OnceLock<PathBuf> = OnceLock::new();
    GGUF.get_or_init(|| exported(&data("tiny-thinker"), "tiny-thinker", &PlanOptions::default())).clone()
}
