//! Rows while the engine fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::*;
use crate::batch::{Cause, Format, Order, Targets, open};
use crate::chat::Template;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{
    Abort, Caps, Decoder, Limits, Outcome, PrepareSampler, SamplingParams, Saved, SeqId, SeqOp, Step, Token,
    channel,
};
use crate::openai::ErrorCode;
use crate::session::GenerationOptions;

/// When steps fail.
enum Fails {
    /// Whenever a step has tokens of a prompt with this letter.
    With(u8),
    /// This many times, then no more.
    Times(u32),
}

struct Flaky {
    inner: ScriptedDecoder,
    fails: Fails,
    bad: BTreeSet<SeqId>,
}

impl Decoder for Flaky {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn prepare_sampler(&self) -> PrepareSampler {
        self.inner.prepare_sampler()
    }

    fn abort(&self) -> Abort {
        self.inner.abort()
    }

    fn saved_bytes(&self, seq: SeqId) -> u64 {
        self.inner.saved_bytes(seq)
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        for op in &step.ops {
            if let (SeqOp::Sample { seq, prompt, .. }, Fails::With(letter)) = (op, &self.fails) {
                let is_bad = prompt.contains(&Token(i32::from(*letter)));
                if is_bad {
                    self.bad.insert(*seq)
                } else {
                    self.bad.remove(seq)
                };
            }
            if let SeqOp::Move { from, to } = op
                && self.bad.remove(from)
            {
                self.bad.insert(*to);
            }
        }
        let failed = match &mut self.fails {
            Fails::With(_) => step.tokens.iter().any(|token| self.bad.contains(&token.seq)),
            Fails::Times(0) => false,
            Fails::Times(left) => {
                *left -= 1;
                true
            }
        };
        if failed {
            // The operations are complete, and no token is sampled.
            self.inner.step(&Step { ops: step.ops.clone(), tokens: Vec::new() })?;
            return Err(DecodeError::Backend { status: -3 });
        }
        self.inner.step(step)
    }

    fn save(&mut self, seq: SeqId, tokens: Vec<Token>) -> Result<Saved, DecodeError> {
        self.inner.save(seq, tokens)
    }

    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
        self.inner.restore(seq, saved)
    }
}

/// Answers six rows, `a` to `f`, and gives the report and the status of each row.
fn answer(folder: &Path, fails: Fails, retries: u32) -> (Report, BTreeMap<String, u64>) {
    let input = folder.join("in.jsonl");
    let line = |letter: char| format!("{{\"id\": \"{letter}\", \"prompt\": \"{letter}\"}}\n");
    std::fs::write(&input, ('a'..='f').map(line).collect::<String>()).unwrap();
    let caps = Caps { sequences: 3, context: 64, batch: 16, can_trim: true, can_cache: true, can_copy: true };
    let decoder = Flaky { inner: ScriptedDecoder::saying(caps, "yes"), fails, bad: BTreeSet::new() };
    let (submitter, inbox) = channel(&decoder, &ByteVocab);
    thread::spawn(move || engine::run(decoder, ByteVocab, &inbox, Limits::of(caps)));
    let session = Session::new(submitter, Arc::new(ByteVocab), Template::parse("x", "", "").unwrap());
    let out = folder.join("out.jsonl");
    let targets = Targets { out: out.clone(), errors: None, order: Order::Completion };
    let mut journal = Journal::open(&targets, &input, "model", false).unwrap();
    let options = Options {
        defaults: GenerationOptions::recommended(&SamplingParams::greedy()).into(),
        slots: 3,
        retries,
        retry_failed: false,
        rerun_changed: false,
        strict: false,
        model_name: "m".to_owned(),
        model: "model".to_owned(),
        fingerprint: "test".to_owned(),
    };
    let source = open(&input, &Format::Lines).unwrap();
    let report = run(&session, source, &mut journal, &options, &|| Stop::No, &mut |_| {}).unwrap();
    let rows = std::fs::read_to_string(out).unwrap();
    let status = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        (row["custom_id"].as_str().unwrap().to_owned(), row["response"]["status_code"].as_u64().unwrap())
    };
    (report, rows.lines().map(status).collect())
}

fn refused(rows: &BTreeMap<String, u64>) -> Vec<&str> {
    rows.iter().filter(|(_, status)| **status != 200).map(|(id, _)| id.as_str()).collect()
}

#[test]
fn a_row_that_breaks_the_engine_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (report, rows) = answer(folder.path(), Fails::With(b'b'), 2);
    assert_eq!((rows.len(), refused(&rows), rows["b"]), (6, vec!["b"], 500));
    assert_eq!(report.causes, BTreeMap::from([(Cause::Request(ErrorCode::Engine), 1)]));
    // The next run retries a row that failed because of the engine.
    let (report, rows) = answer(folder.path(), Fails::Times(0), 0);
    assert_eq!((rows.len(), refused(&rows)), (6, vec![]));
    assert_eq!((report.progress.done, report.progress.done_before), (1, 5));
}

#[test]
fn rows_are_retried_as_often_as_the_options_allow() {
    let folder = || tempfile::tempdir().unwrap();
    let (report, rows) = answer(folder().path(), Fails::Times(2), 2);
    assert_eq!((rows.len(), refused(&rows), report.progress.failed), (6, vec![], 0));
    // The engine retries the requests of a shared step; only one that was alone in it fails.
    let (report, rows) = answer(folder().path(), Fails::Times(1), 0);
    assert_eq!(rows.len(), 6);
    assert_eq!(refused(&rows).len() as u64, report.progress.failed);
    assert!(report.progress.failed <= 1, "{rows:?}");
    // Every step fails for a while: each request that is then alone in one ends.
    let (report, rows) = answer(folder().path(), Fails::Times(20), 0);
    assert_eq!((rows.len(), refused(&rows).len() as u64), (6, report.progress.failed));
    assert!(report.progress.failed >= 1, "{rows:?}");
}
