//! Reads the rows of an earlier run, and finds a torn one.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::wrong::wrong;
use crate::batch::error::Error;
use crate::batch::hash::RequestHash;

/// The first bytes of every row.
pub(super) const PREFIX: &[u8] = b"{\"id\":\"batch_req_";
/// The maximum size of a row in bytes.
const LONGEST: u64 = 1 << 30;

/// The fields of a row that a journal needs.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) id: &'a str,
    pub(super) hash: RequestHash,
    pub(super) status: u16,
    pub(super) model: &'a str,
    /// Its place in the file, the newline included.
    pub(super) begin: u64,
    pub(super) length: u64,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    custom_id: Cow<'a, str>,
    response: Status,
    #[serde(borrow)]
    ggrun: Mark<'a>,
}

#[derive(Deserialize)]
struct Status {
    status_code: u16,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(borrow)]
    request_hash: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
}

/// Calls `each` with every row of `length` bytes. Returns where a torn last row begins; any other line that is not a row
/// is an error.
pub(super) fn scan(
    input: impl Read,
    length: u64,
    path: &Path,
    each: &mut dyn FnMut(&Written<'_>) -> Result<(), Error>,
) -> Result<Option<u64>, Error> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let (mut line, mut begin, mut number) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        number += 1;
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(wrong("read", path))?;
        if read == 0 {
            return Ok(None);
        }
        let bytes = read as u64;
        let whole = line.ends_with(b"\n");
        match serde_json::from_slice::<Wire<'_>>(&line).ok().filter(|_| whole).and_then(|wire| {
            let hash = RequestHash::parse(&wire.ggrun.request_hash)?;
            Some((wire, hash))
        }) {
            Some((wire, hash)) => each(&Written {
                id: &wire.custom_id,
                hash,
                status: wire.response.status_code,
                model: &wire.ggrun.model,
                begin,
                length: bytes,
            })?,
            None if begin + bytes == length && is_ours(&line) => return Ok(Some(begin)),
            None => return Err(Error::NotAnswers { path: path.to_owned(), line: number }),
        }
        begin += bytes;
    }
}

/// Whether this may be the beginning of a row, or the zeros that a system crash leaves.
fn is_ours(line: &[u8]) -> bool {
    line.starts_with(PREFIX) || PREFIX.starts_with(line) || line.iter().all(|byte| *byte == 0)
}
