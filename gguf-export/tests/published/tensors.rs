//! The tensors of published models by their configurations: names and shapes as transformers or AutoRound save them.
//! Written down a second time, without the code of the converter.

use serde_json::Value;
use testkit::header_only::Outline;
use testkit::{Dtype, Gptq, encode};

/// How the matrices of layers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Bf16,
    /// AutoRound's W4A16: symmetric, groups of 128.
    Int4,
}

/// Tensors of a model.
pub(crate) struct Tensors<'a> {
    pub(crate) form: Form,
    /// The section of the language model.
    config: &'a Value,
    pub(crate) list: Vec<Outline>,
    /// Parameters of the language model.
    pub(crate) parameters: u64,
}

impl<'a> Tensors<'a> {
    pub(crate) fn new(config: &'a Value, form: Form) -> Self {
        Self { form, config, list: Vec::new(), parameters: 0 }
    }

    fn size(&self, field: &str) -> usize {
        let size = self.config[field].as_u64().unwrap_or_else(|| panic!("no `{field}`"));
        usize::try_from(size).expect("a size")
    }

    fn push(&mut self, name: String, dtype: Dtype, shape: &[usize]) {
        self.list.push(Outline { name, dtype, shape: shape.to_vec() });
    }

    /// A tensor of any other part.
    pub(crate) fn other_part(&mut self, name: &str) {
        self.push(name.to_owned(), Dtype::Bf16, &[64, 32]);
    }

    fn plain(&mut self, name: &str, shape: &[usize]) {
        self.parameters += shape.iter().product::<usize>() as u64;
        self.push(name.to_owned(), Dtype::Bf16, shape);
    }

    fn norm(&mut self, module: &str, size: usize) {
        self.plain(&format!("{module}.weight"), &[size]);
    }

    fn dense(&mut self, module: &str, rows: usize, columns: usize) {
        self.plain(&format!("{module}.weight"), &[rows, columns]);
    }

    fn linear(&mut self, module: &str, rows: usize, columns: usize) {
        if self.form == Form::Bf16 {
            return self.dense(module, rows, columns);
        }
        self.parameters += (rows * columns) as u64;
        let shapes = encode::gptq_shapes(Gptq::sym(4, 128), rows, columns);
        let suffixes = [("qweight", Dtype::I32), ("qzeros", Dtype::I32), ("scales", Dtype::F16)];
        for ((suffix, dtype), shape) in suffixes.into_iter().zip(shapes) {
            self.push(format!("{module}.{suffix}"), dtype, &shape);
        }
    }

    fn mlp(&mut self, module: &str, width: usize) {
        let hidden = self.size("hidden_size");
        for (name, rows, columns) in
            [("gate_proj", width, hidden), ("up_proj", width, hidden), ("down_proj", hidden, width)]
        {
            self.linear(&format!("{module}.{name}"), rows, columns);
        }
    }

    /// Experts one by one: gate, up and down projection.
    fn experts(&mut self, module: &str, names: [&str; 3], count: usize, width: usize) {
        let hidden = self.size("hidden_size");
        for expert in 0..count {
            for (name, rows, columns) in
                [(names[0], width, hidden), (names[1], width, hidden), (names[2], hidden, width)]
            {
                self.linear(&format!("{module}.{expert}.{name}"), rows, columns);
            }
        }
    }

    /// Experts one by one, or stacked if they are not quantized.
    fn stacked(&mut self, module: &str, count: usize, width: usize) {
        let hidden = self.size("hidden_size");
        if self.form == Form::Int4 {
            return self.experts(module, MLP, count, width);
        }
        self.plain(&format!("{module}.gate_up_proj"), &[count, 2 * width, hidden]);
        self.plain(&format!("{module}.down_proj"), &[count, hidden, width]);
    }

    /// Query, key, value and output; `times` query rows for each row of a head.
    fn attention(&mut self, module: &str, times: usize) {
        let (hidden, head) = (self.size("hidden_size"), self.size("head_dim"));
        let query = self.size("num_attention_heads") * head;
        let kv = self.size("num_key_value_heads") * head;
        for (name, rows, columns) in [
            ("q_proj", times * query, hidden),
            ("k_proj", kv, hidden),
            ("v_proj", kv, hidden),
            ("o_proj", hidden, query),
        ] {
            self.linear(&format!("{module}.{name}"), rows, columns);
        }
    }

