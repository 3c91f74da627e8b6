//! The reasons of failed requests, in our own words. Only the host of an address is named: the rest may be signed.

use std::error::Error as _;
use std::io;

use super::endpoint::host;

/// Why a request or a response failed.
pub(super) fn of(error: &reqwest::Error) -> String {
    let host = error.url().map_or_else(|| "the hub".to_owned(), |url| format!("`{}`", host(url)));
    let cause = cause(error);
    if error.is_connect() {
        let cause =
            cause.unwrap_or(if error.is_timeout() { "connection timed out" } else { "connection failed" });
        return format!("cannot reach {host} ({cause})");
    }
    if error.is_timeout() {
        return format!("no response from {host} in time");
    }
    match cause {
        None | Some("connection lost") => "connection lost".to_owned(),
        Some(cause) => format!("connection lost ({cause})"),
    }
}

/// The reason that the operating system reports.
pub(super) fn of_io(error: &io::Error) -> String {
    name(error.kind()).map_or_else(|| "system error".to_owned(), str::to_owned)
}

/// The first cause with a name of its own.
fn cause(error: &reqwest::Error) -> Option<&'static str> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(of_tls(tls));
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if let Some(found) = tls.map(of_tls).or_else(|| name(io.kind())) {
                return Some(found);
            }
        }
        // The resolver's error has no public type.
        if cause.to_string().starts_with("dns error") {
            return Some("DNS lookup failed");
        }
        next = cause.source();
    }
    None
}

fn of_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(_) => "invalid TLS certificate",
        _ => "TLS error",
    }
}

fn name(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match kind {
        Kind::ConnectionRefused => "connection refused",
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            "connection lost"
        }
        Kind::TimedOut => "connection timed out",
        Kind::HostUnreachable => "host unreachable",
        Kind::NetworkUnreachable | Kind::NetworkDown => "network unreachable",
        Kind::AddrNotAvailable => "address not available",
        Kind::PermissionDenied => "permission denied",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(url: &str) -> String {
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let sent = async { client.get(url).send().await?.bytes().await };
            of(&sent.await.unwrap_err())
        })
    }

    #[test]
    fn a_refused_connection_and_an_unknown_host_are_named() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = reason_of(&format!("http://127.0.0.1:{port}/secret?signature=x"));
        assert_eq!(refused, format!("cannot reach `127.0.0.1:{port}` (connection refused)"));
        let unknown = reason_of("http://nothing.invalid/secret");
        assert_eq!(unknown, "cannot reach `nothing.invalid` (DNS lookup failed)");
    }

    #[test]
    fn a_connection_that_ends_early_is_lost() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap();
        });
        let reason = reason_of(&format!("http://{address}/secret"));
        server.join().unwrap();
        assert!(reason.starts_with("connection lost") && !reason.contains("secret"), "{reason}");
    }
}
