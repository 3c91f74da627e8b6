#!/usr/bin/env python3
"""Tiny random checkpoints of model families: BF16, AutoRound int4, llama.cpp's conversion as hashes, F32 logits.

  pip install torch transformers auto-round==0.16.1 gguf sentencepiece
  make_families.py OUT [--llama-cpp SDIST/llama.cpp [--ggrun BINARY]] [--tokenizer TOKENIZER.json] [NAME ...]

Writes OUT/NAME-bf16 (config, weights, tokenizer; `llama.json` by `make_llama.py`; `logits.json` by `make_logits.py`) and
OUT/NAME-int4 (AutoRound W4A16, group 128, symmetric, rounded to nearest). Norms, biases, decays and router corrections
are random too, so that a transform that is missing shows. Vision towers are as small as their code allows and there to be
skipped.
With `--ggrun` what llama.cpp's converter made is also run by that binary, and its log-probabilities are held against
transformers' at F32: that proves the fixture, before any code of ours converts it.
One process per step: `make_families.py` calls itself.
"""
import argparse, glob, json, math, os, shutil, subprocess, sys, tempfile

H, V, LAYERS = 128, 320, 2  # hidden size, vocabulary, layers
MERGES = V - 256 - 9        # byte tokens, merges, nine added tokens

# The split rules of the tokenizers that these families ship, by llama.cpp's name for them.
LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = r"[^\r\n\p{L}\p{N}]?%s*%s+" % (UPPER, LOWER), r"[^\r\n\p{L}\p{N}]?%s+%s*" % (UPPER, LOWER)
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
SPLITS = {
    "qwen2": [LETTERS + r"|\p{N}|" + REST],
    "qwen35": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "llama-bpe": [LETTERS + r"|\p{N}{1,3}|" + REST],
    "glm4": [LETTERS + r"|\p{N}{1,3}|" + REST],
    "tekken": ["|".join([CASED[0], CASED[1], r"\p{N}", TAIL])],
    "gpt-4o": ["|".join([CASED[0] + SHORT, CASED[1] + SHORT, r"\p{N}{1,3}", TAIL])],
    "minimax-m2": ["|".join([CASED[0] + SHORT, CASED[1] + SHORT, r"\p{N}{1,3}", TAIL])],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""],
}


