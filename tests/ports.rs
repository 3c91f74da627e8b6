//! Ports that nothing listens on.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port of loopback on which connections are refused. It is held, so that no other test gets it. A server can take it
/// over on Linux; elsewhere, only once this is dropped.
#[derive(Debug)]
pub(crate) struct Refusing(Socket);

impl Refusing {
    /// Holds a port that is free, or any for 0.
    pub(crate) fn at(port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // Closed connections of the server that had the port may linger.
        socket.set_reuse_address(true).expect("an option of every socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("the port is free");
        Self(socket)
    }

    pub(crate) fn url(&self) -> String {
        let address = self.0.local_addr().expect("it is bound").as_socket().expect("it has a port");
        format!("http://{address}")
    }
}
