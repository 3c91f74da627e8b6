"""Loads transformers' Qwen3-Next in float32 with the exactly dequantized weights of a checkpoint, for the other scripts."""

import glob, os, re
import numpy as np, torch
from safetensors.torch import load_file
from transformers import AutoConfig, Qwen3NextForCausalLM
from make_values import weights

torch.set_num_threads(2)


def tensors(folder):
    """The tensors of a checkpoint as stored."""
    return {k: v for path in glob.glob(os.path.join(folder, "*.safetensors")) for k, v in load_file(path).items()}


def exact(folder):
    """Every weight of a checkpoint as a float32 tensor, by its logical name."""
    return {name: torch.from_numpy(np.ascontiguousarray(value, "f4")) for name, value in weights(folder)}


def load(folder):
    """The model without its MTP layer. Every other weight of the checkpoint must be used."""
    config = AutoConfig.from_pretrained(folder)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config._attn_implementation, config.dtype = "eager", torch.float32
    model, given = Qwen3NextForCausalLM(config).float().eval(), exact(folder)

    def stacked(prefix, part):
        return torch.stack([given.pop(f"{prefix}.{e}.{part}.weight") for e in range(config.num_experts)])

    for name, parameter in model.state_dict().items():
        if fused := re.fullmatch(r"(.*\.mlp\.experts)\.(gate_up_proj|down_proj)", name):
            parts = fused[2].replace("gate_up_proj", "gate_proj up_proj").split()
            value = torch.cat([stacked(fused[1], part) for part in parts], dim=1)
        else:
            value = given.pop(name)
        assert parameter.shape == value.shape, name
        parameter.copy_(value)
    assert all(name.startswith("mtp.") for name in given), sorted(given)
    return model