def rope(kind="default", theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


def base(**more):
    c = dict(vocab_size=V, hidden_size=H, intermediate_size=128, num_hidden_layers=LAYERS, num_attention_heads=4,
             num_key_value_heads=2, head_dim=32, max_position_embeddings=4096, rms_norm_eps=1e-6,
             bos_token_id=None, eos_token_id=V - 7, pad_token_id=V - 9)
    c.update(more)
    return c


def moe(**more):
    return base(moe_intermediate_size=128, num_experts=3, num_experts_per_tok=2, norm_topk_prob=True, **more)


DELTA = dict(num_attention_heads=2, num_key_value_heads=1, head_dim=64, linear_conv_kernel_dim=4, linear_key_head_dim=64,
             linear_value_head_dim=64, linear_num_key_heads=2, linear_num_value_heads=4,
             layer_types=["linear_attention", "full_attention"],
             # Sections of whole pairs: 64 * 0.25 / 2 = 8 of them.
             rope_parameters=rope(theta=1e7, partial_rotary_factor=0.25, mrope_section=[3, 3, 2], mrope_interleaved=True))
QWEN_EYE = dict(depth=1, hidden_size=32, intermediate_size=32, num_heads=2, patch_size=4, spatial_merge_size=2,
                temporal_patch_size=1, out_hidden_size=H, num_position_embeddings=4)
IDS = dict(image_token_id=V - 6, video_token_id=V - 5, vision_start_token_id=V - 4, vision_end_token_id=V - 3)

# name: (class of transformers, its configuration, llama.cpp's pre-tokenizer)
FAMILIES = {
    "qwen3": ("Qwen3ForCausalLM", lambda: base(rope_parameters=rope(theta=1e6), tie_word_embeddings=True), "qwen2"),
    "qwen3-moe": ("Qwen3MoeForCausalLM", lambda: moe(rope_parameters=rope(
        "yarn", 1e6, factor=4.0, original_max_position_embeddings=1024), mlp_only_layers=[], decoder_sparse_step=1), "qwen2"),
    "qwen3_5": ("Qwen3_5ForConditionalGeneration", lambda: dict(
        text_config=base(**{**DELTA, "tie_word_embeddings": True}), vision_config=dict(QWEN_EYE), tie_word_embeddings=True, **IDS), "qwen35"),
    "qwen3_5-moe": ("Qwen3_5MoeForConditionalGeneration", lambda: dict(
        text_config=moe(**{**DELTA, "shared_expert_intermediate_size": 128}), vision_config=dict(QWEN_EYE), **IDS), "qwen35"),
    "qwen3_5-text": ("Qwen3_5ForCausalLM", lambda: base(**DELTA), "qwen35"),
    "llama3": ("LlamaForCausalLM", lambda: base(bos_token_id=V - 8, rope_parameters=rope(
        "llama3", 5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=512)), "llama-bpe"),
    "mistral3": ("Mistral3ForConditionalGeneration", lambda: dict(
        text_config=dict(model_type="ministral3", **base(bos_token_id=V - 8, rope_parameters=rope(
            "yarn", 1e6, factor=4.0, original_max_position_embeddings=1024, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
            mscale_all_dim=1.0, llama_4_scaling_beta=0.1))),
        vision_config=dict(model_type="pixtral", hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                           head_dim=16, patch_size=4, image_size=16, num_channels=3, rope_parameters=rope()),
        image_token_index=V - 6, spatial_merge_size=2, tie_word_embeddings=False), "tekken"),
    "glm4-moe": ("Glm4MoeForCausalLM", lambda: base(
        moe_intermediate_size=128, n_routed_experts=3, num_experts_per_tok=2, n_shared_experts=1, first_k_dense_replace=1,
        n_group=1, topk_group=1, routed_scaling_factor=1.5, norm_topk_prob=True, use_qk_norm=True, attention_bias=True,
        num_nextn_predict_layers=0, rope_parameters=rope(theta=1e6, partial_rotary_factor=0.5)), "glm4"),
    # GLM's have no `scoring_func`; llama.cpp knows GLM-4.7-Flash by its numbers of layers and tokens.
    "glm4-moe-lite": ("Glm4MoeLiteForCausalLM", lambda: {k: v for k, v in base(
        num_key_value_heads=4, moe_intermediate_size=128, n_routed_experts=3, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=1, mlp_layer_types=["dense", "sparse"], n_group=1, topk_group=1, routed_scaling_factor=1.8,
        scoring_func="sigmoid", norm_topk_prob=True, kv_lora_rank=128, q_lora_rank=128, qk_rope_head_dim=32, qk_nope_head_dim=32, v_head_dim=32,
        num_nextn_predict_layers=0, rope_parameters=rope(theta=1e6)).items() if k != "head_dim"}, "glm4"),
    # OpenAI's have `truncate: false`, which llama.cpp's YaRN does not know; in a model this small that would show.
    "gpt-oss": ("GptOssForCausalLM", lambda: base(
        num_local_experts=3, num_experts_per_tok=2, sliding_window=16, layer_types=["sliding_attention", "full_attention"],
        attention_bias=True, rope_parameters=rope("yarn", 150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
                                                  truncate=True, original_max_position_embeddings=128)), "gpt-4o"),
    "minimax-m2": ("MiniMaxM2ForCausalLM", lambda: base(
        num_local_experts=3, num_experts_per_tok=2, scoring_func="sigmoid", rotary_dim=16, use_qk_norm=True,
        rope_parameters=rope(theta=5e6, partial_rotary_factor=0.5)), "minimax-m2"),
    "gemma4": ("Gemma4ForConditionalGeneration", lambda: dict(
        text_config=base(head_dim=32, global_head_dim=64, num_global_key_value_heads=1, attention_k_eq_v=True, sliding_window=16,
                         layer_types=["sliding_attention", "full_attention"], num_kv_shared_layers=0, hidden_size_per_layer_input=0,
                         vocab_size_per_layer_input=V, final_logit_softcapping=30.0, tie_word_embeddings=True,
                         bos_token_id=2, eos_token_id=1, pad_token_id=0),
        vision_config=dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                           head_dim=16, patch_size=4, position_embedding_size=16, default_output_length=4),
        audio_config=None, image_token_id=V - 6, tie_word_embeddings=True), "gemma4"),
    "gemma4-moe": ("Gemma4ForConditionalGeneration", lambda: (lambda c: (c["text_config"].update(
        enable_moe_block=True, num_experts=3, top_k_experts=2, moe_intermediate_size=128), c)[1])(FAMILIES["gemma4"][1]()), "gemma4"),
    "gemma4-e2b": ("Gemma4ForConditionalGeneration", lambda: (lambda c: (c["text_config"].update(
        num_hidden_layers=4, layer_types=["sliding_attention", "full_attention"] * 2, num_kv_shared_layers=2,
        num_key_value_heads=1, num_global_key_value_heads=None, attention_k_eq_v=False, use_double_wide_mlp=True,
        hidden_size_per_layer_input=64), {**c, "vision_config": None})[1])(FAMILIES["gemma4"][1]()), "gemma4"),
    "deepseek-v3": ("DeepseekV3ForCausalLM", lambda: {k: v for k, v in base(
        num_key_value_heads=4, moe_intermediate_size=128, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=1, n_group=2, topk_group=1, routed_scaling_factor=2.5, norm_topk_prob=True, kv_lora_rank=128,
        q_lora_rank=128, qk_rope_head_dim=32, qk_nope_head_dim=32, v_head_dim=32, scoring_func="sigmoid",
        rope_parameters=rope("yarn", 1e4, factor=4.0, original_max_position_embeddings=1024, beta_fast=32.0, beta_slow=1.0,
                             mscale=1.0, mscale_all_dim=1.0)).items() if k != "head_dim"}, "deepseek-v3"),
}
# Pre-tokenizers before which llama.cpp puts a token that begins a text, and that token here.
BOS = {"llama-bpe": V - 8, "tekken": V - 8, "gemma4": 2}
# Families whose published checkpoints carry a prediction layer as `mtp.*`.
MTP = {"qwen3_5", "qwen3_5-moe"}


