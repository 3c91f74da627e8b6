//! Rotary position embedding.

use serde_json::{Map, Value};

use super::hparams::{Rope, RopeScaling};
use super::traits::{Multiplier, Traits};
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::limits;

/// The trained context of a scaled one.
const ORIGINAL: &str = "original_max_position_embeddings";

/// Reads `rope_parameters` of transformers 5, or the fields before it.
pub(super) fn read(config: &ModelConfig, traits: Traits, head_dim: u64) -> Result<Rope> {
    let (newer, older) = (config.get("rope_parameters"), config.get("rope_scaling"));
    if let (Some(newer), Some(older)) = (newer, older)
        && meaning(newer, Some(config)) != meaning(older, Some(config))
    {
        return Err(config.wrong("rope_scaling", "absent, or the same as `rope_parameters`"));
    }
    let section = config.section(if newer.is_some() { "rope_parameters" } else { "rope_scaling" })?;
    let inner = |get: &dyn Fn(&ModelConfig) -> Result<Option<f64>>| match &section {
        Some(section) => get(section)?.map_or_else(|| get(config), |v| Ok(Some(v))),
        None => get(config),
    };
    let theta = inner(&|c| Ok(c.positive_or_none("rope_theta")?.map(f64::from)))?;
    let partial = inner(&|c| c.f64("partial_rotary_factor"))?;
    let base = match theta {
        None if traits.base_by_default => 10_000.0,
        None => f64::from(config.positive("rope_theta")?),
        Some(theta) => theta,
    };
    Ok(Rope {
        #[expect(clippy::cast_possible_truncation, reason = "it was an f32 above")]
        base: base as f32,
        dims: rotated(config, head_dim, partial.unwrap_or(traits.rotated))?,
        scaling: section.as_ref().map_or(Ok(RopeScaling::None), |s| scaling(s, config, traits))?,
        sections: section.as_ref().map_or(Ok(None), sections)?,
    })
}

/// Rotary parameters in one form: numbers as floats, `rope_type` for `type`, and without `null` and defaults. Fields that
/// they lack are taken from `config`.
fn meaning(value: &Value, config: Option<&ModelConfig>) -> Value {
    let Value::Object(fields) = value else {
        return value.as_f64().map_or_else(|| value.clone(), Value::from);
    };
    let mut out: Map<String, Value> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field.clone(), meaning(value, None)))
        .collect();
    for field in ["rope_theta", "partial_rotary_factor", ORIGINAL] {
        if let Some(value) = config.and_then(|config| config.get(field)) {
            out.entry(field).or_insert_with(|| meaning(value, None));
        }
    }
    if let Some(older) = out.remove("type") {
        out.entry("rope_type").or_insert(older);
    }
    out.retain(|field, value| field != "rope_type" || value != "default");
    out.into()
}

/// One to four numbers of rotated pairs, padded with zeros.
fn sections(rope: &ModelConfig) -> Result<Option<[u32; 4]>> {
    let field = "mrope_section";
    let Some(value) = rope.get(field) else { return Ok(None) };
    let wrong = || rope.wrong(field, "one to four numbers of rotated pairs");
    let list = value.as_array().filter(|list| (1..=4).contains(&list.len())).ok_or_else(wrong)?;
    let mut out = [0; 4];
    for (out, value) in out.iter_mut().zip(list) {
        let number = value.as_u64().filter(|number| *number <= limits::WIDTH);
        *out = number.and_then(|number| u32::try_from(number).ok()).ok_or_else(wrong)?;
    }
    if out.iter().all(|number| *number == 0) { Err(wrong()) } else { Ok(Some(out)) }
}

fn scaling(rope: &ModelConfig, config: &ModelConfig, traits: Traits) -> Result<RopeScaling> {
    let kind = match rope.str("rope_type")? {
        Some(kind) => Some(kind),
        None => rope.str("type")?,
    };
    let factor = || rope.positive("factor");
    match kind {
        None | Some("default") => Ok(RopeScaling::None),
        Some("linear") => Ok(RopeScaling::Linear { factor: factor()? }),
        Some("yarn") => {
            let truncate = rope.bool("truncate")?.unwrap_or(true);
            if !truncate && !traits.yarn_exact_limits {
                return Err(config.unsupported(format!("`{}` of false", rope.name("truncate"))));
            }
            let from =
                if rope.get(ORIGINAL).is_none() && config.get(ORIGINAL).is_some() { config } else { rope };
            Ok(RopeScaling::Yarn {
                factor: factor()?,
                original_context: from.size(ORIGINAL, limits::CONTEXT)?,
                ext_factor: rope.positive_or_none("extrapolation_factor")?,
                attn_factor: match rope.positive_or_none("attention_factor")? {
                    Some(v) => Some(v),
                    None => rope.positive_or_none("attn_factor")?,
                },
                beta_fast: rope.positive_or_none("beta_fast")?,
                beta_slow: rope.positive_or_none("beta_slow")?,
                log_multiplier: multiplier(rope, traits)?,
                truncate,
            })
        }
        Some("llama3") if traits.rope_factors => {
            let number = |field| rope.positive(field);
            let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
            if low >= high {
                return Err(rope.wrong("high_freq_factor", &format!("more than `low_freq_factor`, {low}")));
            }
            let original_context = rope.size(ORIGINAL, limits::CONTEXT)?;
            Ok(RopeScaling::Llama3 { factor: factor()?, low, high, original_context })
        }
        Some(other) => Err(config.unsupported(format!("rope type `{other}`"))),
    }
}

