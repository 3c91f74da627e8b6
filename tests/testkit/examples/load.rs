//! A client that measures a server with `/v1/completions`: tokens per second, times to the first token, gaps between tokens.
//!
//! ```text
//! load HOST:PORT [--clients 8] [--requests 64] [--prompt 30] [--shared 0] [--tokens 64] [--first 100] [--vocab 30000]
//!     [--seed 1] [--long 0] [--rows FILE]
//! ```
//!
//! Prompts are token numbers from FIRST to VOCAB, or to the size of the model's vocabulary if that is smaller, drawn from the
//! seed: SHARED that all prompts begin with, then PROMPT of their own. Every answer has TOKENS tokens, chosen greedily, and
//! is streamed. Each client has one connection, opened again if the server closes it, and sends its next request when the
//! last answer has ended.
//!
//! With `--long N`, each client sends one request; once all of them receive, one more connection sends a prompt of N tokens,
//! and only the gaps until its first token count. The other answers are broken off then.
//!
//! With `--rows`, the requests are those of a batch file for `/v1/completions`, one body a line.
//!
//! Prints one line: requests, tokens, seconds, then in milliseconds the median and the 99th percentile of the times to the
//! first token and of the gaps; with `--long`, the times to the first token are those of the long prompt. Last is the 99th
//! percentile of the times to the first token without the part that the server names in `timings` as waiting and reading.

#![expect(clippy::print_stdout, reason = "its output is the result")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails where it unwraps")]

mod http;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http::{Connection, percentile};
use serde_json::{Value, json};
use testkit::rng::Rng;

/// Token numbers of prompts are below this.
const MOST_TOKENS: u64 = 30_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let address = args.next().expect("usage: load HOST:PORT [--clients N] …");
    let mut options: BTreeMap<&str, u64> = [
        ("clients", 8),
        ("requests", 64),
        ("prompt", 30),
        ("shared", 0),
        ("tokens", 64),
        ("first", 100),
        ("vocab", MOST_TOKENS),
        ("seed", 1),
        ("long", 0),
    ]
    .into();
    let mut rows = Vec::new();
    while let Some(name) = args.next() {
        let value = args.next();
        if name == "--rows" {
            let file = std::fs::read_to_string(value.expect("`--rows` needs a file")).unwrap();
            rows = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            continue;
        }
        let value = value.and_then(|value| value.parse().ok());
        let option =
            options.get_mut(name.trim_start_matches("--")).unwrap_or_else(|| panic!("unknown `{name}`"));
        *option = value.unwrap_or_else(|| panic!("`{name}` needs a number"));
    }
    if !rows.is_empty() {
        options.insert("requests", rows.len() as u64);
    }
    options.entry("vocab").and_modify(|vocab| *vocab = vocabulary(&address).min(*vocab));
    let options = options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let load = Load { address, options, rows };
    let (taken, seconds) = if load.option("long") == 0 { load.steady() } else { load.disturbed() };
    let tokens: u64 = taken.iter().map(|taken| taken.tokens).sum();
    let mut first: Vec<f64> = taken.iter().filter_map(|taken| taken.first).collect();
    let mut gaps: Vec<f64> = taken.iter().flat_map(|taken| taken.gaps.clone()).collect();
    let mut overhead: Vec<f64> = taken.iter().filter_map(|taken| taken.overhead).collect();
    println!(
        "{},{tokens},{seconds:.3},{:.2},{:.2},{:.2},{:.2},{:.2}",
        taken.len(),
        percentile(&mut first, 50),
        percentile(&mut first, 99),
        percentile(&mut gaps, 50),
        percentile(&mut gaps, 99),
        percentile(&mut overhead, 99),
    );
}

/// The size of the vocabulary of a server's model.
fn vocabulary(address: &str) -> u64 {
    let mut connection = Connection::open(address);
    let status = connection.send(&http::request(address, "/v1/models", ""));
    let models = connection.body();
    let models: Value = serde_json::from_slice(&models).unwrap_or_else(|_| panic!("`/v1/models`: {status}"));
    models["data"][0]["meta"]["n_vocab"].as_u64().unwrap_or_else(|| panic!("no `n_vocab` in {models}"))
}

struct Load {
    address: String,
    options: BTreeMap<String, u64>,
    /// Bodies that take the place of the drawn ones.
    rows: Vec<Value>,
}

/// What an answer took, in milliseconds.
struct Taken {
    tokens: u64,
    first: Option<f64>,
    gaps: Vec<f64>,
    overhead: Option<f64>,
}

impl Load {
    fn option(&self, name: &str) -> u64 {
        self.options[name]
    }

    fn count(&self, name: &str) -> usize {
        usize::try_from(self.option(name)).unwrap()
    }

