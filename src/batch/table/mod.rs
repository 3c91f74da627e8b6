//! Rows from a table: CSV, or fields with another delimiter. Each record becomes a request with one message.
//!
//! A table that is not well-formed is an error, because its fields would be torn without a notice.

mod fault;
mod quotes;
mod template;

use std::io::Read;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Trim};
use serde_json::json;

use super::error::Error;
use super::failure::{Cause, Failure};
use super::lines::Line;
use quotes::Watched;
use template::Piece;

pub use fault::{Fault, listed};
pub use template::{Template, WrongTemplate};

/// How rows are made from a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The byte between fields.
    pub delimiter: u8,
    /// The column of ids; without one, a row has the number of its record.
    pub id: Option<String>,
    /// The text of a prompt.
    pub prompt: Template,
}

impl Table {
    /// A table that is only asked for its columns.
    pub(super) fn without_prompt(delimiter: u8) -> Self {
        Self { delimiter, id: None, prompt: Template::default() }
    }
}

/// The records of a table.
#[derive(Debug)]
pub(super) struct Records<R> {
    path: PathBuf,
    reader: Reader<Watched<R>>,
    record: ByteRecord,
    number: u64,
    columns: Vec<String>,
    id: Option<usize>,
    prompt: Vec<Part>,
}

/// A part of a prompt.
#[derive(Debug)]
enum Part {
    Text(String),
    Column(usize),
}

impl<R: Read> Records<R> {
    /// Reads the header. `path` is for messages.
    pub(super) fn open(input: R, table: &Table, path: &Path) -> Result<Self, Error> {
        let mut reader = ReaderBuilder::new()
            .delimiter(table.delimiter)
            .trim(Trim::Headers)
            .from_reader(Watched::new(input, table.delimiter));
        let failed = |fault| Error::Table { path: path.to_owned(), fault };
        let header = reader.byte_headers().map_err(|error| wrong(error, path, 1))?.clone();
        let line = reader.get_mut().next_line();
        let names: Result<Vec<String>, _> =
            header.iter().map(|name| String::from_utf8(name.to_vec())).collect();
        let columns = names.map_err(|_| failed(Fault::NotUtf8 { line, column: None }))?;
        if columns.iter().all(String::is_empty) {
            return Err(failed(Fault::NoHeader));
        }
        let find = |name: &str| column(&columns, name).map_err(failed);
        let id = table.id.as_deref().map(find).transpose()?;
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => Ok(Part::Text(text.clone())),
            Piece::Column(name) => find(name).map(Part::Column),
        };
        let prompt = table.prompt.pieces().iter().map(part).collect::<Result<_, _>>()?;
        let path = path.to_owned();
        Ok(Self { path, reader, record: ByteRecord::new(), number: 0, columns, id, prompt })
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next record as a line, with the number of the line on which it begins.
    pub(super) fn read(&mut self) -> Result<Option<(u64, Line)>, Error> {
        self.reader.get_mut().begin_record();
        let more = self.reader.read_byte_record(&mut self.record);
        let line = self.reader.get_mut().next_line();
        if !more.map_err(|error| wrong(error, &self.path, line))? {
            return Ok(None);
        }
        self.number += 1;
        let id = match self.id {
            Some(column) => self.field(column, line)?.to_owned(),
            None => format!("row-{}", self.number),
        };
        let (mut text, mut is_empty) = (String::new(), true);
        for part in &self.prompt {
            match part {
                Part::Text(literal) => text += literal,
                Part::Column(column) => {
                    let field = self.field(*column, line)?;
                    is_empty &= field.trim().is_empty();
                    text += field;
                }
            }
        }
        let row = if is_empty {
            Line::Refused { id, failure: Box::new(self.empty()) }
        } else {
            let row = json!({ "custom_id": id, "messages": [{ "role": "user", "content": text }] });
            Line::Whole(row.to_string().into_bytes())
        };
        Ok(Some((line, row)))
    }

    fn field(&self, column: usize, line: u64) -> Result<&str, Error> {
        let bytes = self.record.get(column).unwrap_or_default();
        str::from_utf8(bytes).map_err(|_| {
            let fault = Fault::NotUtf8 { line, column: Some(self.columns[column].clone()) };
            Error::Table { path: self.path.clone(), fault }
        })
    }

    fn empty(&self) -> Failure {
        let names = self.prompt.iter().filter_map(|part| match part {
            Part::Column(column) => Some(format!("`{}`", self.columns[*column])),
            Part::Text(_) => None,
        });
        let names: Vec<String> = names.collect();
        let (noun, verb) = if names.len() == 1 { ("column", "is") } else { ("columns", "are") };
        Failure::new(Cause::EmptyPrompt, format!("{noun} {} {verb} empty", names.join(", ")))
    }
}

/// The place of a column.
fn column(columns: &[String], name: &str) -> Result<usize, Fault> {
    let mut places = (0..columns.len()).filter(|place| columns[*place] == name);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(Fault::TwoColumns { name: name.to_owned() }),
        (None, _) => Err(Fault::NoColumn { name: name.to_owned(), columns: columns.to_vec() }),
    }
}

/// An error of the reader, in our words, in the record that begins on a line.
fn wrong(error: csv::Error, path: &Path, line: u64) -> Error {
    let path = path.to_owned();
    match error.into_kind() {
        ErrorKind::UnequalLengths { expected_len: expected, len: found, .. } => {
            Error::Table { path, fault: Fault::Fields { line, found, expected } }
        }
        ErrorKind::Io(source) => match source.downcast::<Fault>() {
            Ok(fault) => Error::Table { path, fault },
            Err(source) => Error::Read { path, source },
        },
        other => Error::Read { path, source: std::io::Error::other(format!("{other:?}")) },
    }
}

#[cfg(test)]
mod tests;
