//! What several test modules need.

use std::path::PathBuf;
use std::sync::Once;

/// The bundled model as GGUF, or `None` where there is none; the caller then has nothing to test.
pub(crate) fn tiny_gguf() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let path = std::env::var_os("GGRUN_TEST_GGUF").map(PathBuf::from);
    if path.is_none() {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        SAID.call_once(|| eprintln!("skipped: GGRUN_TEST_GGUF names no model"));
    }
    path
}
