#!/usr/bin/env python3
"""Writes gguf-export/tests/golden/blocks.json: random blocks of each type and their values by gguf-py.

  pip install gguf==0.19.0 numpy
  python tests/golden/make_blocks.py

Scales are drawn so that they are finite; all other bytes are random. gguf-py has no decoder for Q2_0, so its values
are computed by the definition: d * (code - 1), four codes per byte, lowest bits first.
"""
import json
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGML_QUANT_SIZES
from gguf.quants import dequantize

Q2_0 = 42
# The offsets of each type's f16 fields.
HALVES = {
    T.F32: [], T.F16: [0], T.BF16: [],
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.MXFP4: [], T.NVFP4: [], Q2_0: [0],
}
rng = np.random.default_rng(20240607)


def q2_0(block):
    d = block[:2].view(np.float16).astype(np.float32)[0]
    codes = [(int(byte) >> shift) & 3 for byte in block[2:] for shift in (0, 2, 4, 6)]
    return np.array([d * np.float32(c - 1) for c in codes], np.float32)


cases = []
for kind, halves in HALVES.items():
    size = 18 if kind == Q2_0 else GGML_QUANT_SIZES[kind][1]
    count = 16 if size <= 4 else 2
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:
        blocks[:, at:at + 2] = rng.normal(0, 0.1, count).astype(np.float16)[:, None].view(np.uint8)
    if kind in (T.F32, T.BF16):
        blocks[:, -1] &= 0xBF
    if kind == T.MXFP4:
        blocks[:, 0] = [100, 130]
    if kind == T.NVFP4:
        blocks[:, :4] &= 0x7F
    if kind == Q2_0:
        values = np.concatenate([q2_0(b) for b in blocks])
    else:
        values = dequantize(blocks.reshape(-1), kind)
    values = np.asarray(values, np.float32).reshape(-1)
    assert np.isfinite(values).all(), kind
    cases.append({"id": int(kind), "bytes": blocks.tobytes().hex(), "values": values.astype(">f4").tobytes().hex()})

out = pathlib.Path(__file__).parents[2] / "gguf-export/tests/golden/blocks.json"
out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
