"""Float32 logits of transformers for two checkpoints, to compare with those of the engine.

    pip install torch==2.15.0 transformers==5.23.0 safetensors numpy     (with tests/data in place)
    make_logits.py source-bf16 SOURCE_DIR OUT.safetensors        random tokens
    make_logits.py tiny-thinker CHECKPOINT_DIR OUT.safetensors   conversations the model was trained for

The file has `tokens_N` (I32, [length]) and `logits_N` (F32, [length, vocabulary]). The delta net works in chunks of 64
tokens, so there are lengths below and above that; length 1 has no history.
"""

import sys
import numpy as np, torch
from safetensors.numpy import save_file
from transformers import AutoTokenizer
from model import load

RANDOM_LENGTHS = [1, 5, 63, 78]
CONVERSATIONS = [
    [
        ("user", "What is 57 + 68?"),
        (
            "assistant",
            "<think>\n7+8+0=15, write 5 carry 1; 5+6+1=12, write 2 carry 1; write 1.\n</think>\n\n57 + 68 = 125",
        ),
    ],
    [
        ("system", "You are a helpful assistant."),
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Capital of Peru?"),
        ("assistant", "<think>\nThe country is Peru. Its capital is Lima.\n</think>\n\nThe capital of Peru is Lima."),
        ("user", "Who am I?"),
        ("assistant", "<think>\nThe name is Ada.\n</think>\n\nYour name is Ada."),
    ],
]


def sequences(kind, folder):
    if kind == "source-bf16":
        random = np.random.default_rng(2026)
        return [random.integers(0, 631, n).tolist() for n in RANDOM_LENGTHS]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ("".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) for turns in CONVERSATIONS)
    return [tokenizer(text)["input_ids"] for text in texts]


def main():
    kind, folder, out = sys.argv[1:]
    model, arrays = load(folder), {}
    for i, tokens in enumerate(sequences(kind, folder)):
        arrays[f"tokens_{i}"] = np.array(tokens, "i4")
        with torch.no_grad():
            arrays[f"logits_{i}"] = model(torch.tensor([tokens])).logits[0].numpy()
    save_file(arrays, out)
    print({name: array.shape for name, array in arrays.items()})


main()
