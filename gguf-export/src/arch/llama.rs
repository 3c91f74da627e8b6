//! Llama 3 and Mistral, and the text part of Mistral Small 3 and Ministral 3.

use super::family::{Family, OtherPart};
use super::hparams::{FeedForward, HParams, RopeScaling};
use super::metadata::Keys;
use super::plain::Plain;
use super::reader::Reader;
use super::traits::{Multiplier, Traits};
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

pub(super) static LLAMA: Family = Family {
    models: "Llama 3, Mistral with the Tekken tokenizer",
    unscaled: "",
    exceptions: "",
    gguf: "llama",
    model_types: &["llama", "mistral"],
    architectures: &["LlamaForCausalLM", "MistralForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Plain,
    read: read_llama,
    layout: |out| Plain::LLAMA.trunk(out),
    mtp: None,
    keys,
};

pub(super) static MISTRAL3: Family = Family {
    models: "Mistral Small 3, Devstral and Ministral 3, with a tokenizer.json",
    unscaled: "",
    exceptions: "",
    gguf: "mistral3",
    model_types: &["mistral3", "ministral3"],
    architectures: &["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"],
    other_parts: &[
        ("vision_tower.", OtherPart::Vision),
        ("model.vision_tower.", OtherPart::Vision),
        ("multi_modal_projector.", OtherPart::Vision),
        ("model.multi_modal_projector.", OtherPart::Vision),
    ],
    read: read_mistral3,
    ..LLAMA
};

const TRAITS: Traits = Traits { heads_by_default: true, ..Traits::PLAIN };

fn read_llama(config: &ModelConfig) -> Result<HParams> {
    read(&Reader { config, traits: Traits { rope_factors: true, ..TRAITS } })
}

fn read_mistral3(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader {
        config,
        traits: Traits { yarn_multiplier: Multiplier::One, base_by_default: false, ..TRAITS },
    };
    match config.str("model_type")? {
        Some("ministral3") => {
            let mut h = read(&reader)?;
            let Some(rope) = config.section("rope_parameters")? else {
                return Err(config.wrong("rope_parameters", "an object"));
            };
            let RopeScaling::Yarn { log_multiplier: Some(_), .. } = h.rope.scaling else {
                return Err(rope.wrong("mscale_all_dim", "YaRN with a number that is not negative"));
            };
            let beta = rope.f64("llama_4_scaling_beta")?.unwrap_or(0.0);
            if !(0.0..=f64::from(f32::MAX)).contains(&beta) {
                return Err(rope.wrong("llama_4_scaling_beta", "a number that is not negative"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "GGUF stores f32")]
            let scale = beta as f32;
            h.temperature_scale = Some(scale);
            Ok(h)
        }
        Some("mistral") => read(&reader),
        Some(other) => Err(config.unsupported(format!("text model type `{other}`"))),
        None => Err(config.wrong("model_type", "`ministral3` or `mistral`")),
    }
}

fn read(reader: &Reader<'_>) -> Result<HParams> {
    reader.refuse_sliding_window("sliding_window")?;
    reader.refuse_true("mlp_bias")?;
    let mut h = reader.common()?;
    reader.refuse_partial_rotation(&h)?;
    h.ff = Some(reader.inner("intermediate_size")?);
    h.layers = reader.full_layers(FeedForward::Dense)?;
    Ok(h)
}

fn keys(h: &HParams, _: u64, out: &mut Keys) {
    out.common(h, 0);
    out.size("vocab_size", h.vocab);
    out.size("rope.dimension_count", h.rope.dims);
    if let RopeScaling::Yarn { log_multiplier: Some(multiplier), .. } = h.rope.scaling {
        out.put("rope.scaling.yarn_log_multiplier", multiplier);
    }
    if let Some(scale) = h.temperature_scale {
        out.put("attention.temperature_scale", scale);
    }
}
