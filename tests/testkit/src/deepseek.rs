//! A checkpoint of DeepSeek V3, of which `tests/data/families` has the configuration and no weights.

use crate::made_up::made_up;
use crate::safetensors::Tensor;

/// The tensors for its configuration in `tests/data/families`, with an MTP layer as the last.
pub fn tensors() -> Vec<Tensor> {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| all.push(made_up(&name, shape));
    for (name, shape) in
        [("model.embed_tokens", &[320, 128][..]), ("lm_head", &[320, 128]), ("model.norm", &[128])]
    {
        add(format!("{name}.weight"), shape);
    }
    for layer in 0..3 {
        let mut add = |name: &str, shape: &[usize]| add(format!("model.layers.{layer}.{name}"), shape);
        for norm in [
            "input_layernorm",
            "post_attention_layernorm",
            "self_attn.q_a_layernorm",
            "self_attn.kv_a_layernorm",
        ] {
            add(&format!("{norm}.weight"), &[128]);
        }
        for (name, rows) in [
            ("q_a_proj", 128),
            ("q_b_proj", 256),
            ("kv_a_proj_with_mqa", 160),
            ("kv_b_proj", 256),
            ("o_proj", 128),
        ] {
            add(&format!("self_attn.{name}.weight"), &[rows, 128]);
        }
        let blocks: &[&str] = match layer {
            0 => &[""],
            _ => &["experts.0.", "experts.1.", "experts.2.", "experts.3.", "shared_experts."],
        };
        for block in blocks {
            for name in ["gate", "up", "down"] {
                add(&format!("mlp.{block}{name}_proj.weight"), &[128, 128]);
            }
        }
        if layer > 0 {
            add("mlp.gate.weight", &[4, 128]);
            add("mlp.gate.e_score_correction_bias", &[4]);
        }
        if layer == 2 {
            add("eh_proj.weight", &[128, 256]);
            for norm in ["enorm", "hnorm", "shared_head.norm"] {
                add(&format!("{norm}.weight"), &[128]);
            }
            add("embed_tokens.weight", &[320, 128]);
            add("shared_head.head.weight", &[320, 128]);
        }
    }
    all
}
