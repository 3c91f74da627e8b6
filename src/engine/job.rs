//! One open request: its tokens, the text of its answer, its usage and timings.

use std::sync::Arc;
use std::time::Duration;

use super::reasoning::Follower;
use super::{
    ClientId, Detokenizer, Event, Events, FinishReason, Namespace, PreparedSampler, Prompt, Request,
    RequestId, SamplingParams, Timings, Token, TokenLogprob, Usage, Vocab,
};

/// A request and everything that belongs to it alone.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: RequestId,
    /// Order of admission to a slot.
    pub(super) turn: u64,
    pub(super) namespace: Namespace,
    pub(super) client: ClientId,
    /// The prompt, then the answer so far. Requests with the same prompt share it until their answers begin.
    pub(super) tokens: Arc<Vec<Token>>,
    /// For the decoder, which takes them on admission.
    pub(super) sampling: Option<(SamplingParams, Option<PreparedSampler>)>,
    /// Lengths at which the sequence's state is worth caching, in ascending order.
    pub(super) boundaries: Vec<usize>,
    /// Forced tokens of the answer that the decoder's sampler has not been given yet.
    pub(super) forced: Vec<Token>,
    /// The maximum length that its sequence has had: tokens below it are computed again.
    pub(super) computed: usize,
    max_tokens: u32,
    /// Control tokens whose text is written.
    tags: Vec<Token>,
    detokenizer: Detokenizer,
    text: Follower,
    usage: Usage,
    clock: Clock,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    arrived: Duration,
    started: Option<Duration>,
    first: Option<Duration>,
    /// The end of the last step that worked on it.
    last: Duration,
    /// The end of the last step that wrote tokens.
    wrote: Option<Duration>,
}

impl Job {
    pub(super) fn new(
        id: RequestId,
        request: Request,
        sampler: Option<PreparedSampler>,
        arrived: Duration,
    ) -> Self {
        let Request {
            prompt,
            max_tokens,
            sampling,
            stop,
            mut boundaries,
            reasoning,
            tags,
            namespace,
            client,
        } = request;
        boundaries.retain(|&at| at > 0 && at < prompt.len());
        boundaries.sort_unstable();
        boundaries.dedup();
        Self {
            id,
            turn: 0,
            namespace,
            client,
            usage: Usage { prompt_tokens: count(prompt.len()), ..Usage::default() },
            tokens: prompt,
            sampling: Some((sampling, sampler)),
            boundaries,
            forced: Vec::new(),
            computed: 0,
            max_tokens: max_tokens.unwrap_or(u32::MAX),
            tags,
            detokenizer: Detokenizer::default(),
            text: Follower::new(reasoning, stop),
            clock: Clock { arrived, started: None, first: None, last: arrived, wrote: None },
        }
    }

