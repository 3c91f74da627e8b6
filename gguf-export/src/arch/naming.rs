//! Name and origin of a model: `general.*` keys and the file name.
//!
//! Keys, types and order are those of gguf-py in llama.cpp b11434.

use super::model_card::ModelCard;
use super::name::{Parts, title};
use crate::checkpoint::ModelConfig;
use crate::ggml::GgmlType;
use crate::gguf::{Metadata, keys};

/// Version of ggml's block formats, in `general.quantization_version`.
const QUANTIZATION_VERSION: u32 = 2;
const HUB: &str = "https://huggingface.co/";

/// Name, origin and documentation of a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// Name given by the user; replaces that of the folder.
    pub name: Option<String>,
    /// Name of the checkpoint's folder, or of its repository without the organization.
    pub folder: String,
    /// Repository on Hugging Face, `Intel/Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound`.
    pub repo: Option<String>,
    /// Commit of the repository.
    pub commit: Option<String>,
    /// `generation_config.json`, the source of the sampling defaults.
    pub generation_config: Option<ModelConfig>,
    /// Content of `README.md`; only the front matter is used.
    pub model_card: Option<String>,
    /// Number of weights; the default if unknown.
    pub parameters: Parameters,
}

/// Number of weights, for size labels such as `80B` and `8x7B`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parameters {
    /// All weights.
    pub total: u64,
    /// Weights outside the experts.
    pub shared: u64,
    /// Weights of one expert in every layer.
    pub expert: u64,
    /// Number of experts.
    pub experts: u64,
}

impl Parameters {
    /// Counts the weights of a GGUF from tensor names and dimensions, fastest first.
    #[must_use]
    pub fn count<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u64])>) -> Self {
        let mut out = Self::default();
        let (mut stacks, mut experts) = (0u64, 0u64);
        for (name, dims) in tensors {
            let size = dims.iter().fold(1u64, |n, d| n.saturating_mul(*d));
            out.total = out.total.saturating_add(size);
            match dims.get(2) {
                Some(&n) if n > 0 && name.contains("_exps.") => {
                    out.expert = out.expert.saturating_add(size / n);
                    experts = experts.saturating_add(n);
                    stacks += 1;
                }
                _ => out.shared = out.shared.saturating_add(size),
            }
        }
        out.experts = experts.checked_div(stacks).unwrap_or(0);
        out
    }

    /// The size label, `4x861K`; `None` if nothing was counted.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        match (self.experts, self.total) {
            (_, 0) => None,
            (0, total) => Some(rounded(total)),
            (experts, _) => Some(format!("{experts}x{}", rounded(self.shared.saturating_add(self.expert)))),
        }
    }
}

/// At least two significant digits and a unit.
fn rounded(n: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "only two digits are used")]
    let n = n as f64;
    let (scale, unit) = match n {
        n if n > 1e12 => (1e-12, "T"),
        n if n > 1e9 => (1e-9, "B"),
        n if n > 1e6 => (1e-6, "M"),
        _ => (1e-3, "K"),
    };
    let scaled = n * scale;
    let whole = if scaled.round_ties_even() < 1.0 { 0 } else { format!("{scaled:.0}").len() };
    let decimals = 2usize.saturating_sub(whole);
    format!("{scaled:.decimals$}{unit}")
}

/// The `general.*` keys. `architecture` is llama.cpp's name of it, `dominant` the type of most weights.
///
/// `general.file_type` and `general.quantization_version` come last.
#[must_use]
pub fn general(p: &Provenance, architecture: &str, dominant: GgmlType) -> Metadata {
    let card = p.model_card.as_deref().map(ModelCard::read).unwrap_or_default();
    let parts = parts(p);
    let mut out = Metadata::new();
    out.push(keys::ARCHITECTURE, architecture);
    out.push(keys::TYPE, "model");
    if let Some(config) = &p.generation_config {
        sampling(config, &mut out);
    }
    let organization = p.repo.as_deref().and_then(|repo| repo.split_once('/')).map(|(org, _)| org);
    let text = |names: &[&str]| card.text(names).map(str::to_owned);
    let base = parts.basename.clone().or_else(|| text(&["basename", "model_basename"]));
    let fields = [
        ("name", Some(named(p, &card))),
        ("author", text(&["author", "model_author", "model_creator"])),
        ("version", text(&["version", "model_version"]).or(parts.version)),
        ("organization", text(&["organization", "model_organization"]).or(organization.map(title))),
        ("finetune", text(&["finetune", "model_finetune"]).or(parts.finetune)),
        ("basename", base),
        ("description", text(&["description", "model_description"])),
        ("quantized_by", organization.filter(|_| parts.auto_round).map(title)),
        ("size_label", text(&["size_label"]).or(parts.size_label).or_else(|| p.parameters.label())),
        ("license", Some(card.list(&["license"]).join(",")).filter(|l| !l.is_empty())),
        ("license.name", text(&["license_name"])),
        ("license.link", text(&["license_link"])),
    ];
    for (key, value) in fields {
        if let Some(value) = value {
            out.push(format!("general.{key}"), value);
        }
    }
    source(p, &mut out);
    base_models(p, &card, &mut out);
    lists(&card, &mut out);
    if let Some(file_type) = dominant.file_type() {
        out.push(keys::FILE_TYPE, file_type);
    }
    out.push(keys::QUANTIZATION_VERSION, QUANTIZATION_VERSION);
    out
}

