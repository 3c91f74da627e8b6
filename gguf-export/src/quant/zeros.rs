//! How the zero points of GPTQ packing are stored, by the rules of the packers.

use super::{Method, ZeroPoints, ZeroRule};
use crate::checkpoint::ModelConfig;
use crate::{Error, Result};

use ZeroRule::{Direct, MinusOne};

/// How a configuration says that zero points are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Zeros {
    /// By this rule.
    By(ZeroRule),
    /// It does not state it; the reason is a clause.
    Unstated(String),
}

impl Zeros {
    /// The rule, or any if the configuration does not state it.
    pub(super) fn or_any(self) -> Self {
        match self {
            Self::By(rule) => Self::By(rule),
            Self::Unstated(_) => Self::By(Direct),
        }
    }
}

impl From<ZeroPoints> for Zeros {
    fn from(chosen: ZeroPoints) -> Self {
        match chosen {
            ZeroPoints::V1 => Self::By(MinusOne),
            ZeroPoints::V2 => Self::By(Direct),
        }
    }
}

/// Reads the rule.
///
/// # Errors
/// [`Error::ZeroPoints`] if two fields contradict each other.
pub(super) fn read(config: &ModelConfig, method: Method) -> Result<Zeros> {
    match method {
        Method::Gptq => gptq(config),
        Method::AutoRound => auto_round(config),
        _ => Ok(Zeros::Unstated("its method has no packing of this kind".to_owned())),
    }
}

/// GPTQModel writes `format` and `checkpoint_format`; AutoGPTQ and AutoRound write neither and store the first version.
fn gptq(config: &ModelConfig) -> Result<Zeros> {
    let meta =
        config.get("meta").filter(|meta| meta.is_object()).map(|_| config.section("meta")).transpose()?;
    let mut stated: Option<(String, ZeroRule)> = None;
    for section in [Some(config), meta.flatten().as_ref()].into_iter().flatten() {
        for field in ["format", "checkpoint_format"] {
            let Some(value) = section.str(field)? else { continue };
            let rule = match value.to_ascii_lowercase().as_str() {
                "gptq" => MinusOne,
                "gptq_v2" => Direct,
                _ => continue,
            };
            let this = format!("`{}` is `{value}`", section.name(field));
            match &stated {
                Some((other, rule_of_other)) if *rule_of_other != rule => {
                    let (path, reason) = (config.path().to_owned(), format!("{other}, but {this}"));
                    return Err(Error::ZeroPoints { path, reason });
                }
                Some(_) => {}
                None => stated = Some((this, rule)),
            }
        }
    }
    Ok(Zeros::By(stated.map_or(MinusOne, |(_, rule)| rule)))
}

/// AutoRound writes `packing_format`, until 0.4.7 `backend`.
fn auto_round(config: &ModelConfig) -> Result<Zeros> {
    // Since 0.5 `backend` only names a kernel, as in `auto`.
    let former = config.str("backend")?.filter(|backend| backend.contains(':') || *backend == "auto_round");
    let (field, packing) = match (config.str("packing_format")?, former) {
        (Some(packing), _) => ("packing_format", packing),
        (None, Some(backend)) => ("backend", backend),
        (None, None) => return Ok(Zeros::By(MinusOne)),
    };
    if packing.contains("gptqmodel") {
        return Ok(Zeros::By(Direct));
    }
    if packing.contains("gptq") {
        return Ok(Zeros::By(MinusOne));
    }
    let kernels = ["exllama", "exllamav2", "triton", "tritonv2"];
    let is_plain = packing == "auto_round"
        || packing.strip_prefix("auto_round:").is_some_and(|kernel| kernels.contains(&kernel));
    if !is_plain {
        return Ok(Zeros::Unstated(format!("`{}` is `{packing}`", config.name(field))));
    }
    // Model-free asymmetric exports before 0.16 store them less one although the configuration declares plain ones
    // (auto-round pull request 2273).
    let doubtful = packing == "auto_round"
        && config.bool("model_free")? == Some(true)
        && config.bool("sym")? == Some(false);
    Ok(match (doubtful, config.str("autoround_version")?) {
        (false, _) => Zeros::By(Direct),
        (true, Some(version)) => Zeros::By(if is_old(version) { MinusOne } else { Direct }),
        (true, None) => {
            let (model_free, version) = (config.name("model_free"), config.name("autoround_version"));
            Zeros::Unstated(format!("`{model_free}` is `true` and `{version}` is missing"))
        }
    })
}

fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|n| n.parse::<u64>().unwrap_or(0));
    (numbers.next(), numbers.next()) < (Some(0), Some(16))
}
