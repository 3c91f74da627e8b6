//! The schemes of a quantization configuration: the global one and those of modules.

use serde_json::Value;

use super::Method;
use super::overrides::{Modules, Scheme};
use crate::Result;
use crate::checkpoint::ModelConfig;

/// Schemes by module name or pattern, and the scheme of all other modules.
pub(super) type Schemes = (Vec<(Modules, Scheme)>, Scheme);

pub(super) fn read(config: &ModelConfig, method: Method) -> Result<Schemes> {
    match method {
        Method::CompressedTensors => groups(config),
        Method::ModelOpt if config.get("config_groups").is_some() => groups(config),
        _ => Ok((entries(config)?, global(config, method)?)),
    }
}

fn global(config: &ModelConfig, method: Method) -> Result<Scheme> {
    let first = |names: &[&'static str]| names.iter().copied().find(|n| config.get(n).is_some());
    let (sym, zero_point) = (config.bool("sym")?, config.bool("zero_point")?);
    let sym = match (method, sym, zero_point) {
        // In files of transformers, `sym` of AWQ is the default of a base class.
        (Method::Awq, sym, zero_point) => zero_point.map(|z| !z).or(sym),
        (_, Some(sym), Some(zero_point)) if sym == zero_point => {
            return Err(config.wrong("zero_point", "the opposite of `sym`"));
        }
        (_, sym, zero_point) => sym.or(zero_point.map(|z| !z)),
    };
    let mut scheme = Scheme {
        bits: first(&["bits", "w_bit", "wbits"]).map(|n| config.u64(n)).transpose()?.flatten(),
        sym,
        data_type: config.str("data_type")?.map(str::to_owned),
        ..Scheme::default()
    };
    if let Some(name) = first(&["group_size", "q_group_size"]) {
        (scheme.group, scheme.block) = group(config, name)?;
    }
    if let Some(block) = block(config, "weight_block_size")? {
        scheme.block = Some(block);
    }
    // The defaults of transformers.
    if matches!(method, Method::AutoRound | Method::Gptq | Method::Awq) {
        scheme.sym = scheme.sym.or(Some(method != Method::Awq));
    }
    scheme.ordered = config.bool("desc_act")?;
    Ok(scheme)
}

/// Columns of a group, or rows and columns of a block.
type Size = (Option<i64>, Option<(u64, u64)>);

/// Reads a group size: a number, or two numbers for a block.
fn group(config: &ModelConfig, field: &str) -> Result<Size> {
    if config.get(field).is_some_and(Value::is_array) {
        return Ok((None, block(config, field)?));
    }
    Ok((config.i64(field)?, None))
}

fn block(config: &ModelConfig, field: &str) -> Result<Option<(u64, u64)>> {
    let Some(value) = config.get(field) else { return Ok(None) };
    let sizes: Option<Vec<u64>> = match value {
        // The former spelling of compressed-tensors, `128x128`.
        Value::String(text) => text.split('x').map(|n| n.parse().ok()).collect(),
        value => value.as_array().and_then(|list| list.iter().map(Value::as_u64).collect()),
    };
    match sizes.as_deref() {
        Some(&[rows, columns]) if rows > 0 && columns > 0 => Ok(Some((rows, columns))),
        _ => Err(config.wrong(field, "two positive integers")),
    }
}

/// `extra_config` of AutoRound and `dynamic` of GPTQModel.
fn entries(config: &ModelConfig) -> Result<Vec<(Modules, Scheme)>> {
    let mut entries = Vec::new();
    if let Some(extra) = config.section("extra_config")? {
        for (name, _) in extra.iter() {
            if let Some(own) = extra.section(name)? {
                entries.push((Modules::of_key(name), scheme(&own)?));
            }
        }
    }
    if let Some(dynamic) = config.section("dynamic")? {
        for (name, value) in dynamic.iter() {
            let plain = Scheme { bits: Some(16), ..Scheme::default() };
            match (name.strip_prefix("-:"), value) {
                (Some(pattern), _) => entries.push((Modules::from_start(pattern), plain)),
                (None, Value::Object(_)) => {
                    let pattern = name.strip_prefix("+:").unwrap_or(name);
                    if let Some(own) = dynamic.section(name)? {
                        entries.push((Modules::from_start(pattern), scheme(&own)?));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(entries)
}

fn scheme(own: &ModelConfig) -> Result<Scheme> {
    let (group, block) = group(own, "group_size")?;
    Ok(Scheme {
        bits: own.u64("bits")?,
        group,
        block,
        sym: own.bool("sym")?,
        data_type: own.str("data_type")?.map(str::to_owned),
        ordered: own.bool("desc_act")?,
    })
}

/// Reads `config_groups`: `re:` marks a pattern, and the names of classes begin with a capital.
fn groups(config: &ModelConfig) -> Result<Schemes> {
    let mut named = Vec::new();
    // The weights of a model that is converted are `Linear`; a class of another name may be a subclass.
    let (mut linear, mut class) = (None, None);
    let Some(groups) = config.section("config_groups")? else { return Ok((named, Scheme::default())) };
    for (name, _) in groups.iter() {
        let Some(group) = groups.section(name)? else { continue };
        let Some(weights) = group.section("weights")? else { continue };
        let scheme = Scheme {
            bits: weights.u64("num_bits")?,
            group: match weights.str("strategy")?.map(str::to_ascii_lowercase).as_deref() {
                Some("channel") => Some(-1),
                Some("tensor") => Some(0),
                Some("block") => None,
                _ => weights.i64("group_size")?,
            },
            block: block(&weights, "block_structure")?,
            sym: weights.bool("symmetric")?,
            data_type: weights.str("type")?.map(str::to_owned),
            ordered: Some(ordered(&weights)?),
        };
        let empty = Vec::new();
        for target in group.get("targets").and_then(Value::as_array).unwrap_or(&empty) {
            let Some(target) = target.as_str() else { continue };
            if let Some(pattern) = target.strip_prefix("re:") {
                named.push((Modules::from_start(pattern), scheme.clone()));
            } else if target == "Linear" {
                linear = Some(scheme.clone());
            } else if target.starts_with(|c: char| c.is_ascii_uppercase()) {
                class = Some(scheme.clone());
            } else {
                named.push((Modules::Named(target.to_owned()), scheme.clone()));
            }
        }
    }
    Ok((named, linear.or(class).unwrap_or_default()))
}

/// Returns true if columns are permuted: `actorder` of `group`. Other orders only change the calibration.
fn ordered(weights: &ModelConfig) -> Result<bool> {
    match weights.get("actorder") {
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => match weights.str("actorder")?.map(str::to_ascii_lowercase).as_deref() {
            Some("group" | "dynamic") => Ok(true),
            Some("weight" | "static") => Ok(false),
            _ => Err(weights.wrong("actorder", "group, weight, static or dynamic")),
        },
        None => Ok(false),
    }
}

/// Prefixes of the names of quantized modules; `None` for all.
pub(super) fn blocks(config: &ModelConfig) -> Option<Vec<String>> {
    let names = ["block_name_to_quantize", "to_quant_block_names", "quant_block_list"];
    let value = names.iter().find_map(|n| config.get(n))?;
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
