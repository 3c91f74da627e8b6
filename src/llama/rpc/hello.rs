//! The handshake of llama.cpp's RPC, done before llama.cpp connects to a worker: its own connect has no timeout, and
//! without our patches it ends the process when it fails.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::message::{self, ANSWER, ANSWER_HEAD};
use super::resolve::resolve;
use super::{Endpoint, WorkerError};

/// The supported version of the protocol: this major, and at most this minor.
const VERSION: [u8; 2] = [7, 0];

/// Greets a worker and disconnects.
///
/// # Errors
///
/// When nothing answers within `patience`, or the answer is not from a worker of this version.
pub(super) fn hello(endpoint: &Endpoint, patience: Duration) -> Result<(), WorkerError> {
    let address = resolve(endpoint)?;
    let connected = TcpStream::connect_timeout(&address.into(), patience);
    let stream = connected.map_err(|source| WorkerError::Connect { endpoint: endpoint.clone(), source })?;
    match greet(&stream, patience) {
        Ok([major, minor]) if major == VERSION[0] && minor <= VERSION[1] => Ok(()),
        Ok(found) => Err(WorkerError::Version { endpoint: endpoint.clone(), found, expected: VERSION }),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(WorkerError::Silent { endpoint: endpoint.clone(), seconds: patience.as_secs() })
        }
        Err(source) => Err(WorkerError::Stranger { endpoint: endpoint.clone(), source }),
    }
}

/// The worker's major and minor version.
fn greet(mut stream: &TcpStream, patience: Duration) -> io::Result<[u8; 2]> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(&message::greeting())?;
    let mut head = [0; ANSWER_HEAD];
    stream.read_exact(&mut head)?;
    let mut answer = [0; ANSWER];
    if !message::is_answer(head) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not of llama.cpp's RPC"));
    }
    stream.read_exact(&mut answer)?;
    Ok(message::version(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Accepts one connection and sends this answer, if any.
    fn answering(answer: Option<&'static [u8]>) -> Result<(), WorkerError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let endpoint = Endpoint { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; message::GREETING];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request[..9], [14, 24, 0, 0, 0, 0, 0, 0, 0]);
            match answer {
                Some(answer) => stream.write_all(answer).unwrap(),
                None => drop(stream.read(&mut request)),
            }
        });
        // Only a silent worker takes the whole timeout.
        let patience = answer.map_or(Duration::from_millis(300), |_| Duration::from_mins(5));
        let result = hello(&endpoint, patience);
        thread.join().unwrap();
        result
    }

    #[test]
    fn only_a_worker_of_this_version_is_accepted() {
        let worker = |major, minor| {
            let mut answer = vec![28, 0, 0, 0, 0, 0, 0, 0, major, minor, 0, 0];
            answer.extend([0; 24]);
            &*answer.leak()
        };
        assert!(answering(Some(worker(7, 0))).is_ok());
        let wrong = answering(Some(worker(6, 9))).unwrap_err();
        assert!(wrong.to_string().ends_with("has version 6.9 of llama.cpp's RPC, expected 7.0"), "{wrong}");
        assert!(matches!(answering(Some(worker(7, 1))), Err(WorkerError::Version { .. })));
        let http = answering(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")).unwrap_err();
        assert!(matches!(http, WorkerError::Stranger { .. }), "{http:?}");
        assert!(matches!(answering(Some(b"\x1c")), Err(WorkerError::Stranger { .. })));
        assert!(matches!(answering(None), Err(WorkerError::Silent { .. })));
    }

    #[test]
    fn a_refused_connection_is_an_error_at_once() {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let endpoint = Endpoint { host: "127.0.0.1".into(), port };
        let error = hello(&endpoint, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, WorkerError::Connect { .. }), "{error:?}");
    }
}
