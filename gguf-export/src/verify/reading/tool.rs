//! The tool that wrote a configuration.

use std::path::Path;

use serde_json::{Map, Value};

/// The tool whose keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    AutoRound,
    Gptq,
    Awq,
    /// Schemes in `config_groups`.
    Groups,
    /// No tool with zero points in words.
    Other,
}

pub(super) fn tool(fields: &Map<String, Value>, path: &Path) -> Tool {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or("");
    let stated = [text("quant_method"), text("method")].into_iter().find(|name| !name.is_empty());
    let by_file = || match path.file_name().and_then(std::ffi::OsStr::to_str) {
        Some("quantize_config.json") => "gptq",
        Some("quant_config.json") => "awq",
        Some("hf_quant_config.json") => "modelopt",
        _ => "",
    };
    let gemm = ["format", "checkpoint_format"].iter().any(|key| text(key).eq_ignore_ascii_case("gemm"));
    match stated.unwrap_or_else(by_file) {
        name if name.contains("auto-round") => Tool::AutoRound,
        "gptq" if gemm => Tool::Awq,
        "gptq" => Tool::Gptq,
        "awq" => Tool::Awq,
        "compressed-tensors" => Tool::Groups,
        "modelopt" if fields.get("config_groups").is_some_and(|groups| !groups.is_null()) => Tool::Groups,
        _ => Tool::Other,
    }
}
