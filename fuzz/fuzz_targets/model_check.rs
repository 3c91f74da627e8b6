//! Reads any bytes as a GGUF header and checks it as before a load.

#![no_main]

#[path = "../check.rs"]
mod check;

/// The modules instead of their crate, which depends on llama.cpp, and stand-ins for what they name of it.
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the target uses only the check")]
#[path = "../../src/model"]
mod model {
    pub mod check;
    pub mod error;
    pub mod header;
    pub mod hparams;

    pub use check::TensorCheck;
    pub(crate) use check::check_parts;
    pub use error::LoadError;
    pub use header::Header;

    pub use crate::llama::MetadataOverride;

    /// Stands for the errors of placing a model, which a check cannot have.
    #[derive(Debug, thiserror::Error)]
    pub enum PlaceError {}

    pub mod rpc {
        /// Stands for the errors of workers, which a check cannot have.
        #[derive(Debug, thiserror::Error)]
        pub enum WorkerError {}
    }
}

#[allow(dead_code, unreachable_pub, reason = "the target uses only the check")]
mod llama {
    /// Stands for the errors of NUMA, which a check cannot have.
    #[derive(Debug, thiserror::Error)]
    pub enum NumaError {}

    /// Stands for the reading of llama.cpp's log, which a check does not have.
    pub fn is_short_of_memory(_: &str) -> bool {
        false
    }

    #[derive(Debug, Clone, PartialEq)]
    pub struct MetadataOverride {
        pub key: String,
        pub value: MetadataValue,
    }

    #[derive(Debug, Clone, PartialEq)]
    pub enum MetadataValue {
        Int(i64),
        Float(f64),
        Bool(bool),
        Str(String),
    }

    impl MetadataValue {
        pub fn kind(&self) -> &'static str {
            "value"
        }
    }

    impl std::fmt::Display for MetadataValue {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{self:?}")
        }
    }
}

use model::{TensorCheck, check_parts};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check::model_check(data);
});