    /// Its tokens, as a prompt that looks for a cached beginning.
    pub(super) fn prompt(&self) -> Prompt<'_> {
        Prompt { namespace: self.namespace, tokens: &self.tokens }
    }

    /// Adds a length at which the sequence's state is worth caching.
    pub(super) fn stop_at(&mut self, length: usize) {
        if length > 0
            && length < self.tokens.len()
            && let Err(place) = self.boundaries.binary_search(&length)
        {
            self.boundaries.insert(place, length);
        }
    }

    /// Whether the prompt has been read and the answer has begun.
    pub(super) fn is_writing(&self) -> bool {
        self.usage.completion_tokens > 0
    }

    /// Records how much of the prompt is in the cache already.
    pub(super) fn reuses(&mut self, length: usize) {
        self.usage.reused_tokens = count(length);
        self.computed = length;
    }

    /// How far the prompt has been read when the sequence holds `length` tokens.
    pub(super) fn progress(&self, length: usize) -> Event {
        let Usage { prompt_tokens: total, reused_tokens: reused, .. } = self.usage;
        Event::Progress { total, reused, read: count(length).min(total).saturating_sub(reused) }
    }

    /// Records that the sequence holds `length` tokens; returns how many of the last `read` had been computed before.
    pub(super) fn note_computed(&mut self, length: usize, read: usize) -> usize {
        let again = self.computed.saturating_sub(length - read).min(read);
        self.computed = self.computed.max(length);
        again
    }

    /// The prompt's tokens.
    pub(super) fn prompt_tokens(&self) -> usize {
        self.usage.prompt_tokens as usize
    }

    /// Tokens of the prompt that were in the cache on admission.
    pub(super) fn reused_tokens(&self) -> u32 {
        self.usage.reused_tokens
    }

    /// Tokens of the answer so far.
    pub(super) fn written_tokens(&self) -> u32 {
        self.usage.completion_tokens
    }

    /// Its token counts so far.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Tokens that it may still write, if it has a limit.
    pub(super) fn remaining(&self) -> Option<u32> {
        let limit = Some(self.max_tokens).filter(|&limit| limit != u32::MAX)?;
        Some(limit.saturating_sub(self.usage.completion_tokens))
    }

    /// The time since its last token, if it has written one.
    pub(super) fn since_last_token(&self, now: Duration) -> Option<Duration> {
        self.clock.wrote.map(|wrote| now.saturating_sub(wrote))
    }

    /// Ends the reasoning after the next token, unless it has ended.
    pub(super) fn end_reasoning(&mut self) {
        self.text.end_reasoning();
    }

    /// Records that a step worked on this request.
    pub(super) fn worked(&mut self, from: Duration, to: Duration) {
        self.clock.started.get_or_insert(from);
        self.clock.last = to;
    }

    /// Takes the tokens that follow; the terminal event is last if there is one.
    pub(super) fn accept(
        &mut self,
        tokens: &[Token],
        logprobs: &[TokenLogprob],
        context: u32,
        vocab: &impl Vocab,
        events: &mut Events,
    ) -> bool {
        self.clock.first.get_or_insert(self.clock.last);
        self.clock.wrote = Some(self.clock.last);
        let begin = self.tokens.len();
        let (mut text, mut reason) = (String::new(), None);
        for &token in tokens {
            reason = self.take(token, context, vocab, &mut text);
            if reason.is_some() {
                break;
            }
        }
        let taken = self.tokens.len() - begin;
        let logprobs = logprobs.iter().take(taken).cloned().collect();
        if reason.is_none() {
            reason = self.close_reasoning(context, vocab, &mut text);
        }
        if matches!(reason, Some(FinishReason::Stop | FinishReason::Length | FinishReason::Context)) {
            let mut rest = self.text.push(&self.detokenizer.finish());
            text += &rest.text;
            if rest.stop.is_none() {
                rest = self.text.finish();
                text += &rest.text;
            }
            reason = rest.stop.map(FinishReason::StopString).or(reason);
        }
        events.push((self.id, Event::Delta { tokens: self.tokens[begin..].to_vec(), text, logprobs }));
        if let Some(reason) = reason {
            events.push((self.id, self.finished(reason)));
        }
        reason.is_some()
    }

    fn take(
        &mut self,
        token: Token,
        context: u32,
        vocab: &impl Vocab,
        text: &mut String,
    ) -> Option<FinishReason> {
        if self.usage.completion_tokens >= self.max_tokens {
            return Some(FinishReason::Length);
        }
        self.usage.completion_tokens += 1;
        Arc::make_mut(&mut self.tokens).push(token);
        if vocab.ends_answer(token) {
            return Some(FinishReason::Stop);
        }
        let mut bytes = Vec::new();
        if self.tags.contains(&token) {
            vocab.write_any(token, &mut bytes);
        } else {
            vocab.write(token, &mut bytes);
        }
        let whole = self.detokenizer.push(&bytes);
        let scanned = self.text.token(&whole);
        *text += &scanned.text;
        if let Some(index) = scanned.stop {
            return Some(FinishReason::StopString(index));
        }
        if self.usage.completion_tokens >= self.max_tokens {
            return Some(FinishReason::Length);
        }
        (self.tokens.len() > context as usize).then_some(FinishReason::Context)
    }

    /// Forces the end of the reasoning once its budget is used up, between characters.
    fn close_reasoning(
        &mut self,
        context: u32,
        vocab: &impl Vocab,
        text: &mut String,
    ) -> Option<FinishReason> {
        if !self.detokenizer.is_whole() {
            return None;
        }
        let ending = self.text.ending()?;
        let begin = self.tokens.len();
        let reason = ending.into_iter().find_map(|token| self.take(token, context, vocab, text));
        self.forced.extend_from_slice(&self.tokens[begin..]);
        reason
    }

    pub(super) fn finished(&self, reason: FinishReason) -> Event {
        let Clock { arrived, started, first, last, .. } = self.clock;
        let started = started.unwrap_or(last);
        let first = first.unwrap_or(last);
        let timings = Timings {
            queued: started.saturating_sub(arrived),
            prefill: first.saturating_sub(started),
            decode: last.saturating_sub(first),
        };
        Event::Finished { reason, usage: self.usage, timings }
    }
}

/// A length as a count; a context never holds more than `u32::MAX` tokens.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