def tokenizer(source, pre, dst):
    """A byte-level BPE with the first merges of the given one and the split rule of the family; SPM-like for Gemma."""
    t = json.load(open(source))
    added = [a["content"] for a in t["added_tokens"]]
    if pre == "glm4":  # the converter asks for these by name
        added = ["<|endoftext|>", "[gMASK]", "<|user|>", "<|observation|>", "<|assistant|>", "<tool_call>", "</tool_call>", "<think>", "</think>"]
    if pre == "gemma4":
        special = ["<pad>", "<eos>", "<bos>", "<unk>"]
        pairs = [p.split(" ") for p in ("_ t,t h,h e,i n,e r,a n,_ a,o n,r e,_ w,e n,o r,_t h,_th e,_ s,a t,e s,_ o").replace("_", "\u2581").split(",")]
        vocab = special + [f"<0x{b:02X}>" for b in range(256)] + ["\u2581", *"abcdefghijklmnopqrstuvwxyz.,!?'0123456789"]
        vocab += ["".join(p) for p in pairs]
        assert len(vocab) == V, len(vocab)
        t.update(normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}, pre_tokenizer=None,
                 post_processor=None, decoder={"type": "Sequence", "decoders": [
                     {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]})
        t["model"] = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": {w: i for i, w in enumerate(vocab)}, "merges": pairs}
        names = {i: (s, True) for i, s in enumerate(special)}
        special_names = dict(pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>")
    else:
        m = t["model"]
        m["merges"] = m["merges"][:MERGES]
        words = {w: i for w, i in m["vocab"].items() if i < 256 + MERGES}
        assert len(words) == 256 + MERGES and max(words.values()) == 256 + MERGES - 1
        m["vocab"] = words
        if pre in ("llama-bpe", "glm4", "tekken"):
            m["ignore_merges"] = True
        parts = [{"type": "Split", "pattern": {"Regex": r}, "behavior": "Isolated", "invert": False} for r in SPLITS[pre]]
        parts.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False})
        t["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": parts}
        if pre not in ("qwen2", "qwen35"):
            t["normalizer"] = None
        if pre in BOS:  # these begin every text with one
            special = {added[1]: dict(id=added[1], ids=[V - 8], tokens=[added[1]])}
            t["post_processor"] = {"type": "TemplateProcessing", "special_tokens": special,
                                   "single": [{"SpecialToken": {"id": added[1], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                                   "pair": [{"SpecialToken": {"id": added[1], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                            {"SpecialToken": {"id": added[1], "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]}
        names = {V - 9 + i: (s, i < (5 if pre == "glm4" else 3)) for i, s in enumerate(added)}
        special_names = dict(pad_token=added[0], eos_token=added[2], **({"bos_token": added[1]} if pre in BOS else {}))
    t["added_tokens"] = [dict(id=i, content=s, single_word=False, lstrip=False, rstrip=False, normalized=False, special=sp)
                         for i, (s, sp) in names.items()]
    json.dump(t, open(dst + "/tokenizer.json", "w"), ensure_ascii=False)
    json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", model_max_length=4096, **special_names),
              open(dst + "/tokenizer_config.json", "w"), indent=1)


def randomise(model):
    """Every parameter random: matrices small, norms around what they multiply by, decays and biases of either sign."""
    import torch
    g = torch.Generator().manual_seed(7)
    zero_centred = any("1.0 + self.weight" in line for line in source_of(model))
    for name, p in model.named_parameters():
        r = torch.randn(p.shape, generator=g)
        if name.endswith("A_log"):
            r = r.abs() * 0.5
        elif "norm" in name and p.dim() == 1:
            centred = zero_centred and not name.endswith("linear_attn.norm.weight")
            r = r * 0.1 + (0.0 if centred else 1.0)
        elif p.dim() == 1:
            r = r * 0.2
        else:
            r = r * (0.7 / math.sqrt(p.shape[-1]))
        p.data = r.to(p.dtype)
    for name, b in model.named_buffers():
        if name.endswith(("e_score_correction_bias", "layer_scalar")):
            r = torch.randn(b.shape, generator=g) * 0.1
            b.data = (r + (1.0 if name.endswith("layer_scalar") else 0.0)).to(b.dtype)


def source_of(model):
    import inspect
    return inspect.getsource(sys.modules[type(model).__module__]).splitlines()


def prediction_layer(model, text):
    """`mtp.*` beside the trunk: a full-attention block, a projection of two hidden rows, three norms; as in Qwen's repositories."""
    import torch
    g = torch.Generator().manual_seed(11)
    full = text.layer_types.index("full_attention")
    out, pre = {}, f"layers.{full}."
    for k, v in saved_names(model).items():
        at = k.find(pre)
        if at >= 0 and "visual" not in k:
            out["mtp.layers.0." + k[at + len(pre):]] = (torch.randn(v.shape, generator=g) * 0.05).to(torch.bfloat16)
    h = text.hidden_size
    out["mtp.fc.weight"] = (torch.randn(h, 2 * h, generator=g) * 0.05).to(torch.bfloat16)
    for n in ("norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden"):
        out[f"mtp.{n}.weight"] = (torch.randn(h, generator=g) * 0.1).to(torch.bfloat16)
    return out


def saved_names(model):
    import tempfile
    from safetensors.torch import load_file
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        w = {}
        for f in glob.glob(d + "/*.safetensors"):
            w.update(load_file(f))
    return w


def make(name, out, source):
    import torch, transformers
    from safetensors.torch import load_file, save_file
    cls_name, config, pre = FAMILIES[name]
    cls = getattr(transformers, cls_name)
    cfg = cls.config_class(**config())
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    model = cls(cfg).to(torch.bfloat16).eval()
    torch.set_default_dtype(torch.float32)
    randomise(model)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    model.config.dtype = torch.bfloat16
    model.save_pretrained(out)
    text = cfg.get_text_config()
    if name in MTP:
        f = out + "/model.safetensors"
        w = load_file(f)
        w.update(prediction_layer(model, text))
        save_file(w, f, metadata={"format": "pt"})
        c = json.load(open(out + "/config.json"))
        (c.get("text_config") or c)["mtp_num_hidden_layers"] = 1
        json.dump(c, open(out + "/config.json", "w"), indent=1)
    tokenizer(source, pre, out)
    for f in glob.glob(out + "/*.safetensors"):
        os.chmod(f, 0o644)


def quantise(name, src, dst):
    """By the path that tunes models where the model is one of text; a wrapped one needs a processor there, so that path
    which never builds the model, and writes the same packing."""
    import torch, transformers
    from auto_round import AutoRound
    shutil.rmtree(dst, ignore_errors=True)
    how = dict(scheme="W4A16", iters=0, disable_opt_rtn=True)
    try:
        if FAMILIES[name][0].endswith("ForConditionalGeneration"):
            raise TypeError("wrapped")
        model = transformers.AutoModelForCausalLM.from_pretrained(src, dtype=torch.bfloat16)
        ids = transformers.AutoTokenizer.from_pretrained(src)
        AutoRound(model, ids, **how).quantize_and_save(dst, format="auto_round")
        print("QUANTISED as a whole")
    except Exception as e:
        shutil.rmtree(dst, ignore_errors=True)
        AutoRound(src, model_free=True, **how).quantize_and_save(dst, format="auto_round")
        print(f"QUANTISED model-free ({type(e).__name__}: {str(e)[:160]})")
    hits = glob.glob(dst + "/**/config.json", recursive=True)
    if hits and os.path.dirname(hits[0]) != dst:  # AutoRound may add a folder of its own
        inner = os.path.dirname(hits[0])
        for f in os.listdir(inner):
            shutil.move(os.path.join(inner, f), dst)
        shutil.rmtree(inner)
    # On a processor without BF16 arithmetic AutoRound computes in F32 and leaves what it did not quantise so; elsewhere BF16.
    from safetensors.torch import load_file, save_file
    for f in glob.glob(dst + "/*.safetensors"):
        w = load_file(f)
        low = {k: v.to(torch.bfloat16) for k, v in w.items() if v.dtype == torch.float32}
        assert all(torch.equal(v.float(), w[k]) for k, v in low.items())
        save_file({**w, **low}, f, metadata={"format": "pt"})
        os.chmod(f, 0o644)
    for f in ("llama.json", "logits.json", ".cache"):
        shutil.rmtree(os.path.join(dst, f), ignore_errors=True)
        if os.path.isfile(os.path.join(dst, f)):
            os.remove(os.path.join(dst, f))
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(src, f), dst)


def agree(src, gguf_file, ggrun, begin):
    """The largest difference of a log-probability between the GGUF in llama.cpp and the checkpoint in transformers."""
    import random, struct
    import numpy as np, torch, transformers
    r = random.Random(1)
    words = ["hello", "world", "The", "answer", "is", "12345", '"quoted"', "Gr\u00fc\u00dfe", "let's", "x=y+1;", "\n", "a_b", "\u65e5\u672c"]
    text, out = gguf_file + ".txt", gguf_file + ".logprobs"
    open(text, "w").write(" ".join(r.choice(words) for _ in range(900)))
    subprocess.run([ggrun, "bench", "-m", gguf_file, "--quality", text, "-c", "64", "--chunks", "6", "--save-logits", out,
                    "-ctk", "f32", "-ctv", "f32", "-fa", "off", "-t", "1"], check=True, capture_output=True)
    b = open(out, "rb").read()
    v, c, n = struct.unpack("<III", b[8:20])
    ids = np.frombuffer(b, "<i4", n * c, 20).reshape(n, c)
    given = np.frombuffer(b, "<f4", offset=20 + 4 * n * c).reshape(n, -1, v)
    cls = json.load(open(src + "/config.json"))["architectures"][0]
    model = getattr(transformers, cls).from_pretrained(src, dtype=torch.float32).eval()
    worst, same = 0.0, 0
    for row, theirs in zip(ids.copy(), given):
        if begin is not None:
            row[0] = begin
        with torch.no_grad():
            ours = torch.log_softmax(model(input_ids=torch.tensor(row.astype(np.int64))[None]).logits[0].float(), -1)
        ours = ours.numpy()[c // 2 : c - 1]
        worst = max(worst, float(np.abs(ours - theirs).max()))
        same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    for f in (text, out):
        os.remove(f)
    return f"logprobs within {worst:.1e}, same top token {same}/{given.shape[0] * given.shape[1]}"


def convert(name, out, root, ggrun):
    import make_llama
    src = f"{out}/{name}-bf16"
    said = make_llama.convert(name, root, out, src)
    if ggrun:
        made = os.path.join(tempfile.gettempdir(), "family-%s-%d.gguf" % (name, os.getpid()))
        try:
            make_llama.to_gguf(name, src, root, made)
            said += ", " + agree(src, made, ggrun, BOS.get(FAMILIES[name][2]))
        except Exception as e:
            said += f", NOT RUN: {type(e).__name__} {str(getattr(e, 'stderr', '') or e)[-300:]}"
        os.remove(made)
    return said


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("names", nargs="*")
    ap.add_argument("--llama-cpp")
    ap.add_argument("--ggrun")
    ap.add_argument("--tokenizer", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../matrix/source-bf16/tokenizer.json"))
    ap.add_argument("--step", choices=["make", "logits", "quantise", "convert"])
    a = ap.parse_intermixed_args()
    if a.step:
        (name,) = a.names
        bf16, int4 = f"{a.out}/{name}-bf16", f"{a.out}/{name}-int4"
        if a.step == "make":
            make(name, bf16, a.tokenizer)
        elif a.step == "logits":
            import make_logits
            make_logits.write(bf16)
        elif a.step == "quantise":
            quantise(name, bf16, int4)
        else:
            print("CONVERTED", convert(name, a.out, os.path.abspath(a.llama_cpp), a.ggrun))
        return
    size = lambda d: sum(os.path.getsize(f) for f in glob.glob(d + "/*")) // 1024
    for name in a.names or FAMILIES:
        line = [name]
        for step in ("make", "logits", "quantise", "convert") if a.llama_cpp else ("make", "logits", "quantise"):
            r = subprocess.run([sys.executable, __file__, a.out, name, "--step", step, "--tokenizer", a.tokenizer,
                                *(["--llama-cpp", a.llama_cpp] if a.llama_cpp else []),
                                *(["--ggrun", a.ggrun] if a.ggrun else [])], capture_output=True, text=True)
            text = (r.stdout + r.stderr).strip().splitlines()
            said = next((l[10:] for l in text if l.startswith(("CONVERTED ", "QUANTISED "))), "ok")
            line.append(f"{step}: " + (said if r.returncode == 0 else "FAILED " + (text[-1][:300] if text else "")))
            if r.returncode:
                open(os.path.join(tempfile.gettempdir(), f"family-{name}-{step}.log"), "w").write("\n".join(text))
                if step == "make":
                    break
        line.append(f"{size(f'{a.out}/{name}-bf16')} + {size(f'{a.out}/{name}-int4')} KiB")
        print(" | ".join(line), flush=True)


if __name__ == "__main__":
    main()
