//! The input: a file, compressed or not, or a stream; with JSON lines, or a table.

mod frames;
mod head;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::lines::{Line, Lines};
use super::table::{Records, Table};
use frames::Frames;
use head::Compression;

/// The format of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// A request in each line.
    Lines,
    /// A prompt in each record.
    Table(Table),
}

/// The rows of an input. They can be read on another thread.
pub struct Source {
    path: PathBuf,
    format: Format,
    state: State,
}

type Input = Box<dyn BufRead + Send>;

enum State {
    /// Nothing is read yet.
    New(Input),
    Lines(Lines<Input>),
    Table(Box<Records<Input>>),
    /// Reading failed.
    Over,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Bytes of the read buffer.
const BUFFER: usize = 1 << 16;

/// Opens a file or a pipe; `-` is standard input. Its first bytes decide whether it is decompressed: gzip or zstd.
///
/// # Errors
///
/// When it cannot be opened, or is a folder or a device.
pub fn open(path: &Path, format: &Format) -> Result<Source, Error> {
    let input: Input = if path.as_os_str() == "-" {
        Box::new(BufReader::with_capacity(BUFFER, io::stdin()))
    } else {
        check(path)?;
        let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Box::new(BufReader::with_capacity(BUFFER, file))
    };
    Ok(Source { path: path.to_owned(), format: format.clone(), state: State::New(input) })
}

/// Refuses what has no rows, without opening a pipe, which would lose its writer.
///
/// # Errors
///
/// When there is no such file, or it is a folder or a device.
pub fn check(path: &Path) -> Result<(), Error> {
    if path.as_os_str() == "-" {
        return Ok(());
    }
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(failed)?.file_type();
    if found.is_dir() {
        return Err(Error::NotFile { path: path.to_owned(), found: "a folder" });
    }
    if found.is_file() {
        return File::open(path).map(drop).map_err(failed);
    }
    if is_pipe(found) { Ok(()) } else { Err(Error::NotFile { path: path.to_owned(), found: "a device" }) }
}

#[cfg(unix)]
fn is_pipe(found: std::fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.is_fifo() || found.is_socket()
}

#[cfg(not(unix))]
fn is_pipe(_: std::fs::FileType) -> bool {
    false
}

impl Source {
    /// The next row, with the number of its line; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the input cannot be read or decompressed, or is not of its format.
    pub fn read(&mut self) -> Result<Option<(u64, Line)>, Error> {
        if matches!(self.state, State::New(_)) {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::New(input) => self.begin(input)?,
                state => state,
            };
        }
        match &mut self.state {
            State::Lines(lines) => {
                lines.read().map_err(|source| Error::Read { path: self.path.clone(), source })
            }
            State::Table(records) => records.read(),
            State::New(_) | State::Over => Ok(None),
        }
    }

    fn begin(&self, input: Input) -> Result<State, Error> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let (head, input) = decompressed(input).map_err(failed)?;
        if let Some(found) = head::foreign(&head) {
            return Err(Error::Foreign { path: self.path.clone(), found });
        }
        let head = head::without_mark(head);
        if self.format == Format::Lines && head::is_array(&head) {
            return Err(Error::JsonArray { path: self.path.clone() });
        }
        let input: Input = Box::new(head::put_back(head, input));
        Ok(match &self.format {
            Format::Lines => State::Lines(Lines::new(input)),
            Format::Table(table) => State::Table(Box::new(Records::open(input, table, &self.path)?)),
        })
    }
}

/// Decompresses an input if it is compressed, and takes its first bytes.
fn decompressed(mut input: Input) -> io::Result<(Vec<u8>, Input)> {
    let head = head::take(&mut input)?;
    let Some(compression) = Compression::of(&head) else { return Ok((head, input)) };
    let file = head::put_back(head, input);
    let input: Box<dyn Read + Send> = match compression {
        // Compressed files may be concatenated.
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Zstd => Box::new(Frames::new(file)),
    };
    let mut input: Input = Box::new(BufReader::with_capacity(BUFFER, input));
    Ok((head::take(&mut input)?, input))
}

/// The columns of a table.
///
/// # Errors
///
/// When it cannot be read.
pub fn columns(path: &Path, delimiter: u8) -> Result<Vec<String>, Error> {
    let table = Table::without_prompt(delimiter);
    let mut source = open(path, &Format::Table(table))?;
    match std::mem::replace(&mut source.state, State::Over) {
        State::New(input) => match source.begin(input)? {
            State::Table(records) => Ok(records.columns().to_vec()),
            _ => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}
