//! The sampling parameters that a model's file recommends under `general.sampling`.

use std::str::FromStr;

use gguf_export::gguf::Value;

use super::Header;
use crate::engine::{Mirostat, MirostatVersion, SamplerKind, SamplingParams, Xtc};
use crate::llama::MetadataOverride;

/// The parameters that a file recommends, before it is loaded: as [`Model::sampling`](super::Model::sampling).
#[must_use]
pub fn recommended_sampling(header: &Header, overrides: &[MetadataOverride], seed: u32) -> SamplingParams {
    let text = |key: &str| {
        let replaced = overrides.iter().find(|found| found.key == key).map(|found| found.value.to_string());
        replaced.or_else(|| header.metadata.get(key).and_then(as_llama_cpp_prints))
    };
    recommended(text, seed)
}

/// A value as llama.cpp returns it: numbers with a fraction have six decimals.
fn as_llama_cpp_prints(value: &Value) -> Option<String> {
    Some(match value {
        Value::U8(number) => number.to_string(),
        Value::I8(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F32(number) => format!("{number:.6}"),
        Value::F64(number) => format!("{number:.6}"),
        Value::Bool(truth) => truth.to_string(),
        Value::Str(text) => text.clone(),
        Value::Array(_) => return None,
    })
}

/// The recommended parameters, and llama.cpp's defaults for the others. Invalid values are ignored.
#[must_use]
pub(super) fn recommended(metadata: impl Fn(&str) -> Option<String>, seed: u32) -> SamplingParams {
    fn number<T: FromStr>(metadata: impl Fn(&str) -> Option<String>, key: &str) -> Option<T> {
        metadata(&format!("general.sampling.{key}"))?.trim().parse().ok()
    }
    let real = |key: &str| number::<f32>(&metadata, key).filter(|value| value.is_finite());
    let count = |key: &str| number::<i64>(&metadata, key);
    let mut params = SamplingParams::neutral(seed);
    params.temperature = real("temp").unwrap_or(0.8);
    params.top_k = count("top_k").map_or(40, |k| u32::try_from(k).unwrap_or(0));
    params.top_p = real("top_p").unwrap_or(0.95);
    params.min_p = real("min_p").unwrap_or(0.05);
    params.penalties.repeat = real("penalty_repeat").unwrap_or(1.0);
    if let Some(last) = count("penalty_last_n") {
        params.penalties.last = u32::try_from(last).ok();
    }
    let probability = real("xtc_probability").unwrap_or(0.0);
    if probability > 0.0 {
        let mut xtc = Xtc::with_probability(probability);
        xtc.threshold = real("xtc_threshold").unwrap_or(xtc.threshold);
        params.xtc = Some(xtc);
    }
    let version = match count("mirostat") {
        Some(1) => Some(MirostatVersion::V1),
        Some(2) => Some(MirostatVersion::V2),
        _ => None,
    };
    params.mirostat = version.map(|version| {
        let Mirostat { tau, eta, .. } = Mirostat::new(version);
        Mirostat {
            version,
            tau: real("mirostat_tau").unwrap_or(tau),
            eta: real("mirostat_eta").unwrap_or(eta),
        }
    });
    let sequence = metadata("general.sampling.sequence");
    let steps =
        sequence.and_then(|names| names.split(';').map(SamplerKind::named).collect::<Option<Vec<_>>>());
    if let Some(steps) = steps {
        params.order = steps;
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recommended_values_are_used_and_llama_cpps_defaults_for_the_rest() {
        let file = |key: &str| {
            let value = match key.strip_prefix("general.sampling.")? {
                "temp" => "0.6",
                "top_k" => "20",
                "min_p" => "0",
                "penalty_last_n" => "-1",
                "xtc_probability" => "0.5",
                "mirostat" => "2",
                "mirostat_tau" => "nan",
                "sequence" => "top_k;temperature",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let params = recommended(file, 3);
        let expected = SamplingParams {
            temperature: 0.6,
            top_k: 20,
            top_p: 0.95,
            xtc: Some(Xtc { probability: 0.5, threshold: 0.1 }),
            mirostat: Some(Mirostat { version: MirostatVersion::V2, tau: 5.0, eta: 0.1 }),
            order: vec![SamplerKind::TopK, SamplerKind::Temperature],
            ..SamplingParams::neutral(3)
        };
        assert_eq!(params.penalties.last, None);
        assert_eq!(SamplingParams { penalties: expected.penalties, ..params }, expected);
    }

    #[test]
    fn invalid_values_are_ignored() {
        let params = recommended(|_| Some("-7".to_owned()), 0);
        assert_eq!((params.top_k, params.xtc, params.mirostat), (0, None, None));
        assert_eq!(params.order, SamplerKind::DEFAULT_ORDER);
        assert_eq!(recommended(|_| Some("many".to_owned()), 0), recommended(|_| None, 0));
    }
}
