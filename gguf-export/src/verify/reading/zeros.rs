//! How the zero points of GPTQ packing are stored: as they are, or less one.

use serde_json::{Map, Value};

use crate::quant::{ZeroPoints, ZeroRule};

/// The rule that the caller chose.
pub(super) fn chosen(chosen: ZeroPoints) -> ZeroRule {
    if chosen == ZeroPoints::V2 { ZeroRule::Direct } else { ZeroRule::MinusOne }
}

/// The version of the format, 1 or 2, by every place that may state it: 1 if none does. `None` if they differ.
pub(super) fn gptq(fields: &Map<String, Value>) -> Option<ZeroRule> {
    let meta = fields.get("meta").and_then(Value::as_object);
    let places = [Some(fields), meta].into_iter().flatten();
    let values = places.flat_map(|place| [place.get("checkpoint_format"), place.get("format")]);
    let mut versions: Vec<u8> = values
        .flatten()
        .filter_map(|value| match value.as_str()?.to_lowercase().as_str() {
            "gptq" => Some(1),
            "gptq_v2" => Some(2),
            _ => None,
        })
        .collect();
    versions.dedup();
    match versions[..] {
        [] | [1] => Some(ZeroRule::MinusOne),
        [2] => Some(ZeroRule::Direct),
        _ => None,
    }
}

/// AutoRound packs like GPTQ where its format names it, and otherwise stores zero points as they are. Versions before
/// 0.16 do neither in a model-free export: they declare the second and write the first.
pub(super) fn auto_round(fields: &Map<String, Value>) -> Option<ZeroRule> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let flag = |key: &str| fields.get(key).and_then(Value::as_bool);
    let old = text("backend").filter(|name| *name == "auto_round" || name.contains(':'));
    let Some(packing) = text("packing_format").or(old) else { return Some(ZeroRule::MinusOne) };
    if packing.contains("gptq") {
        let direct = packing.contains("gptqmodel");
        return Some(if direct { ZeroRule::Direct } else { ZeroRule::MinusOne });
    }
    let known = match packing.split(':').collect::<Vec<_>>()[..] {
        ["auto_round"] if flag("model_free") == Some(true) && flag("sym") == Some(false) => {
            let version = text("autoround_version")?;
            let mut parts = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
            let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            return Some(if major == 0 && minor < 16 { ZeroRule::MinusOne } else { ZeroRule::Direct });
        }
        ["auto_round"] => true,
        ["auto_round", kernel] => {
            kernel.trim_end_matches("v2") == "exllama" || kernel.trim_end_matches("v2") == "triton"
        }
        _ => false,
    };
    known.then_some(ZeroRule::Direct)
}
