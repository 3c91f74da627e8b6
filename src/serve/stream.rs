//! From the events of answers to the frames of a stream.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};

use super::app::App;
use super::encoder::Moment;
use super::engine::Failure;
use super::frames::{FrameSender, frames};
use super::job::Job;
use super::metrics::Meter;
use super::must_end::must_end;
use super::queue::{Place, Queue};
use super::tally::Tally;
use crate::engine::{self, Token, TokenLogprob};
use crate::session::{Chat, ChatEvent};

/// Events that are merged into one write.
const MERGED: usize = 256;

/// The body of a streamed answer by the engine with this `failure`. The answers are cancelled when it is dropped, and when
/// its reader takes nothing for [`Limits::write`](super::limits::Limits::write).
pub(super) fn body(app: &Arc<App>, job: Job, failure: Failure, tally: Tally) -> Body {
    let mut ping = Vec::new();
    job.encoder.ping().write(&mut ping);
    let (sender, body) = frames(&app.settings.limits, ping.into());
    tokio::spawn(write(Arc::clone(app), job, failure, tally, sender));
    Body::new(body)
}

/// An event of the answer `index`.
struct Item {
    index: usize,
    event: ChatEvent,
    logprobs: Vec<TokenLogprob>,
    tokens: Vec<Token>,
    written: u32,
}

async fn write(app: Arc<App>, job: Job, failure: Failure, tally: Tally, out: FrameSender) {
    let mut stage = app.drain.stage();
    let Job { chats, mut encoder, listed: _listed, .. } = job;
    let mut queue = chats.first().filter(|_| encoder.shows_queue()).and_then(|chat| {
        let status = app.engine().ok()?.session.submitter().status();
        Some(Queue::new(status, chat.canceller().id()))
    });
    let begun = Instant::now();
    let mut left = chats.len();
    let mut meters: Vec<Meter> = chats.iter().map(|_| Meter::new(Arc::clone(&app.metrics))).collect();
    let mut events: SelectAll<BoxStream<'static, Item>> =
        stream::select_all(chats.into_iter().enumerate().map(events));
    let mut frames = encoder.begin();
    let mut is_over = false;
    loop {
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes);
        }
        if !bytes.is_empty() {
            let mut sending = pin!(out.send(bytes.into()));
            let sent = tokio::select! {
                biased;
                sent = &mut sending => sent,
                () = must_end(&mut stage, &tally), if left > 0 => {
                    // The slots are free at once, however long the client does not read.
                    events.clear();
                    is_over = true;
                    sending.await
                }
            };
            if sent.is_err() {
                return;
            }
        }
        if left == 0 {
            return out.finish();
        }
        frames = tokio::select! {
            biased;
            () = out.disconnected() => return,
            item = events.next(), if !is_over => {
                let Some(item) = item else { return };
                queue = None;
                let mut frames = Vec::new();
                for Item { index, event, logprobs, tokens, written } in merged(item, &mut events) {
                    tally.event(&event);
                    if let Some(meter) = meters.get_mut(index) {
                        meter.event(&event);
                    }
                    let failed = matches!(event, ChatEvent::Failed(_));
                    if let ChatEvent::Failed(error) = &event {
                        failure.note(error);
                    }
                    left -= usize::from(failed || matches!(event, ChatEvent::Finished { .. }));
                    let moment = Moment { since: begun.elapsed(), written, tokens: &tokens };
                    frames.extend(encoder.event(index, &event, &logprobs, moment));
                    if failed {
                        left = 0;
                        break;
                    }
                    if left == 0 {
                        frames.extend(encoder.end());
                    }
                }
                frames
            }
            () = must_end(&mut stage, &tally) => {
                left = 0;
                let event = ChatEvent::Failed(engine::Error::Closing);
                tally.event(&event);
                encoder.event(0, &event, &[], Moment { since: begun.elapsed(), written: 0, tokens: &[] })
            }
            place = moved(&mut queue) => encoder.moved(place),
        };
    }
}

/// Waits until the request has another place in the queue, if that is followed.
async fn moved(queue: &mut Option<Queue>) -> Place {
    match queue {
        Some(queue) => queue.moved().await,
        None => pending().await,
    }
}

/// The events of an answer.
fn events((index, chat): (usize, Chat)) -> BoxStream<'static, Item> {
    let next = move |mut chat: Chat| async move {
        let event = chat.recv().await?;
        let (logprobs, tokens) = (chat.take_logprobs(), chat.take_tokens());
        let item = Item { index, event, logprobs, tokens, written: chat.written() };
        Some((item, chat))
    };
    stream::unfold(chat, next).boxed()
}

/// An event and the ones that are ready, adjacent texts of an answer as one.
fn merged(first: Item, events: &mut SelectAll<BoxStream<'static, Item>>) -> Vec<Item> {
    let mut all = vec![first];
    while all.len() < MERGED
        && let Some(Some(next)) = events.next().now_or_never()
    {
        let Some(last) = all.last_mut() else { break };
        match (&mut last.event, &next.event) {
            (ChatEvent::Content(text), ChatEvent::Content(more))
            | (ChatEvent::Reasoning(text), ChatEvent::Reasoning(more))
                if last.index == next.index =>
            {
                text.push_str(more);
                last.logprobs.extend(next.logprobs);
                last.tokens.extend(next.tokens);
                last.written = next.written;
            }
            _ => all.push(next),
        }
    }
    all
}
