//! The id of each request, and a record of each response for the log.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use hyper::body::Frame;

use super::followed::{Follow, Followed};
use super::id;
use super::listen::Peer;
use super::tally::{Taken, Tally};

/// The header with the id of a request, in both directions.
pub(super) const HEADER: &str = "x-request-id";
/// Characters of an id that a client or a proxy sends.
const LONGEST_ID: usize = 128;
/// Characters of a path in a record.
const LONGEST_PATH: usize = 512;

/// The id of a request; each has it as an extension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// An id that no other request has, and that cannot be predicted.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("req_{}", id::random()).into())
    }

    /// The id that a client sends, if it is short and plain enough for a log.
    fn sent(header: &HeaderValue) -> Option<Self> {
        let text = header.to_str().ok()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.into()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tokens and times of the answers to a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens of it that were not computed again.
    pub cached: u64,
    /// Tokens written.
    pub generated: u64,
    /// Time until a slot was free.
    pub queued: Option<Duration>,
    /// Time until the first text.
    pub first: Option<Duration>,
}

impl Tokens {
    fn of(taken: &Taken) -> Self {
        let usage = || taken.ended.iter().map(|ended| ended.usage.total);
        Self {
            prompt: usage().map(|usage| usage.prompt_tokens.into()).max().unwrap_or(0),
            cached: usage().map(|usage| usage.reused_tokens.into()).next().unwrap_or(0),
            generated: usage().map(|usage| u64::from(usage.completion_tokens)).sum(),
            queued: taken.ended.iter().map(|ended| ended.timings.queued).min(),
            first: taken.first,
        }
    }
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When the request arrived.
    pub time: SystemTime,
    /// The id.
    pub id: Id,
    /// The address of the client; `None` on a Unix socket.
    pub client: Option<IpAddr>,
    /// The method.
    pub method: Method,
    /// The path, without its query.
    pub path: String,
    /// The status.
    pub status: u16,
    /// Bytes of the response body.
    pub bytes: u64,
    /// Time until the end of the response.
    pub took: Duration,
    /// Whether the client disconnected before the end.
    pub disconnected: bool,
    /// Tokens and times.
    pub tokens: Tokens,
}

/// Receives the record of each response.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(&Record) + Send + Sync>);

impl Log {
    /// A log that calls a function.
    pub fn new(write: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// A middleware that gives each request its id and writes its record. The outermost.
pub(super) async fn layer(State(log): State<Log>, mut request: Request, next: Next) -> Response {
    let id = request.headers().get(HEADER).and_then(Id::sent).unwrap_or_else(Id::random);
    let tally = Tally::default();
    let mut open = Open {
        begun: Instant::now(),
        tally: tally.clone(),
        log,
        record: Record {
            time: SystemTime::now(),
            id: id.clone(),
            client: request.extensions().get::<Peer>().and_then(|peer| peer.address),
            method: request.method().clone(),
            path: request.uri().path().chars().take(LONGEST_PATH).collect(),
            // Until there is a response: what others log for a client that disconnects before.
            status: 499,
            bytes: 0,
            took: Duration::ZERO,
            disconnected: true,
            tokens: Tokens::default(),
        },
    };
    let header = HeaderValue::from_str(id.as_str()).ok();
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(tally);
    let mut response = next.run(request).await;
    response.headers_mut().extend(header.map(|value| (HeaderName::from_static(HEADER), value)));
    open.record.status = response.status().as_u16();
    response.map(|body| {
        open.record.disconnected = !body.is_end_stream();
        Body::new(Followed { body, follower: open })
    })
}

/// A record that is written when it is dropped.
#[derive(Debug)]
struct Open {
    begun: Instant,
    tally: Tally,
    log: Log,
    record: Record,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.record.took = self.begun.elapsed();
        self.record.tokens = Tokens::of(&self.tally.taken());
        (self.log.0)(&self.record);
    }
}

impl Follow for Open {
    fn frame<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, is_last: bool) {
        match frame {
            Some(Ok(frame)) => self.record.bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) => return,
            None => {}
        }
        self.record.disconnected &= !is_last;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::engine::{FinishReason, Timings, Usage};
    use crate::session::{ChatEvent, ChatUsage};

    async fn ask(id: Option<&str>) -> (Response, Arc<Mutex<Vec<Record>>>) {
        let records = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&records);
        let log = Log::new(move |record| kept.lock().unwrap().push(record.clone()));
        let write = |axum::Extension(tally): axum::Extension<Tally>| async move {
            tally.event(&ChatEvent::Finished {
                reason: FinishReason::Stop,
                usage: ChatUsage {
                    total: Usage { prompt_tokens: 9, reused_tokens: 2, completion_tokens: 7 },
                    reasoning_tokens: 0,
                },
                timings: Timings::default(),
            });
            "hello"
        };
        let router = Router::new().route("/v1/x", get(write)).layer(from_fn_with_state(log, layer));
        let mut request = Request::get("/v1/x?secret=1");
        if let Some(id) = id {
            request = request.header(HEADER, id);
        }
        (router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap(), records)
    }

    #[tokio::test]
    async fn a_record_has_the_numbers_of_the_response_and_no_query() {
        let (response, records) = ask(None).await;
        let id = response.headers()[HEADER].to_str().unwrap().to_owned();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        let record = records.lock().unwrap().pop().unwrap();
        assert_eq!((record.id.as_str(), record.path.as_str(), record.status), (id.as_str(), "/v1/x", 200));
        let Tokens { prompt, cached, generated, .. } = record.tokens;
        assert_eq!((record.bytes, prompt, cached, generated, record.disconnected), (5, 9, 2, 7, false));
        assert!(records.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_is_a_disconnect() {
        let (response, records) = ask(None).await;
        drop(response);
        assert!(records.lock().unwrap()[0].disconnected);
    }

    #[tokio::test]
    async fn an_id_of_the_client_is_kept_if_it_is_plain() {
        assert_eq!(ask(Some("trace-7.A_b")).await.0.headers()[HEADER], "trace-7.A_b");
        let long = "a".repeat(129);
        for id in ["", "a b", "a\"b", "<script>", &long] {
            let (response, _) = ask(Some(id)).await;
            assert!(response.headers()[HEADER].to_str().unwrap().starts_with("req_"), "{id}");
        }
    }

    #[test]
    fn random_ids_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| Id::random()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
