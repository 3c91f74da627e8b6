//! Keys of NVIDIA's ModelOpt.

use super::compressed::WEIGHTS;
use super::rule::{Rule, Table};

use Rule::{Any, Each, Empty, Object, Words};

/// `quant_method` `modelopt`.
pub(in super::super) const MODELOPT: Table = &[
    LAYER,
    SHARED,
    &[
        ("quant_method", Any),
        ("producer", Any),
        ("config_groups", Each(GROUP)),
        ("quantization", Object(FILE)),
        ("ignore", Any),
    ],
];

/// `hf_quant_config.json`, from its `quantization`.
pub(in super::super) const FILE: Table = &[LAYER, SHARED];

/// Keys of both.
const SHARED: &[(&str, Rule)] = &[
    ("quantized_layers", Each(&[LAYER])),
    ("exclude_modules", Any),
    ("kv_cache_quant_algo", Any),
    ("kv_cache_scheme", Any),
];

const GROUP: Table = &[
    LAYER,
    &[
        ("targets", Any),
        ("weights", Object(WEIGHTS)),
        ("input_activations", Any),
        ("output_activations", Any),
        ("format", Any),
    ],
];

/// Algorithms whose weights are the stored codes times their scales. Those with a scale of the inputs are not.
const LAYER: &[(&str, Rule)] = &[
    ("quant_algo", Words(ALGORITHMS)),
    ("group_size", Any),
    ("has_zero_point", Empty),
    ("pre_quant_scale", Empty),
    ("lora_rank", Empty),
];

const ALGORITHMS: &[&str] = &[
    "fp8",
    "fp8_per_channel_per_token",
    "fp8_pb_wo",
    "fp8_pb_real",
    "nvfp4",
    "w4a16_nvfp4",
    "w4a8_nvfp4_fp8",
    "mxfp4",
    "w4a8_mxfp4_fp8",
    "mxfp8",
    "w8a16",
    "mixed_precision",
];
