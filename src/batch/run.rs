//! Keeps the slots busy: lines in, requests to the engine, rows to the journal.
//!
//! One thread does everything except reading: answers are futures, polled when the engine sends events. Rows that a
//! failure of the engine ended are retried one at a time, so that the row that causes it fails alone.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::answer::{Pending, submit};
use super::error::Error;
use super::failure::Failure;
use super::feed::{Unpark, read_ahead};
use super::hash::{RequestHash, Settings, key};
use super::journal::{Claim, Finished, Journal, Standing};
use super::lines::Line;
use super::row::{Row, read_row, unnamed};
use super::source::Source;
use super::types::{Example, Options, Progress, Report, Stop};
use crate::engine::{self, DecodeError};
use crate::openai::{Asked, Choice, Endpoint, Head, body};
use crate::session::{self, Seed, Session};

/// The maximum time between two calls of `stop`.
const TICK: Duration = Duration::from_millis(100);
/// Rows that are read before progress is reported and interruptions are noticed.
const ROWS_AT_ONCE: usize = 64;
/// The maximum number of requests that wait in the engine, so that a free slot has work at once.
const QUEUED: usize = 8;

/// Answers the rows of a source. Calls `stop` and `observe` at least ten times a second.
///
/// # Errors
///
/// When rows cannot be read or written, or the engine has ended.
pub fn run(
    session: &Session,
    source: Source,
    journal: &mut Journal,
    options: &Options,
    stop: &dyn Fn() -> Stop,
    observe: &mut dyn FnMut(&mut Progress),
) -> Result<Report, Error> {
    let settings = Settings::of(&options.defaults.options);
    let lines = read_ahead(source);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut batch = Batch {
        session,
        journal,
        options,
        settings,
        tasks: VecDeque::new(),
        finished: Vec::new(),
        reported: BTreeSet::new(),
        report: Report::default(),
        written: Rc::new(Cell::new(0)),
    };
    let (mut reading, mut complete, mut ended) = (true, false, None);
    loop {
        match stop() {
            Stop::No => {}
            Stop::Drain => reading = false,
            Stop::Now => return Ok(batch.report),
        }
        batch.submit()?;
        let (mut idle, mut taken) = (true, 0);
        while reading && taken < ROWS_AT_ONCE && batch.has_room() {
            taken += 1;
            match lines.try_recv() {
                Ok(row) => {
                    if let Err(error) = row.and_then(|(number, line)| batch.admit(number, &line)) {
                        (reading, ended) = (false, Some(error));
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => (reading, complete) = (false, true),
            }
            idle = false;
        }
        if batch.tasks.is_empty() && batch.finished.is_empty() && !reading {
            break;
        }
        batch.poll(&mut Context::from_waker(&waker))?;
        idle &= batch.finished.is_empty();
        batch.record()?;
        batch.report.progress.running = batch.tasks.len() as u64;
        batch.report.progress.written_tokens = batch.written.get();
        observe(&mut batch.report.progress);
        if idle {
            thread::park_timeout(TICK);
        }
    }
    if let Some(error) = ended {
        return Err(error);
    }
    batch.journal.finish(complete)?;
    batch.report.complete = complete;
    Ok(batch.report)
}

/// A row being answered.
struct Task {
    line: u64,
    id: String,
    hash: RequestHash,
    endpoint: Endpoint,
    asked: Box<Asked>,
    seed: u32,
    /// Answers that were submitted.
    submitted: u32,
    answers: Vec<(u32, Pending)>,
    choices: BTreeMap<u32, Choice>,
    tries: u32,
    /// The error of one of its answers.
    error: Option<engine::Error>,
}

impl Task {
    fn is_over(&self) -> bool {
        self.error.is_some() && self.answers.is_empty()
            || self.choices.len() as u64 == u64::from(self.asked.choices)
    }
}

struct Batch<'a> {
    session: &'a Session,
    journal: &'a mut Journal,
    options: &'a Options,
    settings: Settings,
    tasks: VecDeque<Task>,
    /// Rows to be written.
    finished: Vec<Finished>,
    /// Names of ignored fields that were reported.
    reported: BTreeSet<String>,
    report: Report,
    written: Rc<Cell<u64>>,
}

impl Batch<'_> {
    fn in_flight(&self) -> usize {
        self.tasks.iter().map(|task| task.answers.len()).sum()
    }

    fn limit(&self) -> usize {
        let slots = self.options.slots.max(1) as usize;
        slots + slots.min(QUEUED)
    }

    /// Whether another row can begin: all answers of rows that have begun are submitted, and none of these rows must
    /// run alone.
    fn has_room(&self) -> bool {
        let waits =
            |task: &Task| task.error.is_none() && task.submitted < task.asked.choices || task.tries > 0;
        self.in_flight() < self.limit() && !self.tasks.iter().any(waits)
    }

    /// Begins the row of a line, unless it is answered already.
    fn admit(&mut self, number: u64, line: &Line) -> Result<(), Error> {
        let mut row = read_row(number, line, &self.options.defaults, &self.settings);
        let own = unnamed(number);
        let mut claim = self.claim(&row)?;
        if claim == Claim::Duplicate {
            row.asked = Err(Failure::duplicate(&row.id));
            row.id = if row.id == own { format!("{own}-again") } else { own };
            claim = self.claim(&row)?;
        } else if row.id != own && self.journal.rows_before() > 0 {
            self.journal.forget(&own);
        }
        let progress = &mut self.report.progress;
        match claim {
            Claim::First(Standing::Done) => {
                progress.done_before += 1;
                return self.journal.flush();
            }
            Claim::First(Standing::Refused) | Claim::Duplicate => {
                progress.failed_before += 1;
                return self.journal.flush();
            }
            Claim::First(Standing::Changed) => progress.changed += 1,
            Claim::First(Standing::New | Standing::Again) => {}
        }
        self.report_ignored(&mut row);
        match row.asked {
            Ok(asked) => {
                let seed = match asked.options.seed {
                    Some(Seed::Fixed(seed)) => seed,
                    Some(Seed::Random) | None => row.hash.seed(&row.id),
                };
                let Row { line, id, hash, endpoint, .. } = row;
                self.tasks.push_back(Task {
                    line,
                    id,
                    hash,
                    endpoint,
                    asked,
                    seed,
                    submitted: 0,
                    answers: Vec::new(),
                    choices: BTreeMap::new(),
                    tries: 0,
                    error: None,
                });
                self.submit()
            }
            Err(failure) => {
                self.fail(row.line, &row.id, row.hash, &failure);
                Ok(())
            }
        }
    }

    fn claim(&mut self, row: &Row) -> Result<Claim, Error> {
        let Row { id, hash, line, .. } = row;
        if !self.options.rerun_changed && self.journal.standing(id, *hash) == Standing::Changed {
            return Err(Error::Changed { line: *line, id: id.clone() });
        }
        Ok(self.journal.claim(id, *hash, *line, self.options.retry_failed))
    }

    /// Reports ignored fields, or refuses the row because of them.
    fn report_ignored(&mut self, row: &mut Row) {
        let mut ignored = row.ignored().into_iter();
        if self.options.strict && row.asked.is_ok() {
            if let Some(field) = ignored.next() {
                row.asked = Err(Failure::ignored(field));
            }
        } else {
            let reported = &mut self.reported;
            let new = ignored.filter(|field| reported.insert(field.name().to_owned()));
            self.report.progress.ignored.extend(new);
        }
    }

    /// Submits as many answers as the engine has room for.
    fn submit(&mut self) -> Result<(), Error> {
        use engine::Error as E;
        let mut room = self.limit().saturating_sub(self.in_flight());
        let mut at_work = self.in_flight();
        for index in 0..self.tasks.len() {
            let task = &mut self.tasks[index];
            let alone = task.tries > 0;
            while room > 0
                && task.error.is_none()
                && task.submitted < task.asked.choices
                && !(alone && at_work > task.answers.len())
            {
                let seed = task.seed.wrapping_add(task.submitted);
                match submit(self.session, &task.asked, seed, &self.written) {
                    Ok(answer) => {
                        task.answers.push((task.submitted, answer));
                        task.submitted += 1;
                        (room, at_work) = (room - 1, at_work + 1);
                    }
                    Err(session::Error::Engine(E::QueueFull { .. })) => return Ok(()),
                    Err(session::Error::Engine(error @ (E::Gone | E::Shutdown | E::Panicked { .. }))) => {
                        return Err(self.gone(error));
                    }
                    Err(error) => {
                        let (line, id, hash) = (task.line, task.id.clone(), task.hash);
                        self.tasks.remove(index);
                        self.fail(line, &id, hash, &(&error).into());
                        return self.submit();
                    }
                }
            }
            if alone {
                // Later rows wait for it.
                break;
            }
        }
        Ok(())
    }

    /// Polls every unfinished answer.
    fn poll(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        for task in &mut self.tasks {
            let Task { answers, choices, error, .. } = task;
            answers.retain_mut(|(copy, answer)| match answer.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(choice)) => {
                    choices.insert(*copy, choice);
                    false
                }
                Poll::Ready(Err(failed)) => {
                    *error = Some(failed);
                    false
                }
            });
            if error.is_some() {
                answers.clear();
            }
        }
        let (over, rest) = std::mem::take(&mut self.tasks).into_iter().partition(Task::is_over);
        self.tasks = rest;
        let over: VecDeque<Task> = over;
        for task in over {
            self.end(task)?;
        }
        Ok(())
    }

    /// Writes a row, or retries it.
    fn end(&mut self, mut task: Task) -> Result<(), Error> {
        use engine::Error as E;
        match task.error.take() {
            None => self.succeed(&task),
            Some(
                error @ (E::Gone
                | E::Shutdown
                | E::Panicked { .. }
                | E::Decode(DecodeError::WorkerLost { .. } | DecodeError::DeviceFailed { .. })),
            ) => {
                return Err(self.gone(error));
            }
            Some(E::Decode(_)) if task.tries < self.options.retries => {
                task.tries += 1;
                task.submitted = 0;
                task.choices.clear();
                self.tasks.push_back(task);
            }
            Some(error) => self.fail(task.line, &task.id, task.hash, &(&error).into()),
        }
        Ok(())
    }

    fn gone(&self, source: engine::Error) -> Error {
        Error::Engine { path: self.journal.path().to_owned(), source }
    }

    fn succeed(&mut self, task: &Task) {
        let choices: Vec<Choice> = task.choices.values().cloned().collect();
        let progress = &mut self.report.progress;
        progress.done += 1;
        let prompt = choices.first().map_or(0, |choice| choice.answer.usage.total.prompt_tokens);
        progress.prompt_tokens += u64::from(prompt);
        progress.completion_tokens +=
            choices.iter().map(|choice| u64::from(choice.answer.usage.total.completion_tokens)).sum::<u64>();
        let name = task.hash.name(&task.id);
        let head = Head {
            endpoint: task.endpoint,
            id: Cow::Borrowed(&name),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            model: Cow::Borrowed(&self.options.model_name),
            fingerprint: Cow::Borrowed(&self.options.fingerprint),
        };
        self.push(
            task.line,
            &task.id,
            task.hash,
            200,
            &body(&head, &choices, task.asked.choices),
            &Value::Null,
        );
    }

    fn fail(&mut self, line: u64, id: &str, hash: RequestHash, failure: &Failure) {
        self.report.progress.failed += 1;
        *self.report.causes.entry(failure.cause).or_default() += 1;
        let example = || Example { line, id: id.to_owned(), message: failure.message().to_owned() };
        self.report.examples.entry(failure.cause).or_insert_with(example);
        let error = json!({ "code": failure.cause.code(), "message": failure.message() });
        self.push(line, id, hash, failure.cause.status(), &failure.body(), &error);
    }

    fn push(&mut self, line: u64, id: &str, hash: RequestHash, status: u16, body: &Value, error: &Value) {
        let name = hash.name(id);
        let row = json!({
            "id": format!("batch_req_{name}"),
            "custom_id": id,
            "response": { "status_code": status, "request_id": format!("req_{name}"), "body": body },
            "error": error,
            "ggrun": { "request_hash": hash.text(), "model": self.options.model },
        });
        let text = format!("{row}\n").into_bytes();
        self.finished.push(Finished { line, key: key(id), status, text });
    }

    /// Writes the finished rows to the disk.
    fn record(&mut self) -> Result<(), Error> {
        if self.finished.is_empty() {
            return Ok(());
        }
        self.journal.append(&std::mem::take(&mut self.finished))
    }
}

#[cfg(test)]
mod tests;
