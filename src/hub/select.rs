//! Selects the files of a repository that a conversion needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use gguf_export::checkpoint::second_copies;
use gguf_export::vocab::OTHER_TOKENIZERS;
use serde::Deserialize;

use super::{Error, Listing, RemoteFile, RepoName};

/// The file that lists the shards.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// The largest index that is read; that of an 80B model has about 20 MB.
const INDEX_BYTES: u64 = 256 << 20;
/// Small files that a conversion uses, or that document the model.
const NAMED: [&str; 13] = [
    "config.json",
    "quantize_config.json",
    "quant_config.json",
    "hf_quant_config.json",
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
/// The folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates/";

/// The files, small ones first, then shards: those that the index names, and all others. `index` is the index's path in
/// the cache, if the repository has one.
pub(super) fn checkpoint<'l>(
    repo: &RepoName,
    listing: &'l Listing,
    index: Option<&Path>,
) -> Result<Vec<&'l RemoteFile>, Error> {
    let has_tokenizer = listing.find("tokenizer.json").is_some();
    let is_small = |file: &&RemoteFile| {
        let name = file.name.as_str();
        name == INDEX
            || NAMED.contains(&name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || !has_tokenizer && OTHER_TOKENIZERS.iter().any(|(other, _)| *other == name)
    };
    let is_template = |file: &RemoteFile| {
        let stem = file.name.strip_prefix(TEMPLATES).and_then(|name| name.strip_suffix(".jinja"));
        stem.is_some_and(|stem| !stem.contains('/'))
    };
    let is_wanted = |file: &&RemoteFile| is_template(file) || (at_top(file) && is_small(file));
    let mut files: Vec<&RemoteFile> = listing.files.iter().filter(is_wanted).collect();
    if let Some(path) = index {
        let names: BTreeSet<String> = weight_map(repo, path)?.into_values().collect();
        for name in names {
            let missing = || listing.missing(&format!("{}/{INDEX}", repo.id()), &name);
            files.push(listing.find(&name).ok_or_else(missing)?);
        }
    }
    // Writers add files with further tensors without naming them in the index.
    let copies = listing.second_copies();
    let is_shard = |file: &&RemoteFile| {
        let name = file.name.as_str();
        name.ends_with(".safetensors") && !name.starts_with('.') && !copies.contains(&name)
    };
    for file in listing.files.iter().filter(|file| at_top(file)).filter(is_shard) {
        if !files.iter().any(|known| known.name == file.name) {
            files.push(file);
        }
    }
    Ok(files)
}

fn at_top(file: &RemoteFile) -> bool {
    !file.name.contains('/')
}

impl Listing {
    /// Names of the files that hold the weights once more, unless the index names them.
    #[must_use]
    pub fn second_copies(&self) -> Vec<&str> {
        let names = self.files.iter().filter(|file| at_top(file)).map(|file| file.name.as_str());
        second_copies(names, self.find(INDEX).is_some())
    }
}

/// The file of every tensor, by an index in the cache.
pub(super) fn weight_map(repo: &RepoName, path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(INDEX_BYTES).read_to_string(&mut text))
        .map_err(Error::io("read", path))?;
    let wrong = |error| Error::json(format!("{}/{INDEX}", repo.id()), &error);
    let Index { weight_map } = serde_json::from_str(&text).map_err(wrong)?;
    Ok(weight_map)
}

#[derive(Deserialize)]
struct Index {
    /// The file of every tensor.
    weight_map: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let file = |name: &&str| RemoteFile { name: (*name).to_owned(), bytes: 1, hash: "0".repeat(40) };
        let mut files: Vec<RemoteFile> = names.iter().map(file).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Listing { commit: "0".repeat(40), files, only_cached: None }
    }

    fn names(files: Result<Vec<&RemoteFile>, Error>) -> Result<Vec<String>, String> {
        let names = |files: Vec<&RemoteFile>| files.iter().map(|file| file.name.clone()).collect();
        files.map(names).map_err(|error| error.to_string())
    }

    #[test]
    fn shards_are_those_of_the_index_and_all_others() {
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
            "extra.safetensors",
            "consolidated.safetensors",
            "a/config.json",
            "a/m.safetensors",
            "additional_chat_templates/rag.jinja",
            "additional_chat_templates/a/b.jinja",
            "x.bin",
            INDEX,
            "LICENSE.txt",
        ];
        let found = names(checkpoint(&repo, &listing(&all), Some(&index)));
        assert_eq!(
            found.unwrap(),
            [
                "LICENSE.txt",
                "additional_chat_templates/rag.jinja",
                "config.json",
                INDEX,
                "m-1.safetensors",
                "extra.safetensors"
            ]
        );
        let found = names(checkpoint(&repo, &listing(&["config.json", INDEX]), Some(&index)));
        assert!(found.unwrap_err().contains("names `m-1.safetensors`, which the repository does not have"));
        let found =
            names(checkpoint(&repo, &listing(&["config.json", "m.safetensors", "a/m.safetensors"]), None));
        assert_eq!(found.unwrap(), ["config.json", "m.safetensors"]);
        let second = ["config.json", "consolidated.safetensors", "model.safetensors"];
        let found = names(checkpoint(&repo, &listing(&second), None));
        assert_eq!(found.unwrap(), ["config.json", "model.safetensors"]);
        // No file of weights, in spite of its name.
        let only = ["config.json", "consolidated.safetensors", "modeling.py"];
        let found = names(checkpoint(&repo, &listing(&only), None));
        assert_eq!(found.unwrap(), ["config.json", "consolidated.safetensors"]);
        let found = names(checkpoint(&repo, &listing(&["tekken.json", "m.safetensors"]), None));
        assert_eq!(found.unwrap(), ["tekken.json", "m.safetensors"]);
        let both = ["tekken.json", "tiktoken.model", "tokenizer.json"];
        assert_eq!(names(checkpoint(&repo, &listing(&both), None)).unwrap(), ["tokenizer.json"]);
        std::fs::write(&index, r#"{"weight_map": {"x": 1}}"#).unwrap();
        let error = names(checkpoint(&repo, &listing(&all), Some(&index))).unwrap_err();
        assert!(error.contains("missing or wrong field at column "), "{error}");
    }
}
