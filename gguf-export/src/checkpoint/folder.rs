//! Lists the files of a checkpoint folder, and refuses names and links that lead out of it.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::json;
use crate::{Error, Result, io};

const INDEX: &str = "model.safetensors.index.json";
/// Size limit of an index in bytes; that of the 80B model has about 20 MB.
const MAX_INDEX_BYTES: u64 = 256 << 20;
/// Limit of its JSON values; that of the 80B model has 150 000.
const MAX_VALUES: usize = 4 << 20;

/// The shards of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Paths: those that the index names, sorted, then all others, sorted.
    pub(super) shards: Vec<PathBuf>,
    /// Tensor names with indices into `shards`, as in the index file. Empty without an index file.
    pub(super) weight_map: Vec<(String, usize)>,
    /// Names of files that hold the weights once more; see [`second_copies`].
    pub(super) copies: Vec<String>,
}

/// Those of a checkpoint's files that hold the weights once more, under the names of Mistral's own format, which its
/// repositories have beside those under transformers' names. `is_indexed` is true if an index lists the latter.
#[must_use]
pub fn second_copies<'n>(names: impl Iterator<Item = &'n str>, is_indexed: bool) -> Vec<&'n str> {
    let shards: Vec<&str> = names.filter(|name| name.ends_with(".safetensors")).collect();
    let has_model = is_indexed || shards.iter().any(|name| name.starts_with("model"));
    shards.into_iter().filter(|name| has_model && name.starts_with("consolidated")).collect()
}

/// Lists all safetensors files, those that the index file names first.
pub(super) fn list(dir: &Path) -> Result<Listing> {
    let listing = match index(dir)? {
        Some(index) => by_index(dir, index)?,
        None => by_suffix(dir)?,
    };
    if listing.shards.is_empty() {
        return Err(Error::MissingTensor {
            path: dir.to_owned(),
            tensor: "*.safetensors".to_owned(),
            needed_by: "a checkpoint has `model.safetensors` or numbered shards".to_owned(),
        });
    }
    Ok(listing)
}

/// The path of a file of the folder. Refuses names with several components and symbolic links that lead out of the
/// folder.
///
/// Links from `snapshots/COMMIT` to `blobs` of the same repository, as in the Hugging Face cache, are followed, and links
/// from other folders to files of such a cache.
pub(crate) fn inside(dir: &Path, name: &str) -> Result<PathBuf> {
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(outside(&dir.join(name), "its name is a path".to_owned()));
    }
    let path = dir.join(name);
    check_target(dir, &path)?;
    Ok(path)
}

/// Names without `ending` and paths of the files with this ending in a folder of the checkpoint, sorted; none if the folder
/// does not exist.
pub(crate) fn inside_folder(dir: &Path, folder: &str, ending: &str) -> Result<Vec<(String, PathBuf)>> {
    let home = dir.join(folder);
    if !io::is_there(&home) {
        return Ok(Vec::new());
    }
    let mut names = io::list(&home)?;
    names.sort_unstable();
    let checked = |name: &String| {
        let stem = name.strip_suffix(ending)?;
        let path = home.join(name);
        Some(check_target(dir, &path).map(|()| (stem.to_owned(), path)))
    };
    names.iter().filter_map(checked).collect()
}

/// Refuses a path that is or leads through a link out of the checkpoint.
fn check_target(dir: &Path, path: &Path) -> Result<()> {
    let real = io::canonicalize(path)?;
    let home = io::canonicalize(dir)?;
    let repository = home.parent().filter(|p| p.ends_with("snapshots")).and_then(Path::parent);
    let is_linked = match repository {
        Some(own) => io::canonicalize(&own.join("blobs")).is_ok_and(|blobs| real.starts_with(blobs)),
        None => is_cached(&real),
    };
    if real.starts_with(&home) || is_linked {
        Ok(())
    } else {
        Err(outside(path, format!("it is a link to `{}`", real.display())))
    }
}

fn outside(path: &Path, found: String) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        format: "checkpoint",
        found,
        expected: "a file of the checkpoint's folder, or of the hub's cache".to_owned(),
    }
}

/// Returns true for a file of the Hugging Face cache: in `models--ORG--NAME/blobs`, or in `snapshots/COMMIT` beside it
/// where the file system has no links.
fn is_cached(real: &Path) -> bool {
    let name =
        |path: &Path| path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default().to_owned();
    let above: Vec<String> = real.ancestors().skip(1).take(3).map(name).collect();
    let is_model = |folder: &String| folder.starts_with("models--");
    match above.as_slice() {
        [blobs, model, ..] if blobs == "blobs" => is_model(model),
        [_, snapshots, model] if snapshots == "snapshots" => is_model(model),
        _ => false,
    }
}

/// Like [`inside`], for a file that may be missing. A dangling link counts as present and fails when it is read: it is
/// a file that was not downloaded.
pub(crate) fn optional(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    if io::is_there(&dir.join(name)) { inside(dir, name).map(Some) } else { Ok(None) }
}

/// The content of an index file.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) path: PathBuf,
    /// The shards' file names, sorted.
    pub(super) names: Vec<String>,
    /// Tensor names with indices into `names`.
    pub(super) weight_map: Vec<(String, usize)>,
}