    fn head_norms(&mut self, module: &str, sizes: [usize; 2]) {
        self.norm(&format!("{module}.q_norm"), sizes[0]);
        self.norm(&format!("{module}.k_norm"), sizes[1]);
    }

    /// Embedding, norm and, unless it is tied, head.
    fn ends(&mut self, trunk: &str, head: Option<&str>) {
        let (vocab, hidden) = (self.size("vocab_size"), self.size("hidden_size"));
        self.dense(&format!("{trunk}embed_tokens"), vocab, hidden);
        self.norm(&format!("{trunk}norm"), hidden);
        if let Some(head) = head {
            self.dense(head, vocab, hidden);
        }
    }

    /// Experts chosen with a bias, and shared ones; in the first layers a dense block.
    fn biased_experts(&mut self, layer: &str, index: usize) {
        if index < self.size("first_k_dense_replace") {
            return self.mlp(&format!("{layer}.mlp"), self.size("intermediate_size"));
        }
        let (count, width) = (self.size("n_routed_experts"), self.size("moe_intermediate_size"));
        self.dense(&format!("{layer}.mlp.gate"), count, self.size("hidden_size"));
        self.plain(&format!("{layer}.mlp.gate.e_score_correction_bias"), &[count]);
        self.experts(&format!("{layer}.mlp.experts"), MLP, count, width);
        self.mlp(&format!("{layer}.mlp.shared_experts"), width * self.size("n_shared_experts"));
    }

    /// What an MTP layer has besides a layer's tensors.
    fn nextn(&mut self, layer: &str) {
        let (vocab, hidden) = (self.size("vocab_size"), self.size("hidden_size"));
        self.dense(&format!("{layer}.eh_proj"), hidden, 2 * hidden);
        for module in ["enorm", "hnorm", "shared_head.norm"] {
            self.norm(&format!("{layer}.{module}"), hidden);
        }
        self.dense(&format!("{layer}.embed_tokens"), vocab, hidden);
        self.dense(&format!("{layer}.shared_head.head"), vocab, hidden);
    }

    /// The two norms around the attention.
    fn norms(&mut self, layer: &str) {
        let hidden = self.size("hidden_size");
        self.norm(&format!("{layer}.input_layernorm"), hidden);
        self.norm(&format!("{layer}.post_attention_layernorm"), hidden);
    }
}

const MLP: [&str; 3] = ["gate_proj", "up_proj", "down_proj"];

/// Llama and Mistral; Qwen3 if it has norms of heads.
pub(crate) fn llama(out: &mut Tensors<'_>, trunk: &str, head: &str) {
    for index in 0..out.size("num_hidden_layers") {
        let layer = format!("{trunk}layers.{index}");
        out.norms(&layer);
        out.attention(&format!("{layer}.self_attn"), 1);
        if out.config["model_type"] == "qwen3" {
            let head = out.size("head_dim");
            out.head_norms(&format!("{layer}.self_attn"), [head, head]);
        }
        out.mlp(&format!("{layer}.mlp"), out.size("intermediate_size"));
    }
    out.ends(trunk, Some(head));
}

pub(crate) fn qwen3_moe(out: &mut Tensors<'_>) {
    let (hidden, head, count) =
        (out.size("hidden_size"), out.size("head_dim"), out.size("num_local_experts"));
    for index in 0..out.size("num_hidden_layers") {
        let layer = format!("model.layers.{index}");
        out.norms(&layer);
        out.attention(&format!("{layer}.self_attn"), 1);
        out.head_norms(&format!("{layer}.self_attn"), [head, head]);
        out.dense(&format!("{layer}.mlp.gate"), count, hidden);
        out.experts(&format!("{layer}.mlp.experts"), MLP, count, out.size("moe_intermediate_size"));
    }
    out.ends("model.", Some("lm_head"));
}

