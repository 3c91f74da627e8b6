//! Latent attention (MLA): GLM-4.7-Flash, `DeepSeek` V3 and R1, Kimi K2 and K2.5.
//!
//! llama.cpp's graph takes the part of `kv_b_proj` for the keys transposed, so that it can be multiplied by the queries, and
//! applies none of the scales that a GGUF may store apart, but for the output projections.

#[cfg(test)]
mod tests;

use super::family::{Family, OtherPart};
use super::hparams::{Attention, FeedForward, Gating, HParams, Layer, Mla, RopeScaling};
use super::layout::{Builder, ExpertNames, Mtp};
use super::metadata::Keys;
use super::nextn;
use super::reader::Reader;
use super::routing;
use super::target::{Columns, Map, Part, Role, Rows, Rule, Target};
use super::traits::{Multiplier, Traits};
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::limits;
use crate::vocab::Family as Tokenizer;

pub(super) static GLM_LITE: Family = Family {
    models: "GLM-4.7-Flash",
    unscaled: "all but `attn_output`",
    exceptions: "`attn_k_b` is transposed and becomes BF16 or F32, unless `--mla-k q8_0` rounds it",
    gguf: "deepseek2",
    model_types: &["glm4_moe_lite"],
    architectures: &["Glm4MoeLiteForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Glm4,
    read,
    layout: |out| out.trunk(Map::Identity, layer),
    mtp: Some(Mtp { prefixes: nextn::prefixes, layer: Some(mtp_layer) }),
    keys,
};

pub(super) static DEEPSEEK_V3: Family = Family {
    models: "DeepSeek V3 and R1; Kimi K2 and K2.5 with a tokenizer.json",
    model_types: &["deepseek_v3", "kimi_k2", "kimi_k25"],
    architectures: &["DeepseekV3ForCausalLM", "KimiK25ForConditionalGeneration"],
    other_parts: &[("vision_tower.", OtherPart::Vision), ("mm_projector.", OtherPart::Vision)],
    tokenizer: Tokenizer::Plain,
    mtp: Some(Mtp { prefixes: nextn::stated_prefixes, layer: None }),
    ..GLM_LITE
};

const TRAITS: Traits =
    Traits { head_dim: "qk_rope_head_dim", yarn_multiplier: Multiplier::Equal, ..Traits::PLAIN };
const EXPERTS: ExpertNames =
    ExpertNames { correction: Some("gate.e_score_correction_bias"), scaled: false, ..ExpertNames::MLP };
const MAX_HEAD_DIM: u64 = 1 << 12;

fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: TRAITS };
    reader.refuse_other_scores("sigmoid")?;
    reader.refuse_false("rope_interleave")?;
    for (field, own) in [("topk_method", "noaux_tc"), ("moe_layer_freq", "1")] {
        if let Some(value) = config.get(field)
            && value.as_str().map_or_else(|| value.to_string(), str::to_owned) != own
        {
            return Err(config.unsupported(format!("`{field}` of {value}")));
        }
    }
    let mut h = reader.common()?;
    reader.refuse_partial_rotation(&h)?;
    if h.kv_heads != h.heads {
        let expected = format!("`num_attention_heads`, {}, with latent attention", h.heads);
        return Err(config.wrong("num_key_value_heads", &expected));
    }
    let layers = config.size("num_hidden_layers", limits::LAYERS)?;
    routing::read(&reader, leading_dense(config, layers)?, &mut h)?;
    config.size("n_shared_experts", limits::EXPERTS)?;
    if let Some(experts) = &mut h.experts {
        experts.gating = Some(Gating::Sigmoid);
    }
    config.positive("routed_scaling_factor")?;
    config.size("n_group", limits::EXPERTS)?;
    let mla = latent(&reader, &h)?;
    h.mla = Some(mla);
    h.nextn = config.u64("num_nextn_predict_layers")?.unwrap_or(0);
    if h.nextn > limits::LAYERS {
        return Err(config.wrong("num_nextn_predict_layers", &format!("at most {}", limits::LAYERS)));
    }
    Ok(h)
}

/// `first_k_dense_replace` or `mlp_layer_types`, which must agree.
fn leading_dense(config: &ModelConfig, layers: u64) -> Result<u64> {
    let stated = config.u64("first_k_dense_replace")?.map(|count| count.min(layers));
    let Some(list) = config.get("mlp_layer_types") else {
        return stated.ok_or_else(|| config.wrong("first_k_dense_replace", "a number of layers"));
    };
    let kinds: Vec<_> =
        list.as_array().map_or_else(Vec::new, |list| list.iter().map(|kind| kind.as_str()).collect());
    let dense = kinds.iter().take_while(|kind| **kind == Some("dense")).count() as u64;
    let mut rest = kinds.iter().skip_while(|kind| **kind == Some("dense"));
    if kinds.len() as u64 != layers
        || !rest.all(|kind| *kind == Some("sparse"))
        || stated.is_some_and(|stated| stated != dense)
    {
        let expected = format!("`first_k_dense_replace` times `dense`, then `sparse`, for {layers} layers");
        return Err(config.wrong("mlp_layer_types", &expected));
    }
    Ok(dense)
}

