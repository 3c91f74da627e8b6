//! Keys of GPTQ and AWQ by GPTQModel, AutoGPTQ, AutoAWQ, transformers and AutoRound, and of FP8 and MXFP4 releases.

use super::auto_round::{OVERRIDE, PROVENANCE, SCHEME};
use super::rule::{Rule, Table};

use Rule::{Any, Each, Empty, Words};

/// `quant_method` `gptq`.
pub(in super::super) const GPTQ: Table = &[SCHEME, PROVENANCE, SHARED, PACKED, &[("backend", Any)]];

/// `quant_method` `awq`.
pub(in super::super) const AWQ: Table = &[
    SCHEME,
    PROVENANCE,
    SHARED,
    PACKED,
    &[
        ("backend", Words(AWQ_KERNELS)),
        ("modules_to_not_convert", Any),
        ("do_fuse", Any),
        ("fuse_max_seq_len", Any),
        ("modules_to_fuse", Any),
        ("exllama_config", Any),
    ],
];

/// Kernels of the layout `gemm`; the original `llm-awq` has a layout of its own.
const AWQ_KERNELS: &[&str] = &[
    "auto",
    "auto_trainable",
    "autoawq",
    "exllama_v1",
    "exllama_v2",
    "gemm",
    "gemm_triton",
    "gemv",
    "gemv_fast",
    "machete",
    "marlin",
    "torch_awq",
    "torch_fused_awq",
];

/// `quant_method` `mxfp4`: the stacked experts of gpt-oss.
pub(in super::super) const MXFP4: Table =
    &[&[("quant_method", Any), ("modules_to_not_convert", Any), ("dequantize", Any)]];

/// `quant_method` `fp8`.
pub(in super::super) const FP8: Table = &[
    SCHEME,
    PROVENANCE,
    SHARED,
    &[
        ("fmt", Words(FP8_FORMATS)),
        ("format", Words(FP8_FORMATS)),
        ("checkpoint_format", Words(FP8_FORMATS)),
        ("fp8_dtype_flavor", Words(&["float8_e4m3fn"])),
        ("extra_config", Each(OVERRIDE)),
        ("activation_scheme", Any),
        ("weight_block_size", Any),
        ("weight_scale_method", Any),
        // GPTQModel divides by its scales, under the name of those that others multiply by.
        ("weight_scale_semantics", Empty),
        ("scale_fmt", Words(&["float", "ue8m0"])),
        ("expert_dtype", Words(&["fp8"])),
        ("modules_to_not_convert", Any),
        ("modules_to_convert", Any),
        ("ignored_layers", Any),
        ("ignore", Any),
        ("dequantize", Any),
        ("kv_cache_scheme", Any),
        ("backend", Any),
    ],
];

const FP8_FORMATS: &[&str] = &["fp8", "e4m3", "e5m2", "float8_e4m3fn", "float8_e5m2"];

/// Keys of all three.
const SHARED: &[(&str, Rule)] = &[
    ("quant_method", Any),
    ("method", Any),
    ("dynamic", Each(RULE)),
    ("desc_act", Any),
    ("lm_head", Any),
    ("meta", Any),
    ("adapter", Empty),
    ("rotation", Empty),
    ("tokenizer", Any),
    ("device", Any),
    ("pack_impl", Any),
    ("offload_to_disk", Any),
    ("offload_to_disk_path", Any),
    ("preprocessors", Any),
    ("smoother", Any),
    ("smooth", Any),
    ("fallback", Any),
    ("true_sequential", Any),
    ("pack_dtype", Any),
];

/// Keys of packed integers.
const PACKED: &[(&str, Rule)] = &[
    ("w_bit", Any),
    ("wbits", Any),
    ("q_group_size", Any),
    ("zero_point", Any),
    ("version", Any),
    ("format", Any),
    ("checkpoint_format", Any),
    ("static_groups", Any),
    ("damp_percent", Any),
    ("damp_auto_increment", Any),
    ("act_group_aware", Any),
    ("hyb_act", Any),
    ("parallel_packing", Any),
    ("buffered_fwd", Any),
    // The algorithm GPTAQ under an earlier name, not the version of the format.
    ("v2", Any),
    ("v2_alpha", Any),
    ("mse", Any),
    ("gptaq", Any),
    ("foem", Any),
    ("hessian", Any),
    ("mock_quantization", Empty),
    ("model_seqlen", Any),
    ("module_name_preceding_first_block", Any),
    ("modules_in_block_to_quantize", Any),
    ("inside_layer_modules", Any),
    ("cache_block_outputs", Any),
    ("pad_token_id", Any),
    ("max_input_length", Any),
    ("use_cuda_fp16", Any),
    ("use_exllama", Any),
    ("disable_exllama", Any),
    ("exllama_config", Any),
    ("scale_search_chunked_activations", Any),
    ("model_name_or_path", Any),
    ("model_file_base_name", Any),
    ("is_marlin_format", Empty),
    ("awq_gemm_checkpoint", Empty),
];

/// A rule for modules by pattern. Its `format` cannot differ from the whole.
const RULE: Table = &[
    SCHEME,
    &[
        ("scale_dtype", Any),
        ("desc_act", Any),
        ("lm_head", Any),
        ("mse", Any),
        ("static_groups", Any),
        ("damp_percent", Any),
        ("damp_auto_increment", Any),
        ("act_group_aware", Any),
        ("true_sequential", Any),
        ("gptaq", Any),
        ("foem", Any),
        ("fallback", Any),
        ("adapter", Empty),
        ("rotation", Empty),
    ],
];
