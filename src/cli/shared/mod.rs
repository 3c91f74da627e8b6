//! Steps that several commands share.

pub(crate) mod answer;
pub(crate) mod conversion;
pub(crate) mod devices;
pub(crate) mod fingerprint;
pub(crate) mod folder;
pub(crate) mod json;
pub(crate) mod open;
pub(crate) mod show;
pub(crate) mod slots;
pub(crate) mod source;
pub(crate) mod stdin;
pub(crate) mod summary;
