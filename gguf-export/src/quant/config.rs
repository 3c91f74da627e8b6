//! Reads `quantization_config`, as far as decoding weights depends on it.

use serde_json::Value;

use super::overrides::{Overrides, Scheme};
use crate::checkpoint::ModelConfig;
use crate::{Error, Result};

/// The quantization method by `quant_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// No quantization.
    None,
    /// AutoRound, `auto-round` or `intel/auto-round`.
    AutoRound,
    /// GPTQ.
    Gptq,
    /// AWQ.
    Awq,
    /// FP8 as in the repositories of Qwen.
    Fp8,
    /// compressed-tensors.
    CompressedTensors,
    /// NVIDIA's ModelOpt.
    ModelOpt,
}

/// The quantization configuration of a checkpoint.
#[derive(Debug)]
pub struct QuantConfig {
    /// The quantization method.
    pub method: Method,
    pub(super) global: Scheme,
    /// True if GPTQ packing stores zero points less one.
    pub(super) minus_one: bool,
    /// True if the columns have an activation order, `desc_act`.
    pub(super) desc_act: bool,
    overrides: Overrides,
    /// Module name prefixes of the quantized blocks; `None` for all.
    blocks: Option<Vec<String>>,
    /// Rows and columns of FP8 blocks.
    pub(super) weight_block: Option<(u64, u64)>,
}

impl QuantConfig {
    /// Reads `quantization_config` of `config.json`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for rotated weights, sparsity, and other AWQ and GPTQ layouts. [`Error::Field`] for an
    /// invalid value.
    pub fn read(config: &ModelConfig) -> Result<Self> {
        let Some(section) = config.section("quantization_config")? else {
            return Ok(Self::plain());
        };
        refuse(&section)?;
        let method = method(&section)?;
        let (entries, global) = match method {
            Method::CompressedTensors => compressed_groups(&section)?,
            _ => (override_entries(&section)?, global(&section, method)?),
        };
        Ok(Self {
            method,
            minus_one: minus_one(&section, method)?,
            desc_act: section.bool("desc_act")?.unwrap_or(false),
            overrides: Overrides::new(config.path(), "quantization_config", entries)?,
            blocks: blocks(&section),
            weight_block: weight_block(&section)?,
            global,
        })
    }

    fn plain() -> Self {
        Self {
            method: Method::None,
            global: Scheme::default(),
            minus_one: false,
            desc_act: false,
            overrides: Overrides::default(),
            blocks: None,
            weight_block: None,
        }
    }

    /// The scheme of a module, and true if it is binding: if the configuration clearly applies to the module. Block lists
    /// and overrides of real files omit the MTP layer.
    pub(super) fn scheme(&self, module: &str) -> (Scheme, bool) {
        if let Some(scheme) = self.overrides.exact(module) {
            return (scheme.over(&self.global), true);
        }
        let trunk = !module.starts_with("mtp.") && !module.starts_with("model.mtp.");
        if let Some(scheme) = self.overrides.by_pattern(module) {
            return (scheme.over(&self.global), trunk);
        }
        let listed = self.blocks.as_ref().is_none_or(|b| b.iter().any(|p| module.starts_with(p.as_str())));
        (self.global.clone(), listed && trunk)
    }
}

fn method(section: &ModelConfig) -> Result<Method> {
    let Some(name) = section.str("quant_method")? else {
        return Err(section.wrong("quant_method", "a quantization method"));
    };
    Ok(match name {
        _ if name.contains("auto-round") => Method::AutoRound,
        "gptq" => Method::Gptq,
        "awq" => Method::Awq,
        "fp8" => Method::Fp8,
        "compressed-tensors" => Method::CompressedTensors,
        "modelopt" => Method::ModelOpt,
        _ => {
            return Err(
                section.wrong("quant_method", "auto-round, gptq, awq, fp8, compressed-tensors or modelopt")
            );
        }
    })
}

fn refuse(section: &ModelConfig) -> Result<()> {
    let unsupported = |what: String| Err(Error::Unsupported { path: section.path().to_owned(), what });
    let filled = |v: &Value| match v {
        Value::Object(o) => !o.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Bool(b) => *b,
        Value::String(s) => !s.is_empty(),
        _ => true,
    };
    for (field, what) in [
        ("rotation_config", "a checkpoint in a rotated basis (`rotation_config`)"),
        ("spinquant_config", "a checkpoint in a rotated basis (`spinquant_config`)"),
        ("sparsity_config", "a sparse checkpoint (`sparsity_config`)"),
    ] {
        let dense = section.get(field).and_then(|v| v.get("format")).is_some_and(|f| f == "dense");
        if section.get(field).is_some_and(filled) && !dense {
            return unsupported(what.to_owned());
        }
    }
    for (field, allowed) in [
        ("version", &["gemm", "GEMM"][..]),
        ("checkpoint_format", &["gptq", "gptq_v2"][..]),
        ("pack_dtype", &["int32", "torch.int32"][..]),
        ("fp8_dtype_flavor", &["float8_e4m3fn"][..]),
    ] {
        if let Some(value) = section.get(field).and_then(Value::as_str) {
            let checked = field != "version" || section.str("quant_method")? == Some("awq");
            if checked && !allowed.contains(&value) {
                return unsupported(format!("`{field}` = `{value}`"));
            }
        }
    }
    Ok(())
}

