//! Reads a quantization configuration, as far as decoding weights depends on it. `verify` has a reading of its own.

use std::path::PathBuf;

use super::keys::{Ignored, refused};
use super::overrides::{Overrides, Scheme};
use super::source::{self, Beside, Found};
use super::zeros::{self, Zeros};
use super::{Choices, Declared, Method, OtherKeys, ZeroRule, schemes};
use crate::checkpoint::{Checkpoint, ModelConfig};
use crate::{Error, Result};

/// The quantization configuration of a checkpoint.
#[derive(Debug)]
pub struct QuantConfig {
    /// The file that it is in.
    path: PathBuf,
    /// The quantization method.
    pub method: Method,
    global: Scheme,
    overrides: Overrides,
    zeros: Zeros,
    /// Module name prefixes of the quantized blocks; `None` for all.
    blocks: Option<Vec<String>>,
}

impl QuantConfig {
    /// Reads the section of `config.json`, or a file beside it if it has none.
    ///
    /// # Errors
    /// [`Error::ConfigKeys`] for keys that may change the weights and are not among `choices.ignored_keys`,
    /// [`Error::NotIgnored`] for names there that no such key has, [`Error::Unsupported`] for layouts of AWQ and GPTQ
    /// that are not converted, [`Error::ZeroPoints`] for contradictions about zero points, [`Error::Field`] for an
    /// invalid value.
    pub fn of(checkpoint: &Checkpoint, choices: &Choices) -> Result<Self> {
        read(checkpoint.config(), &|name| checkpoint.companion(name), choices)
    }

    /// Like [`QuantConfig::of`], for a `config.json` alone.
    ///
    /// # Errors
    /// As [`QuantConfig::of`].
    pub fn read(config: &ModelConfig, choices: &Choices) -> Result<Self> {
        read(config, &|_| Ok(None), choices)
    }

