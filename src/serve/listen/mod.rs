//! Connections: addresses and sockets, TLS, the times and sizes of HTTP/1.1, and how they end.

mod accept;
mod bind;
mod connection;
mod files;
mod socket;
mod tls;
mod track;
mod watched;

pub use accept::{Connections, Server, serve};
pub use bind::{BindError, Listener, bind, is_socket};
pub use files::{connections, raise_open_files};
pub use tls::{Tls, TlsError};
pub use track::Peer;

#[cfg(test)]
mod tests;
