//! The files of answers: reads the rows of earlier runs, and adds rows so that none is lost or duplicated.
//!
//! A row counts once it is on the disk. Rows are recognized by their id and a hash of their request; of several rows
//! with one id, the last counts, and a run that completes removes the others. With the order of the input, a row that
//! is finished before its turn waits in a file beside the output, `OUT.part`, which the next run reads as well.

mod compact;
mod earlier;
mod scan;
mod sink;
mod types;
mod wrong;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::error::Error;
use super::hash::{RequestHash, key};
use crate::atomic;
use sink::{Sink, identity};
use types::{Entry, Place, State, Waiting, part_of};
use wrong::wrong;

pub use earlier::Earlier;
pub(super) use types::{Claim, Finished, Standing};
pub use types::{Order, Targets};

/// The open files and their rows.
#[derive(Debug)]
pub struct Journal {
    out: Sink,
    errors: Option<Sink>,
    part: Option<Sink>,
    order: Order,
    rows: HashMap<u128, Entry>,
    /// Rows of an earlier run in the part file, not seen in the input yet.
    parted: HashMap<u128, Waiting>,
    /// Lines being answered, in the order of the input.
    open: BTreeSet<u64>,
    /// Finished lines that wait for one of these.
    waiting: BTreeMap<u64, Waiting>,
    /// Whether the files have rows that no longer count.
    stale: bool,
    /// Whether rows may be in another order than the input's.
    disordered: bool,
    /// The place of the last row that was seen, and whether a row was added since.
    last_seen: u32,
    added: bool,
}

impl Journal {
    /// Opens, locks and reads the files. `input` must not be among them.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, is locked by another process, has other contents, or has answers of another model
    /// without `any_model`.
    pub fn open(targets: &Targets, input: &Path, model: &str, any_model: bool) -> Result<Self, Error> {
        let Targets { out, errors, order } = targets;
        distinct(input, "the input", out, "the output")?;
        let waiting = "the file of rows that wait for their turn";
        let part = part_of(&atomic::resolve(out).map_err(wrong("open", out))?);
        if out.as_os_str() != "-" {
            distinct(input, "the input", &part, waiting)?;
        }
        if let Some(errors) = errors {
            distinct(input, "the input", errors, "the file of failed rows")?;
            distinct(out, "the output", errors, "the file of failed rows")?;
            distinct(errors, "the file of failed rows", &part, waiting)?;
        }
        let out = Sink::open(out)?;
        let errors = errors.as_deref().map(Sink::open).transpose()?;
        let mut journal = Self {
            out,
            errors,
            part: None,
            order: *order,
            rows: HashMap::new(),
            parted: HashMap::new(),
            open: BTreeSet::new(),
            waiting: BTreeMap::new(),
            stale: false,
            disordered: false,
            last_seen: 0,
            added: false,
        };
        journal.read(model, any_model)?;
        Ok(journal)
    }

