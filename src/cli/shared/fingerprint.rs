//! The versions of engine and program, as answers carry them.

use ggrun::model::caps;

/// `b11434-ggrun-0.1.0`: clients expect the release of llama.cpp first.
pub(crate) fn fingerprint() -> String {
    format!("{}-ggrun-{}", caps().build, env!("CARGO_PKG_VERSION"))
}