fn global(section: &ModelConfig, method: Method) -> Result<Scheme> {
    let first = |names: [&'static str; 2]| names.into_iter().find(|n| section.get(n).is_some());
    let zero_point = section.bool("zero_point")?;
    let mut scheme = Scheme {
        bits: first(["bits", "w_bit"]).map(|n| section.u64(n)).transpose()?.flatten(),
        group: match first(["group_size", "q_group_size"]) {
            Some(n) if section.get(n).is_some_and(Value::is_array) => None,
            Some(n) => section.i64(n)?,
            None => None,
        },
        sym: section.bool("sym")?.or(zero_point.map(|z| !z)),
        data_type: section.str("data_type")?.map(str::to_owned),
    };
    // The default of transformers for AutoRound and GPTQ.
    if matches!(method, Method::AutoRound | Method::Gptq) {
        scheme.sym = scheme.sym.or(Some(true));
    }
    Ok(scheme)
}

/// Returns true if GPTQ packing stores zero points less one, by the rules of the packers.
fn minus_one(section: &ModelConfig, method: Method) -> Result<bool> {
    match method {
        Method::Gptq => Ok(section.str("checkpoint_format")? != Some("gptq_v2")),
        Method::AutoRound => {
            let packing = match section.str("packing_format")? {
                Some(p) => Some(p),
                None => section.str("backend")?,
            };
            let Some(packing) = packing else { return Ok(true) };
            if packing.contains("gptqmodel") {
                return Ok(false);
            }
            Ok(packing.contains("gptq") || mislabelled(section, packing)?)
        }
        _ => Ok(false),
    }
}

/// Returns true for model-free asymmetric exports of AutoRound before 0.16, which store zero points less one although
/// the configuration declares plain ones (auto-round pull request 2273).
fn mislabelled(section: &ModelConfig, packing: &str) -> Result<bool> {
    let old = section.str("autoround_version")?.is_some_and(|v| {
        let mut numbers = v.split('.').map(|n| n.parse::<u64>().unwrap_or(0));
        (numbers.next(), numbers.next()) < (Some(0), Some(16))
    });
    Ok(section.bool("model_free")? == Some(true)
        && section.bool("sym")? == Some(false)
        && packing == "auto_round"
        && old)
}

fn override_entries(section: &ModelConfig) -> Result<Vec<(String, Scheme)>> {
    let mut entries = Vec::new();
    if let Some(extra) = section.section("extra_config")? {
        for (name, _) in extra.iter() {
            if let Some(o) = extra.section(name)? {
                entries.push((name.to_owned(), scheme(&o)?));
            }
        }
    }
    if let Some(dynamic) = section.section("dynamic")? {
        for (name, value) in dynamic.iter() {
            let plain = Scheme { bits: Some(16), ..Scheme::default() };
            match (name.strip_prefix("-:"), value) {
                (Some(pattern), _) => entries.push((pattern.to_owned(), plain)),
                (None, Value::Object(_)) => {
                    if let Some(o) = dynamic.section(name)? {
                        entries.push((name.strip_prefix("+:").unwrap_or(name).to_owned(), scheme(&o)?));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(entries)
}

fn scheme(o: &ModelConfig) -> Result<Scheme> {
    Ok(Scheme {
        bits: o.u64("bits")?,
        group: if o.get("group_size").is_some_and(Value::is_array) { None } else { o.i64("group_size")? },
        sym: o.bool("sym")?,
        data_type: o.str("data_type")?.map(str::to_owned),
    })
}

/// Reads `config_groups`. Returns the schemes of named targets, where `re:` marks a pattern, and the scheme of class
/// names such as `Linear`, which apply to every module.
fn compressed_groups(section: &ModelConfig) -> Result<(Vec<(String, Scheme)>, Scheme)> {
    let (mut named, mut class) = (Vec::new(), Scheme::default());
    let Some(groups) = section.section("config_groups")? else { return Ok((named, class)) };
    for (name, _) in groups.iter() {
        let Some(group) = groups.section(name)? else { continue };
        let Some(weights) = group.section("weights")? else { continue };
        let scheme = Scheme {
            bits: weights.u64("num_bits")?,
            group: match weights.str("strategy")? {
                Some("channel") => Some(-1),
                Some("tensor") => Some(0),
                _ => weights.i64("group_size")?,
            },
            sym: weights.bool("symmetric")?,
            data_type: weights.str("type")?.map(str::to_owned),
        };
        let empty = Vec::new();
        for target in group.get("targets").and_then(Value::as_array).unwrap_or(&empty) {
            match target.as_str() {
                Some(t) if t.starts_with("re:") => named.push((format!("^(?:{})", &t[3..]), scheme.clone())),
                Some(t) if t.contains('.') => named.push((t.to_owned(), scheme.clone())),
                _ => class = scheme.clone(),
            }
        }
    }
    Ok((named, class))
}

fn blocks(section: &ModelConfig) -> Option<Vec<String>> {
    let names = ["block_name_to_quantize", "to_quant_block_names", "quant_block_list"];
    let value = names.iter().find_map(|n| section.get(n))?;
    let mut prefixes = Vec::new();
    collect_strings(value, &mut prefixes);
    Some(prefixes)
}

fn collect_strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(s) => out.extend(s.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty())),
        Value::Array(list) => list.iter().for_each(|v| collect_strings(v, out)),
        _ => {}
    }
}

fn weight_block(section: &ModelConfig) -> Result<Option<(u64, u64)>> {
    let field = "weight_block_size";
    let value = match section.get(field) {
        Some(v) => v,
        None => match section.get("group_size") {
            Some(v) if v.is_array() => v,
            _ => return Ok(None),
        },
    };
    let sizes: Option<Vec<u64>> = value.as_array().and_then(|a| a.iter().map(Value::as_u64).collect());
    match sizes.as_deref() {
        Some(&[rows, columns]) if rows > 0 && columns > 0 => Ok(Some((rows, columns))),
        _ => Err(section.wrong(field, "two positive integers")),
    }
}
