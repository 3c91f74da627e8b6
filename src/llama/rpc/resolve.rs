//! Looks up the address of a worker.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs as _};

use super::{Endpoint, WorkerError};

/// The first IPv4 address of an endpoint.
///
/// # Errors
///
/// When the name is unknown or has no such address.
pub(super) fn resolve(endpoint: &Endpoint) -> Result<SocketAddrV4, WorkerError> {
    let failed = |source| WorkerError::Resolve { endpoint: endpoint.clone(), source };
    let found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs().map_err(failed)?;
    let mut v4 = found.filter_map(|address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    });
    let none = || failed(io::Error::new(io::ErrorKind::AddrNotAvailable, "no IPv4 address"));
    v4.next().ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ipv4_addresses() {
        let local: Endpoint = "localhost:7".parse().unwrap();
        assert_eq!(resolve(&local).unwrap(), SocketAddrV4::new([127, 0, 0, 1].into(), 7));
        let nowhere: Endpoint = "no-such-host.invalid:7".parse().unwrap();
        assert!(matches!(resolve(&nowhere), Err(WorkerError::Resolve { .. })));
    }
}
