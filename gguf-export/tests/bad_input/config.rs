//! Configurations and tokenizers.

use serde_json::{Value, json};
use testkit::{Awq, Checkpoint, Encoding, Method, Model};

use crate::{SHARD, damaged, edited, int4, set};

#[test]
fn invalid_configurations_are_refused() {
    let json = "as JSON";
    for text in ["", "[]", "null", "3", "{", "{\"a\":}", "\u{feff}{"] {
        damaged(
            text,
            &int4(),
            |d| std::fs::write(d.join("config.json"), text).unwrap(),
            &["config.json", json],
        );
    }
    for depth in [500, 1_000_000] {
        damaged(
            "deep",
            &int4(),
            |d| std::fs::write(d.join("config.json"), format!("{{\"a\":{}", "[".repeat(depth))).unwrap(),
            &["config.json", json],
        );
    }
    damaged(
        "no configuration",
        &int4(),
        |d| std::fs::remove_file(d.join("config.json")).unwrap(),
        &["config.json"],
    );
    damaged(
        "a binary file",
        &int4(),
        |d| std::fs::write(d.join("config.json"), [0xFF; 64]).unwrap(),
        &["config.json"],
    );
    damaged(
        "too many values",
        &int4(),
        |d| {
            std::fs::write(d.join("config.json"), format!("{{\"a\":[{}0]}}", "0,".repeat(3 << 20))).unwrap();
        },
        &["config.json", "values"],
    );
    let q = "/quantization_config";
    for (field, value, part) in [
        ("/model_type", json!("bert"), "expected one of `qwen3_next`, `qwen3_5`, "),
        ("/model_type", json!(3), "`model_type` is `3`"),
        ("/model_type", Value::Null, "`model_type` is missing"),
        ("/architectures", json!(["LlamaForCausalLM"]), "expected one of `Qwen3NextForCausalLM` first"),
        ("/architectures", json!([]), "architectures"),
        ("/architectures", json!("Qwen3NextForCausalLM"), "architectures"),
        (q, json!([]), "`quantization_config` is `[]`, expected an object"),
        (q, json!({}), "quantization_config.quant_method"),
        ("/quantization_config/quant_method", json!("bitsandbytes"), "expected auto-round, gptq"),
        ("/quantization_config/rotation_config", json!({"a": 1}), "rotation_config"),
        ("/quantization_config/spinquant_config", json!({"r1": true}), "spinquant_config"),
        ("/quantization_config/sparsity_config", json!({"format": "sparse-24-bitmask"}), "sparsity_config"),
        ("/quantization_config/checkpoint_format", json!("marlin"), "quantization_config.checkpoint_format"),
        ("/quantization_config/extra_config", json!({"(": {"bits": 8}}), "quantization_config"),
        (
            "/quantization_config/extra_config",
            json!({"(\\w{1000}){1000}": {"bits": 8}}),
            "quantization_config",
        ),
        (
            "/quantization_config/extra_config",
            json!({"a": {"bits": "8"}}),
            "quantization_config.extra_config.a.bits",
        ),
        ("/quantization_config/bits", json!(-4), "quantization_config.bits"),
        ("/quantization_config/sym", json!("yes"), "quantization_config.sym"),
    ] {
        edited(
            &format!("{field} of {value}"),
            &int4(),
            |c| set(c, field, value.clone()),
            &["config.json", part],
        );
    }
    let awq = Model { method: Some(Method::Awq), ..Model::uniform(Encoding::Awq(Awq::asym(4, 64))) };
    for version in ["gemv", "gemv_fast", "marlin"] {
        edited(
            version,
            &awq,
            |c| set(c, "/quantization_config/version", json!(version)),
            &["config.json", "quantization_config.version` = `", version],
        );
    }
    let gptq = Model { method: Some(Method::Gptq), ..int4() };
    for (key, value) in [
        ("checkpoint_format", "marlin"),
        ("format", "gptq_p"),
        ("pack_dtype", "int64"),
        ("quant_method", "qqq"),
        ("method", "awq"),
    ] {
        let pointer = format!("/quantization_config/{key}");
        edited(value, &gptq, |c| set(c, &pointer, json!(value)), &["config.json", key, value]);
    }
}

