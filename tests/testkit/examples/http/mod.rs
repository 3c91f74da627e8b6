//! The HTTP client of the programs that measure a server, and what they print of times.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer silence of a server ends the measurement.
const PATIENCE: Duration = Duration::from_mins(10);

/// A connection that is kept open. One that the server closes after a response is opened again.
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
    body: Body,
}

/// What is left of a body.
enum Body {
    Bytes(usize),
    Chunks,
}

/// Connects to a server.
pub(crate) fn open(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A request, with GET if it has no body.
pub(crate) fn request(address: &str, path: &str, body: &str) -> String {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The smallest value that so many percent of all values do not exceed.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

impl Connection {
    pub(crate) fn open(address: &str) -> Self {
        let stream = BufReader::new(open(address));
        Self { address: address.to_owned(), stream, body: Body::Bytes(0) }
    }

    /// Sends a request, and reads the head of its response. Returns the status.
    pub(crate) fn send(&mut self, request: &str) -> u16 {
        let line = self.status_line(request).unwrap_or_else(|| {
            self.stream = BufReader::new(open(&self.address));
            self.status_line(request).expect("a new connection is answered")
        });
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        self.body = Body::Bytes(0);
        loop {
            let header = self.line().to_ascii_lowercase();
            if header.is_empty() {
                return status.unwrap_or_else(|| panic!("`{line}`"));
            }
            if let Some(length) = header.strip_prefix("content-length:") {
                self.body = Body::Bytes(length.trim().parse().unwrap());
            } else if header.starts_with("transfer-encoding: chunked") {
                self.body = Body::Chunks;
            }
        }
    }

    /// Sends a request and returns the first line of its response; `None` if the server has closed the connection.
    fn status_line(&mut self, request: &str) -> Option<String> {
        let mut line = String::new();
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next part of the body; `None` at its end.
    pub(crate) fn part(&mut self) -> Option<Vec<u8>> {
        let size = match self.body {
            Body::Bytes(left) => left,
            Body::Chunks => usize::from_str_radix(self.line().split(';').next().unwrap(), 16).unwrap(),
        };
        let mut part = vec![0; size];
        self.stream.read_exact(&mut part).unwrap();
        match self.body {
            Body::Bytes(_) => self.body = Body::Bytes(0),
            Body::Chunks => assert_eq!(self.line(), "", "a chunk ends with its line"),
        }
        if size == 0 {
            self.body = Body::Bytes(0);
        }
        (size > 0).then_some(part)
    }

    /// The rest of the body.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.part()).flatten().collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "the server closed the connection");
        line.trim_end().to_owned()
    }
}