/// `mscale_all_dim`. With another `mscale`, or a graph that does not take it, attention would be scaled otherwise.
fn multiplier(rope: &ModelConfig, traits: Traits) -> Result<Option<f32>> {
    let [one, all] = ["mscale", "mscale_all_dim"].map(|field| rope.f64(field));
    #[expect(clippy::cast_possible_truncation, reason = "GGUF stores f32")]
    let [one, all] = [one?, all?].map(|number| number.map(|number| number as f32));
    let is = |a: Option<f32>, b: f32| a.is_some_and(|a| a.to_bits() == b.to_bits());
    if traits.yarn_multiplier == Multiplier::Equal
        && let Some(field) = ["mscale", "mscale_all_dim"].into_iter().find(|field| rope.get(field).is_none())
    {
        return Err(rope.wrong(field, "a positive number, with YaRN"));
    }
    match (traits.yarn_multiplier, all) {
        (Multiplier::Refused | Multiplier::One, None) if one.is_none() => Ok(None),
        (Multiplier::Equal, Some(all)) if all > 0.0 && all.is_finite() && is(one, all) => Ok(Some(all)),
        (Multiplier::One, Some(all)) if all >= 0.0 && all.is_finite() && is(one, 1.0) => Ok(Some(all)),
        _ => {
            let text = |number: Option<f32>| number.map_or_else(|| "nothing".to_owned(), |n| n.to_string());
            let what = format!("`mscale` of {} and `mscale_all_dim` of {}", text(one), text(all));
            Err(rope.unsupported(what))
        }
    }
}

impl Rope {
    /// The divisors of the rotary frequencies, one for each pair, for Llama 3 and Gemma 4.
    #[must_use]
    pub fn factors(&self) -> Option<Vec<f32>> {
        match self.scaling {
            RopeScaling::Llama3 { factor, low, high, original_context } => {
                Some(self.llama3(factor, low, high, original_context))
            }
            // A divisor this large stops the rotation.
            RopeScaling::Proportional { rotated } => {
                Some((0..self.dims / 2).map(|pair| if pair < rotated { 1.0 } else { 1e30 }).collect())
            }
            RopeScaling::None | RopeScaling::Linear { .. } | RopeScaling::Yarn { .. } => None,
        }
    }

    /// The formula of transformers' `_compute_llama3_parameters`, in F32 like llama.cpp's converter.
    fn llama3(&self, factor: f32, low: f32, high: f32, original_context: u64) -> Vec<f32> {
        #[expect(clippy::cast_precision_loss, reason = "at most 2^24 positions matter here")]
        let (context, dims) = (original_context as f32, self.dims as f32);
        let of = |pair: u64| {
            #[expect(clippy::cast_precision_loss, reason = "heads have at most 4096 elements")]
            let frequency = 1.0 / self.base.powf((2 * pair) as f32 / dims);
            let wave = (1.0 / frequency) * (2.0 * std::f32::consts::PI);
            if wave < context / high {
                1.0
            } else if wave > context / low {
                factor
            } else {
                let smooth = ((1.0 / wave) * context - low) / (high - low);
                1.0 / ((1.0 - smooth) / factor + smooth)
            }
        };
        (0..self.dims / 2).map(of).collect()
    }
}

/// The rotated elements of a head.
pub(super) fn rotated(config: &ModelConfig, head_dim: u64, partial: f64) -> Result<u64> {
    let head = f64::from(u32::try_from(head_dim).unwrap_or(u32::MAX));
    let expected = "a fraction of `head_dim` that gives an even number of elements";
    if !(partial > 0.0 && partial <= 1.0) {
        return Err(config.wrong("partial_rotary_factor", expected));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and head_dim")]
    let dims = (head * partial) as u64;
    if dims == 0 || !dims.is_multiple_of(2) {
        return Err(config.wrong("partial_rotary_factor", expected));
    }
    Ok(dims)
}
