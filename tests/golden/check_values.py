"""Compares the values of make_values.py with the dequantizers of the tools that wrote the checkpoints.

    pip install torch==2.15.0 transformers==5.23.0 auto-round==0.16.1 compressed-tensors==0.20.0 numpy
    check_values.py CHECKPOINT_DIR...

Prints, per checkpoint, how many quantized weights were compared and the largest absolute difference. Scales are
widened to float32 before the tools multiply. auto-round multiplies FP8 weights only in bfloat16, so there both sides are
rounded to bfloat16 first. auto-round's GPTQ module is read by multiplying with the identity, which turns -0.0 into
+0.0; for all others the signs of zero must agree as well.
"""

import json, os, sys
import numpy as np, torch
from make_values import weights
from model import tensors


def gptq(get, quant):
    from auto_round_extension.torch import qlinear_torch, qlinear_torch_zp

    outputs = get("scales").shape[1]
    bits = 32 * get("qzeros").shape[1] // outputs
    inputs = get("qweight").shape[0] * 32 // bits
    # auto-round's module for zero points stored minus one is called "zp".
    minus_one = "gptq" in quant.get("packing_format", "") or quant["quant_method"] == "gptq"
    module = (qlinear_torch_zp if minus_one else qlinear_torch).QuantLinear(
        bits, quant["group_size"], inputs, outputs, False
    )
    module.qweight, module.qzeros, module.scales = get("qweight"), get("qzeros"), get("scales").float()
    return module(torch.eye(inputs)).T


def awq(get, quant):
    from auto_round.export.export_to_awq.utils import dequantize_gemm

    return dequantize_gemm(get("qweight"), get("qzeros"), get("scales").float(), 4, quant["group_size"]).T


def compressed(get, quant):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme

    group = quant["config_groups"]["group_0"]
    scheme = QuantizationScheme(targets=group["targets"], weights=group["weights"])
    parts = {
        part: get(part) for part in ("weight", "weight_packed", "weight_scale", "weight_shape") if get(part) is not None
    }
    parts["weight_scale"] = parts["weight_scale"].float()
    return BaseCompressor.load_from_registry(quant["format"]).decompress(parts, scheme)["weight"]


def microscaling(get, quant):
    from auto_round.experimental.qmodules.fp4_utils import unpack_fp4_from_uint8
    from auto_round.experimental.qmodules.mxint4_utils import unpack_int4_from_uint8
    from auto_round.utils.model_free_utils import dequant_mx_fp8, get_fp_scale

    if get("weight") is not None:
        return dequant_mx_fp8(get("weight"), get("weight_scale"), 32, torch.float32)
    packed = get("weight_packed")
    unpack = unpack_int4_from_uint8 if quant["data_type"] == "mx_int" else unpack_fp4_from_uint8
    values = unpack(packed, packed.shape[0], 2 * packed.shape[1], dtype=torch.float32)
    return (values.reshape(-1, 32) * get_fp_scale(get("weight_scale")).reshape(-1, 1).float()).reshape(values.shape)


def fp8(get, quant):
    from auto_round.utils.weight_handler import _dequant_fp8_linear_weight

    if (scale := get("weight_scale_inv")) is not None:
        return _dequant_fp8_linear_weight(get("weight"), scale, [128, 128])
    return _dequant_fp8_linear_weight(get("weight"), get("weight_scale"))


def theirs(get, quant):
    if get("qweight") is not None:
        return (gptq if get("qweight").shape[1] == get("scales").shape[1] else awq)(get, quant)
    if quant["quant_method"] == "compressed-tensors":
        return compressed(get, quant)
    return (microscaling if "mx" in quant["data_type"] else fp8)(get, quant)


for folder in sys.argv[1:]:
    quant = json.load(open(os.path.join(folder, "config.json"))).get("quantization_config")
    raw, count, worst, zeros = tensors(folder), 0, 0.0, 0
    for name, value in weights(folder) if quant else ():
        module = name.removesuffix(".weight")
        get = lambda part: raw.get(f"{module}.{part}")
        if not any(get(part) is not None for part in ("scales", "weight_scale", "weight_scale_inv")):
            continue
        other, ours = theirs(get, quant), torch.from_numpy(value.astype("f4"))
        worst = max(worst, (other.float() - ours.to(other.dtype).float()).abs().max().item())
        zeros += int((torch.signbit(other.float()) != torch.signbit(ours)).sum())
        count += 1
    name = os.path.basename(os.path.normpath(folder))
    print(f"{name:18} {count:4} weights, largest difference {worst:g}, signs of zero that differ {zeros}")
