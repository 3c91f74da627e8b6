//! Which requests are served: the rules for `Host`, `Origin` and API keys.

mod host;
mod keys;
mod layer;
mod origin;

pub use host::host_name;
pub use keys::{KeyError, Keys};
pub use layer::{Open, Policy};
pub use origin::{Cors, CorsError};

pub(super) use keys::KeyId;
pub(super) use layer::{Client, layer};

#[cfg(test)]
mod tests;
