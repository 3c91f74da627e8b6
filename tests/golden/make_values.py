"""Hashes of every exactly dequantized weight of a checkpoint, one JSON file per checkpoint folder.

    pip install numpy
    make_values.py OUT_DIR CHECKPOINT_DIR...

OUT_DIR/NAME.json maps each weight (module name + ".weight"; other tensors by their own name) to its shape in the
order of PyTorch, [out, in] for a Linear, and to the SHA-256 of its values as little-endian float32, row by row. A
product is taken in float64, where it is exact for every format here, and rounded to float32 once. Zeros keep their sign.

Only numpy is used, so that the values do not depend on code of the exporting tools. `check_values.py` compares them with
the dequantizers of auto-round 0.16.1 and compressed-tensors 0.20.0, run in float32. In all 19 quantized checkpoints,
1237 weights, no value differs. (FP8 with float scales in bfloat16 only, because auto-round has no other.)
"""

import glob, hashlib, json, os, sys
import numpy as np

FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
FP4 = np.concatenate([FP4, -FP4])  # sign and magnitude; code 8 is -0
INT4_MAGNITUDE = np.arange(8) / 4
MXINT4 = np.concatenate([INT4_MAGNITUDE, -INT4_MAGNITUDE])
# Output k of an AWQ word of eight 4-bit codes sits in this nibble.
AWQ_NIBBLE = [0, 4, 1, 5, 2, 6, 3, 7]


def e4m3():
    """The 256 values of FP8 E4M3 without infinities."""
    code = np.arange(256)
    sign, exponent, fraction = np.where(code >> 7, -1.0, 1.0), code >> 3 & 15, code & 7
    value = np.where(exponent == 0, fraction * 2.0**-9, (1 + fraction / 8) * 2.0 ** (exponent - 7.0))
    value[(code & 127) == 127] = np.nan
    return sign * value


def plain(dtype, raw):
    """Stored bytes as numbers: integers unchanged, floats as float64."""
    if dtype == "BF16":
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").astype("f8")
    if dtype == "F8_E4M3":
        return e4m3()[np.frombuffer(raw, "u1")]
    array = np.frombuffer(raw, {"F16": "<f2", "F32": "<f4", "I32": "<i4", "I64": "<i8", "I8": "i1", "U8": "u1"}[dtype])
    return array.astype("f8") if dtype[0] == "F" else array


def read(folder):
    """All tensors of a checkpoint: name -> (dtype, array)."""
    out = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        data = open(path, "rb").read()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, t in json.loads(data[8:start]).items():
            if name != "__metadata__":
                a, b = t["data_offsets"]
                out[name] = t["dtype"], plain(t["dtype"], data[start + a : start + b]).reshape(t["shape"])
    return out


def stream(words, bits):
    """Unpacks the last axis, one little-endian stream of `bits`-bit codes held in 32-bit words."""
    bit = np.unpackbits(np.ascontiguousarray(words, "<i4").view("u1"), axis=-1, bitorder="little")
    bit = bit[..., : bit.shape[-1] // bits * bits].reshape(*words.shape[:-1], -1, bits)
    return bit @ (1 << np.arange(bits))


def pairs(packed):
    """Nibbles of the last axis, low one first."""
    return np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1)


def spread(groups, size, count):
    """Repeats one entry per group along the last axis; the last group may be short."""
    return np.repeat(groups, size, -1)[..., :count]


def gptq(get, size, symmetric, minus_one):
    """Columns are outputs. A symmetric zero point is the middle of the range; the stored one is ignored."""
    qweight, scales = get("qweight"), get("scales").T
    bits = 32 * get("qzeros").shape[1] // scales.shape[0]
    codes = stream(qweight.T, bits)
    zeros = stream(get("qzeros"), bits).T
    middle = 1 << bits - 1
    if symmetric:
        assert np.all(zeros == middle) or np.all(zeros == middle - 1)
        zeros = np.full_like(zeros, middle)
    elif minus_one:
        assert not np.any(zeros == 2 * middle - 1), "a zero point of 0 may have borrowed from its neighbor"
        zeros = zeros + 1
    size = size if size > 0 else codes.shape[1]
    index = np.arange(codes.shape[1]) // size
    if (g_idx := get("g_idx")) is not None:
        assert np.array_equal(g_idx, index), "permuted groups"
    return scales[:, index] * (codes - zeros[:, index])


