//! `config.json`: dimensions of the model, and the quantization configuration of each tool.

mod auto_round;
mod compressed;
mod gptq_model;
mod others;
mod recipe;
mod scheme;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::encode::Encoding;
use crate::model::{Edit, LayerKind, Method, Model, Mtp};
use crate::safetensors::Dtype;
use crate::tokenizer;

pub(crate) use recipe::{Module, Recipe};

/// `config.json`, and other files with the quantization configuration.
pub fn files(model: &Model) -> (Value, BTreeMap<String, Value>) {
    let mut config = dimensions(model);
    let mut files = BTreeMap::new();
    if let Some(method) = method(model) {
        let recipe = Recipe::of(model);
        config["quantization_config"] = quantization(&recipe, method);
        let copy = match (method, model.mtp) {
            // AutoRound writes this file before it adds the MTP layer.
            (Method::AutoRound, Mtp::Quantized) => {
                quantization(&Recipe::of(&Model { mtp: Mtp::None, ..model.clone() }), method)
            }
            _ => config["quantization_config"].clone(),
        };
        let (name, file) = beside(&recipe, method, copy);
        files.insert(name.into(), file);
    }
    for edit in &model.edits {
        apply(&mut config, edit);
    }
    (config, files)
}

/// The tool whose configuration a model has; `None` if it is not quantized.
pub fn method(model: &Model) -> Option<Method> {
    model.method.or(usual(model.main_encoding()))
}

/// The usual tool of an encoding; `None` if it is not quantized.
pub(crate) fn usual(encoding: Encoding) -> Option<Method> {
    match encoding {
        Encoding::Bf16 | Encoding::F16 | Encoding::F32 => None,
        Encoding::CtPacked(_) | Encoding::CtInt8(_) => Some(Method::CompressedTensors),
        Encoding::NvFp4(nvfp4) if nvfp4.modelopt => Some(Method::ModelOpt),
        _ => Some(Method::AutoRound),
    }
}

/// `quantization_config`.
pub(crate) fn quantization(recipe: &Recipe, method: Method) -> Value {
    match method {
        Method::AutoRound => auto_round::config(recipe),
        Method::Gptq => others::gptq(recipe),
        Method::GptqModel => gptq_model::config(recipe),
        Method::Awq => others::awq(recipe),
        Method::Fp8 => others::fp8(recipe),
        Method::Fp8AutoRound => auto_round::fp8(recipe),
        Method::CompressedTensors => compressed::config(recipe),
        Method::ModelOpt => others::modelopt(recipe),
    }
}

/// The file that a tool writes beside `config.json`, with its name; `copy` is the section or an earlier form of it.
pub(crate) fn beside(recipe: &Recipe, method: Method, copy: Value) -> (&'static str, Value) {
    match method {
        Method::GptqModel => ("quantize_config.json", copy),
        Method::ModelOpt => ("hf_quant_config.json", others::hf_quant_config(recipe)),
        _ => ("quantization_config.json", copy),
    }
}

/// Applies an edit; the object that contains the key must exist.
fn apply(config: &mut Value, edit: &Edit) {
    let (Edit::Set(pointer, _) | Edit::Remove(pointer)) = edit;
    let (parent, key) =
        pointer.rsplit_once('/').unwrap_or_else(|| panic!("`{pointer}` does not start with a slash"));
    let key = key.replace("~1", "/").replace("~0", "~");
    let parent = config.pointer_mut(parent).and_then(Value::as_object_mut);
    let parent = parent.unwrap_or_else(|| panic!("no object holds `{pointer}`"));
    match edit {
        Edit::Set(_, value) => _ = parent.insert(key, value.clone()),
        Edit::Remove(_) => assert!(parent.remove(&key).is_some(), "nothing at `{pointer}`"),
    }
}

fn dimensions(model: &Model) -> Value {
    let float16 = matches!(method(model), Some(Method::Gptq | Method::GptqModel | Method::Awq))
        || matches!((method(model), model.main_encoding()), (Some(Method::AutoRound), Encoding::Awq(_)));
    let dtype = match (float16, model.dtype) {
        (true, _) | (_, Dtype::F16) => "float16",
        (_, Dtype::F32) => "float32",
        _ => "bfloat16",
    };
    let value = json!({
        "architectures": ["Qwen3NextForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": null,
        "decoder_sparse_step": 1,
        "eos_token_id": tokenizer::added_id("<|im_end|>"),
        "head_dim": model.head_dim,
        "hidden_act": "silu",
        "hidden_size": model.hidden,
        "initializer_range": 0.02,
        "intermediate_size": 2 * model.hidden,
        "linear_conv_kernel_dim": model.conv_kernel,
        "linear_key_head_dim": model.key_head_dim,
        "linear_num_key_heads": model.key_heads,
        "linear_num_value_heads": model.value_heads,
        "linear_value_head_dim": model.value_head_dim,
        "max_position_embeddings": 4096,
        "mlp_only_layers": [],
        "model_type": "qwen3_next",
        "moe_intermediate_size": model.expert_dim,
        "norm_topk_prob": true,
        "num_attention_heads": model.heads,
        "num_experts": model.expert_count,
        "num_experts_per_tok": model.expert_used,
        "num_hidden_layers": model.layers.len(),
        "num_key_value_heads": model.kv_heads,
        "output_router_logits": false,
        "pad_token_id": tokenizer::added_id("<|endoftext|>"),
        "rms_norm_eps": 1e-6,
        "router_aux_loss_coef": 0.001,
        "shared_expert_intermediate_size": model.shared_expert_dim,
        "tie_word_embeddings": model.tied,
        "use_cache": true,
        "vocab_size": model.vocab,
    });
    let Value::Object(mut config) = value else { unreachable!("written as an object") };
    renamed_keys(model, dtype, &mut config);
    Value::Object(config)
}

/// Adds the keys that were renamed over time, in the newer or the older form.
fn renamed_keys(model: &Model, dtype: &str, config: &mut Map<String, Value>) {
    let newer = json!({
        "dtype": dtype,
        "layer_types": model.layers.iter().map(|kind| match kind {
            LayerKind::Linear => "linear_attention",
            LayerKind::Full => "full_attention",
        }).collect::<Vec<_>>(),
        "rope_parameters": {"partial_rotary_factor": 0.25, "rope_theta": 10000.0, "rope_type": "default"},
        "transformers_version": "5.23.0",
    });
    let older = json!({
        "torch_dtype": dtype,
        "full_attention_interval": interval(model),
        "rope_theta": 10000,
        "rope_scaling": null,
        "partial_rotary_factor": 0.25,
        "transformers_version": "4.57.0",
    });
    let Value::Object(mut keys) = (if model.old_config { older } else { newer }) else {
        unreachable!("objects")
    };
    if dtype == "float16" {
        // Writers that cast to F16 set the old key regardless of the version.
        keys.insert("torch_dtype".into(), json!(dtype));
    }
    config.extend(keys);
}

/// `full_attention_interval`: every n-th layer has full attention.
fn interval(model: &Model) -> usize {
    if model.layers.is_empty() || !model.old_config {
        return 4;
    }
    let first = model.layers.iter().position(|kind| *kind == LayerKind::Full);
    let interval = first.map_or(model.layers.len() + 1, |first| first + 1);
    for (i, kind) in model.layers.iter().enumerate() {
        let full = (i + 1) % interval == 0;
        assert_eq!(full, *kind == LayerKind::Full, "layer {i} does not match an interval");
    }
    interval
}

#[cfg(test)]
mod tests;
