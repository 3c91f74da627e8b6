//! Accepts clients and answers their greetings. A process serves a client only once it has sent a command, so that a
//! connection which sends nothing costs little and blocks no other.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ggrun::model::rpc::{GREETING, Greeting, answer};

use super::client::Child;
use crate::cli::ui::err::{note, warning};

/// The time for a whole greeting, and until it is answered.
const GREETING_TIME: Duration = Duration::from_secs(10);
/// The time between a greeting and the first command, which llama.cpp sends at once.
const COMMAND_TIME: Duration = Duration::from_secs(10);
/// The largest number of connections that are not served yet.
const WAITING: usize = 256;
/// How often more bytes of a greeting are looked for.
const POLL: Duration = Duration::from_millis(5);
/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// A count that is decremented when the place is given up.
struct Place(Arc<AtomicUsize>);

impl Place {
    /// `None` if there are `most` already.
    fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let one_more = |n| (n < most).then_some(n + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(count.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves clients, at most `most` at once. Does not return.
pub(super) fn clients(listener: &TcpListener, version: [u8; 3], child: Child, most: usize) {
    let (waiting, served, child) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(child));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        // Beyond the limit, the connection is closed.
        let Some(place) = Place::take(&waiting, WAITING) else { continue };
        let (served, child) = (served.clone(), child.clone());
        let work = move || match greet(&stream, version, &served, most) {
            Ok(Some(served)) => {
                drop(place);
                serve(stream, &child);
                drop(served);
            }
            // It disconnected, is another program, or sent nothing: there is no client to report.
            Ok(None) | Err(_) => drop(stream.shutdown(Shutdown::Both)),
        };
        // Without a thread the connection is closed.
        drop(thread::Builder::new().spawn(work));
    }
}

fn serve(stream: TcpStream, child: &Child) {
    note("client connected");
    match child.serve(stream) {
        Ok(status) if status.success() => note("client disconnected"),
        Ok(status) => {
            warning(&format!("client disconnected: the process that served it ended with {status}"));
        }
        Err(error) => warning(&format!("client disconnected: cannot start a process for it: {error}")),
    }
}

/// Reads a greeting, answers it, and waits for the first byte of a command. `None` if none arrives.
fn greet(
    mut stream: &TcpStream,
    version: [u8; 3],
    served: &Arc<AtomicUsize>,
    most: usize,
) -> io::Result<Option<Place>> {
    let begun = Instant::now();
    stream.set_write_timeout(Some(GREETING_TIME))?;
    stream.set_read_timeout(Some(GREETING_TIME))?;
    let mut bytes = [0; GREETING];
    loop {
        let length = stream.peek(&mut bytes)?;
        match Greeting::of(&bytes[..length]) {
            Greeting::Whole => break,
            Greeting::Partial if length > 0 && begun.elapsed() < GREETING_TIME => thread::sleep(POLL),
            Greeting::Partial | Greeting::Other => return Ok(None),
        }
    }
    stream.read_exact(&mut bytes)?;
    // Without an answer the client reports that the worker is busy.
    while served.load(Ordering::Relaxed) >= most {
        if begun.elapsed() >= GREETING_TIME || !is_open(stream) {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
    stream.write_all(&answer(version))?;
    stream.set_read_timeout(Some(COMMAND_TIME))?;
    if stream.peek(&mut [0])? == 0 {
        return Ok(None);
    }
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(Place::take(served, most))
}

/// Whether the other side has not closed a connection on which it sends nothing.
fn is_open(stream: &TcpStream) -> bool {
    let closed = |found: io::Result<usize>| {
        matches!(found, Ok(0)) || found.is_err_and(|e| e.kind() != io::ErrorKind::WouldBlock)
    };
    stream.set_nonblocking(true).is_ok()
        && !closed(stream.peek(&mut [0]))
        && stream.set_nonblocking(false).is_ok()
}