/// The file name, `Qwen3-Next-80B-A3B-Thinking-AutoRound-Q4_0.gguf`.
///
/// A folder name without recognized parts is used unchanged.
#[must_use]
pub fn file_name(p: &Provenance, encoding: &str) -> String {
    let parts = parts(p);
    let auto_round = parts.auto_round.then(|| "AutoRound".to_owned());
    let stem = match (parts.basename, &p.name) {
        (Some(base), _) => {
            let words = [Some(base), parts.size_label, parts.finetune, parts.version, auto_round];
            words.into_iter().flatten().collect::<Vec<_>>().join("-")
        }
        (None, Some(name)) => name.clone(),
        (None, None) => p.folder.clone(),
    };
    let safe =
        |c: char| if c.is_whitespace() || c.is_control() || "/\\:*?\"<>|".contains(c) { '-' } else { c };
    let stem: String = stem.trim().chars().map(safe).collect();
    let stem = stem.trim_matches(['-', '.']);
    format!("{}-{encoding}.gguf", if stem.is_empty() { "model" } else { stem })
}

/// The name of the model, `general.name`.
#[must_use]
pub fn model_name(p: &Provenance) -> String {
    named(p, &p.model_card.as_deref().map(ModelCard::read).unwrap_or_default())
}

fn named(p: &Provenance, card: &ModelCard) -> String {
    let by_card = || card.text(&["name", "model_name"]).map(str::to_owned);
    p.name.clone().or_else(by_card).unwrap_or_else(|| title(&p.folder))
}

fn parts(p: &Provenance) -> Parts {
    let name = p.name.as_deref().unwrap_or(&p.folder);
    Parts::of(name.rsplit('/').next().unwrap_or(name), p.parameters.total)
}

/// Sampling defaults. Values of another type are skipped: they are recommendations, not part of the model.
fn sampling(config: &ModelConfig, out: &mut Metadata) {
    if let Some(n) = config.i64("top_k").ok().flatten().and_then(|n| i32::try_from(n).ok()) {
        out.push("general.sampling.top_k", n);
    }
    for (field, key) in [
        ("top_p", "top_p"),
        ("min_p", "min_p"),
        ("temperature", "temp"),
        ("repetition_penalty", "penalty_repeat"),
    ] {
        if let Some(v) = config.f64(field).ok().flatten() {
            #[expect(clippy::cast_possible_truncation, reason = "GGUF stores f32")]
            out.push(format!("general.sampling.{key}"), v as f32);
        }
    }
}

fn source(p: &Provenance, out: &mut Metadata) {
    let Some(repo) = &p.repo else { return };
    if let Some(commit) = &p.commit {
        out.push("general.source.url", format!("{HUB}{repo}/tree/{commit}"));
    }
    out.push("general.source.repo_url", format!("{HUB}{repo}"));
}

/// Reads the repository and the commit from keys written by [`general`].
#[must_use]
pub fn source_of(metadata: &Metadata) -> Option<(String, Option<String>)> {
    let repo = metadata.str("general.source.repo_url")?.strip_prefix(HUB)?;
    let tree = metadata.str("general.source.url").and_then(|url| url.strip_prefix(HUB)?.strip_prefix(repo));
    let commit = tree.and_then(|rest| rest.strip_prefix("/tree/"));
    Some((repo.to_owned(), commit.map(str::to_owned)))
}

/// Base models, the checkpoint's own repository last, and data sets.
fn base_models(p: &Provenance, card: &ModelCard, out: &mut Metadata) {
    let mut models = card.list(&["base_model", "base_models", "base_model_sources"]).to_vec();
    models.extend(p.repo.clone().filter(|repo| !models.contains(repo)));
    let sets = card.list(&["datasets", "dataset", "dataset_sources"]);
    for (kind, list) in [("base_model", models.as_slice()), ("dataset", sets)] {
        if list.is_empty() {
            continue;
        }
        out.push(format!("general.{kind}.count"), u32::try_from(list.len()).unwrap_or(u32::MAX));
        for (i, entry) in list.iter().enumerate() {
            let url = ["http://", "https://", "ssh://"].iter().any(|scheme| entry.starts_with(scheme));
            let id = if url { entry.strip_prefix(HUB).unwrap_or("") } else { entry };
            let (org, name) = id.split_once('/').map_or((None, id), |(org, name)| (Some(org), name));
            let known = !name.is_empty() && !name.contains('/');
            let fields = [
                ("name", known.then(|| title(name))),
                ("version", known.then(|| Parts::of(name, p.parameters.total).version).flatten()),
                ("organization", org.filter(|_| known).map(title)),
                ("repo_url", if url { Some(entry.clone()) } else { org.map(|_| format!("{HUB}{id}")) }),
            ];
            for (key, value) in fields {
                if let Some(value) = value {
                    out.push(format!("general.{kind}.{i}.{key}"), value);
                }
            }
        }
    }
}

