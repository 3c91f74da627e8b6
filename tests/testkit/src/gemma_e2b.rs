//! A checkpoint of Gemma 4 in the form of E2B: an embedding for each layer, and layers that use the keys and values of
//! earlier ones.

use crate::made_up::made_up;
use crate::safetensors::Tensor;

/// The tensors for its configuration in `tests/data/families`. Of the two layers that share, the first has no key and value,
/// as transformers saves them now, and the second has, as in the published files.
pub fn tensors() -> Vec<Tensor> {
    let (hidden, width, layers) = (128, 64, 4);
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        all.push(made_up(&format!("model.language_model.{name}"), shape));
    };
    for (name, shape) in [
        ("embed_tokens", &[320, hidden][..]),
        ("embed_tokens_per_layer", &[320, layers * width]),
        ("per_layer_model_projection", &[layers * width, hidden]),
        ("per_layer_projection_norm", &[width]),
        ("norm", &[hidden]),
    ] {
        add(format!("{name}.weight"), shape);
    }
    for layer in 0..layers {
        let head = if layer % 2 == 0 { 32 } else { 64 };
        let inner = if layer < 2 { 128 } else { 256 };
        let mut add = |name: &str, shape: &[usize]| add(format!("layers.{layer}.{name}"), shape);
        for norm in [
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm",
            "post_per_layer_input_norm",
        ] {
            add(&format!("{norm}.weight"), &[hidden]);
        }
        add("layer_scalar", &[1]);
        add("self_attn.q_proj.weight", &[4 * head, hidden]);
        add("self_attn.q_norm.weight", &[head]);
        add("self_attn.o_proj.weight", &[hidden, 4 * head]);
        if layer != 2 {
            add("self_attn.k_proj.weight", &[head, hidden]);
            add("self_attn.k_norm.weight", &[head]);
            add("self_attn.v_proj.weight", &[head, hidden]);
        }
        add("mlp.gate_proj.weight", &[inner, hidden]);
        add("mlp.up_proj.weight", &[inner, hidden]);
        add("mlp.down_proj.weight", &[hidden, inner]);
        add("per_layer_input_gate.weight", &[width, hidden]);
        add("per_layer_projection.weight", &[hidden, width]);
    }
    all
}
