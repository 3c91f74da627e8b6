//! Models split into several files. Source of names and keys: the `gguf-split` tool of llama.cpp b11434.

use std::path::{Path, PathBuf};

use super::header::malformed;
use super::{Header, keys};
use crate::io::{ByteSource, FileSource};
use crate::{Error, Result};

/// The path of shard `no` (from 1) of `count`: `NAME-00001-of-00009.gguf` for `NAME.gguf`.
///
/// `path` may itself be the path of a shard.
#[must_use]
pub fn shard_path(path: &Path, no: u32, count: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".gguf").unwrap_or(&name);
    let stem = split_name(stem).map_or(stem, |(stem, _, _)| stem);
    path.with_file_name(format!("{stem}-{no:05}-of-{count:05}.gguf"))
}

/// Opens a GGUF file and, if it is the first shard of several, the others beside it.
///
/// # Errors
/// [`Error::NotFirstShard`] if `path` is a later shard, [`Error::Io`] if a shard cannot be read,
/// [`Error::Malformed`] for an invalid header and for shards that contradict each other, [`Error::Truncated`] for an
/// incomplete file.
pub fn open_all(path: &Path) -> Result<Vec<(PathBuf, Header)>> {
    open_all_from(path, &|path| Ok(Box::new(FileSource::open(path)?)))
}

/// Like [`open_all`], for files that `open` opens by path.
///
/// # Errors
/// As [`open_all`], and those of `open`.
pub fn open_all_from<'a>(
    path: &Path,
    open: &dyn Fn(&Path) -> Result<Box<dyn ByteSource + 'a>>,
) -> Result<Vec<(PathBuf, Header)>> {
    let first = Header::read(path, &*open(path)?)?;
    let count = first.metadata.u64(keys::SPLIT_COUNT).unwrap_or(1);
    if count <= 1 {
        return Ok(vec![(path.to_owned(), first)]);
    }
    let count = u16::try_from(count)
        .map(u32::from)
        .map_err(|_| malformed(path, format!("`{}` of {count}", keys::SPLIT_COUNT), "at most 65535"))?;
    refuse_later_shard(path, &first, count)?;
    check_split(path, &first, 0, count)?;
    if shard_path(path, 1, count) != path {
        let expected = format!("`NAME-00001-of-{count:05}.gguf`");
        return Err(malformed(path, format!("the first of {count} shards under another name"), &expected));
    }
    let mut shards = vec![(path.to_owned(), first)];
    for no in 1..count {
        let shard = shard_path(path, no + 1, count);
        let header = Header::read(&shard, &*open(&shard)?)?;
        check_split(&shard, &header, no, count)?;
        shards.push((shard, header));
    }
    check_tensors(path, &shards)?;
    Ok(shards)
}

/// Names the first shard in the error if the file is a later one.
fn refuse_later_shard(path: &Path, header: &Header, count: u32) -> Result<()> {
    match header.metadata.u64(keys::SPLIT_NO) {
        Some(no) if (1..u64::from(count)).contains(&no) => Err(Error::NotFirstShard {
            path: path.to_owned(),
            number: no + 1,
            count,
            first: shard_path(path, 1, count).file_name().unwrap_or_default().into(),
        }),
        _ => Ok(()),
    }
}

fn check_split(path: &Path, header: &Header, no: u32, count: u32) -> Result<()> {
    for (key, expected) in [(keys::SPLIT_NO, no), (keys::SPLIT_COUNT, count)] {
        let found = header.metadata.u64(key);
        if found != Some(u64::from(expected)) {
            let found = found.map_or_else(|| format!("no `{key}`"), |n| format!("`{key}` of {n}"));
            return Err(malformed(path, found, &expected.to_string()));
        }
    }
    Ok(())
}