fn lists(card: &ModelCard, out: &mut Metadata) {
    for (key, names) in [("tags", ["tags", "pipeline_tag"]), ("languages", ["languages", "language"])] {
        let all: Vec<String> = names.iter().flat_map(|name| card.list(&[name])).cloned().collect();
        if !all.is_empty() {
            out.push(format!("general.{key}"), all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::golden;

    const INTEL: &str = "Qwen3-Next-80B-A3B-Thinking-int4-mixed-AutoRound";

    fn big(folder: &str) -> Provenance {
        let parameters =
            Parameters { total: 79_674_391_296, shared: 3_000_000_000, expert: 150_000_000, experts: 512 };
        Provenance { folder: folder.to_owned(), parameters, ..Provenance::default() }
    }

    #[test]
    fn keys_types_and_order_are_those_of_llama_cpp() {
        let p = Provenance {
            folder: "Toy-Next-3M-A1M-Thinking".to_owned(),
            generation_config: ModelConfig::read(&golden::folder().join("generation_config.json")).ok(),
            model_card: Some(include_str!("../../tests/golden/qwen3next/README.md").to_owned()),
            parameters: Parameters { total: 1_700_000, ..Parameters::default() },
            ..Provenance::default()
        };
        assert_eq!(general(&p, "qwen3next", GgmlType::BF16), golden::llama("general."));
    }

    #[test]
    fn files_are_named_by_the_gguf_convention() {
        for (folder, expected) in [
            (INTEL, "Qwen3-Next-80B-A3B-Thinking-AutoRound-Q4_0.gguf"),
            ("Qwen3-Next-80B-A3B-Instruct", "Qwen3-Next-80B-A3B-Instruct-Q4_0.gguf"),
            ("tiny-thinker", "tiny-thinker-Q4_0.gguf"),
            ("a/b c", "a-b-c-Q4_0.gguf"),
            ("..", "model-Q4_0.gguf"),
        ] {
            assert_eq!(file_name(&big(folder), "Q4_0"), expected);
        }
        let mut p = big("snapshot");
        p.name = Some("My Model".to_owned());
        assert_eq!(file_name(&p, "BF16"), "My-Model-BF16.gguf");
    }

    #[test]
    fn the_repository_is_the_last_base_model_and_the_source() {
        let mut p = big(INTEL);
        p.repo = Some(format!("Intel/{INTEL}"));
        p.commit = Some("abc".to_owned());
        p.model_card = Some("---\nbase_model: Qwen/Qwen3-Next-80B-A3B-Thinking\n---\n".to_owned());
        let out = general(&p, "qwen3next", GgmlType::Q4_0);
        assert_eq!(out.u64("general.base_model.count"), Some(2));
        assert_eq!(out.str("general.base_model.0.organization"), Some("Qwen"));
        assert_eq!(out.str("general.base_model.1.organization"), Some("Intel"));
        assert_eq!(out.str("general.quantized_by"), Some("Intel"));
        assert_eq!(out.str("general.finetune"), Some("Thinking"));
        assert_eq!(out.str("general.source.url"), Some(format!("{HUB}Intel/{INTEL}/tree/abc").as_str()));
        assert_eq!(out.u64("general.file_type"), Some(2));
    }

    #[test]
    fn size_labels_count_experts_if_the_name_has_no_size() {
        let dims = [vec![128, 640], vec![128, 64, 4], vec![64]];
        let names = ["token_embd.weight", "blk.0.ffn_up_exps.weight", "blk.0.attn_norm.weight"];
        let count = Parameters::count(names.iter().zip(&dims).map(|(n, d)| (*n, d.as_slice())));
        assert_eq!(count, Parameters { total: 114_752, shared: 81_984, expert: 8192, experts: 4 });
        assert_eq!(count.label().as_deref(), Some("4x90K"));
        assert_eq!(Parameters::default().label(), None);
        let labels = [999, 1500, 861_000, 7_241_732_096, 80_000_000_000].map(rounded);
        assert_eq!(labels, ["1.0K", "1.5K", "861K", "7.2B", "80B"]);
    }
}
