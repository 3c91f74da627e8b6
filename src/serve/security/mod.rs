//! Which requests are served: the rules for `Host`, `Origin` and API keys.

mod host;
mod keys;
mod layer;
mod origin;

pub use host::Host;
pub use keys::{KeyError, KeyId, Keys};
pub use layer::{Client, Policy, layer};
pub use origin::{Cors, CorsError};

#[cfg(test)]
mod tests;
