//! Limits on the hyperparameters of single architectures, besides those of all.
//!
//! Source: the assertions of the graphs in `src/models/*.cpp` of llama.cpp b11434, and the operators in them that loop
//! forever or divide by zero. Errors in which its loader names the key are left to it.

use gguf_export::gguf::{Array, Value, keys, limits};

use crate::model::header::describe;
use crate::model::hparams::HParams;
use crate::model::{Header, LoadError};

/// A limit on the hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// The tokenizer is byte-level BPE.
    ByteLevel,
    /// All layers have the same number of query heads, and of KV heads: at least one.
    SameHeads,
    /// Every layer has at least one query head and one KV head.
    SomeHeads,
    /// Keys and values have the same length.
    EqualLengths,
    /// At least one pair of values is rotated: llama.cpp's rotation loops forever over none.
    Rotates,
    /// The model has experts; every token uses the same number in every layer.
    Experts,
    /// The same, if the model has experts.
    MayHaveExperts,
    /// The model has no experts.
    NoExperts,
    /// The sizes of the delta net are consistent.
    DeltaNet,
    /// Some layers have attention and some a recurrent state: llama.cpp asserts that there are caches of both kinds.
    Mixes,
    /// All values of a key are rotated.
    RotatesAll,
    /// The rotated values are divided into sections.
    Sections,
    /// The same, if the file has the key.
    MaySections,
    /// The model has no MTP layers.
    NoMtp,
    /// MTP layers have attention.
    MtpAttends,
    /// The model has shared experts.
    SharedExperts,
    /// The gating function is one of llama.cpp's, or missing.
    MayWeigh,
    /// The gating function is one of llama.cpp's.
    Weighs,
    /// Some layers have a sliding window and some have none.
    Slides,
    /// Layers with and without a sliding window have heads of the same lengths.
    SlidesAlike,
    /// In layers with a sliding window, keys and values have the same length, and at least one pair is rotated.
    WindowLengths,
    /// Layers that use the KV cache of another have a window only if that one has.
    SharesKeys,
    /// The lengths of compressed keys and values are consistent.
    Compression,
    /// Attention with a temperature scale has a temperature length.
    Temperature,
}

/// Checks the limits of an architecture, and that the epsilon of its norms is there.
pub(super) fn check(limits: &[Limit], header: &Header, hparams: &HParams) -> Result<(), LoadError> {
    Keys { header, hparams }.epsilon()?;
    limits.iter().try_for_each(|limit| limit.check(header, hparams))
}

impl Limit {
    /// Checks the limit.
    pub(super) fn check(self, header: &Header, hparams: &HParams) -> Result<(), LoadError> {
        let keys = Keys { header, hparams };
        match self {
            Self::ByteLevel => keys.byte_level(),
            Self::SameHeads => keys.heads(true),
            Self::SomeHeads => keys.heads(false),
            Self::EqualLengths => keys.equal_lengths(),
            Self::Rotates => keys.rotates(),
            Self::Experts => keys.experts(),
            Self::MayHaveExperts => keys.one_number_of_experts(),
            Self::NoExperts => keys.no_experts(),
            Self::DeltaNet => keys.delta_net(),
            Self::Mixes => keys.mixes(),
            Self::RotatesAll => keys.rotates_all(),
            Self::MaySections if header.metadata.get(&keys.key(SECTIONS)).is_none() => Ok(()),
            Self::MaySections | Self::Sections => keys.sections(),
            Self::NoMtp => keys.no_mtp(),
            Self::MtpAttends => keys.mtp_attends(),
            Self::SharedExperts => keys.shared_experts(),
            Self::MayWeigh => keys.weighs(0),
            Self::Weighs => keys.weighs(1),
            Self::Slides => keys.slides(),
            Self::SlidesAlike => keys.slides_alike(),
            Self::WindowLengths => keys.window_lengths(),
            Self::SharesKeys => keys.shares_keys(),
            Self::Compression => keys.compression(),
            Self::Temperature => keys.temperature(),
        }
    }
}

const SECTIONS: &str = "rope.dimension_sections";