fn check_tensors(path: &Path, shards: &[(PathBuf, Header)]) -> Result<()> {
    let mut names: Vec<_> =
        shards.iter().flat_map(|(p, h)| h.tensors.iter().map(move |t| (t.name.as_str(), p))).collect();
    let total = shards[0].1.metadata.u64(keys::SPLIT_TENSORS_COUNT);
    if total != Some(names.len() as u64) {
        let key = keys::SPLIT_TENSORS_COUNT;
        let expected = total.map_or_else(|| format!("`{key}`"), |n| format!("{n} by `{key}`"));
        return Err(malformed(path, format!("{} tensors in all shards", names.len()), &expected));
    }
    names.sort_unstable();
    for pair in names.windows(2) {
        if pair[0].0 == pair[1].0 {
            let found = format!("tensor `{}`, also in `{}`", pair[1].0, pair[0].1.display());
            return Err(malformed(pair[1].1, found, "every tensor once"));
        }
    }
    Ok(())
}

/// Splits `NAME-00001-of-00009` into `("NAME", 1, 9)`.
fn split_name(stem: &str) -> Option<(&str, u32, u32)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, no) = rest.rsplit_once('-')?;
    let number = |text: &str| if text.len() == 5 { text.parse::<u32>().ok() } else { None };
    Some((name, number(no)?, number(count)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ggml::GgmlType;
    use crate::gguf::Metadata;
    use crate::io::{ByteSink, FileSink};

    fn write(path: &Path, no: u16, count: u16, tensors: &[&str], total: i32) {
        let mut metadata = Metadata::new();
        metadata.push(keys::SPLIT_NO, no);
        metadata.push(keys::SPLIT_COUNT, count);
        metadata.push(keys::SPLIT_TENSORS_COUNT, total);
        let list = tensors.iter().map(|n| ((*n).to_owned(), vec![4], GgmlType::F32)).collect();
        let header = Header::layout(metadata, list).unwrap();
        let sink = FileSink::open(path).unwrap();
        sink.set_len(header.file_len()).unwrap();
        sink.write_at(0, &header.encode()).unwrap();
    }

    #[test]
    fn shard_names_count_from_one_in_five_digits() {
        let path = Path::new("/m/A-Q4_0.gguf");
        assert_eq!(shard_path(path, 1, 9), Path::new("/m/A-Q4_0-00001-of-00009.gguf"));
        assert_eq!(shard_path(&shard_path(path, 1, 9), 2, 9), Path::new("/m/A-Q4_0-00002-of-00009.gguf"));
    }

    #[test]
    fn the_first_shard_opens_all_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = |no| shard_path(&dir.path().join("m.gguf"), no, 2);
        write(&path(1), 0, 2, &["a"], 3);
        write(&path(2), 1, 2, &["b", "c"], 3);
        let names: Vec<_> =
            open_all(&path(1)).unwrap().iter().map(|(p, h)| (p.clone(), h.tensors.len())).collect();
        assert_eq!(names, [(path(1), 1), (path(2), 2)]);
        let error = open_all(&path(2)).unwrap_err().to_string();
        assert!(error.ends_with("is part 2 of 2; pass the first part (`m-00001-of-00002.gguf`)"), "{error}");
    }

    #[test]
    fn shards_that_contradict_each_other_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |no| shard_path(&dir.path().join("m.gguf"), no, 2);
        let message = || open_all(&path(1)).unwrap_err().to_string();
        write(&path(1), 0, 2, &["a"], 2);
        assert!(message().contains("cannot open"), "{}", message());
        write(&path(2), 1, 2, &["a"], 2);
        assert!(message().contains("tensor `a`, also in"), "{}", message());
        write(&path(2), 1, 3, &["b"], 2);
        assert!(message().contains("`split.count` of 3, expected 2"), "{}", message());
        write(&path(1), 0, 2, &["a"], 5);
        write(&path(2), 1, 2, &["b"], 5);
        assert!(message().contains("2 tensors in all shards, expected 5"), "{}", message());
    }
}
