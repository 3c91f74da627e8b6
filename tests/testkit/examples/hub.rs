//! A hub on this machine with one repository, `org/full-size`: a checkpoint with the names, shapes and shards of the 80B
//! model, whose data is generated from a seed for each request and never stored.
//!
//! ```text
//! cargo run --release -p testkit --example hub -- FOLDER [LAYERS] [SHARDS] [TOKENIZER]
//! ```
//!
//! Writes the small files to FOLDER. Prints the address once the hashes of all shards are known, one thread for each core.
//! `GET /sent` responds with the bytes of shards that were sent.

#![expect(clippy::print_stdout, reason = "its output is the address")]
#![expect(clippy::cast_possible_truncation, reason = "parts are small")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails where it unwraps")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use sha2::{Digest, Sha256};
use testkit::HeaderOnly;
use testkit::generated::Shard;
use testkit::header_only::write_other_files;
use testkit::range::parse_range;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const REPO: &str = "org/full-size";
const SEED: u64 = 1;
/// Bytes that are generated at once.
const CHUNK: usize = 256 << 10;

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().expect("usage: hub FOLDER [LAYERS] [SHARDS] [TOKENIZER]"));
    let layers = args.next().map_or(48, |n| n.parse().expect("a number of layers"));
    let shards = args.next().map_or(9, |n| n.parse().expect("a number of shards"));
    let options = HeaderOnly { layers, shards, tokenizer: args.next().map(PathBuf::from), mtp: false };
    write_other_files(&folder, &options);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        files.insert(name, Content::Small(std::fs::read(entry.path()).unwrap()));
    }
    files.extend(Shard::all(&options, SEED).into_iter().map(|s| (s.name.clone(), Content::Shard(s))));
    let hub = Arc::new(Hub { listing: listing(&files), files, sent: AtomicU64::new(0) });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    for stream in listener.incoming().flatten() {
        let hub = Arc::clone(&hub);
        // A client may close its connection at any time.
        thread::spawn(move || drop(hub.serve(&stream)));
    }
}

enum Content {
    Small(Vec<u8>),
    Shard(Shard),
}

impl Content {
    fn bytes(&self) -> u64 {
        match self {
            Self::Small(bytes) => bytes.len() as u64,
            Self::Shard(shard) => shard.bytes(),
        }
    }

    /// Calls `take` with each part of a range, until it fails.
    fn each(&self, range: Range<u64>, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Small(bytes) => take(&bytes[range.start as usize..range.end as usize]),
            Self::Shard(shard) => {
                let mut buffer = vec![0; CHUNK];
                for offset in range.clone().step_by(CHUNK) {
                    let part = &mut buffer[..CHUNK.min((range.end - offset) as usize)];
                    shard.read(offset, part);
                    take(part)?;
                }
                Ok(())
            }
        }
    }
}

struct Hub {
    files: BTreeMap<String, Content>,
    listing: String,
    sent: AtomicU64,
}

impl Hub {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let (mut lines, mut out) = (BufReader::new(stream).lines(), stream);
        while let Some(request) = lines.next() {
            let request = request?;
            let mut range = None;
            for header in lines.by_ref() {
                let header = header?;
                let Some((name, value)) = header.split_once(": ") else { break };
                if name.eq_ignore_ascii_case("range") {
                    range = parse_range(value);
                }
            }
            let mut words = request.split([' ', '?']);
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            self.answer(&mut out, method == "HEAD", path, range)?;
        }
        Ok(())
    }

    fn answer(
        &self,
        out: &mut impl Write,
        is_head: bool,
        path: &str,
        range: Option<(u64, Option<u64>)>,
    ) -> io::Result<()> {
        let text = match path {
            "/sent" => Some(self.sent.load(Ordering::Relaxed).to_string()),
            _ if path.starts_with(&format!("/api/models/{REPO}/revision/")) => Some(self.listing.clone()),
            _ => None,
        };
        if let Some(text) = text {
            return write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        }
        let file = path.strip_prefix(&format!("/{REPO}/resolve/{COMMIT}/"));
        let Some(file) = file.and_then(|name| self.files.get(name)) else {
            return write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let bytes = file.bytes();
        let (status, part) = match range {
            None => ("200 OK".to_owned(), 0..bytes),
            Some((from, to)) => {
                let part = from.min(bytes)..to.map_or(bytes, |to| (to + 1).min(bytes));
                let last = part.end.saturating_sub(1);
                (format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{bytes}"), part)
            }
        };
        write!(out, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", part.end - part.start)?;
        if is_head {
            return Ok(());
        }
        file.each(part, |part| {
            if matches!(file, Content::Shard(_)) {
                self.sent.fetch_add(part.len() as u64, Ordering::Relaxed);
            }
            out.write_all(part)
        })
    }
}

/// The hub's listing. The SHA-256 of every file is computed on all cores.
fn listing(files: &BTreeMap<String, Content>) -> String {
    let (next, threads) = (AtomicUsize::new(0), thread::available_parallelism().map_or(1, usize::from));
    let files: Vec<(&String, &Content)> = files.iter().collect();
    let sibling = |(name, content): (&String, &Content)| {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update(part);
            Ok(())
        };
        content.each(0..content.bytes(), &mut add).expect("hashing cannot fail");
        let mut sha256 = String::new();
        for byte in hash.finalize().as_slice() {
            write!(sha256, "{byte:02x}").expect("a string takes any text");
        }
        let bytes = content.bytes();
        json!({ "rfilename": name, "size": bytes, "lfs": { "sha256": sha256, "size": bytes } })
    };
    let work = || -> Vec<serde_json::Value> {
        std::iter::from_fn(|| files.get(next.fetch_add(1, Ordering::Relaxed))).map(|f| sibling(*f)).collect()
    };
    let siblings: Vec<serde_json::Value> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    json!({ "id": REPO, "sha": COMMIT, "siblings": siblings }).to_string()
}
