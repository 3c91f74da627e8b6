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
    /// Paths, sorted.
    pub(super) shards: Vec<PathBuf>,
    /// Tensor names with indices into `shards`, as in the index file. Empty without an index file.
    pub(super) weight_map: Vec<(String, usize)>,
}

/// Lists the shards that the index file names, or all safetensors files if there is no index file.
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
    let outside = |found: String| Error::Malformed {
        path: dir.join(name),
        format: "checkpoint",
        found,
        expected: "a file of the checkpoint's folder, or of the hub's cache".to_owned(),
    };
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(outside("its name is a path".to_owned()));
    }
    let path = dir.join(name);
    let real = io::canonicalize(&path)?;
    let home = io::canonicalize(dir)?;
    let repository = home.parent().filter(|p| p.ends_with("snapshots")).and_then(Path::parent);
    let is_linked = match repository {
        Some(own) => io::canonicalize(&own.join("blobs")).is_ok_and(|blobs| real.starts_with(blobs)),
        None => is_cached(&real),
    };
    if real.starts_with(&home) || is_linked {
        Ok(path)
    } else {
        Err(outside(format!("it is a link to `{}`", real.display())))
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
    let text = io::read_to_string(&path, MAX_INDEX_BYTES)?;
    json::limit_values(&path, &text, MAX_VALUES)?;
    let json = |source| Error::Json { path: path.clone(), source };
    let Parsed { weight_map: Pairs(pairs) } = serde_json::from_str(&text).map_err(json)?;
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
    Ok(Listing { shards, weight_map: index.weight_map })
}

fn by_suffix(dir: &Path) -> Result<Listing> {
    let mut names: Vec<String> =
        io::list(dir)?.into_iter().filter(|n| n.ends_with(".safetensors") && !n.starts_with('.')).collect();
    names.sort_unstable();
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
    Ok(Listing { shards, weight_map: Vec::new() })
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
    use super::*;

    #[test]
    fn shard_names_contain_the_number_of_shards() {
        assert_eq!(numbered("model-00002-of-00009.safetensors"), Some(("model", 9)));
        assert_eq!(numbered("model.safetensors"), None);
        assert_eq!(numbered("model-2-of-9.safetensors"), None);
    }
}
