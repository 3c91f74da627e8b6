//! Keys of compressed-tensors, and those that AutoRound and transformers add.

use super::rule::{Rule, Table};

use Rule::{Any, Each, Empty, Object, Words};

/// `quant_method` `compressed-tensors`.
pub(in super::super) const COMPRESSED_TENSORS: Table = &[&[
    ("quant_method", Any),
    ("quantization_status", Any),
    ("format", Words(FORMATS)),
    ("config_groups", Each(GROUP)),
    ("ignore", Any),
    ("global_compression_ratio", Any),
    ("version", Any),
    ("kv_cache_scheme", Any),
    ("attention_input_activations", Any),
    ("sparsity_config", Object(SPARSITY)),
    ("moe_sparsity_config", Empty),
    ("transform_config", Empty),
    ("fp8_dtype_flavor", Words(&["float8_e4m3fn"])),
    ("run_compressed", Any),
    ("dequantize", Any),
    ("use_optimized_inference", Any),
    ("provider", Any),
    ("autoround_version", Any),
]];

const FORMATS: &[&str] = &[
    "dense",
    "pack-quantized",
    "int-quantized",
    "float-quantized",
    "naive-quantized",
    "nvfp4-pack-quantized",
    "nvfp4-e5m3-pack-quantized",
    "mxfp4-pack-quantized",
    "mxfp8-quantized",
    "mixed-precision",
];

const GROUP: Table = &[&[
    ("targets", Any),
    ("weights", Object(WEIGHTS)),
    ("input_activations", Any),
    ("output_activations", Any),
    ("format", Words(FORMATS)),
]];

/// Arguments of a scheme for weights.
pub(super) const WEIGHTS: Table = &[&[
    ("num_bits", Any),
    ("type", Words(&["int", "float"])),
    ("symmetric", Any),
    ("strategy", Words(&["tensor", "channel", "group", "block", "tensor_group"])),
    ("group_size", Any),
    ("block_structure", Any),
    ("actorder", Any),
    ("dynamic", Empty),
    ("observer", Any),
    ("observer_kwargs", Any),
    ("scale_dtype", Any),
    ("zp_dtype", Any),
]];

const SPARSITY: Table = &[&[
    ("format", Words(&["dense"])),
    ("targets", Any),
    ("ignore", Any),
    ("global_sparsity", Any),
    ("sparsity_structure", Any),
    ("registry_requires_subclass", Any),
]];