    /// What the configuration declares about a module.
    #[must_use]
    pub fn declared(&self, module: &str) -> Declared {
        let (scheme, binding) = self.scheme(module);
        Declared {
            bits: scheme.bits,
            group: scheme.group,
            block: scheme.block,
            sym: scheme.sym,
            zeros: match self.zeros {
                Zeros::By(rule) => Some(rule),
                Zeros::Unstated(_) => None,
            },
            mx_int: scheme.is_mx_int(),
            binding,
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

    /// How the zero points of GPTQ packing are stored.
    ///
    /// # Errors
    /// [`Error::ZeroPoints`] if the configuration does not state it.
    pub(super) fn zeros(&self) -> Result<ZeroRule> {
        match &self.zeros {
            Zeros::By(rule) => Ok(*rule),
            Zeros::Unstated(reason) => {
                Err(Error::ZeroPoints { path: self.path.clone(), reason: reason.clone() })
            }
        }
    }
}

fn read(root: &ModelConfig, beside: Beside<'_>, choices: &Choices) -> Result<QuantConfig> {
    let mut ignored = Ignored::new(choices);
    let Some(found) = source::find(root, beside, &mut ignored)? else {
        ignored.finish(root)?;
        return Ok(plain(root, choices));
    };
    let Found { config, method, table } = &found;
    ignored.refuse(config, refused(config, table))?;
    ignored.finish(config)?;
    source::refuse_layouts(config, *method)?;
    let zeros = match choices.zero_points {
        None => match agreed(&found, beside) {
            Err(Error::ZeroPoints { reason, .. }) if choices.others == OtherKeys::Accepted => {
                Zeros::Unstated(reason)
            }
            zeros => zeros?,
        },
        Some(chosen) if matches!(method, Method::Gptq | Method::AutoRound) => chosen.into(),
        Some(chosen) => {
            let what =
                format!("a choice of zero points ({}) for `quant_method` {}", chosen.name(), method.name());
            return Err(Error::Unsupported { path: config.path().to_owned(), what });
        }
    };
    let zeros = if choices.others == OtherKeys::Accepted { zeros.or_any() } else { zeros };
    let (entries, global) = schemes::read(config, *method)?;
    Ok(QuantConfig {
        path: config.path().to_owned(),
        method: *method,
        zeros,
        overrides: Overrides::new(config.path(), "quantization_config", entries)?,
        blocks: schemes::blocks(config),
        global,
    })
}

/// The rule of the zero points, on which the copies of the configuration in other files must agree.
fn agreed(found: &Found, beside: Beside<'_>) -> Result<Zeros> {
    let zeros = zeros::read(&found.config, found.method)?;
    if !matches!(found.method, Method::Gptq | Method::AutoRound) {
        return Ok(zeros);
    }
    for copy in source::copies(beside)?.iter().filter(|copy| copy.method == found.method) {
        let other = zeros::read(&copy.config, copy.method)?;
        if let (Zeros::By(a), Zeros::By(b)) = (&zeros, &other)
            && a != b
        {
            let reason = format!("`{}` contradicts it", copy.config.path().display());
            return Err(Error::ZeroPoints { path: found.config.path().to_owned(), reason });
        }
    }
    Ok(zeros)
}

/// No quantization. With a choice of zero points, weights in GPTQ packing are asymmetric.
fn plain(root: &ModelConfig, choices: &Choices) -> QuantConfig {
    let chosen = choices.zero_points;
    QuantConfig {
        path: root.path().to_owned(),
        method: Method::None,
        global: Scheme { sym: chosen.map(|_| false), ..Scheme::default() },
        zeros: chosen
            .map_or_else(|| Zeros::Unstated("it has no quantization configuration".to_owned()), Zeros::from),
        overrides: Overrides::default(),
        blocks: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use testkit::{
        Awq, CtInt8, CtPacked, Encoding, Fp8, Gptq, Method as Tool, Mlx, Model, Mtp, NvFp4, ScaleDtype,
        StoredZero,
    };

    use super::*;

    /// A configuration of every tool.
    fn configurations() -> Vec<Value> {
        let gptq = Encoding::Gptq(Gptq::asym(4, 64));
        let direct = Encoding::Gptq(Gptq { zero: StoredZero::Direct, ..Gptq::asym(4, 64) });
        let awq = Encoding::Awq(Awq::asym(4, 64));
        let packed = Encoding::CtPacked(CtPacked::sym(4, 64));
        let int8 = Encoding::CtInt8(CtInt8 { per_tensor: false, scale: ScaleDtype::Bf16, zero_point: false });
        let nv = Encoding::NvFp4(NvFp4 { modelopt: true, power_of_two: true });
        let mlx = Encoding::Mlx(Mlx { bits: 4, group: testkit::Group::Size(64) });
        let fp8 = Encoding::Fp8(Fp8::block());
        let by = |method, encoding| Model { method: Some(method), ..Model::uniform(encoding) };
        [
            Model { mtp: Mtp::Quantized, linears: Encoding::Gptq(Gptq::asym(8, 64)), ..Model::uniform(gptq) },
            Model { head: gptq, regex_recipe: true, ..Model::uniform(gptq) },
            by(Tool::Gptq, gptq),
            by(Tool::GptqModel, direct),
            by(Tool::GptqModel, awq),
            by(Tool::Awq, awq),
            by(Tool::Fp8, fp8),
            by(Tool::Fp8AutoRound, fp8),
            by(Tool::CompressedTensors, fp8),
            Model { linears: int8, ..Model::uniform(packed) },
            Model::uniform(nv),
            Model::uniform(mlx),
            Model::uniform(Encoding::MxFp4),
        ]
        .map(|model| testkit::config::files(&model).0)
        .into()
    }

    fn read(config: &Value, ignored: &[String]) -> Result<QuantConfig> {
        let choices = Choices { ignored_keys: ignored.to_vec(), ..Choices::default() };
        let Value::Object(fields) = config else { panic!("an object") };
        QuantConfig::read(&ModelConfig::new(Path::new("config.json"), fields.clone()), &choices)
    }

    /// Objects whose keys are names of modules or groups, and objects that do not concern weights.
    const NAMES: [&str; 3] = ["extra_config", "dynamic", "config_groups"];
    const FREE: [&str; 4] = ["meta", "input_activations", "output_activations", "producer"];

    /// The paths of all objects in which a key has a meaning.
    fn objects(value: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
        let Value::Object(map) = value else { return };
        let last = path.last().map(String::as_str).unwrap_or_default();
        if !NAMES.contains(&last) {
            found.push(path.to_vec());
        }
        for (key, value) in map.iter().filter(|(key, _)| !FREE.contains(&key.as_str())) {
            let path = [path, std::slice::from_ref(key)].concat();
            objects(value, &path, found);
        }
    }

    fn at<'v>(value: &'v mut Value, path: &[String]) -> &'v mut Map<String, Value> {
        let inner = path.iter().fold(value, |value, key| &mut value[key.as_str()]);
        inner.as_object_mut().expect("the path of an object")
    }

    #[test]
    fn every_key_of_every_tool_is_known() {
        for config in configurations() {
            read(&config, &[]).unwrap_or_else(|error| panic!("{error}\n{config:#}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_unknown_key_is_refused_by_name_at_any_depth(
            which in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            name in "[a-z]{1,8}_unknown",
            value in prop::sample::select(vec![
                json!(0), json!(false), json!(""), json!({}), json!([1]), json!("x"), json!({"a": {"b": 1}}),
            ]),
        ) {
            let all = configurations();
            let mut config = which.get(&all).clone();
            let before = read(&config, &[]).unwrap();
            let mut paths = Vec::new();
            objects(&config["quantization_config"], &[], &mut paths);
            let path = [&["quantization_config".to_owned()], place.get(&paths).as_slice()].concat();
            at(&mut config, &path).insert(name.clone(), value);
            let full = [path.as_slice(), &[name]].concat().join(".");
            match read(&config, &[]) {
                Err(Error::ConfigKeys { keys, .. }) => {
                    prop_assert_eq!(keys.iter().map(|refused| &refused.key).collect::<Vec<_>>(), [&full]);
                }
                other => prop_assert!(false, "{full}: {other:?}"),
            }
            // Without effect once it is ignored.
            let after = read(&config, &[full]).unwrap();
            for module in ["lm_head", "model.layers.0.mlp.gate", "model.layers.1.self_attn.q_proj", "mtp.fc"] {
                prop_assert_eq!(before.declared(module), after.declared(module));
            }
        }
    }
}