def awq(get, size):
    """Words run along the outputs, in the order of AWQ; the zero point is stored without an offset."""

    def unpack(words):
        nibbles = stream(words, 4).reshape(words.shape[0], -1, 8)
        return nibbles[..., AWQ_NIBBLE].reshape(words.shape[0], -1).T

    codes, zeros, scales = unpack(get("qweight")), unpack(get("qzeros")), get("scales").T
    n = codes.shape[1]
    return spread(scales, size, n) * (codes - spread(zeros, size, n))


def packed_int32(get):
    """compressed-tensors, symmetric: codes along the inputs, offset by half the range."""
    rows, columns = map(int, get("weight_shape"))
    bits = 32 * get("weight_packed").shape[1] // columns
    assert get("weight_zero_point") is None and get("weight_g_idx") is None and 32 % bits == 0
    codes = stream(get("weight_packed"), bits)[:rows, :columns] - (1 << bits - 1)
    return spread(get("weight_scale"), columns // get("weight_scale").shape[1], columns) * codes


def power_of_two(get, values, microscaling_int):
    """Microscaling: blocks of 32 share a power of two, its exponent stored with bias 127."""
    if values is None:
        values = (MXINT4 if microscaling_int else FP4)[pairs(get("weight_packed"))]
    return values * spread(2.0 ** (get("weight_scale").astype("f8") - 127), 32, values.shape[1])


def scaled(values, scale, block):
    """8-bit numbers times a scale: of the whole tensor, of a row, or of a block of rows and columns."""
    if block:
        scale = np.repeat(np.repeat(scale, block[0], 0), block[1], 1)[: values.shape[0], : values.shape[1]]
    return values * scale


def weights(folder):
    """Yields every logical weight of a checkpoint: (name, float64 array)."""
    tensors = read(folder)
    quant = json.load(open(os.path.join(folder, "config.json"))).get("quantization_config", {})
    size = quant.get("group_size")
    symmetric = quant.get("sym", True)
    packing = quant.get("packing_format", "")
    minus_one = "gptq" in packing or quant.get("quant_method") == "gptq"
    parts = (
        "qweight",
        "qzeros",
        "scales",
        "g_idx",
        "weight_packed",
        "weight_scale",
        "weight_scale_inv",
        "weight_shape",
    )
    for module in sorted({k.rpartition(".")[0] for k in tensors if k.endswith(parts)}):
        dtype = lambda part: tensors.get(f"{module}.{part}", ("", None))[0]
        get = lambda part: tensors.get(f"{module}.{part}", ("", None))[1]
        if dtype("qweight"):
            one_word_per_output = get("qweight").shape[1] == get("scales").shape[1]
            value = gptq(get, size, symmetric, minus_one) if one_word_per_output else awq(get, size)
        elif dtype("weight_packed") == "I32":
            value = packed_int32(get)
        elif dtype("weight_scale") == "U8":
            value = power_of_two(get, get("weight"), "mx_int" in quant.get("data_type", ""))
        elif dtype("weight_scale_inv"):
            value = scaled(get("weight"), get("weight_scale_inv"), quant["weight_block_size"])
        else:
            value = scaled(get("weight"), get("weight_scale"), None)
        for part in parts + ("weight",):
            tensors.pop(f"{module}.{part}", None)
        yield module + ".weight", value
    yield from ((name, array) for name, (_, array) in tensors.items())


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array, "<f4").tobytes()).hexdigest()


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    for folder in sys.argv[2:]:
        rows = []
        for name, value in sorted(weights(folder), key=lambda pair: pair[0]):
            single = value.astype("<f4")
            entry = {"shape": list(single.shape), "sha256": sha256(single)}
            rows.append(f"  {json.dumps(name)}: {json.dumps(entry)}")
        with open(os.path.join(out, os.path.basename(os.path.normpath(folder)) + ".json"), "w") as f:
            f.write("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
