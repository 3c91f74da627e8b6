//! The Hugging Face Hub: from a repository's name to files on the local disk.
//!
//! The cache is shared with Hugging Face's own tools: each finds what the other downloaded. A file appears in the cache
//! under its final name only when it is complete and has the hash that the repository lists. A plain folder
//! ([`LocalDir`]) can hold the files instead. Not here: the contents of the files, and printing.

mod address;
pub mod cache;
mod client;
mod download;
mod endpoint;
mod error;
mod failure;
mod fetch;
mod gguf;
pub mod hash;
mod head;
mod listing;
mod local;
mod model_name;
mod mtp;
mod name;
mod observe;
mod pace;
pub mod pick;
mod range;
mod reason;
mod retry;
mod select;
mod settings;
mod snapshot;
mod stream;
mod token;
mod transfer;

pub use error::{CheckpointError, Error};
pub use fetch::Hub;
pub use listing::{Listing, RemoteFile};
pub use local::LocalDir;
pub use model_name::ModelName;
pub use mtp::mtp_layer;
pub use name::{RepoName, RepoNameError};
pub use observe::{Event, Observer};
pub use settings::Settings;
pub use stream::supply::SurveyStream;
pub use stream::{Retention, ShardStream};
pub use token::{Origin, Token};
