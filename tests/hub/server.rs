//! A test server with the endpoints and headers of the hub that downloads need, and with configurable faults.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ggrun::hub::hash::Hasher;
use serde_json::json;
use testkit::range::parse_range;

/// The commit of both repositories.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Files of at least this size have a SHA-256 hash and are stored on another host.
const LARGE: usize = 1000;

/// The fault of one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Respond with this status and these headers.
    Status(u16, &'static str),
    /// Close the connection after this number of bytes.
    Cut(usize),
    /// Send nothing after this number of bytes.
    Stall(usize),
    /// Send other bytes of the same length.
    Garbage,
    /// Send this number of bytes as the whole file.
    Length(usize),
    /// Send this number of bytes without a content length.
    NoLength(usize),
    /// Send the whole file in response to a range request.
    Whole,
    /// Send another range than requested.
    Shifted,
    /// Redirect to this address.
    Redirect(String),
    /// Send everything with this pause between small pieces.
    Slow(Duration),
    /// Send this number of bytes, then one byte every 50 ms.
    Drip(usize),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Whether it was sent to the host that stores large files.
    pub(crate) elsewhere: bool,
    pub(crate) token: Option<String>,
    /// The first requested byte.
    pub(crate) from: usize,
    /// The number of bytes of files that were sent.
    pub(crate) sent: usize,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// The files of `org/original`.
    original: BTreeMap<String, Vec<u8>>,
    /// The response in place of the listing.
    listing: Option<String>,
    /// Whether redirects of HEAD to the other host describe only themselves, as those of some mirrors.
    bare: bool,
    /// Faults by the end of a path, each for one request or for all.
    faults: Vec<(String, Fault, bool)>,
    asked: Vec<Asked>,
    hub: Option<SocketAddr>,
    store: Option<SocketAddr>,
}

