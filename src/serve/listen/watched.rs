//! A socket and bodies that record what happens on a connection in its [`Track`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::track::{Busy, Phase, Track};
use crate::serve::followed::{Follow, Followed};

/// A socket whose reads and writes are recorded.
#[derive(Debug)]
pub(super) struct Watched<T> {
    pub(super) io: T,
    pub(super) track: Arc<Track>,
}

impl<T> Watched<T> {
    /// Whether bytes are hyper's own answer to something that is not a request. That answer has no body; the connection
    /// writes one instead.
    fn is_answer_of_hyper(&self) -> bool {
        let state = self.track.lock();
        state.quiet && state.phase != Phase::Busy
    }

    fn wrote<R>(&self, result: &Poll<io::Result<R>>) {
        let mut state = self.track.lock();
        match result {
            Poll::Pending => drop(state.blocked.get_or_insert_with(Instant::now)),
            Poll::Ready(_) => state.blocked = None,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            let mut state = self.track.lock();
            if matches!(state.phase, Phase::New(_) | Phase::Idle(_)) {
                state.phase = Phase::Head(Instant::now());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_answer_of_hyper() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_answer_of_hyper() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.wrote(&flushed);
        let mut state = self.track.lock();
        // hyper flushes the socket once its own buffer is empty.
        state.quiet = flushed.is_ready() && state.phase != Phase::Busy;
        drop(state);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The body of a request, which records whether it was read to its end.
pub(super) fn asked(body: Incoming, track: Arc<Track>) -> Body {
    track.lock().unread = !body.is_end_stream();
    Body::new(Followed { body, follower: Unread(track) })
}

struct Unread(Arc<Track>);

impl Follow for Unread {
    fn frame<E>(&mut self, _: Option<&Result<Frame<Bytes>, E>>, is_last: bool) {
        if is_last {
            self.0.lock().unread = false;
        }
    }
}

/// A request ends with the body of its response.
impl Follow for Busy {}
