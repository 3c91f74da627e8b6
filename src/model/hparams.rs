//! Hyperparameters, read from a model's metadata and accepted only within limits.
//!
//! The limits are those at which llama.cpp b11434 (`llama_model::load_hparams`, `llama-hparams.h`, and the operators of
//! its graphs) asserts, divides by zero or allocates without limit.

use gguf_export::gguf::{Array, Value, keys, limits};

use super::header::describe;
use super::{Header, LoadError};

/// The `RoPE` scaling types of llama.cpp.
const ROPE_SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];

/// The hyperparameters that determine how much memory a model needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HParams {
    /// The architecture, by llama.cpp's name.
    pub architecture: String,
    /// The number of layers, including MTP layers at the end.
    pub layers: u32,
    /// The number of MTP layers.
    pub mtp_layers: u32,
    /// Width of an embedding.
    pub embedding: u64,
    /// Tokens in the vocabulary.
    pub vocab: u64,
    /// The context length that the model was trained with.
    pub trained_context: u32,
    /// Routed experts per layer; 0 for a dense model.
    pub experts: u32,
    /// Experts per token.
    pub experts_used: u32,
    /// Query heads by layer.
    pub heads: Vec<u32>,
    /// Key and value heads by layer.
    pub kv_heads: Vec<u32>,
    /// Length of a head's key.
    pub key_length: u64,
    /// Length of a head's value.
    pub value_length: u64,
    /// The layers with a recurrent state instead of a KV cache.
    pub recurrent_layers: Vec<bool>,
    /// Sizes of the recurrent state, if there is one.
    pub recurrent: Option<Recurrent>,
}

/// Sizes of a recurrent layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurrent {
    /// Length of the convolution's kernel.
    pub kernel: u64,
    /// Inner width.
    pub inner: u64,
    /// Length of a head's state.
    pub state: u64,
    /// Key heads.
    pub groups: u64,
    /// Value heads.
    pub heads: u64,
}

impl Recurrent {
    /// Values per sequence and layer, of the convolution and the state.
    #[must_use]
    pub fn values(&self) -> u64 {
        let convolution = self.kernel.saturating_sub(1) * (self.inner + 2 * self.groups * self.state);
        convolution + self.state * self.inner
    }
}

impl HParams {
    /// Reads the hyperparameters.
    ///
    /// # Errors
    ///
    /// [`LoadError::Metadata`] with the key that is missing, of the wrong type, or out of range.
    pub fn read(header: &Header) -> Result<Self, LoadError> {
        let architecture = match header.metadata.get(keys::ARCHITECTURE) {
            Some(Value::Str(name)) => name.clone(),
            Some(other) => return Err(header.wrong(keys::ARCHITECTURE, describe(other), "a name")),
            None => return Err(header.wrong(keys::ARCHITECTURE, "missing", "a name")),
        };
        let numbers = Numbers { header, prefix: &architecture };
        let layers = numbers.within("block_count", 1..=limits::LAYERS, None)?;
        let mtp_layers = numbers.within("nextn_predict_layers", 0..=layers - 1, Some(0))?;
        let embedding = numbers.within("embedding_length", 1..=limits::WIDTH, None)?;
        let (experts, experts_used) = numbers.experts(layers)?;
        let heads = numbers.by_layer("attention.head_count", layers, 0)?;
        let kv_heads = match header.metadata.get(&numbers.key("attention.head_count_kv")) {
            None => heads.clone(),
            Some(_) => numbers.by_layer("attention.head_count_kv", layers, 0)?,
        };
        numbers.heads_divide(&heads, &kv_heads)?;
        let by_default = embedding.checked_div(heads[0].into()).unwrap_or(0);
        let key_length = numbers.within("attention.key_length", 1..=limits::WIDTH, Some(by_default))?;
        let value_length = numbers.within("attention.value_length", 1..=limits::WIDTH, Some(by_default))?;
        numbers.positions(key_length)?;
        numbers.norms()?;
        let recurrent = numbers.recurrent()?;
        let recurrent_layers = numbers.recurrent_layers(layers, mtp_layers, recurrent.is_some())?;
        Ok(Self {
            layers: narrow(layers),
            mtp_layers: narrow(mtp_layers),
            embedding,
            vocab: numbers.vocab()?,
            trained_context: narrow(numbers.within("context_length", 1..=limits::CONTEXT, None)?),
            experts: narrow(experts),
            experts_used: narrow(experts_used),
            heads,
            kv_heads,
            key_length,
            value_length,
            recurrent_layers,
            recurrent,
            architecture,
        })
    }
}

