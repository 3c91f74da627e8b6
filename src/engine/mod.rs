//! Generation: requests are scheduled onto a decoder and answered by events.
//!
//! Independent of models, chat, wire formats and llama.cpp: [`Decoder`] and [`Vocab`] are implemented elsewhere.
//! [`Scheduler`] is a pure value; [`run`] is the loop around it, on a thread of its own.

mod abort;
mod canceller;
mod channel;
mod check;
#[cfg(test)]
pub(crate) mod deadline;
mod decode_error;
mod decoder;
mod detokenizer;
mod distribution;
mod error;
mod eviction;
mod idle;
mod ids;
mod job;
#[cfg(test)]
pub(crate) mod passes;
mod prompt;
mod reasoning;
mod run;
mod sampling;
mod saved;
mod scheduler;
pub mod scripted;
mod slot;
mod softmax;
mod status;
mod stop;
mod types;
mod vocab;

pub use abort::{Abort, Signal};
pub use canceller::Canceller;
pub use channel::{Command, Inbox, Reply, Submission, Submitter, channel};
pub use check::{PrepareSampler, Prepared, PreparedSampler, check as check_request, check_stops};
pub use decode_error::DecodeError;
pub use decoder::{BatchToken, CachedState, Caps, Decoder, Outcome, SeqOp, StateId, Step};
pub use detokenizer::Detokenizer;
pub use distribution::Distribution;
pub use error::{COUNTED, Error};
pub use eviction::{Evicted, OnEviction};
pub use idle::{Cuts, IdleSequence};
pub use ids::{ClientId, Namespace, Pos, RequestId, SeqId, Token};
pub use prompt::Prompt;
pub use run::run;
pub use sampling::{
    Block, Dry, Grammar, Mirostat, MirostatVersion, Penalties, Rules, SamplerKind, SamplingError,
    SamplingParams, Xtc,
};
pub use saved::Saved;
pub use scheduler::{Eviction, Limits, PrefillBudget, Scheduler, Span};
pub use slot::SlotState;
pub use softmax::LogSoftmax;
pub use status::{Counters, Distributions, SlotStatus, StateCacheStatus, Status};
pub use stop::{Scanned, StopMatcher};
pub use types::{Event, Events, FinishReason, Opening, Reasoning, Request, Timings, TokenLogprob, Usage};
pub use vocab::{Markup, SpecialToken, Vocab};
