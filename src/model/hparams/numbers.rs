//! Reads and checks single keys of one architecture.

use gguf_export::gguf::{Array, Value, keys, limits};

use super::types::{Mla, Recurrent, Sliding};
use crate::model::header::describe;
use crate::model::{Header, LoadError};

/// The `RoPE` scaling types of llama.cpp.
const ROPE_SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];

/// How the layers with a window are given.
#[derive(Debug, Clone, Copy)]
enum Pattern {
    /// By an array.
    Array,
    /// By an array, or by the number of layers of which the last is full; this one by default.
    LastOf(u64),
}

/// The architectures that have windows. In others that may have them, all layers count as full: the bill is too high.
const SLIDING: [(&str, Pattern); 2] = [("gemma4", Pattern::Array), ("gpt-oss", Pattern::LastOf(2))];

/// Narrows a number that was checked against a limit below 2^32.
pub(super) fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The metadata keys of one architecture.
pub(super) struct Numbers<'a> {
    pub(super) header: &'a Header,
    pub(super) prefix: &'a str,
}

impl Numbers<'_> {
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub(super) fn within(
        &self,
        name: &str,
        limits: std::ops::RangeInclusive<u64>,
        default: Option<u64>,
    ) -> Result<u64, LoadError> {
        self.header.within(&self.key(name), limits, default)
    }

    fn wrong(&self, name: &str, found: impl ToString, expected: impl ToString) -> LoadError {
        self.header.wrong(&self.key(name), found, expected)
    }

    /// A value for every layer: one for all layers, or an array.
    pub(super) fn by_layer(&self, name: &str, layers: u64, default: u32) -> Result<Vec<u32>, LoadError> {
        let count = usize::try_from(layers).unwrap_or(usize::MAX);
        let Some(Value::Array(array)) = self.header.metadata.get(&self.key(name)) else {
            let one = self.within(name, 0..=limits::WIDTH, Some(default.into()))?;
            return Ok(vec![narrow(one); count]);
        };
        if array.len() != count {
            return Err(self.wrong(
                name,
                format!("an array of {} values", array.len()),
                format!("one for each of {layers} layers"),
            ));
        }
        (0..count)
            .map(|i| {
                let number = array.get(i).and_then(|value| value.as_u64()).filter(|n| *n <= limits::WIDTH);
                number.map(narrow).ok_or_else(|| {
                    self.wrong(
                        name,
                        format!("value {i} of {}", array.element_type_name()),
                        format!("0 to {}", limits::WIDTH),
                    )
                })
            })
            .collect()
    }

    pub(super) fn experts(&self, layers: u64) -> Result<(u64, u64), LoadError> {
        let experts = self.within("expert_count", 0..=limits::EXPERTS, Some(0))?;
        let used = self.by_layer("expert_used_count", layers, 0)?.into_iter().max().unwrap_or(0).into();
        let expected = if experts == 0 { "0 without experts".to_owned() } else { format!("1 to {experts}") };
        if used > experts || (experts > 0 && used == 0) {
            return Err(self.wrong("expert_used_count", used, expected));
        }
        let groups = self.within("expert_group_count", 0..=experts.saturating_sub(1), Some(0))?;
        if groups > 1 {
            if !experts.is_multiple_of(groups) {
                return Err(self.wrong("expert_group_count", groups, format!("a divisor of {experts}")));
            }
            // A group is chosen by its two best experts.
            if experts / groups < 2 {
                let most = format!("at most {}, for two experts in each", experts / 2);
                return Err(self.wrong("expert_group_count", groups, most));
            }
            self.within("expert_group_used_count", 1..=groups - 1, None)?;
        }
        Ok((experts, used))
    }

    pub(super) fn heads_divide(&self, heads: &[u32], kv_heads: &[u32]) -> Result<(), LoadError> {
        for (&heads, &kv) in heads.iter().zip(kv_heads) {
            if kv > 0 && (heads == 0 || !heads.is_multiple_of(kv)) {
                return Err(self.wrong("attention.head_count_kv", kv, format!("a divisor of {heads} heads")));
            }
        }
        Ok(())
    }

    /// A width of at least 1; one that is 0 by default stands for a model without attention.
    pub(super) fn width(&self, name: &str, default: u64) -> Result<u64, LoadError> {
        self.within(name, 1..=limits::WIDTH, Some(default))
    }

    /// The rotated part of a key of this length.
    pub(super) fn rotated(&self, name: &str, key_length: u64) -> Result<u64, LoadError> {
        let rotated = self.within(name, 0..=key_length, Some(key_length))?;
        if self.header.metadata.get(&self.key(name)).is_some() && !rotated.is_multiple_of(2) {
            return Err(self.wrong(name, rotated, "an even number"));
        }
        Ok(rotated)
    }

    pub(super) fn scaling(&self) -> Result<(), LoadError> {
        let name = "rope.scaling.type";
        match self.header.metadata.get(&self.key(name)) {
            None => Ok(()),
            Some(Value::Str(scaling)) if ROPE_SCALINGS.contains(&scaling.as_str()) => Ok(()),
            Some(other) => {
                Err(self.wrong(name, describe(other), format!("one of {}", ROPE_SCALINGS.join(", "))))
            }
        }
    }

    pub(super) fn norms(&self) -> Result<(), LoadError> {
        for name in [
            "attention.layer_norm_rms_epsilon",
            "attention.layer_norm_epsilon",
            "attention.group_norm_epsilon",
        ] {
            match self.header.metadata.get(&self.key(name)) {
                None => {}
                Some(Value::F32(epsilon)) if epsilon.is_finite() && *epsilon >= 0.0 => {}
                Some(other) => return Err(self.wrong(name, describe(other), "a finite f32 of at least 0")),
            }
        }
        Ok(())
    }

    pub(super) fn recurrent(&self) -> Result<Option<Recurrent>, LoadError> {
        if self.header.whole(&self.key("ssm.state_size"))?.is_none() {
            return Ok(None);
        }
        let size = |name: &str, least| self.within(name, least..=limits::WIDTH, Some(least));
        Ok(Some(Recurrent {
            kernel: size("ssm.conv_kernel", 0)?,
            inner: size("ssm.inner_size", 0)?,
            state: size("ssm.state_size", 1)?,
            groups: size("ssm.group_count", 0)?,
            heads: size("ssm.time_step_rank", 0)?,
        }))
    }

    /// The recurrent layers: from an array, or all except every `full_attention_interval`th layer.
    pub(super) fn recurrent_layers(&self, layers: u64, mtp: u64, any: bool) -> Result<Vec<bool>, LoadError> {
        let interval = self.within("full_attention_interval", 1..=u64::from(u32::MAX), Some(4))?;
        let name = "attention.recurrent_layers";
        let count = usize::try_from(layers).unwrap_or(usize::MAX);
        match self.header.metadata.get(&self.key(name)) {
            Some(Value::Array(_)) => self.truths(name, layers),
            Some(other) => Err(self.wrong(name, describe(other), "an array of booleans")),
            None if !any => Ok(vec![false; count]),
            None => Ok((0..layers).map(|i| i < layers - mtp && (i + 1) % interval != 0).collect()),
        }
    }

    /// Width of the embedding of a text: by its own key, or that of a token.
    pub(super) fn text_embedding(&self, by_default: u64) -> Result<u64, LoadError> {
        let width = self.within("embedding_length_out", 0..=limits::WIDTH, Some(0))?;
        Ok(if width > 0 { width } else { by_default })
    }

    /// Labels of a classifier.
    pub(super) fn labels(&self) -> u64 {
        let labels = self.header.metadata.strings(&self.key("classifier.output_labels"));
        labels.map_or(0, <[_]>::len).max(1) as u64
    }

    pub(super) fn vocab(&self) -> Result<u64, LoadError> {
        match self.header.metadata.strings(keys::TOKENIZER_TOKENS) {
            Some(tokens) => Ok(tokens.len() as u64),
            None => self.within("vocab_size", 0..=limits::VOCAB, Some(0)),
        }
    }

    /// The layers with a window, in the architectures whose windows are known.
    pub(super) fn sliding(
        &self,
        layers: u64,
        mtp: u64,
        (key, value, rotated): (u64, u64, u64),
    ) -> Result<Option<Sliding>, LoadError> {
        let Some((_, pattern)) = SLIDING.iter().find(|(name, _)| *name == self.prefix) else {
            return Ok(None);
        };
        let window = self.within("attention.sliding_window", 1..=limits::CONTEXT, None)?;
        let name = "attention.sliding_window_pattern";
        let slides = match (self.header.metadata.get(&self.key(name)), pattern) {
            (Some(Value::Array(_)), _) => self.truths(name, layers)?,
            (None, Pattern::Array) => return Err(self.wrong(name, "missing", "an array of booleans")),
            (Some(other), Pattern::Array) => {
                return Err(self.wrong(name, describe(other), "an array of booleans"));
            }
            (_, Pattern::LastOf(by_default)) => {
                let group = self.within(name, 2..=limits::LAYERS, Some(*by_default))?;
                (0..layers).map(|layer| layer < layers - mtp && (layer + 1) % group != 0).collect()
            }
        };
        let key_length = self.width("attention.key_length_swa", key)?;
        let rotated = rotated.min(key_length);
        Ok(Some(Sliding {
            window: narrow(window),
            layers: slides,
            value_length: self.width("attention.value_length_swa", value)?,
            rotated: match self.header.metadata.get(&self.key("rope.dimension_count_swa")) {
                None => rotated,
                Some(_) => self.rotated("rope.dimension_count_swa", key_length)?,
            },
            key_length,
        }))
    }

    /// The lengths of latent attention: both or none.
    pub(super) fn mla(&self) -> Result<Option<Mla>, LoadError> {
        let size = |name| self.within(name, 0..=limits::WIDTH, Some(0));
        let (key, value) = ("attention.key_length_mla", "attention.value_length_mla");
        match (size(key)?, size(value)?) {
            (0, 0) => Ok(None),
            (0, other) => Err(self.wrong(key, 0, format!("at least 1, as `{}` is {other}", self.key(value)))),
            (other, 0) => Err(self.wrong(value, 0, format!("at least 1, as `{}` is {other}", self.key(key)))),
            (key_length, value_length) => Ok(Some(Mla { key_length, value_length })),
        }
    }

    /// The layers at the end that use the keys of others, in the architecture that has such.
    pub(super) fn shared_kv(&self, layers: u64) -> Result<u64, LoadError> {
        if self.prefix == "gemma4" {
            return self.within("attention.shared_kv_layers", 0..=layers, Some(0));
        }
        Ok(0)
    }

    /// Width of a compressed query. llama.cpp does not read it for small models of `deepseek2`, which it recognizes by these numbers.
    pub(super) fn query_rank(&self, trunk: u64, vocab: u64) -> Result<u64, LoadError> {
        if self.prefix == "deepseek2" && matches!((trunk, vocab), (26 | 27, _) | (48, 128_256)) {
            return Ok(0);
        }
        self.within("attention.q_lora_rank", 0..=limits::WIDTH, Some(0))
    }

    /// A truth for every layer, from booleans or numbers.
    fn truths(&self, name: &str, layers: u64) -> Result<Vec<bool>, LoadError> {
        let count = usize::try_from(layers).unwrap_or(usize::MAX);
        match self.header.metadata.get(&self.key(name)) {
            Some(Value::Array(Array::Bool(list))) if list.len() == count => Ok(list.clone()),
            Some(Value::Array(Array::Bool(list))) => Err(self.wrong(
                name,
                format!("an array of {} values", list.len()),
                format!("one for each of {layers} layers"),
            )),
            _ => Ok(self.by_layer(name, layers, 0)?.into_iter().map(|n| n != 0).collect()),
        }
    }
}
