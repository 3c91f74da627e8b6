"""Greedy answers of transformers to the bundled questions, with the bundled model's exact weights in float32.

    pip install torch==2.15.0 transformers==5.23.0 numpy
    make_answers.py CHECKPOINT_DIR QUESTIONS.jsonl OUT.json

For each custom_id: the question, the prompt's token ids (chat template applied), the generated token ids and text without
the end token, the answer (the text after </think>) and whether it is correct.
"""

import json, sys
import torch
from transformers import AutoTokenizer
from model import load


def main():
    folder, questions, out = sys.argv[1:]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), load(folder)
    end, answers = model.config.eos_token_id, {}
    for line in open(questions, encoding="utf-8"):
        row = json.loads(line)
        messages, limit = row["body"]["messages"], row["body"]["max_tokens"]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        with torch.no_grad():
            tokens = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=limit,
                do_sample=False,
                eos_token_id=end,
                pad_token_id=end,
            )
        tokens = tokens[0, len(prompt) :].tolist()
        finished = tokens[-1] == end
        text = tokenizer.decode(tokens[:-1] if finished else tokens)
        answer = text.rpartition("</think>")[2].strip()
        answers[row["custom_id"]] = {
            "question": messages[-1]["content"],
            "prompt": prompt,
            "tokens": tokens,
            "finished": finished,
            "text": text,
            "answer": answer,
            "right": answer == row["answer"],
        }
    with open(out, "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in answers.items()) + "\n}\n")
    print("right:", sum(a["right"] for a in answers.values()), "of", len(answers))


main()
