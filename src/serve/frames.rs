//! The body of a stream: frames from the task that makes an answer to the connection that writes it.
//!
//! The queue between them is short. A client that does not read stops the task, never the engine, whose events wait and are
//! merged; after a while it cancels the answer.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::Limits;

/// Makes the two ends of a stream. `ping` is written when nothing else was for a while.
pub(super) fn frames(limits: &Limits, ping: Bytes) -> (FrameSender, FrameBody) {
    let (sender, receiver) = channel(limits.frames.max(1));
    let complete = Arc::new(AtomicBool::new(false));
    let body = FrameBody {
        receiver,
        ping,
        interval: limits.ping,
        timer: Box::pin(sleep(limits.ping)),
        complete: Arc::clone(&complete),
    };
    (FrameSender { sender, complete, write: limits.write }, body)
}

/// A frame could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsent {
    /// The client has disconnected.
    #[error("the client has disconnected")]
    Disconnected,
    /// The client takes nothing.
    #[error("the client does not read")]
    Slow,
}

/// The end of a stream that has the answer. Unless it is [finished](Self::finish), the response is broken off, so that an
/// incomplete answer never looks complete.
#[derive(Debug)]
pub(super) struct FrameSender {
    sender: Sender<Bytes>,
    complete: Arc<AtomicBool>,
    write: Duration,
}

impl FrameSender {
    /// Sends a frame, and waits while the queue is full.
    ///
    /// # Errors
    ///
    /// When the client has disconnected, or takes nothing for [`Limits::write`].
    pub(super) async fn send(&self, frame: Bytes) -> Result<(), Unsent> {
        self.sender.send_timeout(frame, self.write).await.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => Unsent::Slow,
            SendTimeoutError::Closed(_) => Unsent::Disconnected,
        })
    }

    /// Waits until the client has disconnected.
    pub(super) async fn disconnected(&self) {
        self.sender.closed().await;
    }

    /// Ends the stream as a complete response.
    pub(super) fn finish(self) {
        self.complete.store(true, Ordering::Release);
    }
}

/// A stream ended before it was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream ended before it was complete")]
pub(super) struct Broken;

/// The body of a stream. Its sender notices when it is dropped.
#[derive(Debug)]
pub(super) struct FrameBody {
    receiver: Receiver<Bytes>,
    ping: Bytes,
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    complete: Arc<AtomicBool>,
}

impl HttpBody for FrameBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match self.receiver.poll_recv(cx) {
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => {
                let complete = self.complete.load(Ordering::Acquire);
                return Poll::Ready((!complete).then_some(Err(Broken)));
            }
            Poll::Pending if self.timer.as_mut().poll(cx).is_pending() => return Poll::Pending,
            Poll::Pending => self.ping.clone(),
        };
        let next = Instant::now() + self.interval;
        self.timer.as_mut().reset(next);
        // The new deadline needs a waker, which the next poll sets: hyper polls until nothing is ready.
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn limits() -> Limits {
        let (ping, write) = (Duration::from_millis(30), Duration::from_millis(50));
        Limits { frames: 2, ping, write, ..Limits::default() }
    }

    fn stream() -> (FrameSender, FrameBody) {
        frames(&limits(), Bytes::from_static(b": \n\n"))
    }

    async fn next(body: &mut FrameBody) -> Option<Result<Bytes, Broken>> {
        Some(body.frame().await?.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn frames_arrive_in_order_and_a_finished_stream_is_complete() {
        let (sender, mut body) = stream();
        sender.send("a".into()).await.unwrap();
        sender.send("b".into()).await.unwrap();
        sender.finish();
        assert_eq!(next(&mut body).await, Some(Ok("a".into())));
        assert_eq!(next(&mut body).await, Some(Ok("b".into())));
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn pings_come_while_nothing_else_does() {
        let (sender, mut body) = stream();
        for _ in 0..3 {
            assert_eq!(next(&mut body).await, Some(Ok(": \n\n".into())));
        }
        sender.send("a".into()).await.unwrap();
        assert_eq!(next(&mut body).await, Some(Ok("a".into())));
        assert_eq!(next(&mut body).await, Some(Ok(": \n\n".into())));
    }

    #[tokio::test]
    async fn a_stream_that_is_not_finished_is_broken_off() {
        let (sender, mut body) = stream();
        sender.send("a".into()).await.unwrap();
        drop(sender);
        assert_eq!(next(&mut body).await, Some(Ok("a".into())));
        assert_eq!(next(&mut body).await, Some(Err(Broken)));
    }

    #[tokio::test]
    async fn the_sender_of_a_body_that_is_dropped_notices() {
        let (sender, body) = stream();
        drop(body);
        sender.disconnected().await;
        assert_eq!(sender.send("a".into()).await, Err(Unsent::Disconnected));
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (sender, _body) = stream();
        sender.send("a".into()).await.unwrap();
        sender.send("b".into()).await.unwrap();
        assert_eq!(sender.send("c".into()).await, Err(Unsent::Slow));
    }
}
