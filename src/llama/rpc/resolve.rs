//! Looks up the address of a worker.

use std::io;
use std::net::{SocketAddrV4, ToSocketAddrs};

use super::{Endpoint, WorkerError};

/// Its first IPv4 address.
///
/// # Errors
///
/// When the name is unknown or has no IPv4 address.
pub(super) fn resolve(endpoint: &Endpoint) -> Result<SocketAddrV4, WorkerError> {
    let failed = |source| WorkerError::Resolve { endpoint: endpoint.clone(), source };
    let found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs().map_err(failed)?;
    let v4 = found.filter_map(|address| match address {
        std::net::SocketAddr::V4(address) => Some(address),
        std::net::SocketAddr::V6(_) => None,
    });
    let none = || failed(io::Error::new(io::ErrorKind::AddrNotAvailable, "it has no IPv4 address"));
    v4.into_iter().next().ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_to_ipv4_addresses() {
        let local: Endpoint = "localhost:7".parse().unwrap();
        assert_eq!(resolve(&local).unwrap(), SocketAddrV4::new([127, 0, 0, 1].into(), 7));
        let nowhere: Endpoint = "no-such-host.invalid:7".parse().unwrap();
        assert!(matches!(resolve(&nowhere), Err(WorkerError::Resolve { .. })));
    }
}
