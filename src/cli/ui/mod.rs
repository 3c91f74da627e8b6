//! Terminal output and questions.

pub(crate) mod ask;
pub(crate) mod err;
pub(crate) mod escape;
pub(crate) mod log;
pub(crate) mod markdown;
pub(crate) mod out;
pub(crate) mod progress;
pub(crate) mod stream;
pub(crate) mod style;
pub(crate) mod text;
pub(crate) mod wait;
pub(crate) mod when;
pub(crate) mod wrap;
