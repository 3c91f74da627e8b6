//! Hugging Face's hub: from a repository's name to files on this disk.
//!
//! The cache is the one that Hugging Face's own tools share, so what they fetched is found here and the other way round.
//! A file is in it under its final name when all of it is on the disk and has the hash that the repository lists. Not
//! here: what the files mean, anything printed.

mod arrive;
pub mod cache;
mod client;
mod download;
mod error;
mod fetch;
mod front;
pub mod hash;
mod lend;
mod listing;
mod name;
mod observe;
pub mod pick;
mod select;
mod settings;
mod snapshot;
mod tries;

pub use arrive::{Afterwards, Arriving, Failed, Surveyed};
pub use error::Error;
pub use fetch::Hub;
pub use lend::prediction_layer;
pub use listing::{Listing, RemoteFile};
pub use name::{RepoName, WrongName};
pub use observe::{Event, Observer};
pub use settings::{Origin, Settings, Token};
