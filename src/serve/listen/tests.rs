//! Connections with raw bytes on real sockets.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::serve::admission::{Admission, Permit};
use crate::serve::drain::{Drain, Stage};
use crate::serve::frames::{FrameSender, frames};
use crate::serve::limits::Limits;
use crate::serve::receive::{self, Bodies};
use crate::serve::refused::Refused;
use crate::serve::security::Client;
use crate::serve::testing::until;

/// A time in which everything here happens, on a busy machine too.
const LONG: Duration = Duration::from_secs(30);
/// A time in which something that must not happen would be seen.
const SHORT: Duration = Duration::from_millis(300);

/// Limits that do not interfere.
fn patient() -> Limits {
    Limits {
        header_time: LONG,
        idle: LONG,
        handshake: LONG,
        linger: Duration::from_millis(500),
        check: Duration::from_millis(50),
        ending: Duration::from_millis(100),
        ping: LONG,
        ..Limits::default()
    }
}

/// Dropped with the request.
struct Running {
    _permit: Permit,
    ended: UnboundedSender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing waits for it in some tests.
        self.ended.send(()).unwrap_or_default();
    }
}

#[derive(Clone)]
struct App {
    limits: Arc<Limits>,
    bodies: Bodies,
    admission: Arc<Admission>,
    ended: UnboundedSender<()>,
    streams: UnboundedSender<FrameSender>,
}

impl App {
    async fn admit(&self, request: Request) -> Result<(Running, Vec<u8>), Response> {
        let refused = Refused::into_response;
        self.admission.check(Client::Local, 1).map_err(refused)?;
        let (parts, body) = request.into_parts();
        let received =
            receive::read(&parts.headers, body, &self.limits, &self.bodies).await.map_err(refused)?;
        let permit = self.admission.admit(Client::Local, 1).map_err(refused)?;
        Ok((Running { _permit: permit, ended: self.ended.clone() }, received.bytes))
    }
}

/// Answers with the body.
async fn echo(State(app): State<App>, request: Request) -> Result<Vec<u8>, Response> {
    Ok(app.admit(request).await?.1)
}

/// Never answers.
async fn wait(State(app): State<App>, request: Request) -> Result<(), Response> {
    let _running = app.admit(request).await?;
    pending().await
}

/// Answers with a stream that the test writes.
async fn stream(State(app): State<App>, request: Request) -> Result<Response, Response> {
    let (running, _) = app.admit(request).await?;
    let (sender, body) = frames(&app.limits, Bytes::from_static(b": \n\n"));
    drop(app.streams.send(sender));
    // The place is held as long as the body.
    Ok(Response::new(axum::body::Body::new(body.map_frame(move |frame| {
        let _: &Running = &running;
        frame
    }))))
}

async fn closing(peer: axum::Extension<Peer>) -> &'static str {
    peer.close_after_response();
    "last"
}

struct Served {
    address: SocketAddr,
    drain: Drain,
    connections: Arc<Connections>,
    admission: Arc<Admission>,
    ended: UnboundedReceiver<()>,
    streams: UnboundedReceiver<FrameSender>,
    task: JoinHandle<()>,
}

fn serve_on(listeners: Vec<Listener>, limits: Limits, tls: Option<Arc<Tls>>) -> Served {
    let drain = Drain::default();
    let limits = Arc::new(limits);
    let (ended, ends) = unbounded_channel();
    let (streams, streaming) = unbounded_channel();
    let admission = Admission::new(1, None, drain.stage());
    let bodies = Bodies::new(&limits);
    let app = App { limits: Arc::clone(&limits), bodies, admission: Arc::clone(&admission), ended, streams };
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/closing", get(closing))
        .route("/echo", post(echo))
        .route("/wait", post(wait))
        .route("/stream", post(stream))
        .fallback(|| async { http::StatusCode::NOT_FOUND.into_response() })
        .with_state(app);
    let connections = Arc::new(Connections::new(limits.connections));
    let address = listeners.iter().find_map(Listener::address).unwrap_or(([0, 0, 0, 0], 0).into());
    let server = Server { router, limits, tls, connections: Arc::clone(&connections), stage: drain.stage() };
    let task = tokio::spawn(serve(server, listeners));
    Served { address, drain, connections, admission, ended: ends, streams: streaming, task }
}

