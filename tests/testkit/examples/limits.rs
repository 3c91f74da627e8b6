//! Clients that strain a server, one kind at a time.
//!
//! ```text
//! limits HOST:PORT burst COUNT       requests at once: the number by status, and the slowest refusal in milliseconds
//! limits HOST:PORT idle COUNT        connections that stay open: the 99th percentile of `/health` in milliseconds, then
//!                                    waits for a line of standard input
//! limits HOST:PORT slow COUNT        connections that send a byte a second: seconds until all are closed
//! limits HOST:PORT stalled COUNT     streams whose clients stop reading: waits for a line of standard input
//! limits HOST:PORT disconnect COUNT  requests whose clients go away while they wait, are read or written
//! limits HOST:PORT soak COUNT PID    requests to every endpoint: the memory of the process after each fifth, in KiB
//! ```

#![expect(clippy::print_stdout, reason = "its output is the result")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails where it unwraps")]

mod http;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use http::{Connection, open, percentile, request};

/// The longest wait until slow connections are closed.
const SLOWEST: Duration = Duration::from_mins(5);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, kind, count, rest @ ..] = args.as_slice() else {
        panic!("usage: limits HOST:PORT burst|idle|slow|stalled|disconnect|soak COUNT [PID]")
    };
    let count: usize = count.parse().expect("a number");
    match kind.as_str() {
        "burst" => burst(address, count),
        "idle" => idle(address, count),
        "slow" => slow(address, count),
        "stalled" => stalled(address, count),
        "disconnect" => disconnect(address, count),
        "soak" => soak(address, count, rest.first().expect("the process")),
        other => panic!("unknown `{other}`"),
    }
}

fn completion(tokens: usize, stream: bool, number: usize) -> String {
    format!(
        r#"{{"prompt":"{number} is a number","max_tokens":{tokens},"ignore_eos":true,"temperature":0,"stream":{stream}}}"#
    )
}

/// The status of a response, and its body.
fn response(connection: &mut Connection, request: &str) -> (u16, Vec<u8>) {
    let status = connection.send(request);
    (status, connection.body())
}

fn burst(address: &str, count: usize) {
    let together = Arc::new(Barrier::new(count));
    let client = |number| {
        let (address, together) = (address.to_owned(), Arc::clone(&together));
        thread::spawn(move || {
            let mut connection = Connection::open(&address);
            let text = request(&address, "/v1/completions", &completion(64, false, number));
            together.wait();
            let begun = Instant::now();
            (response(&mut connection, &text).0, begun.elapsed())
        })
    };
    let threads: Vec<_> = (0..count).map(client).collect();
    let (mut statuses, mut slowest) = (BTreeMap::<u16, usize>::new(), Duration::ZERO);
    for (status, time) in threads.into_iter().map(|thread| thread.join().unwrap()) {
        *statuses.entry(status).or_default() += 1;
        if status == 503 {
            slowest = slowest.max(time);
        }
    }
    println!("{statuses:?},{:.2}", slowest.as_secs_f64() * 1000.0);
}

fn idle(address: &str, count: usize) {
    let health = request(address, "/health", "");
    let ask = |connection: &mut Connection| {
        let begun = Instant::now();
        assert_eq!(response(connection, &health).0, 200);
        begun.elapsed().as_secs_f64() * 1000.0
    };
    let mut all: Vec<_> = (0..count).map(|_| Connection::open(address)).collect();
    for connection in &mut all {
        ask(connection);
    }
    let mut times: Vec<f64> = (0..500).map(|n| ask(&mut all[n * 7 % count])).collect();
    println!("{:.2}", percentile(&mut times, 99));
    wait();
}

fn slow(address: &str, count: usize) {
    let begun = Instant::now();
    let text = request(address, "/health", "");
    let mut left: Vec<TcpStream> = (0..count)
        .map(|_| {
            let stream = open(address);
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    for byte in text.bytes().cycle() {
        left.retain_mut(|stream| {
            let is_open = !matches!(stream.read(&mut [0; 256]), Ok(0));
            is_open && stream.write_all(&[byte]).is_ok()
        });
        if left.is_empty() || begun.elapsed() > SLOWEST {
            break;
        }
        thread::sleep(Duration::from_secs(1));
    }
    println!("{},{:.1}", left.len(), begun.elapsed().as_secs_f64());
}

fn stalled(address: &str, count: usize) {
    let all: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut stream = open(address);
            let text = request(address, "/v1/completions", &completion(1_000_000, true, number));
            stream.write_all(text.as_bytes()).unwrap();
            stream
        })
        .collect();
    println!("{}", all.len());
    wait();
}

fn disconnect(address: &str, count: usize) {
    for number in 0..count {
        let mut stream = open(address);
        let long = "x ".repeat(if number % 3 == 0 { 400 } else { 4 });
        let body = completion(500, number % 2 == 0, number).replace("is a number", &long);
        stream.write_all(request(address, "/v1/completions", &body).as_bytes()).unwrap();
        thread::sleep(Duration::from_millis((number % 23) as u64));
        // A socket that is closed with unread data resets its connection.
        if number % 5 == 0 {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
    }
    println!("{count}");
}

fn soak(address: &str, count: usize, process: &str) {
    let message = r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":4}"#;
    let streamed = r#"{"messages":[{"role":"user","content":"hi"}],"max_tokens":4,"stream":true}"#;
    let requests = [
        ("/health", ""),
        ("/v1/models", ""),
        ("/props", ""),
        ("/slots", ""),
        ("/openapi.json", ""),
        ("/nowhere", ""),
        ("/v1/chat/completions", message),
        ("/v1/chat/completions", streamed),
        ("/v1/chat/completions/input_tokens", message),
        ("/v1/completions", r#"{"prompt":"hi","max_tokens":4}"#),
        ("/completion", r#"{"prompt":"hi","n_predict":4}"#),
        ("/v1/messages", message),
        ("/v1/messages/count_tokens", message),
        ("/v1/responses", r#"{"input":"hi","max_output_tokens":4}"#),
        ("/tokenize", r#"{"content":"hi"}"#),
        ("/detokenize", r#"{"tokens":[1]}"#),
        ("/apply-template", message),
        ("/v1/chat/completions", r#"{"messages":7}"#),
    ];
    let mut connection = Connection::open(address);
    for fifth in 0..5 {
        for number in 0..count / 5 {
            let (path, body) = requests[number % requests.len()];
            // Every hundredth request has a connection of its own.
            if number % 100 == 0 {
                connection = Connection::open(address);
            }
            let (status, body) = response(&mut connection, &request(address, path, body));
            assert!(status < 500 || status == 501, "{path}: {status} {}", String::from_utf8_lossy(&body));
        }
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        println!("{},{}", fifth + 1, memory.trim().trim_end_matches(" kB"));
    }
}

/// Waits until the script has measured.
fn wait() {
    io::stdout().flush().unwrap();
    io::stdin().read_line(&mut String::new()).unwrap();
}