/// Reads the index file; `None` if it does not exist.
pub(super) fn index(dir: &Path) -> Result<Option<Index>> {
    let Some(path) = optional(dir, INDEX)? else { return Ok(None) };
    let pairs = parse_index(&path, &io::read_to_string(&path, MAX_INDEX_BYTES)?)?;
    let mut names: Vec<&str> = pairs.iter().map(|(_, file)| file.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let weight_map = pairs
        .iter()
        .map(|(tensor, file)| (tensor.clone(), names.binary_search(&file.as_str()).unwrap_or_default()))
        .collect();
    let names = names.into_iter().map(str::to_owned).collect();
    Ok(Some(Index { path, names, weight_map }))
}

/// Parses the text of an index file: tensor and file names in its order. `path` is for error messages.
///
/// # Errors
/// [`Error::Json`] if it is not an index, [`Error::Malformed`] if it holds too many values.
pub fn parse_index(path: &Path, text: &str) -> Result<Vec<(String, String)>> {
    json::limit_values(path, text, MAX_VALUES)?;
    let json = |source| Error::Json { path: path.to_owned(), source };
    let Parsed { weight_map: Pairs(pairs) } = serde_json::from_str(text).map_err(json)?;
    Ok(pairs)
}

fn by_index(dir: &Path, index: Index) -> Result<Listing> {
    let mut shards = Vec::new();
    for name in &index.names {
        shards.push(inside(dir, name).map_err(|e| match e {
            Error::Io { path: shard, source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Error::Malformed {
                    path: index.path.clone(),
                    format: "index",
                    found: format!("it names `{}`, which does not exist", shard.display()),
                    expected: "every shard in the folder; download it".to_owned(),
                }
            }
            e => e,
        })?);
    }
    // Loaders read only the files that the index names, but writers add files without naming them there.
    let mut others = safetensors(dir)?;
    others.retain(|name| index.names.binary_search(name).is_err());
    let copies = take_second_copies(&mut others, true);
    for name in &others {
        shards.push(inside(dir, name)?);
    }
    Ok(Listing { shards, weight_map: index.weight_map, copies })
}

/// Names of the safetensors files of a folder, sorted.
fn safetensors(dir: &Path) -> Result<Vec<String>> {
    let mut names = io::list(dir)?;
    names.retain(|name| name.ends_with(".safetensors") && !name.starts_with('.'));
    names.sort_unstable();
    Ok(names)
}

/// Removes the second copies from the names of files, and returns them.
fn take_second_copies(names: &mut Vec<String>, is_indexed: bool) -> Vec<String> {
    let all = names.iter().map(String::as_str);
    let copies: Vec<String> = second_copies(all, is_indexed).into_iter().map(str::to_owned).collect();
    names.retain(|name| !copies.contains(name));
    copies
}

fn by_suffix(dir: &Path) -> Result<Listing> {
    let mut names = safetensors(dir)?;
    let copies = take_second_copies(&mut names, false);
    for name in &names {
        if let Some((stem, count)) = numbered(name) {
            for n in 1..=count {
                let wanted = format!("{stem}-{n:05}-of-{count:05}.safetensors");
                if names.binary_search(&wanted).is_err() {
                    return Err(Error::MissingTensor {
                        path: dir.to_owned(),
                        tensor: wanted,
                        needed_by: format!("`{name}` is one of {count} shards"),
                    });
                }
            }
        }
    }
    let shards = names.iter().map(|n| inside(dir, n)).collect::<Result<_>>()?;
    Ok(Listing { shards, weight_map: Vec::new(), copies })
}

/// Splits `model-00002-of-00009.safetensors` into `model` and 9.
fn numbered(name: &str) -> Option<(&str, u32)> {
    let (rest, count) = name.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let five = |s: &str| s.len() == 5 && s.bytes().all(|b| b.is_ascii_digit());
    (five(number) && five(count)).then(|| Some((stem, count.parse().ok()?))).flatten()
}

#[derive(Deserialize)]
struct Parsed {
    weight_map: Pairs,
}

/// Tensor and shard names in file order.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::entries(deserializer, "an object of file names", None).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn shard_names_contain_the_number_of_shards() {
        assert_eq!(numbered("model-00002-of-00009.safetensors"), Some(("model", 9)));
        assert_eq!(numbered("model.safetensors"), None);
        assert_eq!(numbered("model-2-of-9.safetensors"), None);
    }

    proptest! {
        #[test]
        fn the_entries_of_an_index_are_read_back(pairs in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
            let entry = |(tensor, file): &(String, String)| {
                format!("{}:{}", Value::from(tensor.as_str()), Value::from(file.as_str()))
            };
            let entries: Vec<String> = pairs.iter().map(entry).collect();
            let text = format!(r#"{{"metadata":{{"total_size":0}},"weight_map":{{{}}}}}"#, entries.join(","));
            prop_assert_eq!(parse_index(Path::new("index"), &text).unwrap(), pairs);
        }

        #[test]
        fn any_text_is_an_index_or_refused(text in r#"(\{"weight_map":)?[\[\]{}":,a0 ]{0,30}"#) {
            drop(parse_index(Path::new("index"), &text));
        }
    }
}