#[expect(clippy::unused_async, reason = "it needs the runtime of its caller")]
async fn start(limits: Limits) -> Served {
    serve_on(bind(&["127.0.0.1".to_owned()], 0).unwrap(), limits, None)
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn talk(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        read_all(&mut stream).await
    }

    async fn one_ended(&mut self) {
        timeout(LONG, self.ended.recv()).await.unwrap().unwrap();
    }

    async fn all_closed(&self) {
        until(|| self.connections.open() == 0).await;
    }
}

async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    // A reset is the end too.
    drop(timeout(LONG, stream.read_to_end(&mut text)).await.unwrap());
    String::from_utf8(text).unwrap()
}

/// Reads until the text occurs.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).contains(end) {
            assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "{}", String::from_utf8_lossy(&text));
        }
    };
    timeout(LONG, read).await.unwrap();
    String::from_utf8(text).unwrap()
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or("none")
}

/// The type of the error in OpenAI's form.
fn error_type(response: &str) -> String {
    let body = response.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["error"]["type"].as_str().unwrap().to_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn post_to(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

// Headers.

#[tokio::test]
async fn headers_that_do_not_arrive_are_408_and_the_connection_closes() {
    let served = start(Limits { header_time: Duration::from_millis(200), ..patient() }).await;
    for begin in ["G", "GET / HTTP/1.1\r\nhost: localhost\r\n", "GET / HTTP/1.1\r\nhost: localhost\r\nx"] {
        let response = served.talk(begin).await;
        assert_eq!(status(&response), "408", "{response}");
        assert_eq!(error_type(&response), "invalid_request_error");
        let response = response.to_ascii_lowercase();
        assert!(response.contains("connection: close\r\n") && response.contains("x-request-id: req_"));
    }
    served.all_closed().await;
}

#[tokio::test]
async fn headers_that_drip_are_408_however_often_a_byte_comes() {
    let served = start(Limits { header_time: Duration::from_millis(300), ..patient() }).await;
    let (mut read, mut write) = served.connect().await.into_split();
    let drip = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat_n(&b'a', 10_000)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    assert_eq!(status(&read_all(&mut read).await), "408");
    timeout(LONG, drip).await.unwrap().unwrap();
    served.all_closed().await;
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_closed_without_an_answer() {
    let served = start(Limits { header_time: Duration::from_millis(100), ..patient() }).await;
    assert_eq!(served.talk("").await, "");
}

#[tokio::test]
async fn too_long_and_too_many_headers_are_431() {
    let served = start(Limits { header_bytes: 9000, ..patient() }).await;
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(9000));
    let endless = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}", "a".repeat(100_000));
    let uri = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(9000));
    let lines = |n| {
        let lines = (1..n).map(|i| format!("x{i}: y\r\n")).collect::<Vec<_>>().concat();
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{lines}connection: close\r\n\r\n")
    };
    for request in [long, endless, uri, lines(100)] {
        let response = served.talk(&request).await;
        assert_eq!(status(&response), "431", "{response}");
        assert_eq!(error_type(&response), "invalid_request_error");
        assert!(response.contains("at most 9000 bytes and 100 lines"), "{response}");
    }
    assert_eq!(status(&served.talk(lines(99)).await), "200");
}

#[tokio::test]
async fn what_is_not_http_is_400_with_a_body() {
    let served = start(patient()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"HELLO\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
    ] {
        let response = served.talk(garbage).await;
        assert_eq!((status(&response), error_type(&response).as_str()), ("400", "invalid_request_error"));
    }
    // Two lengths could be read as two requests.
    let smuggled =
        "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde";
    assert_eq!(status(&served.talk(smuggled).await), "400");
}

