//! Finds the calls at the end of reasoning that is never closed: models leave out the tag that ends it before a call.
//!
//! They count only if their functions are known and nothing follows them: a model may also reason about a call.

use super::delta::Delta;
use super::pending::Pending;
use super::tools::ToolParser;

/// The maximum number of texts in the reasoning of an answer that are read as calls: each may be as long as the rest of it.
const TRIALS: usize = 64;

/// Takes reasoning and returns deltas, none of which is content.
#[derive(Debug, Clone)]
pub(super) struct UnclosedParser {
    fresh: ToolParser,
    functions: Vec<String>,
    held: Pending,
    trial: Option<Trial>,
    /// How many more may follow.
    left: usize,
}

/// The held text, read as calls.
#[derive(Debug, Clone)]
struct Trial {
    parser: ToolParser,
    /// Where the text after the first opening tag begins.
    body: usize,
    /// The length of the held text that has been read.
    read: usize,
    calls: Vec<Delta>,
}

impl UnclosedParser {
    /// A parser for calls of these functions, as `fresh` reads them.
    pub(super) fn new(fresh: ToolParser, functions: Vec<String>) -> Self {
        Self { fresh, functions, held: Pending::default(), trial: None, left: TRIALS }
    }

    pub(super) fn push(&mut self, text: &str, deltas: &mut Vec<Delta>) {
        self.held.push(text);
        while self.advance(deltas, false) {}
    }

    /// Returns the text that was held back: the reasoning was closed.
    pub(super) fn close(&mut self, deltas: &mut Vec<Delta>) {
        self.trial = None;
        self.give(self.held.len(), deltas);
    }

    /// Returns the calls at the end of the answer, or the text that was held back.
    pub(super) fn finish(&mut self, deltas: &mut Vec<Delta>) {
        while self.advance(deltas, true) {}
        if let Some(trial) = self.trial.take().filter(|trial| !trial.calls.is_empty()) {
            self.held.skip(self.held.len());
            deltas.extend(trial.calls);
        }
        self.close(deltas);
    }

    fn advance(&mut self, deltas: &mut Vec<Delta>, last: bool) -> bool {
        let Some(trial) = &mut self.trial else { return self.find(deltas) };
        let mut parts = Vec::new();
        trial.parser.push(&self.held[trial.read..], &mut parts);
        trial.read = self.held.len();
        if last {
            trial.parser.finish(&mut parts);
        }
        let are_calls = parts.into_iter().all(|part| match part {
            Delta::ToolCall(call) if self.functions.contains(&call.name) => {
                trial.calls.push(Delta::ToolCall(call));
                true
            }
            Delta::Content(text) => text.trim().is_empty(),
            _ => false,
        });
        if are_calls {
            return false;
        }
        let body = trial.body;
        self.trial = None;
        self.give(body, deltas);
        true
    }

    /// Passes on the text up to what may be a call, and the newlines before it.
    fn find(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let found = if self.left > 0 { self.fresh.find(&self.held) } else { None };
        let Some((at, body)) = found else {
            self.give(self.held.len(), deltas);
            return false;
        };
        let certain = self.held[..at].trim_end_matches('\n').len();
        self.give(certain, deltas);
        let Some(body) = body else { return false };
        let (read, body) = (at - certain, body - certain);
        self.trial = Some(Trial { parser: self.fresh.clone(), body, read, calls: Vec::new() });
        self.left -= 1;
        true
    }

    fn give(&mut self, end: usize, deltas: &mut Vec<Delta>) {
        if end > 0 {
            deltas.push(Delta::Reasoning(self.held.take(end)));
        }
    }
}
