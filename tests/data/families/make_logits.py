#!/usr/bin/env python3
"""Logits of transformers in F32 for checkpoints of `make_families.py`, as `logits.json` in their folders.

  pip install torch transformers==5.24.0 numpy safetensors
  make_logits.py FOLDER...

The model is built in F32, so that its rotary frequencies are too: a BF16 model that is cast to F32 has rounded ones. The
weights of an int4 checkpoint are decoded here: no code of AutoRound or of this project is in them. Those of a folder
without weights are made up, as by `testkit::made_up`. The file has 40 random tokens, the likeliest token after each, and
the logits after the last.
"""
import json, os, sys, tempfile

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


def uniform(name, count):
    """Numbers from 0 to 1 of testkit's generator (splitmix64, seeded by a name)."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def made_up(name, shape):
    low, high = (0.7, 1.3) if name.endswith(("norm.weight", "layer_scalar")) else (-0.3, 0.3)
    if len(shape) > 1:
        high = 1.7 / shape[-1] ** 0.5
        low = -high
    values = low + (high - low) * uniform(name, int(np.prod(shape)))
    # To the nearest of eight bits, of the upper 32, as the crate half rounds.
    bits = values.view(np.uint64)
    bits &= ~np.uint64((1 << 32) - 1)
    bits += (np.uint64(1) << np.uint64(44)) - np.uint64(1) + (bits >> np.uint64(45) & np.uint64(1))
    bits &= ~np.uint64((1 << 45) - 1)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def invented(cls, config):
    """Weights for the names and shapes that a model is saved with."""
    with tempfile.TemporaryDirectory() as folder:
        cls(config).save_pretrained(folder)
        saved = load_file(folder + "/model.safetensors")
    return {name: made_up(name, tensor.shape) for name, tensor in saved.items()}


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    cls = getattr(transformers, config.architectures[0])
    if not os.path.exists(folder + "/model.safetensors"):
        weights = invented(cls, config)
    elif hasattr(config, "quantization_config"):
        del config.quantization_config
        weights = decoded(load_file(folder + "/model.safetensors"))
    else:
        return cls.from_pretrained(folder, dtype=torch.float32).eval()
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
