//! The address of a worker.

use std::fmt;
use std::str::FromStr;

/// `HOST:PORT`. llama.cpp's RPC supports IPv4 only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The host is an IPv6 address.
    #[error("IPv6 is not supported by llama.cpp's RPC, expected HOST:PORT with a name or an IPv4 address")]
    Ipv6,
    /// The format is wrong.
    #[error("expected HOST:PORT, such as 192.168.1.5:50052")]
    Form,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError::Form)?;
        if host.contains(':') {
            return Err(EndpointError::Ipv6);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let port = Some(port).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
        match port.and_then(|port| port.parse().ok()) {
            Some(port) if port > 0 && !host.is_empty() && host.chars().all(plain) => {
                Ok(Self { host: host.to_owned(), port })
            }
            _ => Err(EndpointError::Form),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for good in ["127.0.0.1:50052", "localhost:1", "gpu-box.lan:65535", "my_box:80"] {
            assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
        }
        for wrong in
            ["", ":", "host", "host:", ":1", "host:0", "host:65536", "host:+1", "host:1x", "a b:1", "h,i:1"]
        {
            assert_eq!(wrong.parse::<Endpoint>(), Err(EndpointError::Form), "{wrong}");
        }
        for v6 in ["::1:50052", "[::1]:50052", "fe80::1"] {
            assert_eq!(v6.parse::<Endpoint>(), Err(EndpointError::Ipv6), "{v6}");
        }
    }
}
