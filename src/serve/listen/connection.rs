//! One connection: hyper's HTTP/1.1 with times of our own. hyper has one timer, which closes a connection without an answer
//! and does not tell an idle client from a slow one.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tower::ServiceExt as _;

use super::socket::Socket;
use super::track::{Busy, Due, Peer};
use super::watched::{Watched, asked};
use crate::openai::ApiError;
use crate::serve::access;
use crate::serve::drain::{Stage, reached};
use crate::serve::error::status;
use crate::serve::followed::Followed;
use crate::serve::limits::Limits;
use crate::serve::refused::Refused;

/// The smallest buffer that hyper accepts.
const LEAST_BUFFER: usize = 8 << 10;
/// Bytes that are read at once after a refusal.
const REST: usize = 16 << 10;

/// How a connection ended.
enum Ended {
    /// By HTTP: closed by either side, or not HTTP.
    Http(hyper::Result<()>),
    /// By a deadline.
    Due(Due),
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Followed<Body, Busy>>, Infallible>> + Send>>;

/// Serves a connection to its end.
pub(super) async fn run<T>(
    io: T,
    socket: &Socket,
    peer: Peer,
    router: Router,
    limits: &Limits,
    mut stage: watch::Receiver<Stage>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let track = Arc::clone(&peer.track);
    let service = service_fn(move |request: Request<Incoming>| -> Answer {
        let busy = peer.track.begin();
        let mut request = request.map(|body| asked(body, Arc::clone(&peer.track)));
        request.extensions_mut().insert(peer.clone());
        let answer = router.clone().oneshot(request);
        Box::pin(async move { Ok(answer.await?.map(|body| Followed { body, follower: busy })) })
    });
    let io = TokioIo::new(Watched { io, track: Arc::clone(&track) });
    let mut connection = builder(limits).serve_connection(io, service);

    let mut timer = pin!(sleep_until(track.deadline(limits).0));
    let mut draining = pin!(reached(&mut stage, Stage::Draining));
    let mut closing = false;
    let ended = poll_fn(|cx| {
        loop {
            if !closing && (track.lock().close || draining.as_mut().poll(cx).is_ready()) {
                closing = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            if let Poll::Ready(done) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(Ended::Http(done));
            }
            if !closing && track.lock().close {
                continue;
            }
            let (deadline, due) = track.deadline(limits);
            if timer.as_mut().poll(cx).is_ready() {
                match due {
                    Due::Check if socket.is_closed_by_peer() => return Poll::Ready(Ended::Due(due)),
                    Due::Check => {}
                    due if deadline <= tokio::time::Instant::now() => return Poll::Ready(Ended::Due(due)),
                    _ => {}
                }
                timer.as_mut().reset(deadline);
            } else if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            } else {
                return Poll::Pending;
            }
        }
    })
    .await;

    // The request and its response are dropped here, if they are not complete.
    let mut io = connection.into_parts().io.into_inner().io;
    let (quiet, unread) = {
        let locked = track.lock();
        (locked.quiet, locked.unread)
    };
    let refused = match ended {
        Ended::Http(Err(error)) if error.is_parse_too_large() => {
            Refused::Headers { bytes: limits.header_bytes, lines: limits.header_lines }
        }
        Ended::Http(Err(error)) if error.is_parse() => Refused::NotHttp,
        Ended::Due(Due::SlowHeaders) => Refused::SlowHeaders { time: limits.header_time },
        // Everything else has its response, or can have none.
        Ended::Http(Ok(())) if unread => return close(&mut io, limits).await,
        Ended::Http(Ok(())) | Ended::Due(Due::Close) => {
            return drop(timeout(limits.linger, io.shutdown()).await);
        }
        Ended::Http(Err(_)) | Ended::Due(Due::Blocked | Due::Check) => return,
    };
    if quiet && matches!(timeout(limits.linger, io.write_all(&bytes(&refused))).await, Ok(Ok(()))) {
        close(&mut io, limits).await;
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .half_close(false)
        // Scripts look for names as llama-server writes them.
        .title_case_headers(true)
        .header_read_timeout(None)
        .max_headers(limits.header_lines)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER));
    builder
}

/// A whole response to something that is not a request.
fn bytes(refused: &Refused) -> Vec<u8> {
    let id = access::Id::random();
    let error = ApiError::from(refused);
    let body = error.body().to_string();
    let status = status(error.code.status());
    let date = httpdate::fmt_http_date(SystemTime::now());
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{}: {id}\r\ndate: \
         {date}\r\n\r\n{body}",
        body.len(),
        access::HEADER,
    )
    .into_bytes()
}

/// Closes a connection on which the client may still be sending: what it sends is read for a while, since the system would
/// otherwise discard the response.
async fn close(io: &mut (impl AsyncRead + AsyncWrite + Unpin), limits: &Limits) {
    let drained = async {
        io.shutdown().await?;
        let mut rest = vec![0; REST];
        while io.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Whether the client took the response cannot be known.
    drop(timeout(limits.linger, drained).await);
}
