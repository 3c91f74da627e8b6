//! Follows the quotes and lines of a table while it is read: the CSV reader accepts a quote that is not closed or not
//! doubled, and changes the text.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::fault::Fault;
use crate::batch::lines::LIMIT;

/// An input whose quotes are checked, and whose records have a maximum length.
#[derive(Debug)]
pub(super) struct Watched<R> {
    input: R,
    delimiter: u8,
    place: Place,
    /// Whether the next field is the first of its record.
    between: bool,
    /// Whether the last byte was a carriage return, which forms one end of a line with a newline.
    returned: bool,
    line: u64,
    /// The lines on which records begin that the CSV reader has not returned yet.
    begins: VecDeque<u64>,
    /// The line in which a quote opened.
    opened: u64,
    /// Bytes that the current record may still have.
    left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the start of a field.
    Start,
    /// In a field without quotes, where a quote is text.
    Plain,
    Quoted,
    /// After a quote in a quoted field.
    Quote,
}

/// Bytes that the CSV reader reads ahead, at most.
const AHEAD: usize = 1 << 16;

impl<R> Watched<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            delimiter,
            place: Place::Start,
            between: true,
            returned: false,
            line: 1,
            begins: VecDeque::new(),
            opened: 1,
            left: LIMIT,
        }
    }

    /// Begins another record.
    pub(super) fn begin_record(&mut self) {
        self.left = LIMIT + AHEAD;
    }

    /// The line on which the next record begins. The CSV reader's own count is wrong after blank lines and `\r\n`.
    pub(super) fn next_line(&mut self) -> u64 {
        self.begins.pop_front().unwrap_or(self.line)
    }

    fn watch(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        for byte in bytes {
            let newline = matches!(byte, b'\n' | b'\r');
            let ends = *byte == self.delimiter || newline;
            if self.between && !newline {
                self.begins.push_back(self.line);
            }
            let unquoted = !matches!(self.place, Place::Quoted);
            self.between = newline && (self.between || unquoted);
            self.place = match (self.place, byte) {
                (Place::Start, b'"') => {
                    self.opened = self.line;
                    Place::Quoted
                }
                (Place::Quoted, b'"') => Place::Quote,
                (Place::Quote, b'"') | (Place::Quoted, _) => Place::Quoted,
                (Place::Start | Place::Plain | Place::Quote, _) if ends => Place::Start,
                (Place::Start | Place::Plain, _) => Place::Plain,
                (Place::Quote, next) => return Err(Fault::Undoubled { line: self.line, next: *next }),
            };
            self.line += u64::from(newline && !(self.returned && *byte == b'\n'));
            self.returned = *byte == b'\r';
        }
        Ok(())
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wrong = |fault| io::Error::new(io::ErrorKind::InvalidData, fault);
        if self.left == 0 {
            return Err(wrong(Fault::Endless { line: self.line, limit: LIMIT }));
        }
        let room = out.len().min(self.left);
        let read = self.input.read(&mut out[..room])?;
        self.left -= read;
        self.watch(&out[..read]).map_err(wrong)?;
        if read == 0 && room > 0 && self.place == Place::Quoted {
            return Err(wrong(Fault::Unclosed { line: self.opened }));
        }
        Ok(read)
    }
}