    /// All requests, with as many open as there are clients.
    fn steady(self) -> (Vec<Taken>, f64) {
        let (load, next) = (Arc::new(self), Arc::new(AtomicUsize::new(0)));
        let begun = Instant::now();
        let client = || {
            let (load, next) = (Arc::clone(&load), Arc::clone(&next));
            thread::spawn(move || {
                let mut connection = Connection::open(&load.address);
                let mut all = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.count("requests") {
                        return all;
                    }
                    let body = match load.rows.get(number) {
                        Some(row) => load.request(row.clone()),
                        None => load.drawn(number as u64, load.option("prompt"), load.option("tokens")),
                    };
                    all.push(answer(&mut connection, &body, |_| {}));
                }
            })
        };
        let threads: Vec<_> = (0..load.option("clients")).map(|_| client()).collect();
        let taken = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (taken, begun.elapsed().as_secs_f64())
    }

    /// A long prompt that disturbs answers, with their gaps. They are broken off at its first token.
    fn disturbed(self) -> (Vec<Taken>, f64) {
        let load = Arc::new(self);
        let started = Arc::new(Barrier::new(load.count("clients") + 1));
        let counts = Arc::new(AtomicBool::new(false));
        let gaps = Arc::new(Mutex::new(Vec::new()));
        for number in 0..load.option("clients") {
            let (load, started) = (Arc::clone(&load), Arc::clone(&started));
            let (counts, gaps) = (Arc::clone(&counts), Arc::clone(&gaps));
            thread::spawn(move || {
                let body = load.drawn(number, load.option("prompt"), load.option("tokens"));
                let mut connection = Connection::open(&load.address);
                answer(&mut connection, &body, |gap| match gap {
                    None => drop(started.wait()),
                    Some(gap) if counts.load(Ordering::Relaxed) => gaps.lock().unwrap().push(gap),
                    Some(_) => {}
                });
            });
        }
        started.wait();
        thread::sleep(Duration::from_secs(1));
        let body = load.drawn(u64::MAX, load.option("long"), 1);
        let mut connection = Connection::open(&load.address);
        let begun = Instant::now();
        counts.store(true, Ordering::Relaxed);
        let mut long = answer(&mut connection, &body, |_| counts.store(false, Ordering::Relaxed));
        let seconds = begun.elapsed().as_secs_f64();
        long.gaps.clone_from(&gaps.lock().unwrap());
        (vec![long], seconds)
    }

    /// The shared tokens, then as many of this request's own.
    fn prompt(&self, request: u64, own: u64) -> Vec<u64> {
        let (first, vocab) = (self.option("first"), self.option("vocab"));
        let below = usize::try_from(vocab - first).unwrap();
        let draw = |name: &str, count: u64| {
            let mut random = Rng::named(self.option("seed"), name);
            (0..count).map(|_| first + random.below(below) as u64).collect::<Vec<u64>>()
        };
        let mut prompt = draw("shared", self.option("shared"));
        prompt.extend(draw(&request.to_string(), own));
        prompt
    }

    /// The request with this number, with a drawn prompt.
    fn drawn(&self, number: u64, own: u64, tokens: u64) -> String {
        let prompt = self.prompt(number, own);
        self.request(json!({"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": true}))
    }

    fn request(&self, mut body: Value) -> String {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        http::request(&self.address, "/v1/completions", &body.to_string())
    }
}

/// Sends a request and reads its streamed answer. `on` gets each gap, and `None` at the first token.
fn answer(connection: &mut Connection, request: &str, mut on: impl FnMut(Option<f64>)) -> Taken {
    let begun = Instant::now();
    let status = connection.send(request);
    assert!(status == 200, "{status}: {}", String::from_utf8_lossy(&connection.body()));
    let (mut taken, mut last) = (Taken { tokens: 0, first: None, gaps: Vec::new(), overhead: None }, begun);
    let mut text = Vec::new();
    while let Some(part) = connection.part() {
        text.extend(part);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data: ") else { continue };
            let Ok(frame) = serde_json::from_slice::<Value>(data) else { continue };
            assert!(frame.get("error").is_none(), "{frame}");
            if let Some(tokens) = frame["usage"]["completion_tokens"].as_u64() {
                taken.tokens = tokens;
            }
            let timings = &frame["timings"];
            if let (Some(first), Some(read)) = (taken.first, timings["prompt_ms"].as_f64()) {
                taken.overhead = Some(first - read - timings["queued_ms"].as_f64().unwrap_or(0.0));
            }
            if frame["choices"][0]["text"].as_str().is_none_or(str::is_empty) {
                continue;
            }
            let now = Instant::now();
            let milliseconds = now.duration_since(last).as_secs_f64() * 1000.0;
            last = now;
            if taken.first.is_none() {
                taken.first = Some(milliseconds);
                on(None);
            } else {
                taken.gaps.push(milliseconds);
                on(Some(milliseconds));
            }
        }
    }
    assert!(taken.tokens > 0, "the server did not count the tokens of an answer");
    taken
}
