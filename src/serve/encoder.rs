//! Answers in the form of an API: as frames of a stream, or as one body.

use std::time::Duration;

use serde_json::{Value, json};

use super::queue::Place;
use crate::engine::{Token, TokenLogprob};
use crate::openai::SoFar;
use crate::session::{Answer, ChatEvent};

/// Writes the answers to a request in the form of an API.
pub(super) trait Encoder: Send {
    /// The frames before the first event.
    fn begin(&mut self) -> Vec<Frame>;

    /// The frames of an event of the answer `index`, with the logprobs of its tokens.
    fn event(
        &mut self,
        index: usize,
        event: &ChatEvent,
        tokens: &[TokenLogprob],
        moment: Moment<'_>,
    ) -> Vec<Frame>;

    /// Whether the place in the queue is shown.
    fn shows_queue(&self) -> bool {
        false
    }

    /// The frames of another place in the queue.
    fn moved(&mut self, _place: Place) -> Vec<Frame> {
        Vec::new()
    }

    /// The frames after the last answer has ended without an error.
    fn end(&mut self) -> Vec<Frame>;

    /// The keepalive while there is nothing to write.
    fn ping(&self) -> Frame {
        Frame::Comment
    }

    /// All answers as one body.
    fn whole(&mut self, answers: Vec<Answer>) -> Value;
}

/// When an event of an answer happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// Since the request was submitted.
    pub(super) since: Duration,
    /// Tokens of the answer so far.
    pub(super) written: u32,
    /// Those since the last event.
    pub(super) tokens: &'a [Token],
}

/// Adds the time to what shows progress, and the timings so far to what `is_timed` selects, if they are measured.
pub(super) fn add_times(
    values: &mut [Value],
    so_far: Option<&mut SoFar>,
    event: &ChatEvent,
    moment: Moment<'_>,
    is_timed: impl Fn(&Value) -> bool,
) {
    if let Some(so_far) = so_far {
        so_far.event(event, moment.since, moment.written);
        for value in values.iter_mut().filter(|value| is_timed(value)) {
            value["timings"] = so_far.timings();
        }
    }
    for progress in values.iter_mut().filter_map(|value| value.get_mut("prompt_progress")) {
        progress["time_ms"] = json!(moment.since.as_secs_f64() * 1000.0);
    }
}

/// A part of a stream of server-sent events.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    /// An empty comment.
    Comment,
    /// Data without a name.
    Data(Value),
    /// Data that is named by its `type`.
    Typed(Value),
    /// `OpenAI`'s end of a stream.
    Done,
}

impl Frame {
    /// Appends the frame as it is sent.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Comment => out.extend(b": \n\n"),
            Self::Data(value) => write_data(value, out),
            Self::Typed(value) => {
                let name = value.get("type").and_then(Value::as_str).unwrap_or("message");
                for part in [&b"event: "[..], name.as_bytes(), b"\n"] {
                    out.extend_from_slice(part);
                }
                write_data(value, out);
            }
            Self::Done => out.extend(b"data: [DONE]\n\n"),
        }
    }
}

fn write_data(value: &Value, out: &mut Vec<u8>) {
    out.extend(b"data: ");
    serde_json::to_writer(&mut *out, value).expect("memory can be written to");
    out.extend(b"\n\n");
}