#[test]
fn absurd_numbers_are_refused() {
    let sizes = [
        "hidden_size",
        "vocab_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "num_experts",
        "num_experts_per_tok",
        "moe_intermediate_size",
        "shared_expert_intermediate_size",
        "linear_conv_kernel_dim",
        "linear_num_key_heads",
        "linear_num_value_heads",
        "linear_key_head_dim",
        "linear_value_head_dim",
        "max_position_embeddings",
        "intermediate_size",
    ];
    for field in sizes {
        for value in [
            json!(0),
            json!(-1),
            json!(1_000_000_000_000_000_000u64),
            json!(u64::MAX),
            json!("128"),
            json!(128.5),
            json!([1]),
            json!(1e300),
            json!(true),
        ] {
            let pointer = format!("/{field}");
            edited(
                &format!("{field} of {value}"),
                &int4(),
                |c| set(c, &pointer, value.clone()),
                &["config.json", &format!("`{field}`"), "expected"],
            );
        }
    }
    for (field, value) in [
        ("rms_norm_eps", json!(0)),
        ("rms_norm_eps", json!(-1e-6)),
        ("rms_norm_eps", json!(1e300)),
        ("rms_norm_eps", Value::Null),
        ("num_experts_per_tok", json!(5)),
        ("num_key_value_heads", json!(3)),
        ("linear_num_value_heads", json!(3)),
        ("linear_value_head_dim", json!(32)),
        ("norm_topk_prob", json!(false)),
        ("attention_bias", json!(true)),
        ("hidden_act", json!("gelu")),
        ("decoder_sparse_step", json!(2)),
        ("mlp_only_layers", json!([0])),
        ("layer_types", json!(["full_attention"])),
        ("layer_types", json!(["x", "y"])),
        ("layer_types", json!(3)),
        ("max_position_embeddings", json!(1u64 << 31)),
        ("hidden_size", json!((1 << 20) + 1)),
        ("rope_parameters", json!({"rope_theta": -1})),
        ("rope_parameters", json!({"rope_type": "dynamic"})),
        ("rope_parameters", json!({"partial_rotary_factor": 7})),
        ("rope_parameters", json!(7)),
    ] {
        let pointer = format!("/{field}");
        edited(
            &format!("{field} of {value}"),
            &int4(),
            |c| set(c, &pointer, value.clone()),
            &["config.json"],
        );
    }
    // Sizes at their limits are refused by the shapes of the tensors, before memory is allocated.
    edited(
        "all at their limits",
        &int4(),
        |c| {
            for (field, value) in [
                ("num_hidden_layers", 512),
                ("num_experts", 1024),
                ("hidden_size", 1 << 20),
                ("vocab_size", 1 << 24),
                ("moe_intermediate_size", 1 << 24),
            ] {
                set(c, &format!("/{field}"), json!(value));
            }
            set(c, "/layer_types", Value::Null);
        },
        &["embed_tokens.weight", SHARD, "16777216 rows of 1048576"],
    );
}

#[test]
fn invalid_tokenizers_are_refused() {
    fn change(change: impl FnOnce(&mut Value)) -> impl FnOnce(&mut Checkpoint) {
        |c| change(c.json.get_mut("tokenizer.json").unwrap())
    }
    let file = "tokenizer.json";
    damaged("missing", &int4(), |d| std::fs::remove_file(d.join(file)).unwrap(), &[file]);
    damaged("not JSON", &int4(), |d| std::fs::write(d.join(file), "{").unwrap(), &[file, "as JSON"]);
    damaged(
        "too many values",
        &int4(),
        |d| {
            std::fs::write(d.join(file), format!("{{\"normalizer\":[{}0]}}", "0,".repeat(9 << 20))).unwrap();
        },
        &[file, "values"],
    );
    edited("no merges", &int4(), change(|t| t["model"]["merges"] = json!([])), &[file, "no merges"]);
    edited(
        "no merges at all",
        &int4(),
        change(|t| _ = t["model"].as_object_mut().unwrap().remove("merges")),
        &[file, "no merges"],
    );
    edited("a merge of one", &int4(), change(|t| t["model"]["merges"] = json!(["a"])), &[file, "a merge"]);
    edited("unigram", &int4(), change(|t| t["model"]["type"] = json!("Unigram")), &[file, "Unigram"]);
    edited(
        "other pre-tokenizer",
        &int4(),
        change(|t| t["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("\\s+")),
        &[file, "pre-tokenizer"],
    );
    edited(
        "id past the embedding",
        &int4(),
        change(|t| t["model"]["vocab"]["zzz"] = json!(320)),
        &[file, "`zzz` with id 320", "an id below 320"],
    );
    edited("huge id", &int4(), change(|t| t["model"]["vocab"]["zzz"] = json!(u64::MAX)), &[file, "`zzz`"]);
    edited("id twice", &int4(), change(|t| t["model"]["vocab"]["zzz"] = json!(0)), &[file, "id 0"]);
    edited(
        "text twice",
        &int4(),
        change(|t| t["added_tokens"][1]["content"] = json!("<|endoftext|>")),
        &[file, "<|endoftext|>"],
    );
    edited(
        "eos that is not in the vocabulary",
        &int4(),
        |c| c.json.get_mut("tokenizer_config.json").unwrap()["eos_token"] = json!("nothing"),
        &["tokenizer_config.json", "eos_token"],
    );
    edited(
        "settings that are a list",
        &int4(),
        |c| *c.json.get_mut("tokenizer_config.json").unwrap() = json!([]),
        &["tokenizer_config.json"],
    );
    edited(
        "sampling that is a list",
        &int4(),
        |c| *c.json.get_mut("generation_config.json").unwrap() = json!([]),
        &["generation_config.json"],
    );
    edited(
        "template that is a number",
        &int4(),
        |c| c.json.get_mut("tokenizer_config.json").unwrap()["chat_template"] = json!(3),
        &["tokenizer_config.json", "chat_template"],
    );
}
