//! Which files of a repository a conversion needs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use super::{Error, Listing, RemoteFile, RepoName};

/// What names the shards.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// The longest index that is read; the real model's has about 20 MB.
const INDEX_BYTES: u64 = 256 << 20;
/// Small files that mean something to a conversion, or to whoever reads where a model is from.
const NAMED: [&str; 10] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "README.md",
];
const PREFIXES: [&str; 3] = ["quantization_config", "chat_template", "LICENSE"];

/// The files, small ones first. `index` is that file in the cache, if the repository has one.
pub(super) fn checkpoint<'l>(
    repo: &RepoName,
    listing: &'l Listing,
    index: Option<&Path>,
) -> Result<Vec<&'l RemoteFile>, Error> {
    let at_top = |file: &&RemoteFile| !file.name.contains('/');
    let is_small = |file: &&RemoteFile| {
        let name = file.name.as_str();
        name == INDEX || NAMED.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut files: Vec<&RemoteFile> = listing.files.iter().filter(at_top).filter(is_small).collect();
    if let Some(path) = index {
        for name in shards(repo, path, &|_| true)? {
            let lacking = || Error::Missing { what: format!("{}/{INDEX}", repo.id()), file: name.clone() };
            files.push(listing.find(&name).ok_or_else(lacking)?);
        }
    } else {
        let is_shard = |file: &&RemoteFile| file.name.ends_with(".safetensors");
        files.extend(listing.files.iter().filter(at_top).filter(is_shard));
    }
    Ok(files)
}

/// The shards that hold tensors of certain names, by an index in the cache.
pub(super) fn shards(
    repo: &RepoName,
    path: &Path,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeSet<String>, Error> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(INDEX_BYTES).read_to_string(&mut text))
        .map_err(Error::io("read", path))?;
    let wrong = |error| Error::Answer {
        what: format!("{}/{INDEX}", repo.id()),
        reason: format!("no index: {error}"),
    };
    let mut names = BTreeSet::new();
    let mut reader = serde_json::Deserializer::from_str(&text);
    Index { is_wanted, names: &mut names }.deserialize(&mut reader).map_err(wrong)?;
    Ok(names)
}

/// Gathers the values of `weight_map`, each once.
struct Index<'a> {
    is_wanted: &'a dyn Fn(&str) -> bool,
    names: &'a mut BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for Index<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Index<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a `weight_map`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { is_wanted, names } = self;
        let mut seen = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "weight_map" {
                seen = true;
                map.next_value_seed(Names { is_wanted, names })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if seen { Ok(()) } else { Err(serde::de::Error::missing_field("weight_map")) }
    }
}

struct Names<'a> {
    is_wanted: &'a dyn Fn(&str) -> bool,
    names: &'a mut BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of file names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((tensor, file)) = map.next_entry::<String, String>()? {
            if (self.is_wanted)(&tensor) {
                self.names.insert(file);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let file = |name: &&str| RemoteFile { name: (*name).to_owned(), bytes: 1, hash: "0".repeat(40) };
        let mut files: Vec<RemoteFile> = names.iter().map(file).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Listing { commit: "0".repeat(40), files }
    }

    fn names(files: Result<Vec<&RemoteFile>, Error>) -> Result<Vec<String>, String> {
        let names = |files: Vec<&RemoteFile>| files.iter().map(|file| file.name.clone()).collect();
        files.map(names).map_err(|error| error.to_string())
    }

    #[test]
    fn shards_are_those_that_the_index_names() {
        let repo = "a/b".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index");
        std::fs::write(
            &index,
            r#"{"metadata": {}, "weight_map": {"x": "m-1.safetensors", "y": "m-1.safetensors"}}"#,
        )
        .unwrap();
        let all = [
            "config.json",
            "m-1.safetensors",
            "old.safetensors",
            "a/config.json",
            "x.bin",
            INDEX,
            "LICENSE.txt",
        ];
        let found = names(checkpoint(&repo, &listing(&all), Some(&index)));
        assert_eq!(found.unwrap(), ["LICENSE.txt", "config.json", INDEX, "m-1.safetensors"]);
        let found = names(checkpoint(&repo, &listing(&["config.json", INDEX]), Some(&index)));
        assert!(found.unwrap_err().contains("names `m-1.safetensors`, which the repository does not have"));
        let found =
            names(checkpoint(&repo, &listing(&["config.json", "m.safetensors", "a/m.safetensors"]), None));
        assert_eq!(found.unwrap(), ["config.json", "m.safetensors"]);
        std::fs::write(&index, r#"{"weight_map": {"x": 1}}"#).unwrap();
        assert!(names(checkpoint(&repo, &listing(&all), Some(&index))).unwrap_err().contains("no index"));
    }
}