/// The keys of a header and what they were read as.
struct Keys<'a> {
    header: &'a Header,
    hparams: &'a HParams,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.hparams.architecture)
    }

    fn wrong<T>(&self, name: &str, found: u64, expected: impl ToString) -> Result<T, LoadError> {
        Err(self.header.wrong(&self.key(name), found, expected))
    }

    fn byte_level(&self) -> Result<(), LoadError> {
        let tokenizer = self.header.metadata.str(keys::TOKENIZER_MODEL).unwrap_or_default();
        if tokenizer == "gpt2" {
            return Ok(());
        }
        let expected = format!("`gpt2` for {}", self.hparams.architecture);
        Err(self.header.wrong(keys::TOKENIZER_MODEL, format!("`{tokenizer}`"), expected))
    }

    /// Heads in every layer, the same number or any.
    fn heads(&self, same: bool) -> Result<(), LoadError> {
        let HParams { heads, kv_heads, .. } = self.hparams;
        for (name, counts) in [("attention.head_count", heads), ("attention.head_count_kv", kv_heads)] {
            if counts.iter().any(|count| *count == 0 || same && *count != counts[0]) {
                let expected =
                    if same { "the same in every layer, at least 1" } else { "at least 1 in every layer" };
                return self.wrong(name, counts[0].into(), expected);
            }
        }
        Ok(())
    }

    fn equal_lengths(&self) -> Result<(), LoadError> {
        let HParams { key_length, value_length, .. } = *self.hparams;
        if value_length == key_length {
            return Ok(());
        }
        let expected = format!("{key_length}, as `{}`", self.key("attention.key_length"));
        self.wrong("attention.value_length", value_length, expected)
    }

    fn rotates(&self) -> Result<(), LoadError> {
        match self.hparams.rotated {
            count @ 0..2 => self.wrong("rope.dimension_count", count, "at least 2"),
            count if !count.is_multiple_of(2) => self.wrong("rope.dimension_count", count, "an even number"),
            _ => Ok(()),
        }
    }

    fn experts(&self) -> Result<(), LoadError> {
        if self.hparams.experts == 0 {
            return self.wrong("expert_count", 0, "at least 1");
        }
        self.one_number_of_experts()
    }

    /// The graphs take the number of the first layer for all.
    fn one_number_of_experts(&self) -> Result<(), LoadError> {
        let key = self.key("expert_used_count");
        match self.header.metadata.get(&key) {
            Some(value @ Value::Array(_)) => Err(self.header.wrong(&key, describe(value), "one number")),
            _ => Ok(()),
        }
    }

    fn no_experts(&self) -> Result<(), LoadError> {
        match self.hparams.experts {
            0 => Ok(()),
            count => {
                let expected = format!("0 for {}", self.hparams.architecture);
                self.wrong("expert_count", count.into(), expected)
            }
        }
    }

    fn delta_net(&self) -> Result<(), LoadError> {
        let Some(sizes) = self.hparams.recurrent else {
            return Err(self.header.wrong(&self.key("ssm.state_size"), "missing", "at least 1"));
        };
        self.header.within(&self.key("ssm.conv_kernel"), 2..=64, None)?;
        self.header.within(&self.key("ssm.group_count"), 1..=u64::MAX, None)?;
        self.header.within(&self.key("ssm.time_step_rank"), 1..=u64::MAX, None)?;
        if !sizes.heads.is_multiple_of(sizes.groups) {
            let expected = format!("a multiple of {} groups", sizes.groups);
            return self.wrong("ssm.time_step_rank", sizes.heads, expected);
        }
        if sizes.inner != sizes.heads * sizes.state {
            let expected = format!("{} heads of {}", sizes.heads, sizes.state);
            return self.wrong("ssm.inner_size", sizes.inner, expected);
        }
        Ok(())
    }

    fn mixes(&self) -> Result<(), LoadError> {
        let trunk = &self.hparams.recurrent_layers[..self.hparams.trunk() as usize];
        if trunk.contains(&true) && trunk.contains(&false) {
            return Ok(());
        }
        let (found, expected) = ("the same for all layers", "some layers with attention and some without");
        Err(self.header.wrong(&self.key("attention.recurrent_layers"), found, expected))
    }

    fn epsilon(&self) -> Result<(), LoadError> {
        let key = self.key("attention.layer_norm_rms_epsilon");
        match self.header.metadata.f32(&key) {
            Some(_) => Ok(()),
            None => Err(self.header.wrong(&key, "missing", "an f32")),
        }
    }

    fn rotates_all(&self) -> Result<(), LoadError> {
        self.rotates()?;
        let HParams { rotated, key_length, .. } = *self.hparams;
        if rotated == key_length { Ok(()) } else { self.wrong("rope.dimension_count", rotated, key_length) }
    }

    /// Four numbers: llama.cpp asserts that one of the first three is not 0.
    fn sections(&self) -> Result<(), LoadError> {
        let key = self.key(SECTIONS);
        let most = self.hparams.rotated / 2;
        let expected = format!("four numbers with a sum of 1 to {most}, and not only the last above 0");
        let Some(value) = self.header.metadata.get(&key) else {
            return Err(self.header.wrong(&key, "missing", expected));
        };
        let Value::Array(list @ (Array::I32(_) | Array::U32(_))) = value else {
            return Err(self.header.wrong(&key, describe(value), expected));
        };
        let sections: Option<Vec<u64>> =
            (0..list.len().min(5)).map(|index| list.get(index).and_then(|value| value.as_u64())).collect();
        match sections.as_deref() {
            Some([a, b, c, d]) if a + b + c > 0 && a + b + c + d <= most => Ok(()),
            Some(found) => Err(self.header.wrong(&key, format!("{found:?}"), expected)),
            None => Err(self.header.wrong(&key, "an array with a negative number", expected)),
        }
    }

    fn no_mtp(&self) -> Result<(), LoadError> {
        match self.hparams.mtp_layers {
            0 => Ok(()),
            layers => {
                let expected = format!("0 for {}", self.hparams.architecture);
                self.wrong("nextn_predict_layers", layers.into(), expected)
            }
        }
    }

    fn mtp_attends(&self) -> Result<(), LoadError> {
        let trunk = self.hparams.trunk() as usize;
        if self.hparams.recurrent_layers[trunk..].contains(&true) {
            let (name, found) = ("attention.recurrent_layers", "true for an MTP layer");
            return Err(self.header.wrong(&self.key(name), found, "false"));
        }
        Ok(())
    }

    fn shared_experts(&self) -> Result<(), LoadError> {
        self.header.within(&self.key("expert_shared_count"), 1..=limits::EXPERTS, None).map(drop)
    }

    /// llama.cpp has the functions 1 to 4.
    fn weighs(&self, least: u64) -> Result<(), LoadError> {
        let by_default = if least == 0 { Some(0) } else { None };
        self.header.within(&self.key("expert_gating_func"), least..=4, by_default).map(drop)
    }

    fn slides(&self) -> Result<(), LoadError> {
        let layers = self.hparams.sliding.as_ref().map_or(&[][..], |sliding| &sliding.layers);
        if layers.contains(&true) && layers.contains(&false) {
            return Ok(());
        }
        let (found, expected) = ("the same for all layers", "some layers with a window and some without");
        Err(self.header.wrong(&self.key("attention.sliding_window_pattern"), found, expected))
    }

    /// The same lengths for keys and values where layers slide, and a part that is rotated.
    fn slides_alike(&self) -> Result<(), LoadError> {
        let HParams { key_length, value_length, rotated, ref sliding, .. } = *self.hparams;
        let Some(sliding) = sliding else { return Ok(()) };
        for (name, found, expected) in [
            ("attention.key_length_swa", sliding.key_length, key_length),
            ("attention.value_length_swa", sliding.value_length, value_length),
            ("rope.dimension_count_swa", sliding.rotated, rotated),
        ] {
            if found != expected {
                return self.wrong(name, found, format!("{expected}, as in layers without a window"));
            }
        }
        Ok(())
    }

    fn window_lengths(&self) -> Result<(), LoadError> {
        let Some(sliding) = &self.hparams.sliding else { return Ok(()) };
        if sliding.value_length != sliding.key_length {
            let expected = format!("{}, as `{}`", sliding.key_length, self.key("attention.key_length_swa"));
            return self.wrong("attention.value_length_swa", sliding.value_length, expected);
        }
        if sliding.rotated < 2 || !sliding.rotated.is_multiple_of(2) {
            return self.wrong("rope.dimension_count_swa", sliding.rotated, "an even number of at least 2");
        }
        Ok(())
    }

    fn shares_keys(&self) -> Result<(), LoadError> {
        let HParams { layers, shared_kv, ref sliding, .. } = *self.hparams;
        let name = "attention.shared_kv_layers";
        let Some(sliding) = sliding else { return Ok(()) };
        if shared_kv + 2 > layers {
            return self.wrong(name, shared_kv.into(), format!("at most {}", layers.saturating_sub(2)));
        }
        // Layers with a window use the keys of the last but one that has its own, others those of the last.
        let own = (layers - shared_kv) as usize;
        let (with, without) = (sliding.layers[own - 2], !sliding.layers[own - 1]);
        if sliding.layers[own..].iter().any(|slides| if *slides { !with } else { !without }) {
            let expected = "layers before them of which the last but one has a window and the last has none";
            return self.wrong(name, shared_kv.into(), expected);
        }
        Ok(())
    }

    fn compression(&self) -> Result<(), LoadError> {
        let HParams { rank, rotated, key_length, value_length, mla, .. } = *self.hparams;
        self.header.within(&self.key("attention.kv_lora_rank"), 1..=limits::WIDTH, None)?;
        let Some(mla) = mla else {
            if self.hparams.kv_heads != self.hparams.heads {
                let found = self.hparams.kv_heads[0].into();
                return self.wrong("attention.head_count_kv", found, "the number of heads");
            }
            let expected = format!("more than {rotated} rotated values");
            let is_long = key_length > rotated;
            return if is_long { Ok(()) } else { self.wrong("attention.key_length", key_length, expected) };
        };
        if self.hparams.kv_heads[0] != 1 {
            return self.wrong("attention.head_count_kv", self.hparams.kv_heads[0].into(), 1);
        }
        if key_length != rank + rotated {
            let expected = format!("{rank} compressed and {rotated} rotated values");
            return self.wrong("attention.key_length", key_length, expected);
        }
        if value_length != rank {
            return self.wrong("attention.value_length", value_length, rank);
        }
        if mla.key_length <= rotated {
            let expected = format!("more than {rotated} rotated values");
            return self.wrong("attention.key_length_mla", mla.key_length, expected);
        }
        Ok(())
    }

    fn temperature(&self) -> Result<(), LoadError> {
        match self.header.metadata.f32(&self.key("attention.temperature_scale")) {
            Some(scale) if scale != 0.0 => {
                let key = self.key("attention.temperature_length");
                self.header.within(&key, 1..=limits::CONTEXT, None).map(drop)
            }
            _ => Ok(()),
        }
    }
}