pub(crate) fn glm4_moe(out: &mut Tensors<'_>) {
    let (head, layers) = (out.size("head_dim"), out.size("num_hidden_layers"));
    for index in 0..=layers {
        let layer = format!("model.layers.{index}");
        let attention = format!("{layer}.self_attn");
        out.norms(&layer);
        out.attention(&attention, 1);
        for (letter, heads) in
            [("q", "num_attention_heads"), ("k", "num_key_value_heads"), ("v", "num_key_value_heads")]
        {
            out.plain(&format!("{attention}.{letter}_proj.bias"), &[out.size(heads) * head]);
        }
        out.head_norms(&attention, [head, head]);
        out.biased_experts(&layer, index);
    }
    out.nextn(&format!("model.layers.{layers}"));
    out.ends("model.", Some("lm_head"));
}

pub(crate) fn minimax_m2(out: &mut Tensors<'_>) {
    let (hidden, head, count) =
        (out.size("hidden_size"), out.size("head_dim"), out.size("num_local_experts"));
    let norms = [out.size("num_attention_heads") * head, out.size("num_key_value_heads") * head];
    let names = if out.form == Form::Bf16 { ["w1", "w3", "w2"] } else { MLP };
    for index in 0..out.size("num_hidden_layers") {
        let layer = format!("model.layers.{index}");
        out.norms(&layer);
        out.attention(&format!("{layer}.self_attn"), 1);
        out.head_norms(&format!("{layer}.self_attn"), norms);
        let block = format!("{layer}.block_sparse_moe");
        out.dense(&format!("{block}.gate"), count, hidden);
        out.plain(&format!("{block}.e_score_correction_bias"), &[count]);
        out.experts(&format!("{block}.experts"), names, count, out.size("intermediate_size"));
    }
    out.ends("model.", Some("lm_head"));
}

pub(crate) fn qwen3_5(out: &mut Tensors<'_>) {
    delta_nets(out, "model.language_model.");
    out.other_part("model.visual.pos_embed.weight");
}

pub(crate) fn qwen3_next(out: &mut Tensors<'_>) {
    delta_nets(out, "model.");
}

fn delta_nets(out: &mut Tensors<'_>, trunk: &str) {
    for index in 0..out.size("num_hidden_layers") {
        let is_full = (index + 1).is_multiple_of(4);
        delta_net_layer(out, &format!("{trunk}layers.{index}"), is_full);
    }
    out.ends(trunk, Some("lm_head"));
    // Published files have the MTP layer in BF16.
    let form = std::mem::replace(&mut out.form, Form::Bf16);
    let hidden = out.size("hidden_size");
    delta_net_layer(out, "mtp.layers.0", true);
    out.form = form;
    out.dense("mtp.fc", hidden, 2 * hidden);
    for module in ["pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"] {
        out.norm(&format!("mtp.{module}"), hidden);
    }
}

fn delta_net_layer(out: &mut Tensors<'_>, layer: &str, is_full: bool) {
    let (hidden, head) = (out.size("hidden_size"), out.size("head_dim"));
    let is_next = out.config["model_type"] == "qwen3_next";
    out.norms(layer);
    if is_full {
        out.attention(&format!("{layer}.self_attn"), 2);
        out.head_norms(&format!("{layer}.self_attn"), [head, head]);
    } else {
        let delta = format!("{layer}.linear_attn");
        let (heads, value) = (out.size("linear_num_value_heads"), out.size("linear_value_head_dim"));
        let values = heads * value;
        let channels = 2 * out.size("linear_num_key_heads") * out.size("linear_key_head_dim") + values;
        if is_next {
            out.linear(&format!("{delta}.in_proj_qkvz"), channels + values, hidden);
            out.dense(&format!("{delta}.in_proj_ba"), 2 * heads, hidden);
        } else {
            out.linear(&format!("{delta}.in_proj_qkv"), channels, hidden);
            out.linear(&format!("{delta}.in_proj_z"), values, hidden);
            out.dense(&format!("{delta}.in_proj_b"), heads, hidden);
            out.dense(&format!("{delta}.in_proj_a"), heads, hidden);
        }
        out.plain(&format!("{delta}.conv1d.weight"), &[channels, 1, out.size("linear_conv_kernel_dim")]);
        out.plain(&format!("{delta}.A_log"), &[heads]);
        out.plain(&format!("{delta}.dt_bias"), &[heads]);
        out.norm(&format!("{delta}.norm"), value);
        out.linear(&format!("{delta}.out_proj"), hidden, values);
    }
    if out.config["num_experts"].is_null() {
        return out.mlp(&format!("{layer}.mlp"), out.size("intermediate_size"));
    }
    let count = out.size("num_experts");
    out.dense(&format!("{layer}.mlp.gate"), count, hidden);
    let (experts, width) = (format!("{layer}.mlp.experts"), out.size("moe_intermediate_size"));
    if is_next {
        out.experts(&experts, MLP, count, width);
    } else {
        out.stacked(&experts, count, width);
    }
    out.mlp(&format!("{layer}.mlp.shared_expert"), out.size("shared_expert_intermediate_size"));
    out.dense(&format!("{layer}.mlp.shared_expert_gate"), 1, hidden);
}