fn latent(reader: &Reader<'_>, h: &HParams) -> Result<Mla> {
    let config = reader.config;
    let mla = Mla {
        query_rank: reader.optional("q_lora_rank")?,
        rank: config.size("kv_lora_rank", limits::WIDTH)?,
        plain: config.size("qk_nope_head_dim", MAX_HEAD_DIM)?,
        value: config.size("v_head_dim", MAX_HEAD_DIM)?,
    };
    let head = mla.plain + h.head_dim;
    if config.u64("qk_head_dim")?.is_some_and(|stated| stated != head) {
        let expected = format!("`qk_nope_head_dim` and `qk_rope_head_dim` together, {head}");
        return Err(config.wrong("qk_head_dim", &expected));
    }
    // llama.cpp takes models of these depths for those without the smaller vector, and no others.
    let is_direct = matches!(h.layers.len(), 26 | 27) || h.layers.len() == 48 && h.vocab == 128_256;
    if is_direct == mla.query_rank.is_some() {
        let rank = mla.query_rank.map_or_else(|| "null".to_owned(), |rank| rank.to_string());
        let what = format!("`q_lora_rank` of {rank} with {} layers and {} tokens", h.layers.len(), h.vocab);
        return Err(config.unsupported(what));
    }
    Ok(mla)
}

fn layer(out: &mut Builder<'_>, block: &str, source: &str, layer: Layer) {
    let hidden = out.h.hidden;
    let norm = |out: &mut Builder<'_>, name: &str, module: &str| {
        out.vector(&format!("{block}.{name}.weight"), &format!("{source}.{module}"), hidden, Map::Identity);
    };
    norm(out, "attn_norm", "input_layernorm");
    attention(out, block, &format!("{source}.self_attn"));
    norm(out, "ffn_norm", "post_attention_layernorm");
    match layer.ff {
        FeedForward::Dense => {
            out.dense(block, &format!("{source}.mlp"), "", out.h.ff.unwrap_or_default(), false);
        }
        FeedForward::Experts => {
            out.experts(block, source, &EXPERTS);
            out.shared_experts(block, &format!("{source}.mlp"), false);
        }
    }
}

fn attention(out: &mut Builder<'_>, block: &str, source: &str) {
    let h = out.h;
    let Some(mla) = h.mla else { return };
    let mut linear = |name: &str, module: &str, rows, columns, scaled| {
        out.linear(&format!("{block}.attn_{name}"), &format!("{source}.{module}"), rows, columns, scaled);
    };
    let queries = h.heads * (mla.plain + h.head_dim);
    match mla.query_rank {
        None => linear("q", "q_proj", queries, h.hidden, false),
        Some(rank) => {
            linear("q_a", "q_a_proj", rank, h.hidden, false);
            linear("q_b", "q_b_proj", queries, rank, false);
        }
    }
    linear("kv_a_mqa", "kv_a_proj_with_mqa", mla.rank + h.head_dim, h.hidden, false);
    linear("output", "o_proj", h.hidden, h.heads * mla.value, true);
    for (letter, rank) in [("q", mla.query_rank), ("kv", Some(mla.rank))] {
        if let Some(rank) = rank {
            let name = format!("{block}.attn_{letter}_a_norm.weight");
            out.vector(&name, &format!("{source}.{letter}_a_layernorm"), rank, Map::Identity);
        }
    }
    // Each head has the rows of its key, then those of its value.
    let head = mla.plain + mla.value;
    let part = |first: u64, rows: u64, order| Part {
        module: format!("{source}.kv_b_proj"),
        rows: h.heads * head,
        columns: mla.rank,
        runs: (0..h.heads).map(|index| (index * head + first, rows)).collect(),
        order,
    };
    let keys = part(0, mla.rank, Rows::Transposed { first: 0, step: 1 });
    let values = part(mla.plain, mla.value, Rows::AsStored);
    for (letter, part, columns, rows, role) in
        [("k", keys, mla.plain, mla.rank, Role::LatentKeys), ("v", values, mla.rank, mla.value, Role::Linear)]
    {
        out.push(Target {
            name: format!("{block}.attn_{letter}_b.weight"),
            dims: vec![columns, rows, h.heads],
            parts: vec![part],
            columns: Columns::AsStored,
            rule: Rule::Matrix { role, scaled: false },
        });
    }
}

fn mtp_layer(out: &mut Builder<'_>, prefix: &str) {
    let block = format!("blk.{}", out.h.layers.len());
    let kind = Layer { attention: Attention::Full, ff: FeedForward::Experts };
    layer(out, &block, prefix.trim_end_matches('.'), kind);
    nextn::modules(out, &block, prefix);
}

fn keys(h: &HParams, mtp_layers: u64, out: &mut Keys) {
    out.common(h, mtp_layers);
    let (Some(mla), Some(experts), Some(routing)) = (h.mla, h.experts, h.routing) else { return };
    out.size("leading_dense_block_count", routing.leading_dense);
    out.size("vocab_size", h.vocab);
    if let Some(rank) = mla.query_rank {
        out.size("attention.q_lora_rank", rank);
    }
    out.size("attention.kv_lora_rank", mla.rank);
    out.size("attention.key_length_mla", mla.plain + h.head_dim);
    out.size("attention.value_length_mla", mla.value);
    out.size("expert_feed_forward_length", experts.ff);
    out.size("expert_shared_count", routing.shared);
    if let Some(scale) = routing.scale {
        out.put("expert_weights_scale", scale);
    }
    if routing.normalized {
        out.put("expert_weights_norm", true);
    }
    out.size("rope.dimension_count", h.rope.dims);
    if let RopeScaling::Yarn { log_multiplier: Some(multiplier), .. } = h.rope.scaling {
        // A tenth, which llama.cpp's converter writes for this architecture only.
        #[expect(clippy::cast_possible_truncation, reason = "GGUF stores f32")]
        out.put("rope.scaling.yarn_log_multiplier", (0.1 * f64::from(multiplier)) as f32);
    }
    out.mtp_layers(mtp_layers);
}
