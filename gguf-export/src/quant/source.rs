//! Finds the quantization configuration of a checkpoint: a section of `config.json`, or a file beside it.

use serde_json::Value;

use super::Method;
use super::keys::{self, Ignored, Table};
use crate::checkpoint::ModelConfig;
use crate::checkpoint::config::shorten;
use crate::error::RefusedKey;
use crate::{Error, Result};

/// Files of older tools, with the method that they mean if they state none.
const FILES: [(&str, Option<&str>); 4] = [
    ("quantization_config.json", None),
    ("quantize_config.json", Some("gptq")),
    ("quant_config.json", Some("awq")),
    (MODELOPT, Some("modelopt")),
];
const MODELOPT: &str = "hf_quant_config.json";

/// Sections of `config.json`, by the tools' present and former names.
const SECTIONS: [&str; 2] = ["quantization_config", "compression_config"];
/// The section of the language model, where Kimi K2.5 has the quantization configuration.
const TEXT: &str = "text_config";
/// MLX's own section.
const MLX: &str = "quantization";

/// A quantization configuration.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) config: ModelConfig,
    pub(super) method: Method,
    pub(super) table: Table,
}

/// Files beside `config.json` by name.
pub(super) type Beside<'a> = &'a dyn Fn(&str) -> Result<Option<ModelConfig>>;

/// Finds the quantization configuration; `None` if the checkpoint is not quantized. Refuses a second one in
/// `config.json`.
pub(super) fn find(
    root: &ModelConfig,
    beside: Beside<'_>,
    ignored: &mut Ignored<'_>,
) -> Result<Option<Found>> {
    let at_root = SECTIONS.into_iter().find(|name| root.get(name).is_some());
    let in_text = |name: &&str| root.get(TEXT).is_some_and(|text| !text[*name].is_null());
    let (outer, name) = match at_root {
        None => (Some(TEXT), SECTIONS.into_iter().find(in_text)),
        own => (None, own),
    };
    let value =
        name.and_then(|name| outer.map_or_else(|| root.get(name), |outer| Some(&root.get(outer)?[name])));
    ignored.refuse(root, seconds(root, value))?;
    if let Some(name) = name {
        let outer = outer.map_or(Ok(None), |outer| root.section(outer))?;
        let config = outer.as_ref().unwrap_or(root).section(name)?.expect("it was found");
        let method = method(&config, None)?;
        return Ok(Some(Found { table: table(method), config, method }));
    }
    for (name, meant) in FILES {
        if let Some(file) = beside(name)? {
            return in_file(name, &file, meant).map(Some);
        }
    }
    Ok(None)
}

/// The configurations in files beside a `config.json` that has one of its own.
pub(super) fn copies(beside: Beside<'_>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (name, meant) in FILES {
        if let Some(file) = beside(name)? {
            // A file that cannot be read as one has no say.
            found.extend(in_file(name, &file, meant).ok());
        }
    }
    Ok(found)
}

fn in_file(name: &str, file: &ModelConfig, meant: Option<&str>) -> Result<Found> {
    if name == MODELOPT {
        let inner = file.section("quantization")?.ok_or_else(|| file.wrong("quantization", "an object"))?;
        return Ok(Found { config: inner, method: Method::ModelOpt, table: keys::MODELOPT_FILE });
    }
    let method = method(file, meant)?;
    Ok(Found { config: file.clone(), method, table: table(method) })
}

/// Quantization configurations of `config.json` that are not equal to `own`.
fn seconds(root: &ModelConfig, own: Option<&Value>) -> Vec<RefusedKey> {
    let mut list = Vec::new();
    for (key, value) in root.iter() {
        if SECTIONS.contains(&key) || key == MLX {
            if !keys::is_empty(value) && Some(value) != own {
                list.push(second(key, value));
            }
        } else {
            nested(key, value, own, &mut list);
        }
    }
    list
}

fn nested(path: &str, value: &Value, own: Option<&Value>, list: &mut Vec<RefusedKey>) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        let path = format!("{path}.{key}");
        if SECTIONS.contains(&key.as_str()) {
            if !keys::is_empty(value) && Some(value) != own {
                list.push(second(&path, value));
            }
        } else {
            nested(&path, value, own, list);
        }
    }
}

fn second(key: &str, value: &Value) -> RefusedKey {
    let expected = "one quantization configuration, `quantization_config`".to_owned();
    RefusedKey { key: key.to_owned(), value: Some((shorten(value), expected)) }
}

fn table(method: Method) -> Table {
    match method {
        Method::None => &[],
        Method::AutoRound => keys::AUTO_ROUND,
        Method::Gptq => keys::GPTQ,
        Method::Awq => keys::AWQ,
        Method::Fp8 => keys::FP8,
        Method::MxFp4 => keys::MXFP4,
        Method::CompressedTensors => keys::COMPRESSED_TENSORS,
        Method::ModelOpt => keys::MODELOPT,
    }
}

/// The method that a configuration states, or `meant`.
fn method(config: &ModelConfig, meant: Option<&str>) -> Result<Method> {
    let field = if config.get("quant_method").is_some() { "quant_method" } else { "method" };
    let stated = config.str(field)?;
    let other = config.str("method")?;
    let Some(name) = stated.or(meant) else {
        return Err(config.wrong("quant_method", "a quantization method"));
    };
    if other.is_some_and(|other| !other.eq_ignore_ascii_case(name)) {
        return Err(config.wrong("method", &format!("`{name}`, as `quant_method`")));
    }
    let method = match name {
        _ if name.contains("auto-round") => Method::AutoRound,
        "gptq" => Method::Gptq,
        "awq" => Method::Awq,
        "fp8" => Method::Fp8,
        "mxfp4" => Method::MxFp4,
        "compressed-tensors" => Method::CompressedTensors,
        "modelopt" => Method::ModelOpt,
        _ => {
            let expected = "auto-round, gptq, awq, fp8, mxfp4, compressed-tensors or modelopt";
            return Err(config.wrong(field, expected));
        }
    };
    // GPTQModel names the layout of AWQ under `gptq`, too.
    let gemm = |field: &&str| config.get(field).and_then(Value::as_str).is_some_and(is_gemm);
    Ok(if method == Method::Gptq && ["format", "checkpoint_format"].iter().any(gemm) {
        Method::Awq
    } else {
        method
    })
}

fn is_gemm(format: &str) -> bool {
    format.eq_ignore_ascii_case("gemm")
}

/// Refuses layouts of packed integers that are not those of GPTQ and AWQ.
pub(super) fn refuse_layouts(config: &ModelConfig, method: Method) -> Result<()> {
    let formats: &[&str] = match method {
        Method::Gptq => &["gptq", "gptq_v2"],
        Method::Awq => &["gemm"],
        _ => &[],
    };
    let mut fields = vec![("pack_dtype", &["int32", "torch.int32"][..])];
    if !formats.is_empty() {
        fields.extend([("format", formats), ("checkpoint_format", formats)]);
    }
    if method == Method::Awq {
        fields.push(("version", formats));
    }
    for (field, allowed) in fields {
        if let Some(value) = config.str(field)?
            && !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value))
        {
            let what = format!("`{}` = `{value}`", config.name(field));
            return Err(Error::Unsupported { path: config.path().to_owned(), what });
        }
    }
    Ok(())
}