/// `DeepSeek` V3, Kimi K2 and GLM-4.7-Flash. The parameters of an MTP layer count if the converter keeps it.
pub(crate) fn latent(out: &mut Tensors<'_>, keeps_mtp: bool) {
    let (hidden, layers) = (out.size("hidden_size"), out.size("num_hidden_layers"));
    let (heads, rotated) = (out.size("num_attention_heads"), out.size("qk_rope_head_dim"));
    let (nope, value) = (out.size("qk_nope_head_dim"), out.size("v_head_dim"));
    let (query, key) = (out.size("q_lora_rank"), out.size("kv_lora_rank"));
    let mtp = out.size("num_nextn_predict_layers");
    let mut trunk = 0;
    for index in 0..layers + mtp {
        trunk = out.parameters;
        let layer = format!("model.layers.{index}");
        out.norms(&layer);
        for (name, rows, columns) in [
            ("q_a_proj", query, hidden),
            ("q_b_proj", heads * (nope + rotated), query),
            ("kv_a_proj_with_mqa", key + rotated, hidden),
            ("kv_b_proj", heads * (nope + value), key),
            ("o_proj", hidden, heads * value),
        ] {
            out.linear(&format!("{layer}.self_attn.{name}"), rows, columns);
        }
        out.norm(&format!("{layer}.self_attn.q_a_layernorm"), query);
        out.norm(&format!("{layer}.self_attn.kv_a_layernorm"), key);
        out.biased_experts(&layer, index);
    }
    if mtp > 0 {
        out.nextn(&format!("model.layers.{layers}"));
    }
    if !keeps_mtp {
        out.parameters = trunk;
    }
    out.ends("model.", Some("lm_head"));
}

pub(crate) fn gpt_oss(out: &mut Tensors<'_>) {
    let (hidden, heads) = (out.size("hidden_size"), out.size("num_attention_heads"));
    let (query, kv) = (heads * out.size("head_dim"), out.size("num_key_value_heads") * out.size("head_dim"));
    let (count, width) = (out.size("num_local_experts"), out.size("intermediate_size"));
    for index in 0..out.size("num_hidden_layers") {
        let layer = format!("model.layers.{index}");
        out.norms(&layer);
        out.attention(&format!("{layer}.self_attn"), 1);
        for (name, rows) in [("q_proj", query), ("k_proj", kv), ("v_proj", kv), ("o_proj", hidden)] {
            out.plain(&format!("{layer}.self_attn.{name}.bias"), &[rows]);
        }
        out.plain(&format!("{layer}.self_attn.sinks"), &[heads]);
        out.dense(&format!("{layer}.mlp.router"), count, hidden);
        out.plain(&format!("{layer}.mlp.router.bias"), &[count]);
        let experts = format!("{layer}.mlp.experts");
        if out.form == Form::Bf16 {
            // Unlike other families', by columns.
            out.plain(&format!("{experts}.gate_up_proj"), &[count, hidden, 2 * width]);
            out.plain(&format!("{experts}.gate_up_proj_bias"), &[count, 2 * width]);
            out.plain(&format!("{experts}.down_proj"), &[count, width, hidden]);
            out.plain(&format!("{experts}.down_proj_bias"), &[count, hidden]);
            continue;
        }
        out.experts(&experts, MLP, count, width);
        for expert in 0..count {
            for (name, rows) in [("gate_proj", width), ("up_proj", width), ("down_proj", hidden)] {
                out.plain(&format!("{experts}.{expert}.{name}.bias"), &[rows]);
            }
        }
    }
    out.ends("model.", Some("lm_head"));
}