/// A server with the repository `org/name`. It ends with the process.
#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let state = State {
            files: files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect(),
            ..State::default()
        };
        let server = Self { state: Arc::new(Mutex::new(state)) };
        let (hub, store) = (server.listen(false), server.listen(true));
        let mut state = server.state.lock().unwrap();
        (state.hub, state.store) = (Some(hub), Some(store));
        drop(state);
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.state.lock().unwrap().hub.unwrap())
    }

    /// Adds a fault for the next request whose path ends in `path`.
    pub(crate) fn fail(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults.push((path.to_owned(), fault, true));
    }

    /// Adds a fault for every request whose path ends in `path`.
    pub(crate) fn fail_always(&self, path: &str, fault: Fault) {
        self.state.lock().unwrap().faults.push((path.to_owned(), fault, false));
    }

    /// Removes all faults.
    pub(crate) fn mend(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// Adds another repository, `org/original`.
    pub(crate) fn add_original(&self, files: Vec<(String, Vec<u8>)>) {
        self.state.lock().unwrap().original = files.into_iter().collect();
    }

    pub(crate) fn list_as(&self, listing: &str) {
        self.state.lock().unwrap().listing = Some(listing.to_owned());
    }

    /// Lets redirects of HEAD describe only themselves.
    pub(crate) fn redirect_bare(&self) {
        self.state.lock().unwrap().bare = true;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The number of bytes of a file that were sent in all requests.
    pub(crate) fn sent(&self, file: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.ends_with(file)).map(|asked| asked.sent).sum()
    }

    fn listen(&self, elsewhere: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // A client may close its connection at any time.
                thread::spawn(move || drop(server.serve(&stream, elsewhere)));
            }
        });
        address
    }

    fn serve(&self, stream: &TcpStream, elsewhere: bool) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let is_head = line.starts_with("HEAD ");
            let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
            let (mut token, mut range) = (None, None);
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                let Some((name, value)) = header.trim().split_once(": ") else { break };
                match name.to_ascii_lowercase().as_str() {
                    "authorization" => token = Some(value.to_owned()),
                    "range" => range = Some(value.to_owned()),
                    _ => {}
                }
            }
            let (from, to) =
                range.as_deref().and_then(parse_range).map_or((0, None), |(from, to)| (from, to));
            let path = path.split('?').next().unwrap_or_default().to_owned();
            let at = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(Asked { path: path.clone(), elsewhere, token, from, sent: 0 });
                state.asked.len() - 1
            };
            let mut out = stream;
            if is_head {
                self.describe(&mut out, &path, elsewhere)?;
                continue;
            }
            let keep = self.answer(&mut out, &path, elsewhere, range.is_some().then_some((from, to)), at)?;
            if !keep {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// Responds to a request, and returns whether the connection stays open.
    fn answer(
        &self,
        out: &mut &TcpStream,
        path: &str,
        elsewhere: bool,
        range: Option<(usize, Option<usize>)>,
        at: usize,
    ) -> std::io::Result<bool> {
        let (fault, listing, file, store) = {
            let mut state = self.state.lock().unwrap();
            // Faults of large files apply to the host that stores them, except those that only the hub has.
            let hub_only = |fault: &Fault| matches!(fault, Fault::Status(..) | Fault::Redirect(_));
            let is_large =
                state.files.iter().any(|(name, bytes)| path.ends_with(name.as_str()) && bytes.len() >= LARGE);
            let found = state.faults.iter().position(|(end, fault, _)| {
                path.ends_with(end.as_str()) && (!is_large || hub_only(fault) != elsewhere)
            });
            let fault = found.map(|index| {
                if state.faults[index].2 {
                    state.faults.remove(index).1
                } else {
                    state.faults[index].1.clone()
                }
            });
            let name = path.split_once(&format!("/resolve/{COMMIT}/")).map(|(_, name)| name.to_owned());
            let files = if path.contains("org/original") { &state.original } else { &state.files };
            let file = name.and_then(|name| files.get(&name).cloned());
            let is_listing = path.starts_with("/api/models/org/") && path.contains("/revision/");
            (fault, is_listing.then(|| state.list(files)), file, state.store.unwrap())
        };
        if let Some(Fault::Status(status, headers)) = fault {
            write!(out, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{headers}\r\n")?;
            return Ok(true);
        }
        if let Some(Fault::Redirect(url)) = fault {
            write!(out, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {url}\r\n\r\n")?;
            return Ok(true);
        }
        if let Some(listing) = listing {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{listing}", listing.len())?;
            return Ok(true);
        }
        let Some(file) = file else {
            write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        };
        if file.len() >= LARGE && !elsewhere {
            let hash = hash(&file);
            write!(
                out,
                "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-ETag: \"{hash}\"\r\n\
                 X-Linked-Size: {}\r\nLocation: http://{store}{path}\r\n\r\n",
                file.len()
            )?;
            return Ok(true);
        }
        self.send(out, &file, range, fault.as_ref(), at)
    }

    /// Responds to HEAD for a file.
    fn describe(&self, out: &mut &TcpStream, path: &str, elsewhere: bool) -> std::io::Result<()> {
        let state = self.state.lock().unwrap();
        let name = path.split_once(&format!("/resolve/{COMMIT}/")).map(|(_, name)| name.to_owned());
        let Some(file) = name.and_then(|name| state.files.get(&name)) else {
            return write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let (hash, length) = (hash(file), file.len());
        if length < LARGE || elsewhere {
            return write!(out, "HTTP/1.1 200 OK\r\nETag: \"{hash}\"\r\nContent-Length: {length}\r\n\r\n");
        }
        let linked = format!("Content-Length: 0\r\nX-Linked-ETag: \"{hash}\"\r\nX-Linked-Size: {length}\r\n");
        let own = "Content-Length: 120\r\nETag: \"redirect\"\r\n".to_owned();
        let headers = if state.bare { own } else { linked };
        let store = state.store.unwrap();
        write!(out, "HTTP/1.1 302 Found\r\n{headers}Location: http://{store}{path}\r\n\r\n")
    }

    fn send(
        &self,
        out: &mut &TcpStream,
        file: &[u8],
        range: Option<(usize, Option<usize>)>,
        fault: Option<&Fault>,
        at: usize,
    ) -> std::io::Result<bool> {
        let range = range.filter(|_| !matches!(fault, Some(Fault::Whole)));
        let (from, to) =
            range.map_or((0, file.len()), |(from, to)| (from, to.map_or(file.len(), |to| to + 1)));
        if from >= file.len() && range.is_some() {
            write!(
                out,
                "HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */{}\r\n\r\n",
                file.len()
            )?;
            return Ok(true);
        }
        let mut body = file[from..to.min(file.len())].to_vec();
        let shown = if matches!(fault, Some(Fault::Shifted)) { from + 1 } else { from };
        match fault {
            // Ranges with an end are for headers, which have no hash.
            Some(Fault::Garbage) if range.is_none_or(|(_, to)| to.is_none()) => {
                for byte in &mut body {
                    *byte ^= 0x55;
                }
            }
            Some(&(Fault::Length(length) | Fault::NoLength(length))) => body.resize(length, 7),
            _ => {}
        }
        if range.is_some() {
            let last = (shown + body.len()).saturating_sub(1);
            write!(out, "HTTP/1.1 206 Part\r\nContent-Range: bytes {shown}-{last}/{}\r\n", file.len())?;
        } else {
            write!(out, "HTTP/1.1 200 OK\r\n")?;
        }
        if matches!(fault, Some(Fault::NoLength(_))) {
            write!(out, "Connection: close\r\n\r\n")?;
        } else {
            write!(out, "Content-Length: {}\r\n\r\n", body.len())?;
        }
        let upto = match fault {
            Some(&(Fault::Cut(upto) | Fault::Stall(upto) | Fault::Drip(upto))) => upto.min(body.len()),
            _ => body.len(),
        };
        let pause = if let Some(&Fault::Slow(pause)) = fault { pause } else { Duration::ZERO };
        let piece = if pause.is_zero() { body.len().max(1) } else { 4096 };
        for part in body[..upto].chunks(piece) {
            out.write_all(part)?;
            self.state.lock().unwrap().asked[at].sent += part.len();
            thread::sleep(pause);
        }
        out.flush()?;
        if matches!(fault, Some(Fault::Drip(_))) {
            for byte in &body[upto..] {
                out.write_all(&[*byte])?;
                self.state.lock().unwrap().asked[at].sent += 1;
                thread::sleep(Duration::from_millis(50));
            }
        }
        match fault {
            Some(Fault::Cut(_) | Fault::NoLength(_)) => Ok(false),
            Some(Fault::Stall(_)) if upto < body.len() => {
                // Until the client closes the connection.
                let mut end = [0];
                drop((&**out).read(&mut end));
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}

impl State {
    fn list(&self, files: &BTreeMap<String, Vec<u8>>) -> String {
        if let Some(listing) = &self.listing {
            return listing.clone();
        }
        let sibling = |(name, bytes): (&String, &Vec<u8>)| {
            let mut sibling = json!({ "rfilename": name, "size": bytes.len(), "blobId": git_hash(bytes) });
            if bytes.len() >= LARGE {
                sibling["lfs"] = json!({ "sha256": hash(bytes), "size": bytes.len(), "pointerSize": 130 });
            }
            sibling
        };
        json!({ "id": "org/name", "sha": COMMIT, "siblings": files.iter().map(sibling).collect::<Vec<_>>() })
            .to_string()
    }
}

/// The name of the blob of a file.
pub(crate) fn hash(bytes: &[u8]) -> String {
    if bytes.len() >= LARGE { hashed(bytes, 64) } else { git_hash(bytes) }
}

fn git_hash(bytes: &[u8]) -> String {
    hashed(bytes, 40)
}

fn hashed(bytes: &[u8], digits: usize) -> String {
    let mut hasher = Hasher::like(&"0".repeat(digits), bytes.len() as u64).unwrap();
    hasher.update(bytes);
    hasher.finish()
}
