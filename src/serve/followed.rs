//! A body whose frames something follows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// Follows a body to its end. It is dropped after the body.
pub(super) trait Follow {
    /// After each poll that was ready; `is_last` once the body has ended.
    fn frame<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, is_last: bool) {
        let _ = (frame, is_last);
    }
}

/// A body with what follows it.
#[derive(Debug)]
pub(super) struct Followed<B, F> {
    pub(super) body: B,
    pub(super) follower: F,
}

impl<B: HttpBody<Data = Bytes> + Unpin, F: Follow + Unpin> HttpBody for Followed<B, F> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_last = frame.is_none() || self.body.is_end_stream();
        self.follower.frame(frame.as_ref(), is_last);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