/// Gemma 4, tied. `full` are head size and KV heads of the layers with full attention.
pub(crate) fn gemma4(out: &mut Tensors<'_>, full: [usize; 2]) {
    let trunk = "model.language_model.";
    let (hidden, heads) = (out.size("hidden_size"), out.size("num_attention_heads"));
    let (config, width) = (out.config, out.size("intermediate_size"));
    let layers = out.size("num_hidden_layers");
    let embedding =
        config["hidden_size_per_layer_input"].as_u64().map_or(0, |_| out.size("hidden_size_per_layer_input"));
    let shared = layers - out.size("num_kv_shared_layers");
    for index in 0..layers {
        let layer = format!("{trunk}layers.{index}");
        let is_full = config["layer_types"][index] == "full_attention";
        let [head, kv] = if is_full { full } else { [out.size("head_dim"), out.size("num_key_value_heads")] };
        let attention = format!("{layer}.self_attn");
        out.linear(&format!("{attention}.q_proj"), heads * head, hidden);
        out.norm(&format!("{attention}.q_norm"), head);
        if index < shared {
            out.linear(&format!("{attention}.k_proj"), kv * head, hidden);
            out.norm(&format!("{attention}.k_norm"), head);
            if !is_full || config["attention_k_eq_v"] != true {
                out.linear(&format!("{attention}.v_proj"), kv * head, hidden);
            }
        }
        out.linear(&format!("{attention}.o_proj"), hidden, heads * head);
        out.norms(&layer);
        out.norm(&format!("{layer}.pre_feedforward_layernorm"), hidden);
        out.norm(&format!("{layer}.post_feedforward_layernorm"), hidden);
        let is_double = index >= shared && config["use_double_wide_mlp"] == true;
        out.mlp(&format!("{layer}.mlp"), if is_double { 2 * width } else { width });
        if config["enable_moe_block"] == true {
            let count = out.size("num_experts");
            for name in [
                "pre_feedforward_layernorm_2",
                "post_feedforward_layernorm_1",
                "post_feedforward_layernorm_2",
            ] {
                out.norm(&format!("{layer}.{name}"), hidden);
            }
            out.linear(&format!("{layer}.router.proj"), count, hidden);
            out.plain(&format!("{layer}.router.scale"), &[hidden]);
            out.plain(&format!("{layer}.router.per_expert_scale"), &[count]);
            out.stacked(&format!("{layer}.experts"), count, out.size("moe_intermediate_size"));
        }
        if embedding > 0 {
            out.linear(&format!("{layer}.per_layer_input_gate"), embedding, hidden);
            out.linear(&format!("{layer}.per_layer_projection"), hidden, embedding);
            out.norm(&format!("{layer}.post_per_layer_input_norm"), hidden);
        }
        out.plain(&format!("{layer}.layer_scalar"), &[1]);
    }
    out.ends(trunk, None);
    if embedding > 0 {
        out.dense(&format!("{trunk}embed_tokens_per_layer"), out.size("vocab_size"), layers * embedding);
        out.dense(&format!("{trunk}per_layer_model_projection"), layers * embedding, hidden);
        out.norm(&format!("{trunk}per_layer_projection_norm"), embedding);
    }
    out.other_part("model.vision_tower.patch_embedder.input_proj.weight");
    out.other_part("model.embed_vision.embedding_projection.weight");
    out.other_part("model.audio_tower.output_proj.weight");
}