    /// Whether the output is a stream, which cannot be resumed.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.out.stream
    }

    /// The number of rows of earlier runs.
    #[must_use]
    pub fn rows_before(&self) -> usize {
        self.rows.len()
    }

    /// The file of answers.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.out.path
    }

    fn read(&mut self, model: &str, any_model: bool) -> Result<(), Error> {
        // Failed rows first, so that an answer replaces a failure.
        let Self { out, errors, part, rows, parted, stale, order, .. } = self;
        let mut count = 0u32;
        let mut take = |sink: &mut Sink, place: Place, parted: &mut HashMap<u128, Waiting>| {
            let path = sink.path.clone();
            sink.scan(&mut |row| {
                if !any_model && row.model != model {
                    return Err(Error::OtherModel {
                        path: path.clone(),
                        found: row.model.to_owned(),
                        expected: model.to_owned(),
                    });
                }
                let (key, hash) = (key(row.id), row.hash.short());
                let (line, state) = (count, State::of(row.status));
                count = count.saturating_add(1);
                if place == Place::Part {
                    // A row that was moved to its file before the process ended.
                    if rows.get(&key).is_some_and(|old| (old.hash, old.state) == (hash, state)) {
                        return Ok(());
                    }
                    parted.insert(key, Waiting { key, begin: row.begin, length: row.length });
                }
                let entry = Entry { hash, line, place, state, seen: false };
                *stale |= rows.insert(key, entry).is_some();
                Ok(())
            })
        };
        if let Some(errors) = errors {
            take(errors, Place::Errors, parted)?;
        }
        take(out, Place::Out, parted)?;
        let name = part_of(&out.path);
        let left = !out.stream && name.exists();
        if left || *order == Order::Input {
            let mut sink = if out.stream { Sink::nameless()? } else { Sink::open(&name)? };
            take(&mut sink, Place::Part, parted)?;
            *part = Some(sink);
        }
        if self.order == Order::Completion {
            self.settle()?;
        }
        Ok(())
    }

    /// Looks up a row of the input, and begins it if it needs an answer.
    pub(super) fn claim(&mut self, id: &str, hash: RequestHash, line: u64, retry_refused: bool) -> Claim {
        let (key, short) = (key(id), hash.short());
        let number = u32::try_from(line).unwrap_or(u32::MAX);
        let new = Entry { hash: short, line: number, place: Place::Nowhere, state: State::Open, seen: true };
        let Some(entry) = self.rows.get_mut(&key) else {
            self.rows.insert(key, new);
            self.begin(line);
            return Claim::First(Standing::New);
        };
        if entry.seen {
            return Claim::Duplicate;
        }
        let old = *entry;
        let standing = old.standing(hash, retry_refused);
        if matches!(standing, Standing::Done | Standing::Refused) {
            *entry = Entry { line: number, seen: true, ..old };
            if old.place == Place::Part {
                self.waiting.extend(self.parted.remove(&key).map(|row| (line, row)));
            } else {
                self.disordered |= self.added || !self.open.is_empty() || old.line < self.last_seen;
                self.last_seen = old.line;
            }
        } else {
            *entry = new;
            self.parted.remove(&key);
            self.stale |= old.place != Place::Part;
            self.begin(line);
        }
        Claim::First(standing)
    }

    /// The standing of a row that is not seen in the input yet, without beginning it.
    pub(super) fn standing(&self, id: &str, hash: RequestHash) -> Standing {
        let entry = self.rows.get(&key(id)).filter(|entry| !entry.seen);
        entry.map_or(Standing::New, |entry| entry.standing(hash, false))
    }

    fn begin(&mut self, line: u64) {
        if self.order == Order::Input {
            self.open.insert(line);
        }
    }

    /// Forgets the failure of a line that has become a request with an id.
    pub(super) fn forget(&mut self, id: &str) {
        let key = key(id);
        if self.rows.get(&key).is_some_and(|entry| !entry.seen && entry.state != State::Done) {
            self.rows.remove(&key);
            self.parted.remove(&key);
            self.stale = true;
        }
    }

    /// Writes rows and returns when they are on the disk.
    ///
    /// # Errors
    ///
    /// When they cannot be written; only whole rows remain in the file.
    pub(super) fn append(&mut self, rows: &[Finished]) -> Result<(), Error> {
        let mut now = Vec::new();
        for row in rows {
            self.open.remove(&row.line);
            let state = State::of(row.status);
            if let Some(entry) = self.rows.get_mut(&row.key) {
                entry.state = state;
            }
        }
        let first = self.open.first().copied().unwrap_or(u64::MAX);
        let mut parted = false;
        for row in rows {
            match &mut self.part {
                Some(part) if self.order == Order::Input && row.line > first => {
                    let begin = part.append(&row.text)?;
                    let length = row.text.len() as u64;
                    self.waiting.insert(row.line, Waiting { key: row.key, begin, length });
                    parted = true;
                }
                _ => now.push(row),
            }
        }
        if let Some(part) = self.part.as_ref().filter(|_| parted) {
            part.sync()?;
        }
        now.sort_by_key(|row| row.line);
        let now: Vec<(u64, u128, &[u8])> = now.iter().map(|row| (row.line, row.key, &*row.text)).collect();
        self.advance(&now)
    }

    /// Writes rows that no longer wait, after a row turned out to be done.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() { Ok(()) } else { self.advance(&[]) }
    }

    /// Writes these rows and those whose turn it is, in the order of their lines.
    fn advance(&mut self, rows: &[(u64, u128, &[u8])]) -> Result<(), Error> {
        let first = self.open.first().copied().unwrap_or(u64::MAX);
        let later = self.waiting.split_off(&first);
        let ready = std::mem::replace(&mut self.waiting, later);
        let mut all: Vec<(u64, u128, Vec<u8>)> = Vec::new();
        for (line, row) in ready {
            all.push((line, row.key, self.fetch(row)?));
        }
        all.extend(rows.iter().map(|(line, key, text)| (*line, *key, text.to_vec())));
        if self.order == Order::Input {
            all.sort_by_key(|(line, ..)| *line);
        }
        self.write(&all)?;
        let is_empty = self.waiting.is_empty() && self.parted.is_empty();
        match self.part.as_mut().filter(|part| is_empty && part.length > 0) {
            Some(part) => part.cut(0),
            None => Ok(()),
        }
    }

    /// Appends rows to their files, and syncs.
    fn write(&mut self, rows: &[(u64, u128, Vec<u8>)]) -> Result<(), Error> {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        for (_, key, text) in rows {
            let apart = self.errors.is_some();
            let entry = self.rows.get_mut(key);
            let failed = entry.as_ref().is_some_and(|entry| entry.state != State::Done);
            let place = if failed && apart { Place::Errors } else { Place::Out };
            if let Some(entry) = entry {
                entry.place = place;
            }
            if place == Place::Errors { &mut errors } else { &mut out }.extend_from_slice(text);
        }
        for (sink, text) in [(Some(&mut self.out), out), (self.errors.as_mut(), errors)] {
            let Some(sink) = sink.filter(|_| !text.is_empty()) else { continue };
            sink.append(&text)?;
            sink.sync()?;
            self.added = true;
        }
        Ok(())
    }

    fn fetch(&mut self, row: Waiting) -> Result<Vec<u8>, Error> {
        let Some(part) = &self.part else { return Ok(Vec::new()) };
        let mut file = &part.file;
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(row.begin))
            .and_then(|_| file.take(row.length).read_to_end(&mut text))
            .map_err(wrong("read", &part.path))?;
        Ok(text)
    }

    /// Moves the rows in the part file to their files, and removes it.
    fn settle(&mut self) -> Result<(), Error> {
        let mut left: Vec<Waiting> = self.parted.drain().map(|(_, row)| row).collect();
        left.sort_by_key(|row| row.begin);
        for row in left {
            let text = self.fetch(row)?;
            self.write(&[(0, row.key, text)])?;
        }
        match self.part.take().filter(|_| !self.out.stream) {
            Some(part) => fs::remove_file(&part.path).map_err(wrong("remove", &part.path)),
            None => Ok(()),
        }
    }

    /// Ends a run. After a complete run, the files have only rows that count, in the order that the options set.
    ///
    /// # Errors
    ///
    /// When the files cannot be written.
    pub(super) fn finish(&mut self, complete: bool) -> Result<(), Error> {
        if !complete {
            return Ok(());
        }
        self.settle()?;
        let ordered = self.order == Order::Input;
        let is_tidy = !self.stale && (!self.disordered || !ordered);
        if is_tidy {
            return Ok(());
        }
        for place in [Place::Out, Place::Errors] {
            let rows = &self.rows;
            let rank = |key: u128| {
                let entry = rows.get(&key).filter(|entry| entry.place == place)?;
                let line = if ordered && entry.seen { entry.line } else { u32::MAX };
                Some(u64::from(line))
            };
            match place {
                Place::Errors => self.errors.as_mut().map_or(Ok(()), |sink| compact::compact(sink, &rank))?,
                _ => compact::compact(&mut self.out, &rank)?,
            }
        }
        Ok(())
    }
}

/// Refuses two names of one file.
fn distinct(a: &Path, one: &'static str, b: &Path, other: &'static str) -> Result<(), Error> {
    let is_same = atomic::is_same(a, b) && a.as_os_str() != "-"
        || identity(fs::metadata(a)).is_some_and(|id| Some(id) == identity(fs::metadata(b)))
            && fs::metadata(a).is_ok_and(|found| found.is_file());
    if is_same { Err(Error::Same { path: b.to_owned(), one, other }) } else { Ok(()) }
}
