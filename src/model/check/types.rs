//! The types that a tensor may have, by its place in llama.cpp's graphs.
//!
//! Source: `src/llama-arch.cpp` of llama.cpp b11434, which names the operator of each tensor (`LLM_TENSOR_INFOS`), and the
//! operators of ggml's CPU backend, which assert on other types. Matrix products and row lookups take any weight type;
//! every other operator takes F32 only. The shapes of architectures without a check of their own are compared with the
//! metadata by llama.cpp's loader, which reports them as errors.

use gguf_export::ggml::GgmlType;

use crate::model::error::LoadError;
use crate::model::header::Header;

/// The types that a tensor may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A matrix: any weight type.
    Matrix,
    /// An operand of additions, products, scans or convolutions: F32 only.
    Vector,
}

impl Kind {
    pub(super) fn allows(self, ty: GgmlType) -> bool {
        match self {
            Self::Matrix => !NOT_WEIGHTS.contains(&ty),
            Self::Vector => ty == GgmlType::F32,
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Matrix => "a weight type",
            Self::Vector => "F32",
        }
    }

    /// The kind of a tensor by its name; `None` if no checked architecture has such a tensor.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (stem, suffix) = match name.rsplit_once('.') {
            Some((stem, suffix @ ("weight" | "bias" | "scale" | "input_scale"))) => (stem, Some(suffix)),
            _ => (name, None),
        };
        let stem = stem
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.'))
            .map_or(stem, |(layer, rest)| if layer.parse::<u16>().is_ok() { rest } else { stem });
        let kind = if MATRICES.contains(&stem) {
            Self::Matrix
        } else if VECTORS.contains(&stem) {
            Self::Vector
        } else {
            return None;
        };
        Some(if matches!(suffix, Some("weight") | None) { kind } else { Self::Vector })
    }
}

