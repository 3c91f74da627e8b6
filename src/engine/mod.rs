//! Generation: requests are scheduled onto a decoder and come back as events.
//!
//! Knows no model, no chat, no wire format, and no llama.cpp: [`Decoder`] and [`Vocab`] are implemented
//! elsewhere. [`Scheduler`] is a pure value; [`run`] is the loop around it, on a thread of its own.

mod channel;
mod decoder;
mod detokenizer;
mod error;
mod job;
mod run;
mod sampling;
mod scheduler;
pub mod scripted;
mod slot;
mod softmax;
mod stop;
mod types;
mod vocab;

pub use channel::{Canceller, Command, Inbox, Reply, Submission, Submitter, channel};
pub use decoder::{Caps, DecodeError, Decoder, Kept, Outcome, Row, SeqOp, StateId, Step};
pub use detokenizer::Detokenizer;
pub use error::Error;
pub use run::run;
pub use sampling::{
    Block, Dry, Grammar, Mirostat, MirostatVersion, Penalties, Rules, SamplerKind, SamplingError,
    SamplingParams, Xtc,
};
pub use scheduler::{Events, Limits, Scheduler, Span};
pub use slot::SlotState;
pub use softmax::LogSoftmax;
pub use stop::{Scanned, StopMatcher};
pub use types::{
    Event, FinishReason, Pos, Reasoning, Request, RequestId, Saved, SeqId, Timings, Token, TokenLogprob,
    Usage,
};
pub use vocab::{Markup, SpecialToken, Vocab};
