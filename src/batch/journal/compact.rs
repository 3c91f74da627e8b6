//! Rewrites a file of rows without replaced ones, sorted by rank.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _, copy};

use super::sink::Sink;
use super::wrong::wrong;
use crate::atomic::{Access, NewFile};
use crate::batch::error::Error;
use crate::batch::hash::key;

/// A row to keep: its rank, and its place in the file.
struct Kept {
    rank: u64,
    begin: u64,
    length: u64,
}

/// Keeps the last row of each id with a rank. The new file replaces the old one once it is complete.
pub(super) fn compact(sink: &mut Sink, rank: &dyn Fn(u128) -> Option<u64>) -> Result<(), Error> {
    if sink.stream {
        return Ok(());
    }
    let mut last: HashMap<u128, Kept> = HashMap::new();
    let mut rows = 0;
    sink.scan(&mut |row| {
        rows += 1;
        let key = key(row.id);
        if let Some(rank) = rank(key) {
            last.insert(key, Kept { rank, begin: row.begin, length: row.length });
        }
        Ok(())
    })?;
    let mut kept: Vec<Kept> = last.into_values().collect();
    kept.sort_unstable_by_key(|row| (row.rank, row.begin));
    if kept.len() == rows && kept.is_sorted_by_key(|row| row.begin) {
        return Ok(());
    }
    let failed = |action| wrong(action, &sink.path);
    let mut new = NewFile::beside(&sink.path, Access::Usual).map_err(failed("replace"))?;
    write(&sink.file, &kept, &mut new).map_err(failed("write"))?;
    sink.file = new.commit().map_err(failed("replace"))?;
    sink.length = kept.iter().map(|row| row.length).sum();
    Ok(())
}

/// Copies these rows.
fn write(mut old: &File, kept: &[Kept], new: &mut NewFile) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, new);
    for row in kept {
        old.seek(SeekFrom::Start(row.begin))?;
        copy(&mut old.take(row.length), &mut out)?;
    }
    out.flush()
}
