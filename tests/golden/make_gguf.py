#!/usr/bin/env python3
"""Writes gguf-export/tests/golden/tiny.gguf with gguf-py: one value of each type and three tensors.

  pip install gguf==0.19.0 numpy
  python tests/golden/make_gguf.py
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

out = pathlib.Path(__file__).parents[2] / "gguf-export/tests/golden/tiny.gguf"
w = GGUFWriter(out, "toy")
w.add_custom_alignment(64)
w.add_uint8("toy.u8", 200)
w.add_int8("toy.i8", -3)
w.add_uint16("toy.u16", 60000)
w.add_int16("toy.i16", -300)
w.add_uint32("toy.u32", 4_000_000_000)
w.add_int32("toy.i32", -5)
w.add_uint64("toy.u64", 1 << 60)
w.add_int64("toy.i64", -(1 << 60))
w.add_float32("toy.f32", 0.5)
w.add_float64("toy.f64", 0.25)
w.add_bool("toy.bool", True)
w.add_string("toy.str", "Größe")
w.add_array("toy.ints", [1, -2, 3])
w.add_array("toy.floats", [1.5, -2.0])
w.add_array("toy.bools", [True, False])
w.add_array("toy.strs", ["a", "Ġb"])
w.add_tensor("w", np.arange(8, dtype=np.float32).reshape(2, 4))
w.add_tensor("h", np.arange(3, dtype=np.float16))
q8 = GGMLQuantizationType.Q8_0
w.add_tensor("q", quantize(np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32), q8), raw_dtype=q8)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