/// Narrows a number that was checked against a limit below 2^32.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The metadata keys of one architecture.
struct Numbers<'a> {
    header: &'a Header,
    prefix: &'a str,
}

impl Numbers<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    fn within(
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
    fn by_layer(&self, name: &str, layers: u64, default: u32) -> Result<Vec<u32>, LoadError> {
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

    fn experts(&self, layers: u64) -> Result<(u64, u64), LoadError> {
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
            self.within("expert_group_used_count", 1..=groups - 1, None)?;
        }
        Ok((experts, used))
    }

    fn heads_divide(&self, heads: &[u32], kv_heads: &[u32]) -> Result<(), LoadError> {
        for (&heads, &kv) in heads.iter().zip(kv_heads) {
            if kv > 0 && (heads == 0 || !heads.is_multiple_of(kv)) {
                return Err(self.wrong("attention.head_count_kv", kv, format!("a divisor of {heads} heads")));
            }
        }
        Ok(())
    }

    fn positions(&self, key_length: u64) -> Result<(), LoadError> {
        let name = "rope.dimension_count";
        let rotated = self.within(name, 0..=key_length, Some(0))?;
        if !rotated.is_multiple_of(2) {
            return Err(self.wrong(name, rotated, "an even number"));
        }
        let name = "rope.scaling.type";
        match self.header.metadata.get(&self.key(name)) {
            None => Ok(()),
            Some(Value::Str(scaling)) if ROPE_SCALINGS.contains(&scaling.as_str()) => Ok(()),
            Some(other) => {
                Err(self.wrong(name, describe(other), format!("one of {}", ROPE_SCALINGS.join(", "))))
            }
        }
    }

    fn norms(&self) -> Result<(), LoadError> {
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

    fn recurrent(&self) -> Result<Option<Recurrent>, LoadError> {
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
    fn recurrent_layers(&self, layers: u64, mtp: u64, any: bool) -> Result<Vec<bool>, LoadError> {
        let interval = self.within("full_attention_interval", 1..=u64::from(u32::MAX), Some(4))?;
        let name = "attention.recurrent_layers";
        let count = usize::try_from(layers).unwrap_or(usize::MAX);
        match self.header.metadata.get(&self.key(name)) {
            Some(Value::Array(Array::Bool(list))) if list.len() == count => Ok(list.clone()),
            Some(Value::Array(Array::Bool(list))) => Err(self.wrong(
                name,
                format!("an array of {} values", list.len()),
                format!("one for each of {layers} layers"),
            )),
            Some(Value::Array(_)) => {
                Ok(self.by_layer(name, layers, 0)?.into_iter().map(|n| n != 0).collect())
            }
            Some(other) => Err(self.wrong(name, describe(other), "an array of booleans")),
            None if !any => Ok(vec![false; count]),
            None => Ok((0..layers).map(|i| i < layers - mtp && (i + 1) % interval != 0).collect()),
        }
    }

    fn vocab(&self) -> Result<u64, LoadError> {
        match self.header.metadata.strings(keys::TOKENIZER_TOKENS) {
            Some(tokens) => Ok(tokens.len() as u64),
            None => self.within("vocab_size", 0..=limits::VOCAB, Some(0)),
        }
    }
}