#[tokio::test]
async fn what_follows_a_response_and_is_not_http_is_answered_after_it() {
    let served = start(patient()).await;
    let mut stream = served.connect().await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    read_until(&mut stream, "hello").await;
    stream.write_all(b"HELLO\r\n\r\n").await.unwrap();
    let response = read_all(&mut stream).await;
    assert_eq!((status(&response), error_type(&response).as_str()), ("400", "invalid_request_error"));
}

// Keep-alive.

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_headers_and_is_then_closed() {
    let limits =
        Limits { header_time: Duration::from_millis(200), idle: Duration::from_millis(900), ..patient() };
    let served = start(limits).await;
    let mut stream = served.connect().await;
    for _ in 0..2 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        assert_eq!(status(&read_until(&mut stream, "hello").await), "200");
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(read_all(&mut stream).await, "");
    // The next headers have their own time.
    let mut stream = served.connect().await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    read_until(&mut stream, "hello").await;
    stream.write_all(b"GET").await.unwrap();
    assert_eq!(status(&read_all(&mut stream).await), "408");
    served.all_closed().await;
}

#[tokio::test]
async fn requests_sent_together_are_answered_in_order() {
    let served = start(patient()).await;
    let response =
        served.talk(format!("{}{}{GET_AND_CLOSE}", post_to("/echo", "one"), post_to("/echo", "two"))).await;
    let at = |text| response.find(text).unwrap();
    assert!(at("one") < at("two") && at("two") < at("hello"), "{response}");
}

#[tokio::test]
async fn a_handler_can_close_the_connection_after_its_response() {
    let served = start(patient()).await;
    let response = served.talk("GET /closing HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(response.ends_with("last"), "{response}");
}

// Bodies.

#[tokio::test]
async fn a_body_that_is_too_large_is_413_also_while_it_is_sent() {
    let served = start(Limits { body_bytes: 1000, ..patient() }).await;
    let response =
        served.talk("POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1001\r\n\r\n").await;
    assert_eq!((status(&response), error_type(&response).as_str()), ("413", "invalid_request_error"));
    // The whole answer arrives although megabytes were not read.
    let response = served.talk(post_to("/echo", &"x".repeat(4 << 20))).await;
    assert_eq!(status(&response), "413");
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n"
    );
    assert_eq!(status(&served.talk(chunked).await), "413");
    let fits = format!("{}{GET_AND_CLOSE}", post_to("/echo", &"x".repeat(1000)));
    assert_eq!(status(&served.talk(fits).await), "200");
}

#[tokio::test]
async fn a_body_that_stops_is_408_and_holds_no_place() {
    let served = start(Limits { body_pause: Duration::from_millis(200), ..patient() }).await;
    let begun = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nabc";
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut stream = served.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    assert_eq!(served.admission.open(), 0);
    let fits = format!("{}{GET_AND_CLOSE}", post_to("/echo", "abc"));
    assert_eq!(status(&served.talk(fits).await), "200");
    for mut stream in stalled {
        let response = read_all(&mut stream).await;
        assert_eq!((status(&response), error_type(&response).as_str()), ("408", "invalid_request_error"));
    }
}

