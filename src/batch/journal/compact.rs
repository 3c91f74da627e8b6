//! Rewrites a file of rows without replaced ones, sorted by rank.

use std::collections::HashMap;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _, copy};

use super::sink::{Sink, sync_folder};
use super::wrong::wrong;
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
    let mut name = sink.path.clone().into_os_string();
    name.push(".new");
    let mut new = Sink::open(name.as_ref())?;
    new.cut(0)?;
    let write = |file: &std::fs::File| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        for row in &kept {
            let mut old = &sink.file;
            old.seek(SeekFrom::Start(row.begin))?;
            copy(&mut std::io::Read::take(old, row.length), &mut out)?;
        }
        out.flush()?;
        file.sync_all()
    };
    if let Err(source) = write(&new.file) {
        drop(std::fs::remove_file(&new.path));
        return Err(wrong("write", &new.path)(source));
    }
    std::fs::rename(&new.path, &sink.path).map_err(wrong("replace", &sink.path))?;
    sync_folder(&sink.path)?;
    new.length = kept.iter().map(|row| row.length).sum();
    new.path = std::mem::take(&mut sink.path);
    *sink = new;
    Ok(())
}
