#!/usr/bin/env python3
"""Logits of transformers in F32 for checkpoints of `make_families.py`, as `logits.json` in their folders.

  pip install torch transformers==5.24.0 numpy safetensors
  make_logits.py FOLDER...

The model is built in F32, so that its rotary frequencies are too: a BF16 model that is cast to F32 has rounded ones. The
weights of an int4 checkpoint are decoded here: no code of AutoRound or of this project is in them. Checkpoints that are not
committed are written by `cargo run -p testkit --example families -- OUT`. The file has 40 random tokens, the likeliest token
after each, and the logits after the last.
"""
import json, os, sys

import numpy as np, torch, transformers
from safetensors.torch import load_file

V, ADDED = 320, 9  # vocabulary, and its last tokens, which are not drawn
PROJECTOR = "multi_modal_projector."  # of vision; AutoRound pads its rows


def decoded(raw):
    """The tensors with each symmetric int4 Linear in GPTQ's order as its weight."""
    out = {}
    for name, tensor in raw.items():
        module, _, kind = name.rpartition(".")
        if kind in ("scales", "qzeros") or name.startswith(PROJECTOR):
            continue
        if kind != "qweight":
            out[name] = tensor.float()
            continue
        scales = raw[module + ".scales"].double()
        words = tensor.numpy().view(np.uint32)
        codes = np.stack([words >> 4 * i & 15 for i in range(8)], 1).reshape(-1, words.shape[1])
        group = -(-codes.shape[0] // scales.shape[0])
        weight = (codes.astype(np.float64) - 8) * np.repeat(scales.numpy(), group, 0)[: codes.shape[0]]
        out[module + ".weight"] = torch.from_numpy(np.ascontiguousarray(weight.T)).float()
    return out


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    cls = getattr(transformers, config.architectures[0])
    if not hasattr(config, "quantization_config"):
        return cls.from_pretrained(folder, dtype=torch.float32).eval()
    del config.quantization_config
    weights = decoded(load_file(folder + "/model.safetensors"))
    model, info = cls.from_pretrained(
        None, config=config, state_dict=weights, dtype=torch.float32, output_loading_info=True)
    missing = [name for name in info["missing_keys"] if PROJECTOR not in name]
    strange = [name for name in info["unexpected_keys"] if not name.startswith("mtp.")]
    assert not missing and not info["mismatched_keys"] and not strange, info
    return model.eval()


def table(x):
    """GELU as llama.cpp computes it: a table of F16."""
    y = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
    return torch.where(x <= -10, 0.0, torch.where(x >= 10, x, y))


def write(folder):
    tokens = torch.randint(4, V - ADDED, (1, 40), generator=torch.Generator().manual_seed(3))
    model = load(folder)
    for module in model.modules():
        if "gelu" in type(getattr(module, "act_fn", None)).__name__.lower():
            del module.act_fn
            module.act_fn = table
    with torch.no_grad():
        logits = model(input_ids=tokens).logits[0]
    assert logits.dtype == torch.float32
    golden = dict(tokens=tokens[0].tolist(), likeliest=logits.argmax(-1).tolist(),
                  last=[float(f"{x:.7g}") for x in logits[-1].tolist()])
    with open(os.path.join(folder, "logits.json"), "w") as file:
        json.dump(golden, file)


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        write(folder)