#[tokio::test]
async fn a_client_that_expects_100_gets_413_without_sending_its_body() {
    let served = start(Limits { body_bytes: 1000, ..patient() }).await;
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: ";
    assert_eq!(status(&served.talk(format!("{head}1001\r\n\r\n")).await), "413");
    let mut stream = served.connect().await;
    stream.write_all(format!("{head}3\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("abc"));
}

// Disconnects.

/// Ways in which a client goes away.
#[derive(Debug, Clone, Copy)]
enum Gone {
    Closes,
    Resets,
    ClosesAfterMoreBytes,
}

async fn leave(mut stream: TcpStream, how: Gone) {
    match how {
        Gone::Closes => {}
        Gone::Resets => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        // hyper holds them and does not see the end behind them.
        Gone::ClosesAfterMoreBytes => {
            stream.write_all(b"\r\nGET").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_that_is_gone_while_it_waits_frees_its_place() {
    let mut served = start(patient()).await;
    for how in [Gone::Closes, Gone::Resets, Gone::ClosesAfterMoreBytes] {
        let mut stream = served.connect().await;
        stream.write_all(post_to("/wait", "{}").as_bytes()).await.unwrap();
        until(|| served.admission.open() == 1).await;
        leave(stream, how).await;
        served.one_ended().await;
        assert_eq!(served.admission.open(), 0, "{how:?}");
    }
    served.all_closed().await;
}

#[tokio::test]
async fn a_client_that_is_gone_while_it_reads_frees_its_place() {
    let mut served = start(patient()).await;
    for how in [Gone::Closes, Gone::Resets, Gone::ClosesAfterMoreBytes] {
        let mut stream = served.connect().await;
        stream.write_all(post_to("/stream", "{}").as_bytes()).await.unwrap();
        let sender = served.streams.recv().await.unwrap();
        sender.send("data: 1\n\n".into()).await.unwrap();
        read_until(&mut stream, "data: 1").await;
        leave(stream, how).await;
        served.one_ended().await;
        timeout(LONG, sender.disconnected()).await.unwrap();
        assert_eq!(served.admission.open(), 0, "{how:?}");
    }
    served.all_closed().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let limits = Limits { write: Duration::from_millis(300), ..patient() };
    let mut served = start(limits).await;
    let mut stream = served.connect().await;
    stream.write_all(post_to("/stream", "{}").as_bytes()).await.unwrap();
    let sender = served.streams.recv().await.unwrap();
    let write = async { while sender.send(vec![b'x'; 64 << 10].into()).await.is_ok() {} };
    timeout(LONG, write).await.unwrap();
    drop(sender);
    served.one_ended().await;
    served.all_closed().await;
    // Also without a stream.
    let mut stream = served.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(|| served.connections.open() == 1).await;
    served.all_closed().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything() {
    let served = start(Limits { write: Duration::from_millis(400), ..patient() }).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut piece = vec![0; 8 << 20];
    let mut received = 0;
    loop {
        match timeout(LONG, stream.read(&mut piece)).await.unwrap().unwrap() {
            0 => break,
            read => received += read,
        }
        if received < 32 << 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert!(received > 64 << 20, "{received}");
}

#[tokio::test]
async fn a_stream_that_is_broken_off_has_no_last_chunk() {
    let mut served = start(patient()).await;
    for (finished, ending) in [(true, "0\r\n\r\n"), (false, "data: 1\n\n\r\n")] {
        let mut stream = served.connect().await;
        let request = post_to("/stream", "{}").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let sender = served.streams.recv().await.unwrap();
        sender.send("data: 1\n\n".into()).await.unwrap();
        read_until(&mut stream, "data: 1\n\n\r\n").await;
        if finished {
            sender.finish();
        } else {
            drop(sender);
        }
        let rest = read_all(&mut stream).await;
        assert!(format!("data: 1\n\n\r\n{rest}").ends_with(ending), "{finished}: {rest}");
    }
}

// Limits on numbers.

#[tokio::test]
async fn beyond_the_limit_no_connection_is_accepted_until_one_closes() {
    let served = start(Limits { connections: 2, ..patient() }).await;
    let mut first = served.connect().await;
    let mut second = served.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_until(stream, "hello").await;
    }
    let mut third = served.connect().await;
    third.write_all(GET.as_bytes()).await.unwrap();
    assert!(timeout(SHORT, third.readable()).await.is_err());
    drop(first);
    read_until(&mut third, "hello").await;
}

#[tokio::test]
async fn beyond_slots_and_queue_requests_are_503_before_their_body_is_read() {
    let mut served = start(patient()).await;
    let mut waiting = Vec::new();
    for number in 1..=2 {
        let mut stream = served.connect().await;
        stream.write_all(post_to("/wait", "{}").as_bytes()).await.unwrap();
        until(|| served.admission.open() == number).await;
        waiting.push(stream);
    }
    let mut stream = served.connect().await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n").await.unwrap();
    let response = read_until(&mut stream, "}}").await;
    assert_eq!((status(&response), error_type(&response).as_str()), ("503", "unavailable_error"));
    assert!(response.to_ascii_lowercase().contains("retry-after: 5\r\n"), "{response}");
    waiting.pop();
    served.one_ended().await;
    let fits = format!("{}{GET_AND_CLOSE}", post_to("/echo", "abc"));
    assert_eq!(status(&served.talk(fits).await), "200");
}

// The end.

#[tokio::test]
async fn a_drain_accepts_nothing_closes_what_is_idle_and_lets_streams_finish() {
    let mut served = start(patient()).await;
    let mut idle = served.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    read_until(&mut idle, "hello").await;
    let new = served.connect().await;
    let mut streaming = served.connect().await;
    streaming.write_all(post_to("/stream", "{}").as_bytes()).await.unwrap();
    let sender = served.streams.recv().await.unwrap();
    sender.send("data: 1\n\n".into()).await.unwrap();
    read_until(&mut streaming, "data: 1").await;

    served.drain.advance(Stage::Draining);
    assert_eq!(read_all(&mut idle).await, "");
    drop(new);
    until(|| served.connections.open() == 1).await;
    assert!(TcpStream::connect(served.address).await.is_err());
    assert!(!served.task.is_finished());
    sender.send("data: 2\n\n".into()).await.unwrap();
    sender.finish();
    let rest = read_all(&mut streaming).await;
    assert!(rest.contains("data: 2") && rest.ends_with("0\r\n\r\n"), "{rest}");
    timeout(LONG, served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_still_runs_at_the_end_of_a_drain_is_cut_off() {
    let mut served = start(patient()).await;
    let mut stream = served.connect().await;
    stream.write_all(post_to("/wait", "{}").as_bytes()).await.unwrap();
    until(|| served.admission.open() == 1).await;
    served.drain.begin(Duration::from_millis(50)).await;
    timeout(LONG, &mut served.task).await.unwrap().unwrap();
    served.one_ended().await;
    assert_eq!(read_all(&mut stream).await, "");
}

// Addresses.

#[tokio::test]
async fn several_addresses_share_a_port_and_a_name_has_all_of_its_addresses() {
    let hosts = ["127.0.0.1".to_owned(), "127.0.0.2".to_owned()];
    let listeners = bind(&hosts, 0).unwrap();
    let addresses: Vec<_> = listeners.iter().filter_map(Listener::address).collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0].port(), addresses[1].port());
    assert!(listeners.iter().all(|listener| !listener.is_remote()));
    let served = serve_on(listeners, patient(), None);
    for address in addresses {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
        assert!(read_all(&mut stream).await.ends_with("hello"));
    }
    drop(served);
    let local = bind(&["localhost".to_owned()], 0).unwrap();
    assert!(local.iter().any(|listener| listener.address().unwrap().is_ipv4()));
    assert!(bind(&["0.0.0.0".to_owned()], 0).unwrap()[0].is_remote());
}

#[tokio::test]
async fn an_address_in_use_or_unknown_is_named() {
    let taken = bind(&["127.0.0.1".to_owned()], 0).unwrap();
    let address = taken[0].address().unwrap();
    let error = bind(&["127.0.0.1".to_owned()], address.port()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{address}`"));
    let error = bind(&["no-such-host.invalid".to_owned()], 0).unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve the host `no-such-host.invalid`");
}

#[tokio::test]
async fn a_unix_socket_is_for_this_user_and_a_stale_file_is_replaced() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ggrun.sock");
    let hosts = [path.display().to_string()];
    // As a killed process leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let served = serve_on(bind(&hosts, 0).unwrap(), patient(), None);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    assert!(matches!(bind(&hosts, 0).unwrap_err(), BindError::InUse { .. }));
    served.drain.advance(Stage::Draining);
    timeout(LONG, served.task).await.unwrap().unwrap();
    assert!(!path.exists());

    std::fs::write(&path, "text").unwrap();
    assert!(matches!(bind(&hosts, 0).unwrap_err(), BindError::NotASocket { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
}

#[tokio::test]
async fn a_client_of_a_unix_socket_that_is_gone_frees_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ggrun.sock");
    let mut served = serve_on(bind(&[path.display().to_string()], 0).unwrap(), patient(), None);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(format!("{}GET", post_to("/wait", "{}")).as_bytes()).await.unwrap();
    until(|| served.admission.open() == 1).await;
    drop(stream);
    served.one_ended().await;
}

// The watch of a server whose `Drain` is gone never changes.
#[tokio::test]
async fn a_server_whose_end_cannot_come_continues_to_serve() {
    let Served { address, drain, task, .. } = start(patient()).await;
    drop(drain);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    assert!(!task.is_finished());
}

// TLS.

fn pem(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

/// A client that trusts one certificate.
async fn tls_client(
    served: &Served,
    trusted: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    use rustls_pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

    let mut roots = RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_file(pem(trusted)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, served.connect().await).await
}

fn with_tls(limits: Limits, folder: &std::path::Path) -> (Served, Arc<Tls>) {
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::copy(pem("first.pem"), &certificate).unwrap();
    std::fs::copy(pem("first.key.pem"), &key).unwrap();
    let tls = Arc::new(Tls::read(&certificate, &key).unwrap());
    let listeners = bind(&["127.0.0.1".to_owned()], 0).unwrap();
    (serve_on(listeners, limits, Some(Arc::clone(&tls))), tls)
}

#[tokio::test]
async fn a_tls_connection_is_served_and_its_certificate_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (mut served, tls) = with_tls(patient(), folder.path());
    let mut stream = tls_client(&served, "first.pem").await.unwrap();
    stream.write_all(format!("{GET}{GET_AND_CLOSE}").as_bytes()).await.unwrap();
    assert_eq!(read_all(&mut stream).await.matches("hello").count(), 2);
    assert!(tls_client(&served, "second.pem").await.is_err());

    // A key that does not belong to the certificate changes nothing.
    std::fs::copy(pem("second.pem"), folder.path().join("cert.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pair { .. })));
    tls_client(&served, "first.pem").await.unwrap();
    std::fs::copy(pem("second.key.pem"), folder.path().join("key.pem")).unwrap();
    tls.reload().unwrap();
    tls_client(&served, "second.pem").await.unwrap();

    // Its client is noticed when it is gone.
    let mut stream = tls_client(&served, "second.pem").await.unwrap();
    stream.write_all(post_to("/wait", "{}").as_bytes()).await.unwrap();
    until(|| served.admission.open() == 1).await;
    drop(stream);
    served.one_ended().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _) = with_tls(Limits { handshake: Duration::from_millis(100), ..patient() }, folder.path());
    assert_eq!(served.talk(b"\x16").await, "");
    served.all_closed().await;
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let error = Tls::read(&pem("none.pem"), &pem("first.key.pem")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read a certificate in PEM format from `"), "{error}");
    let error = Tls::read(&pem("first.key.pem"), &pem("first.key.pem")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read a certificate"), "{error}");
    let error = Tls::read(&pem("first.pem"), &pem("first.pem")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read a private key"), "{error}");
}
