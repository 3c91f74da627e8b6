//! Reading the small files of `/proc` and `/sys`.

use std::fs;
use std::io::Read as _;
use std::path::Path;

/// The text of a small file, trimmed. These files report no length, so at most 1 MiB is read.
#[must_use]
pub fn text(root: &Path, path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::new();
    fs::File::open(root.join(path)).ok()?.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

/// The first value with a name, from lines of `name : value`.
#[must_use]
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The smaller of two numbers, or the only one that is known.
pub(super) fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}