/// Refuses a tensor that is not known, and one of a type that its place does not take.
pub(super) fn check(header: &Header) -> Result<(), LoadError> {
    for tensor in &header.tensors {
        let (path, name) = (&header.path, &tensor.name);
        match Kind::of(name) {
            None => return Err(LoadError::UnknownTensor { path: path.clone(), tensor: name.clone() }),
            Some(kind) if !kind.allows(tensor.ty) => {
                return Err(LoadError::Tensor {
                    path: path.clone(),
                    tensor: name.clone(),
                    found: format!("type {}", tensor.ty),
                    expected: kind.expected().to_owned(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Types of intermediate results and indices: llama.cpp has no matrix product for them and would call a null pointer.
const NOT_WEIGHTS: [GgmlType; 7] = [
    GgmlType::Q8_1,
    GgmlType::Q8_K,
    GgmlType::I8,
    GgmlType::I16,
    GgmlType::I32,
    GgmlType::I64,
    GgmlType::F64,
];

/// Operands of `MUL_MAT`, `MUL_MAT_ID` and `GET_ROWS`, without `blk.N.`.
#[rustfmt::skip]
const MATRICES: [&str; 94] = [
    "token_embd", "position_embd", "token_types", "output", "per_layer_token_embd", "per_layer_model_proj",
    "cls", "cls.output",
    "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "attn_gate", "attn_q_a", "attn_q_b", "attn_kv_a_mqa",
    "attn_kv_b", "attn_kv", "attn_k_b", "attn_v_b",
    "ffn_gate_inp", "ffn_gate", "ffn_down", "ffn_up", "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp",
    "ffn_gate_inp_shexp", "ffn_gate_exps", "ffn_gate_up_exps", "ffn_down_exps", "ffn_up_exps", "ffn_gate_chexps",
    "ffn_down_chexps", "ffn_up_chexps", "ffn_latent_down", "ffn_latent_up", "ffn_routed_down", "ffn_routed_up",
    "ssm_dt", "ssm_ba", "ssm_alpha", "ssm_in", "ssm_out", "ssm_x", "ssm_f_a", "ssm_f_b", "ssm_beta", "ssm_g_a",
    "ssm_g", "ssm_g_b", "shortconv.in_proj", "shortconv.out_proj",
    "altup_unembd_proj", "altup_proj", "inp_gate", "proj", "altup_correct_coef", "altup_predict_coef", "altup_router",
    "laurel_l", "laurel_r",
    "nextn.eh_proj", "nextn.embed_tokens", "nextn.shared_head_head",
    "time_mix_w1", "time_mix_w2", "time_mix_decay_w1", "time_mix_decay_w2", "time_mix_key", "time_mix_value",
    "time_mix_receptance", "time_mix_gate", "time_mix_output", "time_mix_a1", "time_mix_a2", "time_mix_v1",
    "time_mix_v2", "time_mix_g1", "time_mix_g2", "channel_mix_key", "channel_mix_value", "channel_mix_receptance",
    "vis_attn_qkv", "vis_attn_output", "vis_gate", "vis_down", "vis_up",
    "indexer.proj", "indexer.attn_k", "indexer.attn_q_b", "indexer.q_proj", "indexer.k_proj",
];

/// Operands of all other operators, without `blk.N.`.
#[rustfmt::skip]
const VECTORS: [&str; 72] = [
    "output_norm", "token_embd_norm", "output_res_score", "per_layer_proj_norm", "hrm.z_l_init", "cls.norm",
    "rope_freqs", "rope_factors_long", "rope_factors_short",
    "attn_norm", "attn_norm_2", "attn_q_norm", "attn_k_norm", "attn_output_norm", "attn_sub_norm", "attn_q_a_norm",
    "attn_kv_a_norm", "attn_sinks", "attn_res_score", "post_attention_norm",
    "ffn_norm", "ffn_sub_norm", "ffn_norm_exps", "ffn_res_score", "ffn_routed_norm", "exp_probs_b", "exp_probs_b_vl",
    "post_ffw_norm", "post_ffw_norm_1", "post_ffw_norm_2", "pre_ffw_norm_2", "layer_output_norm",
    "layer_output_scale", "post_norm", "altup_correct_scale", "altup_router_norm", "laurel_post_norm",
    "ssm_a", "ssm_d", "ssm_norm", "ssm_dt_norm", "ssm_b_norm", "ssm_c_norm", "ssm_conv1d", "ssm_conv1d_q",
    "ssm_conv1d_k", "ssm_conv1d_v", "shortconv.conv",
    "nextn.enorm", "nextn.hnorm", "nextn.shared_head_norm",
    "time_mix_lerp_x", "time_mix_lerp_w", "time_mix_lerp_k", "time_mix_lerp_v", "time_mix_lerp_r", "time_mix_lerp_g",
    "time_mix_lerp_fused", "time_mix_first", "time_mix_decay", "time_mix_ln", "channel_mix_lerp_k",
    "channel_mix_lerp_r", "time_mix_w0", "time_mix_a0", "time_mix_v0", "time_mix_k_k", "time_mix_k_a", "time_mix_r_k",
    "indexer.k_norm", "indexer.q_norm", "ffn.act.scales",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_tensor_gives_its_kind() {
        for (name, kind) in [
            ("token_embd.weight", Some(Kind::Matrix)),
            ("blk.0.attn_q.weight", Some(Kind::Matrix)),
            ("blk.511.ffn_down_exps.weight", Some(Kind::Matrix)),
            ("blk.0.attn_q.bias", Some(Kind::Vector)),
            ("blk.0.attn_q.scale", Some(Kind::Vector)),
            ("blk.0.attn_q.input_scale", Some(Kind::Vector)),
            ("blk.0.attn_norm.weight", Some(Kind::Vector)),
            ("blk.0.indexer.k_norm.bias", Some(Kind::Vector)),
            ("blk.0.ssm_a", Some(Kind::Vector)),
            ("rope_freqs.weight", Some(Kind::Vector)),
            ("blk.0.nextn.eh_proj.weight", Some(Kind::Matrix)),
            ("blk.x.attn_q.weight", None),
            ("blk.0.attn_q.lora_a", None),
            ("blk.0.ffn.act.scales", Some(Kind::Vector)),
            ("blk.0.ffn_gate.0.weight", None),
            ("attn_qq.weight", None),
            ("", None),
            (".weight", None),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn no_name_has_two_kinds() {
        let mut names = [&MATRICES[..], &VECTORS[..]].concat();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
